"""What ``profile`` returns: the facts of a table, its alerts, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlops_magics.foundation.blocks import Block
from mlops_magics.foundation.result import Result, live
from mlops_magics.stats.summary import Alert, Change, ColumnSummary, TableSummary, TargetSummary
from mlops_magics.steps.profile.show import blocks


class Desk(Protocol):
    """What a card asks of the kernel's data."""

    def column(self, position: int) -> Mapping[str, Any]:
        """Say all that is known of a column, as ``view.detail`` types it, with the target in each bin."""


@dataclass(frozen=True)
class Profile(Result):
    """A table explained.

    Attributes:
        table: All that was computed.
        alerts: What harms a model or a conclusion, the worst first.
        changes: A change a column, where another table was compared with.
        against: What that table is called; None without one.
        notes: What a reader should know about how this was made.
        kept: Whether the store holds this profile.
        desk: Answers a card's questions from the kernel's data; None where the profile came from elsewhere.
    """

    table: TableSummary
    alerts: tuple[Alert, ...] = ()
    changes: tuple[Change, ...] = ()
    against: str | None = None
    notes: tuple[str, ...] = ()
    kept: bool = False
    desk: Desk | None = live(default=None)

    @property
    def columns(self) -> Mapping[str, ColumnSummary]:
        """The columns by name: ``profile.columns["x"].missing_rate``."""
        return self.table.by_name

    @property
    def target(self) -> TargetSummary | None:
        """What the columns say about the target, where one was named."""
        return self.table.target

    def alert(self, code: str, column: str | None = None) -> Alert | None:
        """Find the worst alert of a kind.

        Args:
            code: The kind: "missing", "leak", ...
            column: The column it must be about; any where nothing is said.

        Returns:
            The alert; None where there is none.
        """
        found = (one for one in self.alerts if one.code == code and column in {None, *one.columns})
        return next(found, None)

    def blocks(self) -> Iterable[Block]:
        """Say what is shown: alerts, columns, the target, changes."""
        return blocks(self.table, self.alerts, self.changes, self.against, self.notes)
