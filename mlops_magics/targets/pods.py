"""What targets share that write for Kubernetes: names, labels, the container and how it is confined.

All is written as JSON, which every YAML parser reads alike: in YAML the text ``y`` may arrive as a boolean,
``0123`` as a number.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from mlops_magics.artifact.served import digest_of
from mlops_magics.foundation.errors import UsageError
from mlops_magics.targets.base import Request
from mlops_magics.targets.image import USER, needed_image, port

Json = dict[str, Any]

DIGEST: Final = "sha256"  # what it is called in the secret
_MOUNT: Final = "/run/secrets/mlops"
_LONGEST: Final = 50  # what is made of it must have at most 63 characters
_LABEL: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_LINGER: Final = 5  # seconds in which a service learns that a pod leaves
# What a process may have at first: about 225 MB are in use when it has answered once.
_MEMORY, _MOST_MEMORY, _CPU = 512, 1024, 500


def dns_name(request: Request) -> str:
    """Hand out the endpoint's name where Kubernetes takes it as it is.

    Raises:
        UsageError: It is no DNS label of at most 50 characters.
    """
    if len(request.name) > _LONGEST or not _LABEL.fullmatch(request.name):
        raise UsageError(
            f"{request.name[:40]!r} cannot be the name of a service.",
            "Choose --name with small letters, digits and -, beginning with a letter (at most 50).",
        )
    return request.name


def secret_of(name: str) -> str:
    """Name the secret that holds the sha256 of an endpoint's token. It is made by hand, never written."""
    return f"{name}-token"


def make_secret(name: str) -> str:
    """Say how that secret is made."""
    return f"kubectl create secret generic {secret_of(name)} --from-literal={DIGEST}=$MLOPS_TOKEN_SHA256"


def written(resource: Json) -> bytes:
    """Write a resource: the same bytes for the same content."""
    return orjson.dumps(resource, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def selector(name: str) -> Json:
    """The labels that tell an endpoint's pods from all others."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "mlops-magics"}


def about(request: Request, name: str) -> Json:
    """The metadata of a resource. A model's name may be any text, so it is an annotation."""
    return {
        "name": name,
        "labels": {**selector(name), "app.kubernetes.io/version": request.version},
        "annotations": {"mlops-magics/model": request.model, "mlops-magics/digest": request.digest},
    }


def variables(request: Request, hosts: str) -> list[Json]:
    """The environment of the server: nothing of it is a secret."""
    told = {
        "MLOPS_DIGEST": request.digest,
        "MLOPS_HOSTS": hosts,
        "MLOPS_LINGER": str(_LINGER),
        "MLOPS_TOKEN_SHA256_FILE": f"{_MOUNT}/{DIGEST}",
    }
    if request.contract:
        told["MLOPS_CONTRACT"] = digest_of(request.contract)
    return [{"name": name, "value": value} for name, value in told.items()]


def container(request: Request, name: str, *, port_name: str, env: list[Json]) -> Json:
    """The one container of a pod: it is no root, has no rights, and writes nothing but to ``/tmp``."""
    return {
        "name": name,
        "image": needed_image(request),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": port_name, "containerPort": port(request), "protocol": "TCP"}],
        "env": env,
        "livenessProbe": _probe(request, "/ping", every=10, failures=6),
        "readinessProbe": _probe(request, "/health", every=5, failures=2),
        "resources": resources(request),
        "securityContext": confined(),
        "volumeMounts": mounts(),
    }


def mounts() -> list[Json]:
    """Where the container mounts what :func:`volumes` describes."""
    return [
        {"name": "token", "mountPath": _MOUNT, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own, empty at first
    ]


def volumes(name: str, room: str = "64Mi") -> list[Json]:
    """What the container mounts: the token's digest by reference, and a place for temporary files."""
    secret = {"secretName": secret_of(name), "items": [{"key": DIGEST, "path": DIGEST}]}
    return [{"name": "token", "secret": secret}, {"name": "tmp", "emptyDir": {"sizeLimit": room}}]


def confined() -> Json:
    """What Kubernetes' strictest standard for pods asks of a container, and a root that is read-only."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(request: Request) -> Json:
    """What it may take, by its processes."""
    return {
        "requests": {"cpu": f"{_CPU * request.workers}m", "memory": f"{_MEMORY * request.workers}Mi"},
        "limits": {"cpu": str(request.workers), "memory": f"{_MOST_MEMORY * request.workers}Mi"},
    }


def startup_probe(request: Request) -> Json:
    """How long a model may take to load before its container is started anew: two minutes."""
    return _probe(request, "/ping", every=2, failures=60)


def _probe(request: Request, path: str, *, every: int, failures: int) -> Json:
    """Ask an open route. The server knows no pod by its address, so the name is given."""
    asked = {
        "path": path,
        "port": port(request),
        "httpHeaders": [{"name": "Host", "value": "localhost"}],
    }
    return {"httpGet": asked, "periodSeconds": every, "timeoutSeconds": 3, "failureThreshold": failures}
