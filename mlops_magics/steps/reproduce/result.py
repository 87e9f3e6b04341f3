"""What came of making a run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.result import Result

_SHOWN = 8


@dataclass(frozen=True)
class Compared:
    """A metric, then and now.

    Attributes:
        name: Its name.
        then: What the run has; None where it has none.
        now: What came now; None where none came.
        same: Whether they are equal within the tolerance.
    """

    name: str
    then: float | None
    now: float | None
    same: bool


@dataclass(frozen=True)
class Reproduction(Result):
    """A run, made again.

    Attributes:
        run_id: MLflow's id of the run.
        name: The run's name.
        reproduced: Whether the same came of it.
        because: What was equal, or the first thing that was not.
        metrics: The metrics, then and now.
        cells: How many cells were executed.
        of: How many had run in the notebook.
        environment: With which packages: "the same packages", "rebuilt from the run's pins", "here".
        differences: What differs here from the run's packages.
        seconds: How long the cells took, in seconds.
        traceback: Where a cell raised, or "".
    """

    run_id: str
    name: str
    reproduced: bool
    because: str
    metrics: tuple[Compared, ...] = ()
    cells: int = 0
    of: int = 0
    environment: str = ""
    differences: tuple[str, ...] = ()
    seconds: float = 0.0
    traceback: str = ""

    volatile: ClassVar[bool] = False

    @property
    def holds(self) -> bool:
        """Whether the same came of it."""
        return self.reproduced

    def blocks(self) -> Iterable[Block]:
        """Show the verdict, its reason and the metrics."""
        if self.reproduced:
            yield Title(f"Run {self.name}", "reproduced", "good")
        else:
            yield Title(f"Run {self.name}", "not reproduced", "bad")
        yield Note(self.because)
        if self.metrics:
            rows = [
                (item.name, item.then, item.now, "same" if item.same else "differs") for item in self.metrics
            ]
            yield Table(("metric", "then", "now", ""), rows)
        facts: list[tuple[str, str | float]] = []
        if self.cells:
            facts.append(("cells", f"{self.cells} of the {self.of} that had run"))
        if self.environment:
            facts.append(("packages", self.environment))
        yield Facts(facts)
        if self.differences:
            shown = "; ".join(self.differences[:_SHOWN])
            more = len(self.differences) - _SHOWN
            yield Note(f"Other packages: {shown}{f'; and {more} more' if more > 0 else ''}.", "quiet")
        if self.traceback:
            yield Code(self.traceback)

    def ids(self) -> Mapping[str, str]:
        """Name the run, and say how long it took."""
        return {"run_id": self.run_id, "seconds": f"{self.seconds:.1f}"}
