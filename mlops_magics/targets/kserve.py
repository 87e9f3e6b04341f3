"""The KServe target: an InferenceService that runs our own container as its predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from mlops_magics.targets import pods
from mlops_magics.targets.base import Request
from mlops_magics.targets.container import quoted
from mlops_magics.targets.folder import Content
from mlops_magics.targets.written import WrittenTarget

_CONTAINER: Final = "kserve-container"  # the name by which KServe finds it
_PORT_NAME: Final = "http1"  # the one that Knative takes for plain HTTP
_ANY_HOST: Final = "*"  # KServe's gateway gives it names that are made of the cluster's own domain


class KserveTarget(WrittenTarget):
    """Writes an InferenceService. The model is in the image, so that no storage has to be asked for it."""

    name: ClassVar[str] = "kserve"

    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the manifest."""
        name = pods.dns_name(request)
        least, most = request.replicas or (1, 1)
        env = pods.variables(request, _ANY_HOST)
        # All that confines it stands at the container: Knative takes nothing of it for the pod.
        predictor = {
            "minReplicas": least,
            "maxReplicas": most,
            "automountServiceAccountToken": False,
            "containers": [pods.container(request, _CONTAINER, port_name=_PORT_NAME, env=env)],
            "volumes": pods.volumes(name),
        }
        resource = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": pods.about(request, name),
            "spec": {"predictor": predictor},
        }
        return {"inferenceservice.json": pods.written(resource)}

    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say how the manifest comes to a cluster."""
        name = pods.dns_name(request)
        return (
            pods.make_secret(name),
            f"kubectl apply -f {quoted(folder)}",
            f"kubectl get inferenceservice {name}",
        )
