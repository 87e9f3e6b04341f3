"""Where a model can be served: one file a target, found by name."""

from __future__ import annotations

from mlops_magics.foundation.rooms import Room
from mlops_magics.targets.base import MakeTarget

TARGETS: Room[MakeTarget] = Room(
    "targets",
    {
        "local": "mlops_magics.targets.local:LocalTarget",
        "container": "mlops_magics.targets.container:ContainerTarget",
        "kubernetes": "mlops_magics.targets.kubernetes:KubernetesTarget",
        "kserve": "mlops_magics.targets.kserve:KserveTarget",
        "ray": "mlops_magics.targets.ray:RayTarget",
        "mlserver": "mlops_magics.targets.mlserver:MlserverTarget",
    },
)
