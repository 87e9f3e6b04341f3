"""What the monitor would say of a version that is the champion since a moment ago, by its own answers alone.

The monitor's windows also hold what other versions answered before, so that what alarmed then would alarm
again: here only the lines count that the new version wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from mlops_magics.checks.intervals import wilson
from mlops_magics.foundation.blocks import shown
from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.serving.journal.entries import INPUT
from mlops_magics.steps.deploy.traffic import STAGES
from mlops_magics.steps.monitor import looking
from mlops_magics.steps.monitor.alarming import MINIMUM
from mlops_magics.steps.monitor.slo import Slo, slo_of
from mlops_magics.steps.monitor.watched import registered
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.watching import Lines, Look
from mlops_magics.tracking import alerts
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_DRIFTS: Final = frozenset({"drift", "answers"})
_SERVED: Final = frozenset({"latency", "errors"})
_ALARM: Final = "1/1000"  # a look that takes a version back may be wrong more seldom than one that tells
_OK, _SERVER = 200, 500
_SLOW: Final = 0.01  # the share of requests that may be slower than a p99
_FEW: Final = 20  # requests: of fewer a slow one says nothing


def looker(store: Store, asked: Asked, item: ModelVersion, moment: float) -> Look:
    """Make what looks at a version's answers since it became the champion.

    Args:
        store: The open store.
        asked: What was asked.
        item: The version.
        moment: When it became the champion, in seconds since 1970.
    """

    def look(endpoint: str, lines: Lines) -> tuple[str, str]:
        try:
            rules = slo_of(store.settings.slo, endpoint)
            wrong = _served(endpoint, lines, rules) or _alerted(store, item, endpoint, moment)
            return wrong or _drifting(store, asked, item, endpoint, lines), ""
        except MLOpsError as error:
            return "", f"Whether it drifts at {endpoint} is not known: {error.what}"

    return look


def _served(endpoint: str, lines: Lines, rules: Slo) -> str:
    """Say which rule of service the version surely breaks, or ""."""
    asked = int(lines["request_id"].nunique())
    failed = int((lines["status"] >= _SERVER).sum())
    if rules.errors is not None and asked and wilson(failed, asked).low > rules.errors:
        bears = f"the project bears {shown(100 * rules.errors)} %"
        return f"{failed:,} of {asked:,} requests to {endpoint} failed; {bears}"
    answered = lines[lines["status"] == _OK].drop_duplicates("request_id")
    if rules.p99 is None or len(answered) < _FEW:
        return ""
    spent = answered[[f"{name}_ms" for name in STAGES]].sum(axis=1)
    slow = int((spent > rules.p99).sum())
    if wilson(slow, len(answered)).low <= _SLOW:
        return ""
    took = f"{slow:,} of {len(answered):,} requests to {endpoint} took more than {shown(rules.p99)} ms"
    return f"{took}; the project asks for 99 of 100 within it"


def _alerted(store: Store, item: ModelVersion, endpoint: str, moment: float) -> str:
    """Say what a monitor has found of the version itself, in windows that began when it was the champion."""
    opened = alerts.opened(store, item.model, endpoint)
    mine = (one for one in opened if one.version == item.version and one.kind in _DRIFTS | _SERVED)
    return next((one.words.rstrip(".") for one in mine if _since(one.window) >= moment), "")


def _since(window: str) -> float:
    return datetime.fromisoformat(window).timestamp() if window else 0.0


def _drifting(store: Store, asked: Asked, item: ModelVersion, endpoint: str, lines: Lines) -> str:
    """Hold the rows that the version answered against those that it was fitted on."""
    answered = lines[lines["status"] == _OK].drop_duplicates(["request_id", "row"])
    if len(answered) < MINIMUM:
        return ""
    columns = {name: name.removeprefix(INPUT) for name in answered.columns if name.startswith(INPUT)}
    wanted = looking.Asked(
        seconds=seconds(asked.window, "--window"),
        since=seconds(asked.window, "--window"),
        budget=_ALARM,
        data=answered[list(columns)].rename(columns=columns).reset_index(drop=True),
        consents=(asked.allow_pickle, asked.allow_code),
    )
    seen = looking.look(store, registered(store, item), wanted)
    return "; ".join(_words(endpoint, seen.alerts))


def _words(endpoint: str, found: tuple[alerts.Alert, ...]) -> Iterator[str]:
    drifts = [one for one in found if one.kind in _DRIFTS]
    if drifts:
        names = ", ".join(one.subject for one in drifts[:3])
        more = f" and {len(drifts) - 3} more" if len(drifts) > 3 else ""  # noqa: PLR2004 - named above
        yield f"{endpoint} drifts in {names}{more}: {drifts[0].words.rstrip('.')}"
