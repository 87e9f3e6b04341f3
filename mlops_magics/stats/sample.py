"""A fixed sample of rows, the same for every column: what joint statistics are computed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.stats.counted import Counted

ROWS: Final = 100_000  # a correlation of so many rows has a standard error of 0.003
_CELLS: Final = 10_000_000  # of very wide tables fewer rows are taken
_LEAST: Final = 2_000
BINS: Final = 32  # bins of equal rank that numbers are cut into
LEVELS: Final = 200  # texts that are told apart; the rest are "other"
KEPT: Final = 2_000  # texts kept to tell what a column means
_ROW_BITS: Final = 40  # a row of the sample is a number of fewer bits
OTHER: Final = "other values"

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def sampled_rows(rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Choose the rows: always the same ones for a table of that size.

    Args:
        rows: The table's rows.
        columns: Its columns.

    Returns:
        Row numbers, sorted: all of them up to 100,000 rows, unless there are more than 100 columns.
    """
    count = min(ROWS, max(_LEAST, _CELLS // max(columns, 1)))
    if rows <= count:
        return np.arange(rows)
    # One row from each of as many equal stretches: quicker than drawing without replacement, and no
    # stretch of a sorted file is left out.
    edges = np.linspace(0, rows, count + 1).astype(np.int64)
    return edges[:-1] + (np.random.default_rng(0).random(count) * np.diff(edges)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class SampleColumn:
    """A column's values in the sampled rows.

    Attributes:
        label: The column's name.
        codes: A small whole number a row: the place of its level in ``levels``; the missing ones have
            ``len(levels)``.
        levels: What a code means: the lowest and the highest number of a bin, or a text. Bins stand in
            the numbers' order, texts from the most frequent on.
        numbers: The numbers, NaN where there is none; None for texts.
        ranks: Their ranks from 0, ties averaged, NaN where there is none.
        ordered: The finite numbers, sorted.
        texts: Some of the texts.
        distinct: Different values in the sample.
    """

    label: str
    codes: Codes
    levels: tuple[Any, ...]
    numbers: Floats | None = None
    ranks: Floats | None = None
    ordered: Floats = field(default_factory=lambda: np.empty(0))
    texts: tuple[str, ...] = ()
    distinct: int = 0

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Which of the rows have no value."""
        gaps: npt.NDArray[np.bool_] = self.codes == len(self.levels)
        return gaps

    @classmethod
    def of_numbers(cls, label: str, numbers: Floats) -> SampleColumn:
        """Take numbers; NaN is missing."""
        gaps = np.isnan(numbers)
        present = np.flatnonzero(~gaps) if gaps.any() else None
        # Sorting with NaN among the numbers takes NumPy five times as long.
        order = np.argsort(numbers if present is None else numbers[present])
        if present is not None:
            order = present[order]
        sorted_, held = numbers[order], order.size
        codes = np.empty(numbers.size, np.intp)
        if not held:
            codes[:] = 0
            return cls(label, codes, (), numbers, np.full(numbers.size, np.nan), sorted_)
        ranks = np.empty(numbers.size)
        new = np.empty(held, bool)
        new[0] = True
        np.not_equal(sorted_[1:], sorted_[:-1], out=new[1:])
        starts = np.flatnonzero(new)
        counts = np.diff(starts, append=held)
        middle = starts + (counts - 1) / 2
        if starts.size <= BINS:
            place = np.arange(starts.size)
        else:  # bins of equal rank; equal numbers share one
            place = _dense((middle * (BINS / held)).astype(np.intp))
        ranks[order] = np.repeat(middle, counts) if starts.size < held else middle
        codes[order] = np.repeat(place, counts) if starts.size < held else place
        firsts = np.flatnonzero(np.diff(place, prepend=-1))
        if present is not None:
            ranks[gaps], codes[gaps] = np.nan, firsts.size
        lasts = np.append(firsts[1:], starts.size) - 1
        values = sorted_[starts]
        levels = tuple(zip(values[firsts].tolist(), values[lasts].tolist(), strict=True))
        return cls(label, codes, levels, numbers, ranks, sorted_, distinct=starts.size)

    @classmethod
    def of_texts(cls, label: str, texts: pl.Series) -> SampleColumn:
        """Take texts; nulls are missing."""
        gaps = texts.is_null().to_numpy() if texts.null_count() else None
        hashes = texts.hash().to_numpy()
        if gaps is not None:
            hashes = hashes[~gaps]
        # np.unique would sort stably to find the first rows: ten times slower than the least of each run.
        order = np.argsort(hashes)
        counted, starts = Counted.of_sorted(hashes[order])
        distinct = starts.size
        firsts = np.minimum.reduceat(order, starts) if distinct else order
        # The most frequent come first; of equally frequent ones, the one that was seen first.
        rank = firsts - (counted.counts << _ROW_BITS)
        chosen = np.argpartition(rank, LEVELS)[:LEVELS] if distinct > LEVELS else np.arange(distinct)
        chosen = chosen[np.argsort(rank[chosen])]
        held = texts if gaps is None else texts.drop_nulls()
        levels: tuple[str, ...] = tuple(held.gather(firsts[chosen]).to_list())
        table = np.full(distinct, len(levels), np.intp)
        table[chosen] = np.arange(chosen.size)
        if distinct > len(levels):
            levels = (*levels, OTHER)
        found = np.empty(hashes.size, np.intp)
        found[order] = np.repeat(table, counted.counts)
        codes = found
        if gaps is not None:
            codes = np.full(len(texts), len(levels), np.intp)
            codes[~gaps] = found
        some = tuple(held.head(KEPT).to_list())
        return cls(label, codes, levels, texts=some, distinct=distinct)


def _dense(places: Codes) -> Codes:
    """Renumber sorted places without gaps."""
    return np.cumsum(np.diff(places, prepend=places[:1]) != 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """The sampled rows of a table.

    Attributes:
        rows: Their numbers, sorted.
        columns: The columns, in the table's order.
    """

    rows: npt.NDArray[np.int64]
    columns: tuple[SampleColumn, ...]

    def column(self, label: str) -> SampleColumn:
        """Return a column by its name."""
        return next(item for item in self.columns if item.label == label)

    def where(self, keep: Callable[[SampleColumn], bool]) -> tuple[SampleColumn, ...]:
        """Return the columns for which something holds."""
        return tuple(item for item in self.columns if keep(item))
