"""What a monitor saw, kept in the store: one run for each version and place, with a point a length of time.

A run a look would be thousands a year. So a version's monitoring is one run: MLflow itself draws its numbers
over time, the newest report lies in it whole, and each report that opened or closed an alert stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.store import Store, door

TAG: Final = "mlops.monitor"
_UNTIL: Final = "mlops.monitor.until"
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
    """

    experiment: str
    subject: str
    points: Sequence[Point]
    files: Mapping[str, str | bytes]
    tags: Mapping[str, str]


def keep(store: Store, report: Report) -> str:
    """Keep a report.

    Args:
        store: The open store.
        report: The report.

    Returns:
        The run's id.
    """
    run_id, until = _run(store, report)
    fresh = [point for point in report.points if point.when > until]
    _log(store, run_id, fresh)
    newest = max((point.when for point in fresh), default=until)
    runs.log_files(store, run_id, report.files)
    runs.log(store, run_id, tags={**report.tags, _UNTIL: repr(newest)})
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


def _run(store: Store, report: Report) -> tuple[str, float]:
    """Find the run of what was looked at, or make it; and up to when its numbers are kept."""
    identifier = store.experiment_id(report.experiment)
    subject = report.subject.replace("'", "")
    with door(f"The experiment '{report.experiment}'"):
        found = store.client.search_runs([identifier], f"tags.`{TAG}` = '{subject}'", max_results=1)
    if found:
        return str(found[0].info.run_id), _number(found[0].data.tags.get(_UNTIL, "0"))
    tags = {TAG: subject, "mlflow.user": user(), "mlflow.source.type": "JOB"}
    run_id, _ = runs.opened(store, identifier, f"monitor {subject}"[:_CHARACTERS], tags)
    runs.finish(store, run_id, "FINISHED")  # never left open: numbers can be added to it all the same
    return run_id, 0.0


def _log(store: Store, run_id: str, points: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    made = [
        Metric(_NAME.sub("_", name)[:_CHARACTERS], float(value), int(point.when * 1000), int(point.when))
        for point in points
        for name, value in point.numbers.items()
    ]
    with door(f"The run {run_id}"):
        for first in range(0, len(made), _BATCH):
            store.client.log_batch(run_id, metrics=made[first : first + _BATCH], synchronous=True)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
