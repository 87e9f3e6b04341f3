"""Finding a target by its name: one of ours or a guest's, else a deployment plugin of MLflow's."""

from __future__ import annotations

from typing import Final

from mlops_magics.foundation.errors import NotFoundError, nearest
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Target
from mlops_magics.targets.plugin import PluginTarget
from mlops_magics.tracking.deployments import plugins

_OURS: Final = "mlops-"  # what our own targets are called among MLflow's plugins


def find(name: str, settings: Settings, store: str) -> Target:
    """Make a target.

    Args:
        name: Its name in the room; or that of an MLflow deployment plugin, or an address that begins with it.
        settings: The settings.
        store: The store's shown address.

    Raises:
        NotFoundError: There is no such target.
        UnavailableError: A guest's package cannot be imported.
    """
    others = [plugin for plugin in plugins() if not plugin.startswith(_OURS)]
    try:
        return TARGETS.get(name)(settings, store)
    except NotFoundError as error:
        if name.partition(":")[0] in others:
            return PluginTarget(settings, store, name)
        remedy = nearest(name.removeprefix(_OURS), [*TARGETS, *others])
        raise NotFoundError(error.what, remedy) from None
