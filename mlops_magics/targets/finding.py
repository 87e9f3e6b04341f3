"""Finding a target by its name: one of ours or a guest's, else a deployment plugin of MLflow's."""

from __future__ import annotations

from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Target


def find(name: str, settings: Settings, store: str) -> Target:
    """Make a target.

    Args:
        name: Its name in the room, or that of an MLflow deployment plugin.
        settings: The settings.
        store: The store's shown address.

    Raises:
        NotFoundError: There is no such target.
    """
    return TARGETS.get(name)(settings, store)
