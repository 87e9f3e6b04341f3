"""What was observed of a model: the fields of a monitoring, and what a condition may ask of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlops_magics.drift.judging import ColumnDrift, Drift
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.result import Result, live
from mlops_magics.steps.monitor.performance import Performance
from mlops_magics.steps.monitor.sending import Sent
from mlops_magics.steps.monitor.spans import WHOLE, Span, quantile
from mlops_magics.tracking.alerts import Alert

SHORT = {"roc_auc": "auc"}
"""What a condition may call a metric beside its own name."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """How many labels there were.

    Attributes:
        given: How many were given.
        joined: How many of them belong to an answer.
        unknown: How many are of requests that the journal does not know.
        waiting: How many rows were answered in the same time and have no label yet.
    """

    given: int = 0
    joined: int = 0
    unknown: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Observed(Result):
    """What was seen of a model in a length of time.

    Attributes:
        place: The endpoint, or what the table was called.
        model: The registered model.
        version: The version that was watched.
        seconds: How long a window is.
        began: When the first window began, as ISO time in UTC; "" where there is no time.
        ended: When the last one ended.
        windows: How many windows there are.
        rows: How many rows were predicted, or are in the table.
        requests: How many requests came; 0 of a table.
        errors: How many requests were refused, by the error's code.
        failed: How many of them failed through no fault of theirs.
        breached: How many were refused for a column, by that column.
        versions: How many rows each version answered.
        latency: Milliseconds by stage: p50, p95, p99; ``all`` is all stages together.
        age: How many seconds ago the version was trained.
        drift: What the newest window with enough rows says; None where there is no reference or no such
            window.
        performance: The metrics of the newest labelled rows, measured; else estimated; None where neither
            can be.
        labelled: How many labels there were.
        alerts: What somebody should look at.
        over: Alerts that were open and are no more.
        alarm: How often an alarm may be false, and what that asks of a window, in words.
        notes: What the user should know.
        run_id: The run that it is logged with; None where it is not.
        sent: Where alerts were sent.
        journal: The journal that it was read from; None of a table.
        spans: What was counted in each window.
        drifts: What each window that was judged says, by when it began.
        units: These windows, likewise.
        measured: The measured metrics of each window.
        guessed: The estimated ones.
        reference: How the rows looked when the model was fitted.
    """

    place: str
    model: str
    version: str
    seconds: float
    began: str
    ended: str
    windows: int
    rows: int
    requests: int
    errors: Mapping[str, int]
    failed: int
    breached: Mapping[str, int]
    versions: Mapping[str, int]
    latency: Mapping[str, tuple[float, float, float]]
    age: float
    drift: Drift | None
    performance: Performance | None
    labelled: Labelled
    alerts: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()
    alarm: str = ""
    notes: tuple[str, ...] = ()
    run_id: str | None = None
    sent: tuple[Sent, ...] = ()
    journal: Path | None = None
    spans: tuple[Span, ...] = live(default=())
    drifts: Mapping[float, Drift] = live(default_factory=dict)
    units: Mapping[float, Span] = live(default_factory=dict)
    measured: tuple[Performance, ...] = live(default=())
    guessed: tuple[Performance, ...] = live(default=())
    reference: Any = live(default=None)

    volatile: ClassVar[bool] = True

    @property
    def holds(self) -> bool:
        """Whether nothing asks to be looked at."""
        return not self.alerts

    @property
    def moved(self) -> tuple[ColumnDrift, ...]:
        """What was compared in the newest window, alarms first, then as it matters."""
        joint = None if self.drift is None else self.drift.together
        every = () if self.drift is None else (*self.drift.answers, *self.drift.columns)
        every = every if joint is None else (joint, *every)
        return tuple(sorted(every, key=lambda each: (not each.alarmed, each.level == "none")))

    def facts(self) -> Mapping[str, float | bool]:
        """Return what a condition may ask of: whether the rows drift, the age in seconds, metrics by name.

        Returns:
            ``drift``; ``age`` in seconds; ``rows``, the labelled ones; ``errors``, the share of failed
            requests; ``p99`` in milliseconds; each metric that is measured, or estimated where it is not.
        """
        told: dict[str, float | bool] = {
            "drift": any(alert.kind in {"drift", "answers"} for alert in self.alerts),
            "age": self.age,
            "rows": float(self.labelled.joined),
            "errors": self.failed / self.requests if self.requests else 0.0,
        }
        if WHOLE in self.latency:
            told["p99"] = self.latency[WHOLE][2]
        for number in self.performance.numbers if self.performance is not None else ():
            told[number.name] = number.value
            told[SHORT.get(number.name, number.name)] = number.value
        return told

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, the windows in short."""
        told = super().to_dict()
        told["journal"] = None if self.journal is None else from_home(self.journal)
        told["facts"] = {
            name: value
            for name, value in self.facts().items()
            if isinstance(value, bool) or math.isfinite(value)
        }
        return told

    def ids(self) -> Mapping[str, str]:
        """Name the version and the run."""
        known = {"version": self.version, "run_id": self.run_id or ""}
        return {key: value for key, value in known.items() if value}


def latency_of(span: Span) -> dict[str, tuple[float, float, float]]:
    """Read how long each stage took, in milliseconds: p50, p95, p99."""
    found = {}
    for name, held in span.spent.items():
        p50, p95, p99 = (quantile(held, share) for share in (0.5, 0.95, 0.99))
        if p50 is not None and p95 is not None and p99 is not None:
            found[name] = (p50, p95, p99)
    return found
