"""What a page is told of the runs table: plain JSON, a page of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title, shown
from mlops_magics.foundation.result import Result
from mlops_magics.steps.track.direction import higher_is_better
from mlops_magics.steps.track.query import Value
from mlops_magics.steps.track.table import METRIC, PAGE, PARAM, RunTable, View, code_of

_LONGEST = 200  # characters of a value in a cell
_NAMES = 2_000  # columns to choose from; more are reached by the filter and by --best

Json = dict[str, Any]


def overview(table: RunTable, experiment: str, waiting: int) -> Json:
    """Say what a card shows first: the columns to choose from, and the first rows."""
    runs = table.runs
    start = table.start
    view = View(start.filter, "", start.sort, start.up, table.shown_first())
    metrics = [
        {"key": METRIC + name, "name": name, "differs": True, "better": higher_is_better(name)}
        for name in runs.metrics
    ]
    params = [
        {"key": PARAM + name, "name": name, "differs": differs, "better": None}
        for name, differs in sorted(runs.params.items(), key=lambda item: not item[1])
    ]
    return {
        "experiment": experiment,
        "waiting": waiting,
        "columns": [*metrics, *params][:_NAMES],
        "view": {"filter": view.filter, "sort": view.sort, "up": view.up, "columns": list(view.columns)},
        "answer": rows(table, view, 0),
    }


def rows(table: RunTable, view: View, first: int) -> Json:
    """Answer with a page of rows.

    Args:
        table: The runs.
        view: What is looked at.
        first: The place of the page's first row.

    Raises:
        UsageError: The filter is not complete.
        NotFoundError: The filter, the order or a column names nothing that a run has.
    """
    places, runs = table.select(view), table.runs
    columns = [table.column(key) for key in view.columns]
    here = places[first : first + PAGE]
    return {
        "first": first,
        "count": len(places),
        "total": len(runs.heads),
        "more": runs.more,
        "code": code_of(view),
        "best": {key: best for key in view.columns if (best := table.best(key, places)) is not None},
        "same": [key for key, values in zip(view.columns, columns, strict=True) if _same(values, places)],
        "rows": _rows(table, here, [[values[at] for at in here] for values in columns]),
    }


def page(table: RunTable, view: View, first: int) -> Json:
    """Answer with a page of a narrow list, of which only what it shows is read: no column as a whole.

    Args:
        table: The runs.
        view: What is looked at; its columns are metrics.
        first: The place of the page's first row.

    Raises:
        UsageError: The filter is not complete.
        NotFoundError: The filter or the order names nothing that a run has.
    """
    places, runs = table.select(view), table.runs
    here = places[first : first + PAGE]
    held = runs.some([key.removeprefix(METRIC) for key in view.columns], here)
    return {
        "count": len(places),
        "total": len(runs.heads),
        "more": runs.more,
        "rows": _rows(table, here, held),
    }


def _rows(table: RunTable, places: Sequence[int], columns: Sequence[Sequence[Value]]) -> list[list[Any]]:
    """Write the runs at some places, each with its value of each column."""
    runs = table.runs
    return [
        [
            runs.heads[at].run_id,
            shown(runs.heads[at].name[:_LONGEST]),
            runs.heads[at].status,
            runs.heads[at].started,
            table.duration(at),
            [
                [origin.model, origin.version, list(origin.aliases)]
                for origin in runs.versions.get(runs.heads[at].run_id, ())[:_LONGEST]
            ],
            [plain(values[row]) for values in columns],
        ]
        for row, at in enumerate(places)
    ]


def comparison(result: Result) -> list[Json]:
    """Write a result's blocks as JSON, each text a text."""
    return written(result.blocks())


def written(blocks: Iterable[Block]) -> list[Json]:
    """Write blocks as JSON, each text a text; drawings are left out."""
    return [_block(block) for block in blocks if isinstance(block, Title | Facts | Table | Code | Note)]


def plain(value: Value) -> str | float | None:
    """Give a value as JSON has it: a page knows no infinity, and no lone surrogate."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return None if value is None else shown(value[:_LONGEST])


def _same(values: Sequence[Value], places: Sequence[int]) -> bool:
    first = values[places[0]] if places else None
    return len(places) > 1 and all(values[at] == first for at in places)


def _block(block: Block) -> Json:
    match block:
        case Title(text, badge):
            return {"kind": "title", "text": shown(text), "note": shown(badge)}
        case Facts(pairs):
            return {"kind": "facts", "pairs": [[shown(name), shown(value)] for name, value in pairs]}
        case Table(headings, cells):
            return {
                "kind": "table",
                "headings": [shown(heading) for heading in headings],
                "rows": [
                    [shown(cell) if not isinstance(cell, float) else plain(cell) for cell in row]
                    for row in cells
                ],
            }
        case Code(text):
            return {"kind": "code", "lines": [shown(line) for line in text.splitlines()]}
        case Note(text):
            return {"kind": "note", "text": shown(text)}
        case _:
            return {"kind": "note", "text": shown(block)}
