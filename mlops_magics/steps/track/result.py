"""What ``%mlops_track`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.result import Result, live
from mlops_magics.steps.track.table import frame_of
from mlops_magics.tracking import leaderboard

if TYPE_CHECKING:
    import pandas as pd

_NONE = "No runs yet: write %%mlops_track at the top of a cell that fits a model."


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
        step = f"fit a model in another cell: it is a run ({named} names it)" if self.automatic else named
        yield Facts([("store", self.store), ("next", f"{step}; %mlops says what comes then")])
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
        rows: A run a row: name, status, metrics, id; the first 20.
        waiting: How many runs wait on this machine because the store did not take them.
        where: The filter that the runs fit; None for all.
        table: All runs that the store holds; a card uses it.
    """

    experiment: str
    metric: str | None
    rows: tuple[leaderboard.Row, ...]
    waiting: int = 0
    where: str | None = None
    table: Any = live(default=None)
    volatile = True

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row a run, in the order of the table.

        The index is the run's id; the columns are ``name``, ``status``, ``started``, ``duration`` (in
        seconds), and each metric and parameter as ``metrics.auc``, ``params.depth``. A parameter whose values
        are all numbers is a column of numbers. All runs are there that the table's filter leaves; of a result
        without a store behind it those of ``rows``, with their metrics.

        Raises:
            UnavailableError: The store does not answer.
        """
        import pandas as pd

        if self.table is not None:
            columns = dict(frame_of(self.table))
        else:
            columns = {
                key: [getattr(row, key) for row in self.rows]
                for key in ("run_id", "name", "status", "started")
            }
            columns["status"] = [status.lower() for status in columns["status"]]
            for name in dict.fromkeys(name for row in self.rows for name in row.metrics):
                columns[f"metrics.{name}"] = [row.metrics.get(name) for row in self.rows]
        frame = pd.DataFrame(columns).set_index("run_id")
        frame["started"] = pd.to_datetime(frame["started"], unit="ms", utc=True)
        return frame

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
            none = "No run fits." if self.where else _NONE
            yield Note(none)

    def ids(self) -> Mapping[str, str]:
        """Name the runs."""
        return {row.name: row.run_id for row in self.rows}
