"""Sums over the rows of columns taken together: what correlations and correlation ratios are made of.

Rows are read in blocks that fit a core's cache: no column is copied as a whole, and each block is used for
all sums at once. Sums of blocks add up, so threads share the rows among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.sample import SampleColumn

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_CELLS: Final = 200_000  # numbers of a block
_ROWS: Final = 16_384  # and its rows, at most
_LEAST: Final = 4_096  # below, the calls themselves take longer than the sums
_LANES: Final = 8  # neighbouring rows add to different places: a sum need not wait for the one before it
_PARTS: Final = 4  # of the rows, one for a thread


@dataclass(frozen=True, slots=True)
class Category:
    """A column of few levels.

    Attributes:
        codes: Its level in each row; ``levels`` where it has none.
        levels: How many there are.
    """

    codes: Codes
    levels: int


@dataclass(frozen=True, slots=True)
class Side:
    """Sums of centred columns, n of them, g of which have gaps; a missing value counts as 0.

    Attributes:
        products: Of each two columns: n x n.
        sums: Of each column over the rows where each one with gaps has a value: n x g.
        squares: Of its squares over the same rows: n x g.
    """

    products: Floats
    sums: Floats
    squares: Floats

    @classmethod
    def of(cls, block: Floats, there: Floats) -> Side:
        """Take a block of centred columns, and 1.0 where those with gaps have a value."""
        squares = (block * block) @ there.T if there.size else np.zeros((len(block), len(there)))
        return cls(block @ block.T, block @ there.T, squares)

    def __add__(self, other: Side) -> Side:
        """Take the rows of both."""
        return Side(self.products + other.products, self.sums + other.sums, self.squares + other.squares)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Sums by the levels of a category; the last level is that of the rows without one.

    Attributes:
        counts: Rows of each level.
        sums: Of each number: n x levels.
        held: Rows in which each number with gaps has a value: g x levels.
        without: The sum of each number's squares over the rows without a level.
    """

    counts: Floats
    sums: Floats
    held: Floats
    without: Floats

    @classmethod
    def of(cls, category: Category, rows: slice, block: Floats, there: Floats) -> Grouped:
        """Take a block of centred columns."""
        codes, height = category.codes[rows], category.levels + 1
        places = codes * _LANES
        places += _lanes(codes.size)

        def summed(weights: Floats | None = None) -> Floats:
            found: Floats = np.bincount(places, weights, height * _LANES).astype(np.float64, copy=False)
            total: Floats = found.reshape(height, _LANES).sum(1)
            return total

        counts = summed()
        bare = block[:, codes == category.levels] if counts[-1] else block[:, :0]
        return cls(
            counts,
            np.stack([summed(values) for values in block]),
            np.stack([summed(values) for values in there]) if len(there) else np.zeros((0, height)),
            np.square(bare).sum(1),
        )

    def __add__(self, other: Grouped) -> Grouped:
        """Take the rows of both."""
        return Grouped(
            self.counts + other.counts,
            self.sums + other.sums,
            self.held + other.held,
            self.without + other.without,
        )


@dataclass(frozen=True, slots=True)
class Joint:
    """All sums of some columns.

    Attributes:
        sides: Of the numbers and of their ranks; empty where pairs were not asked for.
        there: Rows in which two numbers with gaps have a value both: g x g.
        squares: The sum of each number's squares.
        groups: The sums by the levels of each category.
    """

    sides: tuple[Side, ...]
    there: Floats
    squares: Floats
    groups: tuple[Grouped, ...]

    def __add__(self, other: Joint) -> Joint:
        """Take the rows of both."""
        return Joint(
            tuple(map(add, self.sides, other.sides)),
            self.there + other.there,
            self.squares + other.squares,
            tuple(map(add, self.groups, other.groups)),
        )


def gapped(numbers: Sequence[SampleColumn]) -> list[int]:
    """List the places of the numbers that have no value in some rows."""
    return [place for place, item in enumerate(numbers) if item.ordered.size < item.codes.size]


def joint(
    numbers: Sequence[SampleColumn],
    categories: Sequence[Category],
    pool: Executor,
    *,
    pairs: bool = True,
) -> Joint:
    """Sum up columns.

    Args:
        numbers: Columns of numbers; there is at least one, and it has at least one row.
        categories: Columns of few levels.
        pool: Threads to work on.
        pairs: Whether the numbers are taken with each other too.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        means = [float(item.ordered.mean()) if item.ordered.size else 0.0 for item in numbers]
    reader = _Reader(numbers, means, categories, pairs=pairs)
    rows = numbers[0].codes.size
    parts = min(_PARTS, max(1, rows // _LEAST))
    edges = [rows * place // parts for place in range(parts + 1)]
    return reduce(add, pool.map(lambda span: reader.read(*span), pairwise(edges)))


@dataclass(frozen=True, slots=True)
class _Reader:
    numbers: Sequence[SampleColumn]
    means: Sequence[float]
    categories: Sequence[Category]
    pairs: bool

    def read(self, start: int, stop: int) -> Joint:
        """Sum up a range of rows."""
        size = min(_ROWS, max(_LEAST, _CELLS // len(self.numbers)))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said to be unknown later
            blocks = (self._block(at, min(at + size, stop)) for at in range(start, stop, size))
            return reduce(add, blocks)

    def _block(self, start: int, stop: int) -> Joint:
        rows = slice(start, stop)
        gaps = [np.isnan(self._numbers(place)[rows]) for place in gapped(self.numbers)]
        there = 1.0 - np.stack(gaps) if gaps else np.empty((0, stop - start))
        values = self._centred([self._numbers(place) for place in range(len(self.numbers))], self.means, rows)
        sides: tuple[Side, ...] = ()
        if self.pairs:
            # The mean rank is known: ties share theirs.
            middles = [(item.ordered.size - 1) / 2 for item in self.numbers]
            ranks = self._centred([_held(item.ranks) for item in self.numbers], middles, rows)
            sides = (Side.of(values, there), Side.of(ranks, there))
        return Joint(
            sides,
            there @ there.T,
            np.einsum("ij,ij->i", values, values),
            tuple(Grouped.of(category, rows, values, there) for category in self.categories),
        )

    def _numbers(self, place: int) -> Floats:
        return _held(self.numbers[place].numbers)

    def _centred(self, columns: Sequence[Floats], means: Sequence[float], rows: slice) -> Floats:
        first = columns[0][rows]
        made = np.empty((len(columns), first.size))
        for place, (values, mean) in enumerate(zip(columns, means, strict=True)):
            np.subtract(values[rows], mean, out=made[place])
        for place in gapped(self.numbers):
            np.nan_to_num(made[place], copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
        return made


def _held(values: Floats | None) -> Floats:
    assert values is not None  # noqa: S101 - it is asked of numbers
    return values


def _lanes(size: int) -> Codes:
    return np.arange(size) % _LANES
