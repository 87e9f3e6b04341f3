"""What the monitor saw and has not seen to be over."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.alerts.base import Alert
from mlops_magics.tracking import alerts
from mlops_magics.tracking.store import Store


def look(settings: Settings, store: Store | None) -> Iterator[Alert]:
    """Look at the alerts that are kept with the registered models."""
    del settings
    if store is None:
        return
    for model, seen in alerts.everywhere(store):
        what = f"{seen.place or model}, {seen.subject}: {seen.words}"
        yield Alert("warning", what, seen.then or f"%mlops_monitor {model}", "models", model)
