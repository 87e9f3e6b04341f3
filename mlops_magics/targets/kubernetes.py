"""The Kubernetes target: manifests of an endpoint that scales, is confined, and holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from mlops_magics.targets import pods
from mlops_magics.targets.base import Request
from mlops_magics.targets.container import quoted
from mlops_magics.targets.folder import Content
from mlops_magics.targets.image import port
from mlops_magics.targets.pods import Json
from mlops_magics.targets.written import WrittenTarget

_BUSY: Final = 70  # percent of the requested processor at which another copy starts
_PORT_NAME: Final = "http"


class KubernetesTarget(WrittenTarget):
    """Writes a file a resource. Nothing here talks to a cluster: ``kubectl`` does, when the user runs it."""

    name: ClassVar[str] = "kubernetes"

    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the manifests.

        The pods need nothing of Kubernetes' own API: their account has no role, and its token is not mounted.
        """
        name = pods.dns_name(request)
        least, most = request.replicas or (1, 1)
        resources = {
            "serviceaccount": _account(request, name),
            "deployment": _deployment(request, name, None if least < most else least),
            "service": _service(request, name),
            "networkpolicy": _policy(request, name),
        }
        if least < most:
            resources["horizontalpodautoscaler"] = _autoscaler(request, name, least, most)
        if least > 1:
            resources["poddisruptionbudget"] = _budget(request, name)
        return {f"{kind}.json": pods.written(resource) for kind, resource in sorted(resources.items())}

    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say how the manifests come to a cluster."""
        name, where = pods.dns_name(request), quoted(folder)
        return (
            pods.make_secret(name),
            f"kubectl diff -f {where}",
            f"kubectl apply -f {where}",
            f"kubectl rollout status deployment/{name}",
        )


def _deployment(request: Request, name: str, copies: int | None) -> Json:
    """Describe the pods; where they scale, how many there are is the autoscaler's."""
    namespace = {"name": "MLOPS_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    within = f"{name}.$(MLOPS_NAMESPACE)"  # Kubernetes puts it in
    hosts = f"{name},{within},{within}.svc,{within}.svc.cluster.local"
    env = [namespace, *pods.variables(request, hosts)]
    server = pods.container(request, "server", port_name=_PORT_NAME, env=env)
    pod = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 30,
        "containers": [{**server, "startupProbe": pods.startup_probe(request)}],
        "volumes": pods.volumes(name),
    }
    told = pods.about(request, name)
    spec = {
        **({} if copies is None else {"replicas": copies}),
        "selector": {"matchLabels": pods.selector(name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {key: told[key] for key in ("labels", "annotations")}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": told, "spec": spec}


def _account(request: Request, name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": pods.about(request, name),
        "automountServiceAccountToken": False,
    }


def _service(request: Request, name: str) -> Json:
    ports = [{"name": _PORT_NAME, "port": port(request), "targetPort": _PORT_NAME, "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "selector": pods.selector(name), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": pods.about(request, name), "spec": spec}


def _policy(request: Request, name: str) -> Json:
    """Let pods of the cluster in at the one port, and nothing out: the server asks nobody."""
    inwards = {
        "from": [{"namespaceSelector": {}}],
        "ports": [{"port": port(request), "protocol": "TCP"}],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": pods.about(request, name),
        "spec": {
            "podSelector": {"matchLabels": pods.selector(name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [inwards],
            "egress": [],
        },
    }


def _autoscaler(request: Request, name: str, least: int, most: int) -> Json:
    target = {"type": "Utilization", "averageUtilization": _BUSY}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": pods.about(request, name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _budget(request: Request, name: str) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": pods.about(request, name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": pods.selector(name)}},
    }
