"""Runs that wait on this machine for a store that was down."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.sentences import Sentence
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.alerts.base import Alert
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import Store


def look(settings: Settings, store: Store | None) -> Iterator[Alert]:
    """Look at what waits."""
    del store
    if waiting := len(Spool.of(settings)):
        one = Sentence("A run waits on this machine for the store.")
        what = one if waiting == 1 else Sentence("%1 runs wait on this machine for the store.", waiting)
        yield Alert("warning", what, "%mlops_track", "runs")
