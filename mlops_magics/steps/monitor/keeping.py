"""What is kept of a look: numbers over time, the newest report, each one that changed an alert."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.html import page
from mlops_magics.steps.monitor.observed import latency_of
from mlops_magics.steps.monitor.result import Monitoring
from mlops_magics.steps.monitor.spans import WHOLE, Span
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking import alerts, reports
from mlops_magics.tracking.alerts import Settled
from mlops_magics.tracking.reports import Point, Report
from mlops_magics.tracking.store import Store

_COLUMNS: Final = 50  # whose drift is kept as a metric of its own, the one that matters most first


def settled(store: Store, watched: Watched, seen: Monitoring) -> tuple[Monitoring, Settled]:
    """Hold the alerts of a look against those that were open, and write what changed.

    A store that does not let us write costs a note: whoever looks must see the alerts all the same.
    """
    model, place = watched.version.model, watched.place
    try:
        found = alerts.compared(alerts.opened(store, model, place), seen.alerts)
        alerts.settle(store, model, found)
    except MLOpsError as error:
        note = f"The alerts were not kept: {error.what} {error.remedy}"
        return replace(seen, notes=(*seen.notes, note)), Settled(seen.alerts, (), ())
    kept = {one.key: one for one in found.active}
    ordered = tuple(kept.get(one.key, one) for one in seen.alerts)
    return replace(seen, alerts=ordered, over=found.over), found


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


def _points(seen: Monitoring) -> Iterator[Point]:
    """Make the numbers of each window that is over and has any."""
    names = [] if seen.drift is None else [each.name for each in seen.drift.columns[:_COLUMNS]]
    measured = {one.began: one for one in seen.measured}
    for span in seen.spans:
        if not span.ended:
            continue
        numbers = _served(span) if seen.journal is not None else {"rows": float(span.rows)}
        drift = seen.drifts.get(span.began)
        if drift is not None and drift.judged:
            effects = {each.name: each.effect for each in drift.columns}
            numbers |= {f"drift/{name}": effects[name] for name in names if name in effects}
            numbers["drift"] = drift.weighted
        if (found := measured.get(span.began)) is not None:
            numbers |= {number.name: number.value for number in found.numbers}
        if span.rows or span.requests:
            yield Point(span.ended, numbers)


def _served(span: Span) -> dict[str, float]:
    numbers = {"requests": float(span.requests), "rows": float(span.rows), "errors": float(span.errors)}
    spent = latency_of(span).get(WHOLE)
    return numbers if spent is None else numbers | {"p99_ms": spent[2]}
