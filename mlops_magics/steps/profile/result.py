"""What ``profile`` returns: the facts of a table, its alerts, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mlops_magics.foundation.blocks import Block
from mlops_magics.foundation.result import Result, live
from mlops_magics.stats.summary import Alert, Change, ColumnSummary, TableSummary, TargetSummary
from mlops_magics.steps.profile.detail import Aimed, detail
from mlops_magics.steps.profile.report import DETAILS, report
from mlops_magics.steps.profile.show import Caps, blocks
from mlops_magics.steps.profile.view import overview

_REPORT = Caps(alerts=100, columns=300, target=12, changes=100)


class Desk(Protocol):
    """What a card asks of the kernel's data."""

    @property
    def odd(self) -> Mapping[str, str]:
        """How code reaches the columns whose names are not their labels: ``[0]``, ``.iloc[:, 3]``."""

    def aimed(self, position: int) -> Aimed | None:
        """Say how the target lies inside a column; None where there is no target or no data."""


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

    def to_html(self) -> str:
        """Return the report: one page that opens offline, with and without JavaScript."""
        harm = {column: alert.harm for alert in reversed(self.alerts) for column in alert.columns}
        order = sorted(self.table.columns, key=lambda column: (-harm.get(column.name, 0.0), column.position))
        places = sorted(column.position for column in order[:DETAILS])
        details = {place: self.detail(place) for place in places}
        static = blocks(self.table, self.alerts, self.changes, self.against, self.notes, caps=_REPORT)
        return report(self.overview(), details, list(static), self.table)

    def overview(self) -> dict[str, Any]:
        """Say what a page shows before anything is asked for.

        Returns:
            The view, as ``widgets/src/cards/profile_model.ts`` types it.
        """
        odd = None if self.desk is None else self.desk.odd
        return overview(self.table, self.alerts, self.changes, self.against, self.notes, odd=odd)

    def detail(self, position: int) -> dict[str, Any]:
        """Say all that is known of a column, from the kernel's data where they are at hand.

        Args:
            position: The column's place in the table.

        Returns:
            The view, as ``widgets/src/cards/profile_model.ts`` types it.
        """
        if self.desk is None:
            return detail(self.table, position)
        return detail(self.table, position, self.desk.aimed(position), self.desk.odd)

    def blocks(self) -> Iterable[Block]:
        """Say what is shown: alerts, columns, the target, changes."""
        return blocks(self.table, self.alerts, self.changes, self.against, self.notes)
