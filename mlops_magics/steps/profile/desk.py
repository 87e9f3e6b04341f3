"""What a card asks of the kernel's data: how the target lies inside a column, on the fixed sample of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.columns import Column
from mlops_magics.stats.sample import sampled_rows
from mlops_magics.stats.sources import FrameSource, opened
from mlops_magics.stats.summary import ColumnSummary, Scalar, TableSummary
from mlops_magics.steps.profile.detail import Aimed

_MOST = 20_000_000  # rows of a column that are decoded while somebody waits
_LEAST = 10  # rows below which a mean says nothing

Floats = npt.NDArray[np.float64]


class DataDesk:
    """Answers from the very table that was profiled; nothing of it is copied or kept but the target.

    Args:
        data: The table, or the path of its files.
        table: What is known of it.
    """

    def __init__(self, data: object, table: TableSummary) -> None:
        self._data = data
        self._table = table
        self._places = sampled_rows(table.rows, len(table.columns))

    def aimed(self, position: int) -> Aimed | None:
        """Say how the target lies inside a column.

        Args:
            position: The column's place in the table.

        Returns:
            The target's mean or rate in each bin and for each frequent value; None where there is no target,
            the column is the target itself, or the table is too long to be read while somebody waits.
        """
        column = self._table.columns[position]
        known = self._table.target
        if known is None or known.name == column.name or self._table.rows > _MOST or self._goal is None:
            return None
        decoded = self._column(position)
        if decoded is None:
            return None
        return Aimed(
            bins=_bins(decoded, column, self._places, self._goal),
            levels=[_mean(self._goal, _equals(decoded, self._places, level.value)) for level in column.top],
            rows=int(np.isfinite(self._goal).sum()),
        )

    @cached_property
    def odd(self) -> Mapping[str, str]:
        """How code reaches the columns whose names are not their labels: ``[0]``, ``.iloc[:, 3]``."""
        with opened(self._data, self._table.source) as source:
            names = source.frame.names if isinstance(source, FrameSource) else source.labels
            alike = Counter(map(str, names))
            return {
                label: _reached(name, position, alone=alike[str(name)] == 1)
                for position, (label, name) in enumerate(zip(source.labels, names, strict=True))
                if name != label or alike[str(name)] > 1
            }

    @cached_property
    def _goal(self) -> Floats | None:
        """The target in the sampled rows: numbers, or 1.0 for the positive class; NaN where it is missing."""
        known = self._table.target
        column = None if known is None else self._column(self._table.by_name[known.name].position)
        if known is None or column is None:
            return None
        if known.problem == "number":
            return None if column.numbers is None else column.sampled(self._places)
        hits = _equals(column, self._places, known.positive)
        if hits is None:
            return None
        return np.where(_gaps(column, self._places), np.nan, hits.astype(np.float64))

    def _column(self, position: int) -> Column | None:
        with opened(self._data, self._table.source) as source:
            # The table may have been changed in place since it was profiled: then nothing here fits any more.
            if source.rows != self._table.rows or len(source.labels) != len(self._table.columns):
                return None
            return source.column(position, 0, source.rows)


def _reached(name: object, position: int, *, alone: bool) -> str:
    """Write a name that is a number or a tuple of plain values; anything else is reached by its place."""
    parts = name if isinstance(name, tuple) else (name,)
    plain = all(type(part) in {str, int, bool} for part in parts)  # a subclass may write itself in any way
    return f"[{name!r}]" if alone and plain else f".iloc[:, {position}]"


def _bins(
    column: Column, known: ColumnSummary, places: npt.NDArray[np.int64], goal: Floats
) -> list[float | None]:
    if known.numbers is None or column.numbers is None:
        return []
    histogram = known.numbers.histogram
    values = column.sampled(places) * column.unit
    usable = np.isfinite(values) & np.isfinite(goal)
    bins = np.floor((values[usable] - histogram.start) / histogram.width)
    count = len(histogram.counts)
    where = np.clip(bins, 0, count - 1).astype(np.intp)
    rows = np.bincount(where, minlength=count)
    sums = np.bincount(where, goal[usable], count)
    return [float(total / held) if held >= _LEAST else None for total, held in zip(sums, rows, strict=True)]


def _equals(column: Column, places: npt.NDArray[np.int64], value: Scalar) -> npt.NDArray[np.bool_] | None:
    if column.texts is not None:
        found: npt.NDArray[np.bool_] = (
            (column.texts.gather(places) == str(value)).fill_null(value=False).to_numpy()
        )
        return found
    if (
        isinstance(value, str) or value is None
    ):  # a date in words: never frequent enough to be worth reading back
        return None
    equal: npt.NDArray[np.bool_] = column.sampled(places) == float(value)
    return equal


def _gaps(column: Column, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    if column.texts is not None:
        gaps: npt.NDArray[np.bool_] = column.texts.gather(places).is_null().to_numpy()
        return gaps
    return ~np.isfinite(column.sampled(places))


def _mean(goal: Floats, where: npt.NDArray[np.bool_] | None) -> float | None:
    held = goal[where & np.isfinite(goal)] if where is not None else goal[:0]
    return float(held.mean()) if held.size >= _LEAST else None
