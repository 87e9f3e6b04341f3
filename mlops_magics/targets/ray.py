"""The Ray target: a Ray Serve configuration, an image for it, and a RayService for KubeRay."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import ClassVar, Final

import orjson

from mlops_magics.foundation.errors import UsageError
from mlops_magics.targets import pods
from mlops_magics.targets.base import Request
from mlops_magics.targets.container import base_of, default_image, ignored, quoted
from mlops_magics.targets.folder import Content
from mlops_magics.targets.image import HOME, SERVER, checked_image, context
from mlops_magics.targets.pods import Json
from mlops_magics.targets.written import WrittenTarget

_TRIED: Final = "2.60.0"  # where none is installed here
_PORT: Final = 8000  # Ray Serve's proxy
_AGENT, _DASHBOARD = 52365, 8265  # where Ray says whether a node is well
_ONGOING: Final = 4  # requests a replica, at which another one starts
_ANY_HOST: Final = "*"  # it is Ray's proxy that is asked


class RayTarget(WrittenTarget):
    """Writes what runs on one machine with ``serve run`` and on many with KubeRay. Copies are replicas."""

    name: ClassVar[str] = "ray"

    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the configuration, the build context and the manifest."""
        pods.dns_name(request)
        if request.workers != 1 or request.port is not None:
            raise UsageError(
                "A replica of Ray Serve is one process behind Ray's own port.",
                "Leave --workers and --port out; say --replicas MIN,MAX.",
            )
        version = _version()
        files = context(request, (f"ray[serve]=={version}",))
        files["Dockerfile"] = base_of(request).encode()
        files[".dockerignore"] = ignored().encode()
        files["serve.json"] = pods.written(_configuration(request, "127.0.0.1"))
        files["rayservice.json"] = pods.written(_service(request, version))
        return files

    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say how it runs here, and how on a cluster."""
        where = quoted(folder)
        return (
            f"MLOPS_FOLDER=$PWD/{where} serve run {where}/serve.json",
            f"docker build -t {_image(request)} {where}",
            pods.make_secret(request.name),
            f"kubectl apply -f {where}/rayservice.json",
        )


def _version() -> str:
    try:
        return importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return _TRIED


def _image(request: Request) -> str:
    return checked_image(request.image or f"{default_image(request)}-ray")


def _configuration(request: Request, host: str) -> Json:
    """Describe the application to Ray Serve."""
    least, most = request.replicas or (1, 1)
    scaled = {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": _ONGOING}
    deployment = {
        "name": "Model",
        **({"autoscaling_config": scaled} if least < most else {"num_replicas": least}),
        "max_ongoing_requests": request.limits.queue,
        "ray_actor_options": {"num_cpus": 1},
    }
    application = {
        "name": request.name,
        "route_prefix": "/",
        "import_path": f"{SERVER}.ray_serve:build",
        "args": {"folder": HOME},
        "runtime_env": {"env_vars": {"MLOPS_HOSTS": _ANY_HOST, "MLOPS_DIGEST": request.digest}},
        "deployments": [deployment],
    }
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": _PORT},
        "applications": [application],
    }


def _service(request: Request, version: str) -> Json:
    """Describe a cluster with a worker pod a replica; its head runs none, and it asks for a token itself."""
    least, most = request.replicas or (1, 1)
    configuration = orjson.dumps(_configuration(request, "0.0.0.0"))  # noqa: S104 - a pod's own network
    head = {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104 - same
        "template": _pod(request, "ray-head", ready=(_DASHBOARD, "/api/gcs_healthz"), account=True),
    }
    workers = {
        "groupName": "model",
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": most,
        "rayStartParams": {"num-cpus": "1"},
        "template": _pod(request, "ray-worker", ready=(_PORT, "/-/healthz"), account=False),
    }
    cluster = {
        "rayVersion": version,
        "enableInTreeAutoscaling": least < most,
        "authOptions": {"mode": "token"},
        "headGroupSpec": head,
        "workerGroupSpecs": [workers],
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": pods.about(request, request.name),
        "spec": {"serveConfigV2": configuration.decode(), "rayClusterConfig": cluster},
    }


def _pod(request: Request, name: str, *, ready: tuple[int, str], account: bool) -> Json:
    """Describe a node. Its probes are our own, because KubeRay's ask for a tool that a slim image has not."""
    container = {
        "name": name,
        "image": _image(request),
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
            *pods.variables(request, _ANY_HOST),
        ],
        "ports": [{"name": "serve", "containerPort": _PORT, "protocol": "TCP"}],
        "livenessProbe": _probe(_AGENT, "/api/local_raylet_healthz"),
        "readinessProbe": _probe(*ready),
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi"},
            "limits": {"cpu": "1", "memory": "4Gi"},
        },
        "securityContext": pods.confined(),
        "volumeMounts": pods.mounts(),
    }
    told = pods.about(request, request.name)
    spec = {
        "automountServiceAccountToken": account,  # the autoscaler beside the head asks Kubernetes for pods
        "containers": [container],
        "volumes": pods.volumes(request.name, room="2Gi"),
    }
    return {"metadata": {key: told[key] for key in ("labels", "annotations")}, "spec": spec}


def _probe(port: int, path: str) -> Json:
    return {
        "httpGet": {"port": port, "path": path},
        "initialDelaySeconds": 10,
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": 24,
    }
