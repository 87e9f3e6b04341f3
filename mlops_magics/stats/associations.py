"""How columns go together: Pearson, Spearman, Cramer's V and the correlation ratio on one row sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import Associations, Measure, Pair

Floats = npt.NDArray[np.float64]

MATRIX: Final = 60  # columns; a larger map shows nothing that a list of pairs does not
_PAIRS: Final = 1_000
_LEVELS: Final = 20  # levels of a category in a table of two; the rest count as one
_WORK: Final = 4_000_000_000  # multiplications that two numbers' correlations may cost
_TABLES: Final = 20_000  # tables of two categories, and of a category and a number, that are made
_LEAST: Final = 0.05  # what is weaker is no pair worth a line


def associate(columns: Sequence[SampleColumn], rows: int, pool: Executor) -> Associations:
    """Compute how strongly each two columns go together.

    Pearson's and Spearman's correlations take the rows where both have a value; ranks are those among
    all values of a column. Cramer's V is bias-corrected (Bergsma, "A bias-correction for Cramér's V and
    Tschuprow's T", 2013) over the 20 most frequent levels; the correlation ratio is adjusted for the
    number of levels (Kelley's epsilon).

    Args:
        columns: The columns, those with a single value left out.
        rows: How many rows the sample has.
        pool: Threads to work on.

    Returns:
        The strongest pairs, and the matrix where it is small enough to be looked at.
    """
    numbers = [item for item in columns if item.numbers is not None and item.distinct > 2]  # noqa: PLR2004 - two are a flag
    numeric = {item.label for item in numbers}
    categories = [item for item in columns if item.label not in numeric]
    pairs = [*_correlated(numbers, rows, pool)]
    tables = [*combinations(categories, 2)][:_TABLES]
    pairs += _kept(tables, _cramers_v, "cramers_v", pool)
    pairs += _explained(categories, numbers, pool)
    names = tuple(item.label for item in columns) if len(columns) <= MATRIX else ()
    matrix = _matrix(names, pairs)
    pairs = [pair for pair in pairs if abs(pair.value) >= _LEAST]
    pairs.sort(key=lambda pair: (-abs(pair.value), pair.left, pair.right))
    return Associations(rows, tuple(pairs[:_PAIRS]), names, matrix)


def _kept(
    pairs: Sequence[tuple[SampleColumn, SampleColumn]],
    compute: Callable[[SampleColumn, SampleColumn], float | None],
    measure: Measure,
    pool: Executor,
) -> Iterator[Pair]:
    """Compute a measure of many pairs, and keep those of which it can be said."""
    values = pool.map(lambda pair: compute(*pair), pairs)
    for (left, right), value in zip(pairs, values, strict=True):
        if value is not None:
            yield Pair(left.label, right.label, measure, value)


def _correlated(numbers: Sequence[SampleColumn], rows: int, pool: Executor) -> Iterator[Pair]:
    """Compute both correlations of all pairs of numbers; the stronger one speaks for the pair."""
    count = len(numbers)
    if count < 2 or not rows:  # noqa: PLR2004 - a pair
        return
    step = max(1, math.ceil(rows * count * count / _WORK))
    sides = [item.numbers[::step] for item in numbers if item.numbers is not None]
    sides += [item.ranks[::step] for item in numbers if item.ranks is not None]
    centred = list(pool.map(centre, sides))
    straight, ranked = pool.map(correlate, (centred[:count], centred[count:]))
    upper = np.triu_indices(count, 1)
    linear, monotone = straight[upper], ranked[upper]
    stronger = np.abs(np.nan_to_num(monotone)) > np.abs(np.nan_to_num(linear)) + 0.02  # clearly
    best = np.where(stronger, monotone, linear)
    best = np.where(np.isnan(best), monotone, best)
    kept = np.flatnonzero(~np.isnan(best))
    if count > MATRIX and kept.size > _PAIRS:  # millions of pairs, of which a thousand are told
        strength = np.abs(best[kept])
        kept = kept[strength >= np.partition(strength, -_PAIRS)[-_PAIRS]]
    for place in kept.tolist():
        left, right = numbers[upper[0][place]], numbers[upper[1][place]]
        measure: Measure = "spearman" if stronger[place] else "pearson"
        yield Pair(left.label, right.label, measure, float(best[place]))


def correlations(columns: Sequence[Floats]) -> Floats:
    """Correlate columns of equal length, each pair over the rows where both have a value.

    Args:
        columns: The columns; NaN where there is no value.

    Returns:
        The matrix, NaN where a column does not vary.
    """
    return correlate([centre(column) for column in columns])


def centre(values: Floats) -> tuple[Floats, Floats | None]:
    """Bring a column to mean 0 and standard deviation 1.

    Args:
        values: The column; NaN where there is no value.

    Returns:
        The column, 0 where there is no value, all NaN where it does not vary; and 1.0 where there is a
        value, or None where all rows have one.
    """
    gaps = np.isnan(values)
    known = None if not gaps.any() else (~gaps).astype(np.float64)
    held = values.size if known is None else int(known.sum())
    if not held:
        return np.full(values.size, np.nan), known
    filled = values if known is None else np.where(gaps, 0.0, values)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = filled - filled.sum() / held
        if known is not None:
            centred *= known
        spread = math.sqrt(float(np.einsum("i,i->", centred, centred)) / held)
        largest = float(np.abs(filled).max())
    if not (math.isfinite(spread) and spread > 1e-14 * largest):  # what is left is rounding
        return np.full(values.size, np.nan), known
    centred /= spread
    return centred, known


def correlate(columns: Sequence[tuple[Floats, Floats | None]]) -> Floats:
    """Correlate columns that :func:`centre` made.

    Returns:
        The matrix, NaN where a column does not vary.
    """
    values = np.stack([centred for centred, _ in columns])
    with np.errstate(invalid="ignore", divide="ignore"):  # where nothing varies; said to be unknown below
        if all(known is None for _, known in columns):
            whole: Floats = np.clip(values @ values.T / values.shape[1], -1, 1)
            return whole
        ones = np.ones(values.shape[1])
        there = np.stack([ones if known is None else known for _, known in columns])
        count, sums = there @ there.T, values @ there.T
        shared = values @ values.T / count - (sums / count) * (sums.T / count)
        variance = (values * values) @ there.T / count - (sums / count) ** 2
        found: Floats = shared / np.sqrt(variance * variance.T)
        found[(count < 3) | ~(variance > 1e-12) | ~(variance.T > 1e-12)] = np.nan  # noqa: PLR2004 - no spread
        return np.clip(found, -1, 1, out=found)


def _cramers_v(left: SampleColumn, right: SampleColumn) -> float | None:
    rows, columns = _folded(left), _folded(right)
    wide = int(columns.max(initial=0)) + 1
    table = np.bincount(rows * wide + columns, minlength=(int(rows.max(initial=0)) + 1) * wide)
    return cramers_v(table.reshape(-1, wide)[: _height(left), : _height(right)].astype(np.float64))


def cramers_v(table: Floats) -> float | None:
    """Return the bias-corrected Cramer's V of a table of counts; None where one side does not vary."""
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    rows, columns = table.shape
    total = table.sum()
    if rows < 2 or columns < 2 or total < 3:  # noqa: PLR2004 - nothing varies
        return None
    phi = (table * table / (table.sum(1)[:, None] * table.sum(0))).sum() - 1
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (total - 1))
    height = rows - (rows - 1) ** 2 / (total - 1)
    width = columns - (columns - 1) ** 2 / (total - 1)
    least = min(height, width) - 1
    return min(1.0, math.sqrt(phi / least)) if least > 0 else None


@dataclass(frozen=True, slots=True)
class _Centred:
    """A number, less its mean; zero where it is missing.

    Attributes:
        label: Its column.
        values: The values.
        there: 1.0 where there is a value; None where all have one.
        spread: The sum of their squares.
    """

    label: str
    values: Floats
    there: Floats | None
    spread: float

    @classmethod
    def of(cls, column: SampleColumn) -> _Centred:
        assert column.numbers is not None  # noqa: S101 - it is asked of numbers
        with np.errstate(over="ignore", invalid="ignore"):
            values = column.numbers - (column.ordered.mean() if column.ordered.size else 0.0)
            gaps = np.isnan(values)
            if gaps.any():
                values[gaps] = 0.0
            spread = float(np.einsum("i,i->", values, values))
        return cls(column.label, values, (~gaps).astype(np.float64) if gaps.any() else None, spread)


def _explained(
    categories: Sequence[SampleColumn], numbers: Sequence[SampleColumn], pool: Executor
) -> Iterator[Pair]:
    """Compute how much of each number's spread each category explains."""
    if not categories or not numbers:
        return
    centred = list(pool.map(_Centred.of, numbers))
    categories = categories[: max(1, _TABLES // len(centred))]
    for found in pool.map(lambda category: [*_ratios(category, centred)], categories):
        yield from found


def _ratios(category: SampleColumn, numbers: Sequence[_Centred]) -> Iterator[Pair]:
    codes, height = _folded(category), _height(category)
    counts = np.bincount(codes, minlength=height + 1).astype(np.float64)
    whole = not counts[height]  # no row without a category
    for number in numbers:
        held = counts if number.there is None else _sums(codes, number.there, height + 1)
        sums = _sums(codes, number.values, height + 1)
        spread = number.spread
        if not whole:
            squares = np.where(codes == height, number.values, 0.0)
            spread -= float(np.einsum("i,i->", squares, squares))
        value = correlation_ratio(held[:height], sums[:height], spread)
        if value is not None:
            yield Pair(category.label, number.label, "correlation_ratio", value)


def _sums(codes: npt.NDArray[np.intp], weights: Floats, height: int) -> Floats:
    return np.bincount(codes, weights, height).astype(np.float64, copy=False)


def correlation_ratio(counts: Floats, sums: Floats, squares: float) -> float | None:
    """Return how much of a number's spread its category explains, 0 to 1; None where nothing varies.

    Args:
        counts: The rows of each category.
        sums: The sum of the number in each.
        squares: The sum of its squares over all of them.
    """
    total, groups = float(counts.sum()), int(np.count_nonzero(counts))
    if groups < 2 or total <= groups + 1:  # noqa: PLR2004 - nothing varies
        return None
    whole = float(sums.sum())
    shift = whole * whole / total
    spread = squares - shift
    with np.errstate(over="ignore"):  # squares of numbers beyond 1e154: nothing can be said
        within = float((sums * sums / np.maximum(counts, 1)).sum())
    if not spread > 1e-12 * squares or not math.isfinite(spread) or not math.isfinite(within):
        return None
    between = (within - shift) / spread
    adjusted = 1 - (1 - between) * (total - 1) / (total - groups)
    return math.sqrt(min(1.0, adjusted)) if adjusted > 0 else 0.0


def _height(column: SampleColumn) -> int:
    return min(len(column.levels), _LEVELS + 1)


def _folded(column: SampleColumn) -> npt.NDArray[np.intp]:
    """Return codes in which the rarer levels are one, and the missing ones come last."""
    count = len(column.levels)
    if count <= _LEVELS + 1:
        return column.codes
    codes = np.minimum(column.codes, _LEVELS)
    codes[column.missing] = _LEVELS + 1
    return codes


def _matrix(names: tuple[str, ...], pairs: Sequence[Pair]) -> tuple[tuple[float | None, ...], ...]:
    if not names:
        return ()
    place = {name: i for i, name in enumerate(names)}
    found: list[list[float | None]] = [[None] * len(names) for _ in names]
    for i in range(len(names)):
        found[i][i] = 1.0
    for pair in pairs:
        i, j = place[pair.left], place[pair.right]
        found[i][j] = found[j][i] = abs(pair.value)
    return tuple(map(tuple, found))
