"""Runs that wait on this machine for a store that was down."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.alerts.base import Alert
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import Store


def look(settings: Settings, store: Store | None) -> Iterator[Alert]:
    """Look at what waits."""
    del store
    if waiting := len(Spool.of(settings)):
        runs = "A run waits" if waiting == 1 else f"{waiting} runs wait"
        yield Alert("warning", f"{runs} on this machine for the store.", "%mlops_track", "runs")
