"""What a card asks of the kernel's data: how the target lies inside a column, on the fixed sample of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.stats.engine import Survey, aimed
from mlops_magics.stats.naming import labels
from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import ColumnSummary
from mlops_magics.steps.profile.detail import Aimed

_LEAST = 10  # rows below which a mean says nothing

Floats = npt.NDArray[np.float64]


class DataDesk:
    """Answers from the rows that were sampled when the table was profiled; the table is not read again.

    Args:
        data: The table, or the path of its files.
        found: What is known of it, and the sampled rows.
    """

    def __init__(self, data: object, found: Survey) -> None:
        self._found = found
        # Of files the labels are the names.
        self._frame = Frame.of(data) if kind_of(data) is not None else None

    def aimed(self, position: int) -> Aimed | None:
        """Say how the target lies inside a column.

        Args:
            position: The column's place in the table.

        Returns:
            The target's mean or rate in each bin and for each frequent value; None where there is no target
            or the column is the target itself.
        """
        column = self._found.table.columns[position]
        known = self._found.table.target
        if known is None or known.name == column.name:
            return None
        sample = self._found.sample.columns[position]
        return Aimed(
            bins=_bins(sample, column, self._goal),
            levels=_levels(sample, column, self._goal),
            rows=int(np.isfinite(self._goal).sum()),
        )

    @cached_property
    def odd(self) -> Mapping[str, str]:
        """How code reaches the columns whose names are not their labels: ``[0]``, ``.iloc[:, 3]``."""
        if self._frame is None:
            return {}
        names = self._frame.names
        alike = Counter(map(str, names))
        return {
            label: _reached(name, position, alone=alike[str(name)] == 1)
            for position, (label, name) in enumerate(zip(labels(names), names, strict=True))
            if name != label or alike[str(name)] > 1
        }

    @cached_property
    def _goal(self) -> Floats:
        """The target in the sampled rows: numbers, or 1.0 for the positive class; NaN where it is missing."""
        target = aimed(self._found)
        if target.keep is None:
            return target.numbers * target.unit
        goal = np.full(target.keep.size, np.nan)
        goal[target.keep] = target.numbers * target.unit
        return goal


def _reached(name: object, position: int, *, alone: bool) -> str:
    """Write a name that is a number or a tuple of plain values; anything else is reached by its place."""
    parts = name if isinstance(name, tuple) else (name,)
    plain = all(type(part) in {str, int, bool} for part in parts)  # a subclass may write itself in any way
    return f"[{name!r}]" if alone and plain else f".iloc[:, {position}]"


def _bins(sample: SampleColumn, known: ColumnSummary, goal: Floats) -> list[float | None]:
    if known.numbers is None or sample.numbers is None:
        return []
    histogram = known.numbers.histogram
    numbers, goal = _both(sample.numbers, goal)
    bins = (numbers - histogram.start) / histogram.width
    count = len(histogram.counts)
    return _means(np.clip(bins, 0, count - 1).astype(np.intp), goal, count)


def _levels(sample: SampleColumn, known: ColumnSummary, goal: Floats) -> list[float | None]:
    if sample.numbers is None or sample.distinct == len(sample.levels):  # a code for each value
        usable = np.isfinite(goal)
        codes, held = (sample.codes, goal) if usable.all() else (sample.codes[usable], goal[usable])
        keys = [level[0] if isinstance(level, tuple) else level for level in sample.levels]
        by_level = dict(zip(keys, _means(codes, held, len(keys) + 1), strict=False))
        return [by_level.get(level.value) for level in known.top]
    # A date in words is never frequent enough to be worth reading back.
    values = [None if isinstance(level.value, str) else level.value for level in known.top]
    numbers, goal = _both(sample.numbers, goal)
    return [None if value is None else _mean(goal[numbers == float(value)]) for value in values]


def _both(numbers: Floats, goal: Floats) -> tuple[Floats, Floats]:
    """Take the rows where both are finite."""
    usable = np.isfinite(numbers) & np.isfinite(goal)
    return (numbers, goal) if usable.all() else (numbers[usable], goal[usable])


def _means(places: npt.NDArray[np.intp], goal: Floats, count: int) -> list[float | None]:
    rows, sums = np.bincount(places, minlength=count), np.bincount(places, goal, count)
    return [float(total / held) if held >= _LEAST else None for total, held in zip(sums, rows, strict=True)]


def _mean(goal: Floats) -> float | None:
    return float(goal.mean()) if goal.size >= _LEAST else None
