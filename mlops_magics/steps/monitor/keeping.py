"""What is kept of a look: numbers over time, the newest report, each one that changed an alert."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlops_magics.drift.together import TOGETHER
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.html import page
from mlops_magics.foundation.machine import machine
from mlops_magics.steps.monitor.fleet import Fleet
from mlops_magics.steps.monitor.journal import WRITTEN
from mlops_magics.steps.monitor.observed import latency_of
from mlops_magics.steps.monitor.result import Monitoring
from mlops_magics.steps.monitor.spans import WHOLE, Span, moment
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking import alerts, reports
from mlops_magics.tracking.alerts import Alert, Settled
from mlops_magics.tracking.reports import Point, Report
from mlops_magics.tracking.store import Store

_COLUMNS: Final = 50  # whose drift is kept as a metric of its own, the one that matters most first


def settled(store: Store, watched: Watched, seen: Monitoring) -> tuple[Monitoring, Settled]:
    """Hold the alerts of a look against those that were open, and write what changed.

    A store that does not let us write costs a note: whoever looks must see the alerts all the same.
    """
    model, place = watched.version.model, watched.place
    try:
        before = [one for one in alerts.opened(store, model, place) if _looked(watched, seen, one)]
        found = alerts.compared(before, seen.alerts)
        alerts.settle(store, model, found)
    except MLOpsError as error:
        note = f"The alerts were not kept: {error.what} {error.remedy}"
        return replace(seen, notes=(*seen.notes, note)), Settled(seen.alerts, (), ())
    kept = {one.key: one for one in found.active}
    ordered = tuple(kept.get(one.key, one) for one in seen.alerts)
    return replace(seen, alerts=ordered, over=found.over), found


def _looked(watched: Watched, seen: Monitoring, alert: Alert) -> bool:
    """Tell whether a look can say that an alert is over: without labels it says nothing of performance."""
    if alert.version != watched.version.version:
        return True
    if alert.kind == "drift" and alert.subject == TOGETHER:
        return seen.drift is not None and seen.drift.together is not None
    looked = {
        "performance": seen.labelled.given > 0,
        "labels": seen.labelled.given > 0,
        "drift": seen.drift is not None,
        "answers": seen.drift is not None and bool(seen.drift.answers),
    }
    return looked.get(alert.kind, True)


def kept(store: Store, watched: Watched, seen: Monitoring, changed: Settled) -> Monitoring:
    """Keep a look with MLflow.

    Returns:
        The same with the run that it is kept in, or with a note where it could not be.
    """
    version = watched.version
    subject = f"{version.model}/{version.version} at {watched.place}"
    try:
        run_id = reports.keep(
            store,
            Report(
                experiment=store.settings.experiment or version.model,
                subject=subject,
                points=tuple(_points(seen)),
                late=tuple(_measured(seen)),
                files=_files(seen, changed, f"Monitor {subject}"),
                tags={"mlops.monitor.alerts": str(len(seen.alerts))},
            ),
        )
    except MLOpsError as error:
        return replace(seen, notes=(*seen.notes, f"The report was not kept: {error.what} {error.remedy}"))
    return replace(seen, run_id=run_id)


def _files(seen: Monitoring, changed: Settled, title: str) -> dict[str, str]:
    text, html = seen.to_json(), page(title, seen.blocks())
    files = {"monitor/newest.json": text, "monitor/newest.html": html}
    if changed.new or changed.over:
        at = (seen.ended or "table").replace(":", "")
        files |= {f"monitor/{at}.json": text, f"monitor/{at}.html": html}
    return files


def kept_all(store: Store, seen: Fleet) -> Fleet:
    """Keep a look at all models with MLflow: one run for this machine.

    Returns:
        The same with the run that it is kept in, or with a note where it could not be.
    """
    now = time.time()
    sick = [one for one in seen.members if not one.well]
    state = [[one.place, one.model, one.version, one.status, one.alerts, one.trouble] for one in sick]
    text, html = seen.to_json(), page("All models", seen.blocks())
    numbers = {
        "models": float(len(seen.members)),
        "to_look_at": float(len(sick)),
        "alerts": float(sum(one.alerts for one in seen.members)),
    }
    try:
        run_id = reports.keep(
            store,
            Report(
                experiment=store.settings.experiment or "monitor",
                subject=f"all models at {machine()}",
                points=(Point(now // seen.window * seen.window, numbers),),
                files={"monitor/newest.json": text, "monitor/newest.html": html},
                tags={"mlops.monitor.alerts": f"{numbers['alerts']:.0f}"},
                state=hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16],
                dated={f"monitor/{moment(now).replace(':', '')}.html": html},
            ),
        )
    except MLOpsError as error:
        return replace(seen, notes=(*seen.notes, f"The report was not kept: {error.what} {error.remedy}"))
    return replace(seen, run_id=run_id)


def _measured(seen: Monitoring) -> Iterator[Point]:
    """Make the metrics of each window: labels come later than all else, and may be corrected."""
    for one in seen.measured:
        if one.ended:
            yield Point(one.ended, {number.name: number.value for number in one.numbers})


def _points(seen: Monitoring) -> Iterator[Point]:
    """Make the numbers of each window that is over, as far as it has any."""
    names = [] if seen.drift is None else [each.name for each in seen.drift.columns[:_COLUMNS]]
    over = time.time() - WRITTEN if seen.journal is not None else math.inf
    for span in seen.spans:
        if not 0 < span.ended <= over:
            continue
        numbers = _served(span) if seen.journal is not None else {"rows": float(span.rows)}
        drift = seen.drifts.get(span.began)
        if drift is not None and drift.judged:
            effects = {each.name: each.effect for each in drift.columns}
            numbers |= {f"drift/{name}": effects[name] for name in names if name in effects}
            numbers["drift"] = drift.weighted
        if span.rows or span.requests:
            yield Point(span.ended, numbers)


def _served(span: Span) -> dict[str, float]:
    numbers = {"requests": float(span.requests), "rows": float(span.rows), "errors": float(span.errors)}
    spent = latency_of(span).get(WHOLE)
    return numbers if spent is None else numbers | {"p99_ms": spent[2]}
