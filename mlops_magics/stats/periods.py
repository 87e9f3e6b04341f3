"""The rows of a reference by stretches of time, where one of its columns tells the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.artifact.periods import GROUPS, MOST, Period, Periods, starts
from mlops_magics.artifact.reference import Bins, ColumnReference, Levels
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.columns import Column
from mlops_magics.stats.fingerprints import decoded

_FEWEST: Final = 3  # stretches: of two nobody can say how much they usually differ
_GAPS: Final = 0.05  # rows without a time, from which on a column does not tell it
_FOURTH: Final = 3  # the first day of 1970 was the fourth of its week

Codes = npt.NDArray[np.int64]


def _months(times: npt.NDArray[np.datetime64]) -> Codes:
    return times.astype("M8[M]").astype(np.int64)


_UNITS: Final[dict[str, Callable[[Any], Codes]]] = {
    "hour": lambda times: times.astype("M8[h]").astype(np.int64),
    "day": lambda times: times.astype("M8[D]").astype(np.int64),
    "week": lambda times: (times.astype("M8[D]").astype(np.int64) + _FOURTH) // 7,
    "month": _months,
    "quarter": lambda times: _months(times) // 3,
    "year": lambda times: times.astype("M8[Y]").astype(np.int64),
}


def periods_of(frame: Frame, columns: Sequence[ColumnReference]) -> Periods | None:
    """Count rows by stretches of time, each column in a few groups of its bins or levels.

    Args:
        frame: Some rows of the table, from all over it.
        columns: Its columns as the reference has them, in the table's order.

    Returns:
        The stretches, of the finest unit that makes no more of them than are kept; None where no column
        tells the time, or all of it is too short or too long.
    """
    place = _timed(columns)
    if place is None:
        return None
    times, here = _times(decoded(frame, place))
    made = _stretches(times)
    if made is None:
        return None
    unit, labels = made
    count = int(labels.max()) + 1
    tables = {
        known.name: _table(known, decoded(frame, position), here, labels, count)
        for position, known in enumerate(columns)
        if position != place
    }
    held = tuple(
        Period(
            float(times[labels == label].min()),
            float(times[labels == label].max()),
            int((labels == label).sum()),
            {name: tuple(table[label].tolist()) for name, table in tables.items()},
        )
        for label in range(count)
    )
    return Periods(columns[place].name, unit, held)


def _timed(columns: Sequence[ColumnReference]) -> int | None:
    """Find the column that tells the time: of dates, with the fewest gaps, the first."""
    likely = [
        (known.missing, place)
        for place, known in enumerate(columns)
        if known.kind == "date" and not known.personal and known.missing <= _GAPS * known.rows and known.rows
    ]
    return min(likely, default=(0, None))[1]


def _times(column: Column) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    assert column.numbers is not None  # noqa: S101 - dates are numbers
    here = np.ones(column.rows, bool) if column.valid is None else column.valid
    return (column.numbers * column.unit).astype(np.int64), here


def _stretches(times: npt.NDArray[np.int64]) -> tuple[str, Codes] | None:
    moments = times.view("M8[us]")
    for unit, label in _UNITS.items():
        numbers = label(moments)
        if numbers.size and numbers.max() - numbers.min() < MOST:
            found, codes = np.unique(numbers, return_inverse=True)
            return (unit, codes) if found.size >= _FEWEST else None
    return None


def _table(
    known: ColumnReference, column: Column, here: npt.NDArray[np.bool_], labels: Codes, count: int
) -> Codes:
    """Count a column's groups in each stretch; the last group has no value."""
    codes, groups = _codes(known, column)
    codes = codes[here]
    codes = np.where(codes < 0, groups, codes)
    return np.bincount(labels * (groups + 1) + codes, minlength=count * (groups + 1)).reshape(count, -1)


def _codes(known: ColumnReference, column: Column) -> tuple[Codes, int]:
    """Number the group of each row; -1 where there is no value."""
    if column.numbers is not None:
        values = column.numbers.astype(np.float64) * column.unit
        found = np.where(np.isnan(values), -1, _group(known.bins, values))
        codes = np.full(column.rows, -1, np.int64)
        codes[slice(None) if column.valid is None else column.valid] = found
        return codes, 1 if known.bins is None else len(starts(len(known.bins.counts)))
    assert column.texts is not None  # noqa: S101 - one of both is there
    names = group_names(known.levels)
    places = {name: place for place, name in enumerate(names)}
    coded = (
        column.texts.replace_strict(
            list(places), list(places.values()), default=len(names), return_dtype=pl.Int64
        )
        if names
        else column.texts.str.len_chars().cast(pl.Int64) * 0
    )
    valid = column.texts.is_not_null()
    return np.where(valid.to_numpy(), coded.fill_null(0).to_numpy(), -1), len(names) + 1


def _group(bins: Bins | None, values: npt.NDArray[np.float64]) -> Codes:
    if bins is None:
        return np.zeros(values.size, np.int64)
    edges = np.asarray([bins.edges[start - 1] for start in starts(len(bins.counts))[1:]])
    return np.searchsorted(edges, values, "right")


def group_names(levels: Levels | None) -> tuple[str, ...]:
    """Name the levels that have a group of their own; all others share the last one."""
    return () if levels is None else tuple(levels.named)[: GROUPS - 1]
