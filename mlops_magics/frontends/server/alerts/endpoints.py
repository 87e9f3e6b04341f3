"""Endpoints that are down or failed, whose following or canary came to nothing, whose certificate ends."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.foundation.sentences import Sentence
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.alerts.base import Alert, Tone
from mlops_magics.frontends.server.places import endpoints
from mlops_magics.tracking.store import Store

_DEAD = {
    "down": lambda name: Sentence("%1 is down: its process is gone.", name),
    "failed": lambda name: Sentence("%1 could not go on: its model does not load.", name),
}


def look(settings: Settings, store: Store | None) -> Iterator[Alert]:
    """Look at each endpoint of the store."""
    del store
    for item in endpoints(settings):
        if item.status in _DEAD:
            again = f"%mlops_deploy {item.model}/{item.version} --name {item.name}"
            yield Alert("broken", _DEAD[item.status](item.name), again, "endpoints", item.name)
        if item.remark:
            remedy = f"%mlops_deploy {item.model}@{item.follows or 'champion'}"
            yield Alert("warning", f"{item.name}: {item.remark}", remedy, "endpoints", item.name)
        if item.caution:
            tone: Tone = "broken" if item.caution.broken else "warning"
            yield Alert(
                tone, f"{item.name}: {item.caution.what}", item.caution.remedy, "endpoints", item.name
            )
        if "was stopped" in item.beside:
            remedy = f"%mlops_deploy {item.name} --traffic 1h"
            yield Alert("warning", f"{item.name}: {item.beside}.", remedy, "endpoints", item.name)
