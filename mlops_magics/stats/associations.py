"""How columns go together: Pearson, Spearman, Cramer's V and the correlation ratio on one row sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.joint import Category, Joint, Side, gapped, joint
from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import Associations, Measure, Pair

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MATRIX: Final = 60  # columns; a larger map shows nothing that a list of pairs does not
_PAIRS: Final = 1_000
_LEVELS: Final = 20  # levels of a category in a table of two; the rest count as one
_WORK: Final = 4_000_000_000  # multiplications that two numbers' correlations may cost
_TABLES: Final = 20_000  # tables of two categories, and of a category and a number, that are made
_ROWS: Final = 256  # of a matrix, worked on at once
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
    tables = [*combinations(categories, 2)][:_TABLES]
    explaining = categories[: _TABLES // max(len(numbers), 1)]
    pairs = [*_of_numbers(numbers, explaining, rows, pool)] if numbers and rows else []
    pairs += _kept(tables, _cramers_v, "cramers_v", pool)
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


def _of_numbers(
    numbers: Sequence[SampleColumn], categories: Sequence[SampleColumn], rows: int, pool: Executor
) -> Iterator[Pair]:
    """Compute how each number goes together with the others, and how much of it each category explains."""
    folded = [Category(_folded(item), _height(item)) for item in categories]
    step = max(1, math.ceil(rows * len(numbers) ** 2 / _WORK))
    sums = joint(numbers, folded, pool, pairs=step == 1)
    if step == 1:
        yield from _correlated(numbers, sums)
    else:
        fewer = [*pool.map(lambda item: _thinned(item, step), numbers)]
        yield from _correlated(fewer, joint(fewer, (), pool))
    gaps = {place: row for row, place in enumerate(gapped(numbers))}
    for category, group in zip(categories, sums.groups, strict=True):
        with np.errstate(invalid="ignore"):  # of infinite numbers nothing can be said
            spreads = (sums.squares - group.without).tolist()
        for place, number in enumerate(numbers):
            held = group.held[gaps[place]] if place in gaps else group.counts
            value = correlation_ratio(held[:-1], group.sums[place, :-1], spreads[place])
            if value is not None:
                yield Pair(category.label, number.label, "correlation_ratio", value)


def _thinned(column: SampleColumn, step: int) -> SampleColumn:
    assert column.numbers is not None  # noqa: S101 - it is asked of numbers
    return SampleColumn.of_numbers(column.label, column.numbers[::step])


def _correlated(numbers: Sequence[SampleColumn], sums: Joint) -> Iterator[Pair]:
    """Compare both correlations of all pairs of numbers; the stronger one speaks for the pair."""
    count = len(numbers)
    linear, monotone = correlations(numbers, sums)
    upper = np.triu_indices(count, 1)
    linear, monotone = linear[upper], monotone[upper]
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


def correlations(numbers: Sequence[SampleColumn], sums: Joint) -> tuple[Floats, Floats]:
    """Correlate each two columns over the rows where both have a value.

    Args:
        numbers: The columns.
        sums: Their sums, each with the others.

    Returns:
        Pearson's and Spearman's matrices, NaN where a column does not vary.
    """
    rows = np.array([float(item.ordered.size) for item in numbers])
    largest = np.array([_largest(item) for item in numbers])
    gaps = np.array(gapped(numbers), np.intp)
    straight, ranked = sums.sides
    return _correlation(straight, gaps, sums.there, rows, largest), _correlation(
        ranked, gaps, sums.there, rows, rows
    )


def _largest(column: SampleColumn) -> float:
    return float(np.abs(column.ordered[[0, -1]]).max()) if column.ordered.size else 0.0


def _correlation(side: Side, gaps: Codes, there: Floats, held: Floats, largest: Floats) -> Floats:
    """Turn sums into correlations, some rows of the matrix at a time: that of 5,000 columns has 200 MB."""
    own = np.diag(side.products).copy()
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # said to be unknown below
        varies = np.isfinite(own) & (np.sqrt(own / held) > 1e-14 * largest)  # what is left is rounding
        found = side.products.copy()
        for start in range(0, len(own), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(own)))
            count = np.minimum(held[rows, None], held)
            inner = np.flatnonzero(np.isin(rows, gaps))
            places = np.searchsorted(gaps, rows[inner])
            count[np.ix_(inner, gaps)] = there[places]
            # Only columns with gaps take rows from another one: over all of its rows a centred column's
            # sum is 0, and the sum of its squares its product with itself.
            sums, squares = np.zeros(count.shape), np.repeat(own[rows, None], len(own), axis=1)
            sums[:, gaps], squares[:, gaps] = side.sums[rows], side.squares[rows]
            others, theirs = np.zeros(count.shape), np.tile(own, (len(rows), 1))
            others[inner], theirs[inner] = side.sums[:, places].T, side.squares[:, places].T
            spread, widths = _variance(squares, sums, count), _variance(theirs, others, count)
            found[rows] = (found[rows] / count - sums * others / count**2) / np.sqrt(spread * widths)
            flat = ~(spread > 1e-12 * (own / held)[rows, None]) | ~(widths > 1e-12 * own / held)
            found[rows] = np.where((count < 3) | flat, np.nan, found[rows])  # noqa: PLR2004 - no spread
    found[~varies], found[:, ~varies] = np.nan, np.nan
    return np.clip(found, -1, 1, out=found)


def _variance(squares: Floats, sums: Floats, count: Floats) -> Floats:
    return squares / count - (sums / count) ** 2


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
    if not math.isfinite(squares):
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
