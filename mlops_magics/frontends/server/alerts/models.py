"""Aliases that were moved around the gates."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.sentences import Sentence
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
        now = (
            Sentence("%1 points to version %2", f"{model}@{stray.alias}", stray.version)
            if stray.version
            else Sentence("%1 points nowhere", f"{model}@{stray.alias}")
        )
        then = Sentence("version %1", stray.recorded) if stray.recorded else Sentence("nothing")
        what = Sentence("%1; the last recorded move left it at %2.", now, then)
        yield Alert("warning", what, f"%mlops_promote {model}", "models", model)
