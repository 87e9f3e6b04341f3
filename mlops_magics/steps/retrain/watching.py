"""A version that has just become the champion is watched at its endpoints for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from mlops_magics.foundation.masking import masked
from mlops_magics.steps.deploy.traffic import read
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking.store import Store

_PAUSE: Final = 1.0
_TAKEN_WITHIN: Final = 120.0  # seconds for an endpoint to go where its alias went
_TRIED: Final = 10.0  # seconds that it says why it does not: by then it has tried again
_SERVER: Final = 500  # statuses from here on are the server's fault
_FEWEST: Final = 5  # failed requests: fewer may be chance
_SHARE: Final = 0.05

Lines: TypeAlias = Any
"""What an endpoint's journal holds of a version since it became the champion; pandas ships no types."""

Look: TypeAlias = Callable[[str, Lines], tuple[str, str]]
"""Looks at what a version answered at an endpoint: what is wrong, and what could not be looked at."""


def watched(
    store: Store, model: str, version: str, seconds: float, *, look: Look
) -> tuple[str, tuple[str, ...]]:
    """Watch a version that an alias points to since now.

    Args:
        store: The open store.
        model: The registered model.
        version: The version.
        seconds: For how long, from when the endpoints have taken it.
        look: Looks at what each endpoint answered with it. It is asked at the end.

    Returns:
        What is wrong, "" where nothing is; and what else is to be known.
    """
    following = [one for one in _endpoints(store) if one.model == model and one.follows == "champion"]
    if not following:
        return "", ("No endpoint of this machine follows the champion.",)
    begun, names = time.monotonic(), [one.name for one in following]
    for name in names:
        if wrong := _not_taken(store, name, version):
            return wrong, ()
    notes = [f"{', '.join(names)} answers with version {version}."]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(_PAUSE, max(0.0, until - time.monotonic())))
        for endpoint in _endpoints(store):
            if endpoint.name in names and (wrong := _failing(endpoint, version, begun)):
                return wrong, tuple(notes)
    for endpoint in _endpoints(store):
        if endpoint.name in names and endpoint.journal is not None:
            wrong, unseen = look(endpoint.name, _lines(endpoint, version, begun))
            notes += [unseen] if unseen else []
            if wrong:
                return wrong, tuple(notes)
    return "", tuple(notes)


def _endpoints(store: Store) -> tuple[Endpoint, ...]:
    return LocalTarget(store.settings, masked(store.settings.store)).list()


def _not_taken(store: Store, name: str, version: str) -> str:
    """Wait until an endpoint answers with a version; say why it does not."""
    until, told = time.monotonic() + _TAKEN_WITHIN, None
    while time.monotonic() < until:
        found = next((one for one in _endpoints(store) if one.name == name), None)
        if found is None or (found.version == version and found.status != "down"):
            return ""  # somebody has taken it away, or it is there
        if found.status == "down":
            return f"the endpoint {name} is down"
        told = (told or time.monotonic()) if found.remark else None
        if told is not None and time.monotonic() - told > _TRIED:
            return f"the endpoint {name} does not take it: {found.remark}"
        time.sleep(_PAUSE)
    return f"the endpoint {name} has not taken it within {_TAKEN_WITHIN:g} seconds"


def _lines(endpoint: Endpoint, version: str, begun: float) -> Lines:
    """Read what a version answered and refused since then; a clock that is set meanwhile hides little."""
    lines: Any = read(endpoint.name, endpoint.journal, max(1.0, time.monotonic() - begun)).frame
    return lines[(lines["version"].astype(str) == version) & (lines["role"] != "shadow")]


def _failing(endpoint: Endpoint, version: str, begun: float) -> str:
    """Say how many of the version's answers were the server's failures, where that is more than chance."""
    if endpoint.status == "down":
        return f"the endpoint {endpoint.name} is down since it answers with version {version}"
    if endpoint.journal is None:
        return ""
    mine = _lines(endpoint, version, begun)
    failed = int((mine["status"] >= _SERVER).sum())
    answered = int(mine["request_id"].nunique())
    if failed >= _FEWEST and failed > _SHARE * answered:
        return f"{failed} of {answered} requests to {endpoint.name} failed with version {version}"
    return ""
