"""A search inside a tracked cell: the cell's run is the search's too, and there is no second one.

The cell says that it is there, and takes what the search comes to; neither knows the other's step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        key: What the search hangs on, with how many trials ended.
        estimator: The best model, fitted on all rows.
        rows: These rows.
        seconds: How long that fit took.
        metrics: Metrics by name.
        tags: What is to be said of its run.
        files: Small text files by path below the run's artifacts.
        allow_pickle: Whether pickle may be used where the safe format cannot hold the model.
        reference_rows: How many of the rows are kept with the model.
    """

    key: str
    estimator: Any
    rows: Any
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    allow_pickle: bool = False
    reference_rows: int = 0


@dataclass(slots=True)
class Cell:
    """A tracked cell that is being executed.

    Attributes:
        experiment: The experiment that its run goes to.
        begin: Returns the id of the run that a search in it is: its own where that is open, else the earlier
            run of the same search, else its own, which is opened now.
        lost: Hears of a store that does not answer any more.
        name: What its run is called; "" where it was given no name.
        store: The open store; None while it does not answer, and where nothing is to be written.
        experiment_id: MLflow's id of the experiment.
        dry: Whether the cell is executed for what comes of it alone: nothing is written then.
        found: What the first search in it came to.
    """

    experiment: str
    begin: Callable[[str | None], str]
    lost: Callable[[MLOpsError], None] = lambda _: None
    name: str = ""
    store: Store | None = None
    experiment_id: str = ""
    dry: bool = False
    found: Found | None = None

    @property
    def free(self) -> bool:
        """Whether a search may be the cell's run: the first one is."""
        return self.dry or self.found is None

    def take(self, found: Found, known: str | None) -> str:
        """Take what a search came to.

        Args:
            found: That.
            known: The run of the same search, where it was made before.

        Returns:
            The id of the run that the search is.
        """
        self.found = self.found or found
        return self.begin(known)


_around: ContextVar[Cell | None] = ContextVar("_around", default=None)


@contextlib.contextmanager
def executed(cell: Cell) -> Iterator[None]:
    """Say for the length of a ``with`` block which tracked cell is being executed."""
    token = _around.set(cell)
    try:
        yield
    finally:
        _around.reset(token)


def around() -> Cell | None:
    """Return the tracked cell that is being executed; None where there is none."""
    return _around.get()
