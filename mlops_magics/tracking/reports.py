"""What a monitor saw, kept in the store: one run for each version and place, with a point a length of time.

A run a look would be thousands a year. So a version's monitoring is one run: MLflow itself draws its numbers
over time, the newest report lies in it whole, and each report that opened or closed an alert stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.store import Store, door

TAG: Final = "mlops.monitor"
_UNTIL: Final = "mlops.monitor.until"
_STATE: Final = "mlops.monitor.state"
_NAME: Final = re.compile(r"[^\w\-. :/]")
_CHARACTERS: Final = 250  # of a metric's name
_BATCH: Final = 1_000  # metrics that MLflow takes at once


@dataclass(frozen=True, slots=True)
class Point:
    """The numbers of one length of time.

    Attributes:
        when: When it ended, in seconds since 1970.
        numbers: The numbers by name.
    """

    when: float
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """One look.

    Attributes:
        experiment: The experiment's name.
        subject: What was looked at: ``flights/3 at flights``.
        points: The numbers, oldest first; those that are kept already are left out.
        files: Content by path below the run's artifacts.
        tags: What else is to be said of it.
        late: Numbers that come later than the others of their time, or may be corrected: they are added
            where none are kept, or others.
        state: What tells whether anything is otherwise than at the look before.
        dated: Files that are kept only then.
    """

    experiment: str
    subject: str
    points: Sequence[Point]
    files: Mapping[str, str | bytes]
    tags: Mapping[str, str]
    late: Sequence[Point] = ()
    state: str = ""
    dated: Mapping[str, str | bytes] = field(default_factory=dict)


def keep(store: Store, report: Report) -> str:
    """Keep a report.

    Args:
        store: The open store.
        report: The report.

    Returns:
        The run's id.
    """
    run_id, tags = _run(store, report)
    until = _number(tags.get(_UNTIL, "0"))
    fresh = [point for point in report.points if point.when > until]
    _log(store, run_id, [*_metrics(fresh), *_corrected(store, run_id, report.late)])
    newest = max((point.when for point in fresh), default=until)
    same = tags.get(_STATE, "") == report.state
    runs.log_files(store, run_id, {**report.files, **({} if same else report.dated)})
    runs.log(store, run_id, tags={**report.tags, _UNTIL: repr(newest), _STATE: report.state})
    return run_id


def kept(store: Store, subject: str, experiment: str) -> bool:
    """Tell whether there is a report of something; looking makes nothing.

    Args:
        store: The open store.
        subject: What was looked at.
        experiment: The experiment in which it would be.
    """
    with door(f"The experiment '{experiment}'"):
        found = store.client.get_experiment_by_name(experiment)
        if found is None:
            return False
        name = subject.replace("'", "")
        wanted = f"tags.`{TAG}` = '{name}'"
        return bool(store.client.search_runs([found.experiment_id], wanted, max_results=1))


def _run(store: Store, report: Report) -> tuple[str, Mapping[str, str]]:
    """Find the run of what was looked at, or make it; with its tags."""
    identifier = store.experiment_id(report.experiment)
    subject = report.subject.replace("'", "")
    with door(f"The experiment '{report.experiment}'"):
        found = store.client.search_runs([identifier], f"tags.`{TAG}` = '{subject}'", max_results=1)
    if found:
        return str(found[0].info.run_id), dict(found[0].data.tags)
    tags = {TAG: subject, "mlflow.user": user(), "mlflow.source.type": "JOB"}
    run_id, _ = runs.opened(store, identifier, f"monitor {subject}"[:_CHARACTERS], tags)
    runs.finish(store, run_id, "FINISHED")  # never left open: numbers can be added to it all the same
    return run_id, {}


def _metrics(points: Sequence[Point]) -> list[Any]:
    from mlflow.entities import Metric

    return [
        Metric(_NAME.sub("_", name)[:_CHARACTERS], float(value), int(point.when * 1000), int(point.when))
        for point in points
        for name, value in point.numbers.items()
    ]


def _corrected(store: Store, run_id: str, points: Sequence[Point]) -> list[Any]:
    """Make the numbers that are not kept yet, or otherwise: a little later, so that they are the newest."""
    made = _metrics(points)
    known: dict[tuple[str, int], Any] = {}
    for name in sorted({metric.key for metric in made}):
        with door(f"The run {run_id}"):
            held = store.client.get_metric_history(run_id, name)
        for metric in sorted(held, key=lambda each: each.timestamp):
            known[name, metric.step] = metric
    found = []
    for metric in made:
        before = known.get((metric.key, metric.step))
        if before is None:
            found.append(metric)
        elif before.value != metric.value:
            found.append(type(metric)(metric.key, metric.value, before.timestamp + 1, metric.step))
    return found


def _log(store: Store, run_id: str, made: Sequence[Any]) -> None:
    with door(f"The run {run_id}"):
        for first in range(0, len(made), _BATCH):
            store.client.log_batch(run_id, metrics=made[first : first + _BATCH], synchronous=True)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
