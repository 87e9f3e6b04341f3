"""What the store holds, as results that chain: a Run goes into evaluate and register, a ModelVersion on."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title, shown
from mlops_magics.foundation.result import Result, live

_SHOWN_PARAMS = 12


@dataclass(frozen=True)
class Dataset:
    """A table that a run read.

    Attributes:
        name: What the notebook calls it.
        rows: Its rows.
        columns: Its columns.
        digest: The digest of every value in it.
    """

    name: str
    rows: int
    columns: int
    digest: str


class Glimpse:
    """A table that is held only as long as somebody else does: a run must not keep a large one in memory.

    Args:
        rows: The table; None for none.
    """

    def __init__(self, rows: object) -> None:
        try:
            self._rows: weakref.ref[Any] | None = None if rows is None else weakref.ref(rows)
        except TypeError:  # nothing of its library can be held so
            self._rows = None

    def __call__(self) -> Any:  # noqa: ANN401 - a table of any library
        """Return the table; None where it is gone."""
        return None if self._rows is None else self._rows()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave it behind where a run is copied or written."""
        return Glimpse, (None,)


@dataclass(frozen=True)
class Run(Result):
    """One attempt: what was run, on what, and what came of it.

    Attributes:
        id: MLflow's run id.
        name: The run's name.
        experiment: The experiment it belongs to.
        status: FINISHED, FAILED or KILLED.
        params: Parameters, as text.
        chosen: The names of the parameters that differ from the estimator's defaults.
        metrics: Metrics by name.
        datasets: The tables the cell read.
        model_id: MLflow's id of the logged model; None where the cell fitted none.
        model_kind: The estimator's class, or None.
        notes: What the reader should know: why no model was kept, what was masked.
        repeats: How often the same cell gave this outcome on the same data.
        remark: What is true of this execution only: that it is an earlier run again, or not deterministic.
        estimator: The fitted estimator itself, while the kernel lives.
        fitted_on: The rows that it was fitted on, as long as somebody else holds them.
        outcome: The digest of all that came of the cell, while the kernel lives.
        recipe: What makes it again, while the kernel lives.
        cell: The mark of the cell's source, by which a page tells whether it was edited since.
    """

    id: str
    name: str
    experiment: str
    status: str
    params: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    model_id: str | None = None
    model_kind: str | None = None
    notes: tuple[str, ...] = ()
    repeats: int = 1
    remark: str = ""
    estimator: Any = live(default=None)
    fitted_on: Glimpse = live(default_factory=lambda: Glimpse(None))
    outcome: str = live(default="")
    recipe: Any = live(default=None)
    cell: str = live(default="")

    def blocks(self) -> Iterable[Block]:
        """Show the run: its model, metrics, parameters and data."""
        yield Title(f"Run {self.name}", f"{self.experiment} · {self.status.lower()}", _TONES[self.status])
        facts: list[tuple[str, str | float]] = []
        if self.model_kind:
            facts.append(("model", self.model_kind))
        facts += [(name, value) for name, value in self.metrics.items()]
        facts += [
            (f"data {item.name}", f"{item.rows:,} rows x {item.columns} columns · {item.digest[:12]}")
            for item in self.datasets
        ]
        yield Facts(facts)
        if self.chosen:
            shown = [(name, _short(self.params[name])) for name in self.chosen[:_SHOWN_PARAMS]]
            yield Table(("parameter", "value"), shown)
        hidden = len(self.params) - min(len(self.chosen), _SHOWN_PARAMS)
        if hidden:
            yield Note(f"{hidden} parameters at their defaults are in MLflow", "quiet")
        for note in self.notes:
            yield Note(note, "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the run and its model, say how often it was seen, and what a badge of the cell shows."""
        first = next(iter(self.metrics.items()), None)
        known = {
            "run_id": self.id,
            "model_id": self.model_id or "",
            "repeats": str(self.repeats),
            "name": self.name,
            "status": self.status,
            "metric": "" if first is None else f"{first[0]} {shown(first[1])}",
            "cell": self.cell,
        }
        return {key: value for key, value in known.items() if value}

    def aside(self) -> Result | None:
        """Return what is to be said beside the run; None where there is nothing."""
        return Remark(self.remark) if self.remark else None

    def with_notes(self, notes: tuple[str, ...]) -> Run:
        """Return the run with other notes."""
        return replace(self, notes=notes)


@dataclass(frozen=True)
class Remark(Result):
    """A sentence about this moment, which a notebook that is validated may show or not.

    Attributes:
        text: The sentence.
    """

    text: str
    transient: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the sentence."""
        yield Note(self.text, "quiet")


@dataclass(frozen=True)
class Failure(Result):
    """A run whose cell failed, or was interrupted; the traceback is kept with it.

    Attributes:
        id: MLflow's run id.
        name: The run's name.
        status: FAILED or KILLED.
        cell: The mark of the cell's source, by which a page tells whether it was edited since.
    """

    id: str
    name: str
    status: str
    cell: str = ""

    transient: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Say that there is a run."""
        ended = "was interrupted" if self.status == "KILLED" else "failed"
        yield Note(f"Run {self.name} {ended}; its traceback is kept with it.", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the run, and what a badge of the cell shows."""
        return {"run_id": self.id, "name": self.name, "status": self.status, "cell": self.cell}


_TONES: Mapping[str, Any] = {"FINISHED": "good", "FAILED": "bad", "KILLED": "bad", "RUNNING": "plain"}


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "…"  # noqa: PLR2004 - what fits on a line


@dataclass(frozen=True)
class ModelVersion(Result):
    """A version of a registered model.

    Attributes:
        model: The registered model's name.
        version: Its number.
        aliases: The aliases that point to it now.
        run_id: The run it came from; None where MLflow does not know it.
        model_id: MLflow's id of the logged model; None for a version made before MLflow 3.
        source: Where its files are.
        digest: sha256 of its manifest; None for a version that plain MLflow made.
        format: "skops" or "pickle".
        tags: All tags of the version.
        checks: What registering proved, as (what, evidence).
        made: When it was made, as ISO text in UTC.
    """

    model: str
    version: str
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    model_id: str | None = None
    source: str = ""
    digest: str | None = None
    format: str = "skops"
    tags: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[tuple[str, str], ...] = ()
    made: str = ""

    volatile: ClassVar[bool] = False

    @property
    def since(self) -> float:
        """When it was made, in seconds since 1970; 0 where that is not known."""
        return datetime.fromisoformat(self.made).timestamp() if self.made else 0.0

    def blocks(self) -> Iterable[Block]:
        """Show what was registered and what was proved about it."""
        yield Title(f"Model {self.model}", "registered", "good")
        if self.checks:
            yield Table(("checked", "how"), self.checks)

    def ids(self) -> Mapping[str, str]:
        """Name the version, its run and its manifest."""
        known = {"version": self.version, "run_id": self.run_id, "digest": self.digest}
        return {key: value for key, value in known.items() if value}
