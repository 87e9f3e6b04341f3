"""The monitor card: alerts, a time axis, the columns; one of them then and now when the page asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.base import AskedCard
from mlops_magics.frontends.widgets.page import ODD_REQUEST
from mlops_magics.steps.monitor import Monitoring
from mlops_magics.steps.monitor.view import Desk


class MonitorCard(AskedCard):
    """An interactive monitoring.

    Args:
        seen: The monitoring; its text and html ride along beside the widget.

    Attributes:
        state: What the page shows first. The page cannot write it.
        selected: The column that is looked at, by its place in the overview; -1 for none.
    """

    failed = ("Something went wrong in the kernel.", "Its log has the details; then choose the column again.")

    selected = traitlets.Int(-1).tag(sync=True)

    def __init__(self, seen: Monitoring) -> None:
        self._desk = Desk(seen)
        super().__init__(seen, "monitor", state=self._desk.overview())

    @traitlets.validate("selected")
    def _known(self, proposal: Mapping[str, Any]) -> int:
        place = int(proposal["value"])
        if not -1 <= place < len(self.state.get("columns", ())):
            raise UsageError("The monitor has no such column.", "Choose one of card.state['columns'].")
        return place

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request.get("ask") != "column":
            raise UsageError(*ODD_REQUEST)
        column, window = _whole(request.get("column")), _whole(request.get("window"))
        against = request.get("against")
        found = self._desk.column(column, window, None if against is None else _whole(against))
        self.selected = column
        return {"detail": {**found, "column": column, "window": window, "against": against}}


def card(seen: Result) -> MonitorCard | Result:
    """Make the card of a monitoring.

    Args:
        seen: The monitoring.

    Returns:
        The card; a monitoring in which no window was judged is returned as it is.

    Raises:
        UsageError: It is another result.
    """
    if not isinstance(seen, Monitoring):
        raise UsageError(f"A {type(seen).__name__} is no monitoring.", "Make one with %mlops_monitor.")
    return MonitorCard(seen) if seen.drifts else seen


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**6:
        raise UsageError(*ODD_REQUEST)
    return value
