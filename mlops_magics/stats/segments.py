"""Which portions of the rows differ most in the target, with their size and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.relations import Target
from mlops_magics.stats.sample import BINS, OTHER, SampleColumn
from mlops_magics.stats.summary import Scalar, Segment

MOST: Final = 20
_LEAST_ROWS: Final = 30
_LEAST_SHARE: Final = 0.005
_TEXTS: Final = 20  # of a category's levels, the most frequent
_GROUPED: Final = 4  # bins of equal rank that make one portion
_ALPHA: Final = 0.05
_Z: Final = 1.959964  # 95 %


def segments(
    target: Target, columns: Sequence[SampleColumn], words: Callable[[str, float], str]
) -> tuple[Segment, ...]:
    """Find the portions, cut by one column each, in which the target differs most from the other rows.

    Each portion has at least 30 rows and half a percent of the sample. Rates are compared by a test of
    two proportions, means by Welch's test; the p-values are Holm-adjusted over all portions looked at.

    Args:
        target: The target.
        columns: The columns to cut by.
        words: Writes a number of a column as a person reads it.

    Returns:
        At most 20, of those that differ at the 5 % level: the ones that move the whole the most first.
    """
    whole = _Whole.of(target)
    found = [item for column in columns for item in _of_column(target, whole, column, words)]
    found.sort(key=lambda item: item.p_value)
    worst, kept = 0.0, list[Segment]()
    for place, item in enumerate(found):  # Holm
        worst = min(1.0, max(worst, (len(found) - place) * item.p_value))
        if worst > _ALPHA:
            break
        kept.append(replace(item, p_value=worst))
    kept.sort(key=lambda item: (-abs(item.difference) * math.sqrt(item.share * (1 - item.share)), item.words))
    return tuple(kept[:MOST])


@dataclass(frozen=True, slots=True)
class _Whole:
    """The target over all rows: its mean, and the squares of the distances from it (of numbers only)."""

    centre: float
    squares: npt.NDArray[np.float64] | None

    @classmethod
    def of(cls, target: Target) -> _Whole:
        centre = float(target.numbers.mean()) if target.numbers.size else 0.0
        return cls(centre, (target.numbers - centre) ** 2 if target.problem == "number" else None)


def _of_column(
    target: Target, whole: _Whole, column: SampleColumn, words: Callable[[str, float], str]
) -> Iterator[Segment]:
    codes = target.kept(column.codes)
    binned = column.numbers is not None and len(column.levels) > BINS // 2
    step = _GROUPED if binned else 1
    gap = -(-len(column.levels) // step)
    groups = np.where(codes == len(column.levels), gap, codes // step) if binned else codes
    height = gap + 1
    rows = np.bincount(groups, minlength=height)
    sums = np.bincount(groups, target.numbers, height)
    squares = np.zeros(height) if whole.squares is None else np.bincount(groups, whole.squares, height)
    total = int(rows.sum())
    least = max(_LEAST_ROWS, _LEAST_SHARE * total)
    for group in range(height):
        count = int(rows[group])
        if least <= count <= total - least and (label := _label(column, group, step, words)):
            inside = (count, float(sums[group]), float(squares[group]))
            every = (total, float(sums.sum()), float(squares.sum()))
            made = _segment(column.label, label, inside, every, whole.centre, rate=whole.squares is None)
            yield replace(_shown(made, target.unit), held=_held(column, group, step))


def _shown(made: Segment, unit: float) -> Segment:
    if unit == 1:
        return made
    return replace(
        made,
        value=made.value * unit,
        low=made.low * unit,
        high=made.high * unit,
        difference=made.difference * unit,
    )


def _held(column: SampleColumn, group: int, step: int) -> tuple[Scalar, Scalar] | None:
    levels: tuple[Any, ...] = column.levels
    if group * step >= len(levels):
        return None
    if column.numbers is None:
        return levels[group], levels[group]
    return levels[group * step][0], levels[min(group * step + step, len(levels)) - 1][1]


def _label(column: SampleColumn, group: int, step: int, words: Callable[[str, float], str]) -> str:
    held: tuple[Any, Any] | None = _held(column, group, step)
    if held is None:
        return f"{column.label} is missing"
    low, high = held
    if column.numbers is None:
        return f"{column.label} = {low}" if group < _TEXTS and low is not OTHER else ""
    if low == high:
        return f"{column.label} = {words(column.label, low)}"
    return f"{column.label} {words(column.label, low)} to {words(column.label, high)}"


Sums = tuple[int, float, float]


def _segment(column: str, label: str, inside: Sums, whole: Sums, centre: float, *, rate: bool) -> Segment:
    """Compare a portion with the other rows, from counts, sums and squares about the overall mean."""
    n, m = inside[0], whole[0] - inside[0]
    value, other = inside[1] / n, (whole[1] - inside[1]) / m
    if rate:
        low, high = wilson(value, n)
        pooled = whole[1] / whole[0]
        error = math.sqrt(max(pooled * (1 - pooled), 0.0) * (1 / n + 1 / m))
    else:
        away, beyond = value - centre, other - centre
        spread = max(inside[2] / n - away * away, 0.0) / max(n - 1, 1)
        others = max((whole[2] - inside[2]) / m - beyond * beyond, 0.0) / max(m - 1, 1)
        low, high = value - _Z * math.sqrt(spread), value + _Z * math.sqrt(spread)
        error = math.sqrt(spread + others)
    score = (value - other) / error if error > 0 else 0.0
    p_value = math.erfc(abs(score) / math.sqrt(2))
    return Segment(column, label, n, n / whole[0], value, low, high, value - other, p_value)


def wilson(rate: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson, 1927)."""
    square = _Z * _Z
    middle = (rate + square / (2 * rows)) / (1 + square / rows)
    half = _Z / (1 + square / rows) * math.sqrt(rate * (1 - rate) / rows + square / (4 * rows * rows))
    # Rounding may leave a rate of 0 or 1 a hair outside.
    return min(rate, max(0.0, middle - half)), max(rate, min(1.0, middle + half))
