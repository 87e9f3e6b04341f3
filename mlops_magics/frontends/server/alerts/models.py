"""Aliases that were moved around the gates."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.alerts.base import Alert
from mlops_magics.tracking import moves
from mlops_magics.tracking.store import Store


def look(settings: Settings, store: Store | None) -> Iterator[Alert]:
    """Look at the aliases of each registered model."""
    del settings
    if store is None:
        return
    for model, stray in moves.strays(store):
        now = f"points to version {stray.version}" if stray.version else "points nowhere"
        then = f"version {stray.recorded}" if stray.recorded else "nothing"
        what = f"{model}@{stray.alias} {now}; the last recorded move left it at {then}."
        yield Alert("warning", what, f"%mlops_promote {model}", "models", model)
