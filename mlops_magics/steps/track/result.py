"""What ``%mlops_track`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.result import Result
from mlops_magics.tracking import leaderboard


@dataclass(frozen=True)
class Tracking(Result):
    """Where runs go from now on.

    Attributes:
        experiment: The experiment's name.
        store: The store's address, without secrets.
        closed: How many runs of dead kernels were marked KILLED.
        automatic: Whether each cell that fits a model is a run.
        down: Why the store does not answer; "" while it does.
    """

    experiment: str
    store: str
    closed: int = 0
    automatic: bool = False
    down: str = ""

    def blocks(self) -> Iterable[Block]:
        """Say where runs go, and how a cell becomes one."""
        said = "tracking" if self.automatic else "tracking cells that say so"
        yield Title(f"Experiment {self.experiment}", said, "good")
        named = "%%mlops_track --name NAME at the top of a cell"
        step = f"fit a model: the cell is a run ({named} names it)" if self.automatic else named
        yield Facts([("store", self.store), ("next", step)])
        if self.down:
            yield Note(f"{self.down} Runs will wait on this machine and be written when it answers.")
        if self.closed:
            yield Note(f"{self.closed} runs of kernels that died were marked KILLED.", "quiet")


@dataclass(frozen=True)
class Leaderboard(Result):
    """The runs of an experiment, the best or newest first.

    Attributes:
        experiment: The experiment's name.
        metric: The metric that the order follows; None for the newest first.
        rows: A run a row: name, status, metrics, id.
        waiting: How many runs wait on this machine because the store did not take them.
    """

    experiment: str
    metric: str | None
    rows: tuple[leaderboard.Row, ...]
    waiting: int = 0
    volatile = True

    def blocks(self) -> Iterable[Block]:
        """Show a run a row, with the metrics that the runs have."""
        yield Title(f"Runs of {self.experiment}", f"{len(self.rows)} shown")
        names = list(dict.fromkeys(name for row in self.rows for name in row.metrics))[:6]
        yield Table(
            ("run", "status", *names),
            [(row.name, row.status.lower(), *(row.metrics.get(name) for name in names)) for row in self.rows],
        )
        if self.waiting:
            runs = "1 run waits" if self.waiting == 1 else f"{self.waiting} runs wait"
            yield Note(f"{runs} on this machine: the store does not take what is offered.")
        if not self.rows:
            yield Note("No runs yet: write %%mlops_track at the top of a cell that fits a model.")

    def ids(self) -> Mapping[str, str]:
        """Name the runs."""
        return {row.name: row.run_id for row in self.rows}
