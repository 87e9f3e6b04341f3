"""What no schema says of manifests: rules of our own, each a sentence where it is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi)?")
Resource = Mapping[str, Any]


def problems(resources: Sequence[Resource]) -> list[str]:
    """Name all that is wrong with what one deployment writes."""
    kinds = {resource["kind"]: resource for resource in resources}
    found = [problem for resource in resources for problem in _anywhere(resource)]
    if len(kinds) != len(resources):
        found.append("two resources of one kind")
    if "Deployment" in kinds:
        found += _deployment(kinds)
    if "InferenceService" in kinds:
        predictor = kinds["InferenceService"]["spec"]["predictor"]
        found += _pod(predictor)
        if not 0 < predictor["minReplicas"] <= predictor["maxReplicas"]:
            found.append("replicas out of order")
    return found


def _anywhere(resource: Resource) -> Iterator[str]:
    name = resource["metadata"]["name"]
    if not LABEL.fullmatch(name):
        yield f"{name!r} is no DNS label"
    if resource["kind"] == "Secret":
        yield "a secret is written"
    for path, value in _walk(resource):
        place, where = path[-1], ".".join(path)
        within = path[-2] if len(path) > 1 else ""
        if within in {"labels", "matchLabels", "selector"} and not isinstance(value, dict):
            if not isinstance(value, str) or not VALUE.fullmatch(value):
                yield f"{where} is no value of a label"
        elif within == "annotations" and not isinstance(value, str):
            yield f"{where} is no text"
        if place in {"privileged", "hostNetwork", "hostPID", "hostIPC", "hostPath", "stringData", "hostPort"}:
            yield f"{where} is set"
        if within in {"requests", "limits"} and not QUANTITY.fullmatch(str(value)):
            yield f"{where} is no quantity"


def _deployment(kinds: Mapping[str, Resource]) -> Iterator[str]:
    spec = kinds["Deployment"]["spec"]
    labels, pod = spec["template"]["metadata"]["labels"], spec["template"]["spec"]
    selecting = {
        "Deployment": spec["selector"]["matchLabels"],
        "Service": kinds["Service"]["spec"]["selector"],
        "NetworkPolicy": kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    }
    budget = kinds.get("PodDisruptionBudget")
    if budget:
        selecting["PodDisruptionBudget"] = budget["spec"]["selector"]["matchLabels"]
    for kind, wanted in selecting.items():
        if not wanted or not wanted.items() <= labels.items():
            yield f"the {kind} selects other pods"
    yield from _scaled(kinds)
    if pod["serviceAccountName"] != kinds["ServiceAccount"]["metadata"]["name"]:
        yield "the account is another"
    yield from _reached(kinds, pod)
    yield from _pod(pod)


def _scaled(kinds: Mapping[str, Resource]) -> Iterator[str]:
    scaler, spec = kinds.get("HorizontalPodAutoscaler"), kinds["Deployment"]["spec"]
    if (scaler is None) == ("replicas" not in spec):
        yield "either the autoscaler says how many, or the deployment"
    if scaler:
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) != ("Deployment", kinds["Deployment"]["metadata"]["name"]):
            yield "the autoscaler scales something else"
        if not 0 < scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]:
            yield "replicas out of order"


def _reached(kinds: Mapping[str, Resource], pod: Resource) -> Iterator[str]:
    ports = {item["name"]: item["containerPort"] for item in pod["containers"][0]["ports"]}
    if {item["targetPort"] for item in kinds["Service"]["spec"]["ports"]} != set(ports):
        yield "the service leads to another port"
    policy = kinds["NetworkPolicy"]["spec"]
    if policy["policyTypes"] != ["Ingress", "Egress"] or policy["egress"]:
        yield "the policy does not deny by default"
    if [item["port"] for rule in policy["ingress"] for item in rule["ports"]] != list(ports.values()):
        yield "the policy opens another port"


def _pod(pod: Resource) -> Iterator[str]:
    if pod["automountServiceAccountToken"] is not False:
        yield "the account's token is mounted"
    names = [item["name"] for item in pod["containers"]]
    if len(names) != len(set(names)):
        yield "two containers of one name"
    volumes = {item["name"] for item in pod["volumes"]}
    for item in pod["containers"]:
        if {mount["name"] for mount in item["volumeMounts"]} != volumes:
            yield "a volume is missing or not mounted"
        yield from _container(item)


def _container(item: Resource) -> Iterator[str]:
    guard = item["securityContext"]
    wanted = {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for key, value in wanted.items():
        if guard.get(key) != value:
            yield f"the container's {key} is {guard.get(key)}"
    if not guard.get("runAsUser"):
        yield "the container runs as root"
    if not {"requests", "limits"} <= set(item["resources"]):
        yield "there are no bounds"
    yield from _probed(item)
    for variable in item["env"]:
        if "valueFrom" not in variable and not isinstance(variable["value"], str):
            yield f"{variable['name']} is no text"
        if "TOKEN" in variable["name"] and not variable["name"].endswith("_FILE"):
            yield f"{variable['name']} is a secret"


def _probed(item: Resource) -> Iterator[str]:
    ports = {port["containerPort"] for port in item["ports"]}
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        asked = item.get(key, {}).get("httpGet")
        if key != "startupProbe" and asked is None:
            yield f"there is no {key}"
        if asked and asked["port"] not in ports:
            yield f"the {key} asks another port"


def _walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path:
        yield path, value
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in children:
        yield from _walk(item, (*path, str(key)))
