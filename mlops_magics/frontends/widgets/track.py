"""The runs card: a table of all runs of an experiment, their parallel coordinates, two runs compared.

The runs stay in the kernel, and the page asks for what it shows. A request is checked here as if a stranger
had sent it, and is answered with its own id, so that the page can tell a late answer from the one that it
waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.frontends.widgets.base import AskedCard
from mlops_magics.frontends.widgets.page import LONGEST, ODD_REQUEST
from mlops_magics.steps.track import Comparison, Leaderboard
from mlops_magics.steps.track.lines import lines
from mlops_magics.steps.track.query import LONGEST as LONGEST_FILTER
from mlops_magics.steps.track.table import RunTable, View, code_of
from mlops_magics.steps.track.view import comparison, overview, rows

_COLUMNS = 60  # of one table; a page sends no more
_TWO = 2


class RunsCard(AskedCard):
    """An interactive table of runs.

    Args:
        board: The Leaderboard; its text and html ride along beside the widget.
        table: All runs of the experiment.

    Attributes:
        state: What the page shows first. The page cannot write it.
        selected: The ids of the runs that are selected, two at most; setting it selects others.
        result: The comparison that was last shown here, or None.
    """

    failed = (
        "Something went wrong in the kernel.",
        "Its log has the details; refresh the table, then try again.",
    )

    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    result = traitlets.Any(default_value=None, allow_none=True)

    def __init__(self, board: Leaderboard, table: RunTable) -> None:
        self._board, self._table = board, table
        super().__init__(board, "track", state=overview(table, board.experiment, board.waiting))

    @traitlets.validate("selected")
    def _known(self, proposal: Mapping[str, Any]) -> list[str]:
        wanted = list(dict.fromkeys(proposal["value"]))
        known = {head.run_id for head in self._table.runs.heads}
        if len(wanted) > _TWO or not known.issuperset(wanted):
            raise UsageError(
                "At most two runs of this table can be selected.", "Take ids from card.to_pandas()."
            )
        return wanted

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request.get("ask"):
            case "rows":
                return {"rows": rows(self._table, _view(request), _whole(request.get("first")))}
            case "lines":
                colour = request.get("colour")
                return {
                    "lines": lines(self._table, _view(request), None if colour is None else _text(colour))
                }
            case "select":
                self.selected = _runs(request.get("runs"))
                return {"code": code_of(View(), self.selected) if len(self.selected) == _TWO else ""}
            case "compare":
                return {"comparison": self._compare(_runs(request.get("runs")))}
            case "refresh" | "more" as what:
                self._table.refresh() if what == "refresh" else self._table.read_more()
                self.state = overview(self._table, self._board.experiment, self._board.waiting)
                self._still_there()
                return {"refreshed": True}
            case _:
                raise UsageError(*ODD_REQUEST)

    def _compare(self, runs: list[str]) -> list[dict[str, Any]]:
        if len(runs) != _TWO or not {head.run_id for head in self._table.runs.heads}.issuperset(runs):
            raise UsageError("Two runs of this table are compared.", "Select two, then compare.")
        found: Comparison = self._table.compare(*runs)
        self.result = found
        return comparison(found)

    def _still_there(self) -> None:
        """Let go of selected runs that were deleted since."""
        known = {head.run_id for head in self._table.runs.heads}
        self.selected = [run for run in self.selected if run in known]


def card(board: Result) -> RunsCard | Result:
    """Make the card of a Leaderboard.

    Args:
        board: The Leaderboard of ``%mlops_track``.

    Returns:
        The card; show it as a cell's last line, or compose it in an ``ipywidgets.VBox``. A Leaderboard
        without a store behind it, or without runs, is returned as it is.

    Raises:
        UsageError: It is another result.
    """
    if not isinstance(board, Leaderboard):
        raise UsageError(f"A {type(board).__name__} is no table of runs.", "Make one with %mlops_track.")
    table: RunTable | None = board.table
    if table is None or not table.runs.heads:
        return board
    return RunsCard(board, table)


def _view(request: Mapping[str, Any]) -> View:
    columns = request.get("columns")
    up = request.get("up")
    if not isinstance(columns, list) or len(columns) > _COLUMNS or not isinstance(up, bool):
        raise UsageError(*ODD_REQUEST)
    return View(
        _text(request.get("filter"), LONGEST_FILTER),
        _text(request.get("brush"), LONGEST_FILTER),
        _text(request.get("sort")),
        up,
        tuple(dict.fromkeys(_text(key) for key in columns)),
    )


def _text(value: object, longest: int = LONGEST + 8) -> str:
    """Take a text; a column's name is at most 250 characters long in MLflow, and has a prefix here."""
    if not isinstance(value, str) or len(value) > longest:
        raise UsageError(*ODD_REQUEST)
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise UsageError(*ODD_REQUEST)
    return value


def _runs(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > _TWO:
        raise UsageError(*ODD_REQUEST)
    return [_text(run) for run in value]
