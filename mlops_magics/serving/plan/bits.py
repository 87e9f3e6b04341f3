"""Trees of up to 64 leaves: each leaf of a tree is a bit of a word.

A node that sends a row to the right removes the leaves on its left; the leaf of a row is the lowest bit that
remains. For each column and each interval between two thresholds, what all nodes of this column remove from
all trees is computed when the table is made, so that a row costs one look a column and a handful of
operations on words, whatever the depth (after Lucchese et al., QuickScorer, SIGIR 2015,
doi:10.1145/2766462.2767733).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.serving.plan.base import Array, Floats
from mlops_magics.serving.plan.nodes import Places, Trees

_TOGETHER: Final = 256  # trees in one table: larger ones leave the processor's cache
_ONE: Final = {one.itemsize: one for one in (np.uint8(1), np.uint16(1), np.uint32(1), np.uint64(1))}
_CACHE: Final = 256 * 1024  # bytes that are looked up at once, for the same reason


class Tables:
    """Tables for some trees each, one after the other.

    Args:
        trees: The trees; none has more than 64 leaves.
        by_level: Their nodes, by level.
        counts: For each node how many leaves are below it.

    Attributes:
        nodes: The node of each place that is found.
        bytes: How much memory the tables take.
    """

    def __init__(self, trees: Trees, by_level: Sequence[Places], counts: Places) -> None:
        first, owner = _numbered(trees, by_level, counts)
        inner = np.flatnonzero(~trees.leaf & (owner >= 0))
        most = int(counts[trees.roots].max())
        self._parts = []
        for start in range(0, len(trees.roots), _TOGETHER):
            stop = min(start + _TOGETHER, len(trees.roots))
            mine = inner[(owner[inner] >= start) & (owner[inner] < stop)]
            self._parts.append(Bits(trees, mine, owner - start, first, counts, width=stop - start, most=most))
        slots = np.zeros((len(trees.roots), most), dtype=np.intp)
        leaves = np.flatnonzero(trees.leaf & (owner >= 0))
        slots[owner[leaves], first[leaves]] = leaves
        self.nodes = slots.ravel()
        self._base = np.arange(len(trees.roots), dtype=np.intp) * most - 1  # places are counted from 1
        self.bytes = sum(part.bytes for part in self._parts)

    def one(self, row: Sequence[float]) -> Places:
        """Find the leaf of each tree for one row."""
        found = [part.one(row) for part in self._parts]
        return self._base + (found[0] if len(found) == 1 else np.concatenate(found))

    def many(self, columns: Floats) -> Places:
        """Find the leaf of each tree for each row."""
        found = [part.many(columns) for part in self._parts]
        return self._base + (found[0] if len(found) == 1 else np.concatenate(found, axis=1))


def _numbered(trees: Trees, by_level: Sequence[Places], counts: Places) -> tuple[Places, Places]:
    """Number each tree's leaves from left to right.

    Returns:
        For each node its first leaf, and its tree; -1 for a node that no tree leads to.
    """
    first = np.zeros(len(trees.leaf), dtype=np.intp)
    owner = np.full(len(trees.leaf), -1, dtype=np.intp)
    owner[trees.roots] = np.arange(len(trees.roots))
    for level in by_level:
        inner = level[~trees.leaf[level]]
        left, right = trees.left[inner], trees.right[inner]
        first[left], first[right] = first[inner], first[inner] + counts[left]
        owner[left] = owner[right] = owner[inner]
    return first, owner


class Bits:
    """The table of some trees: what is left of each tree, for each column and interval.

    Args:
        trees: All trees.
        nodes: The inner nodes of those in this table.
        owner: For each node its tree's place in this table.
        first: For each node its first leaf.
        counts: For each node how many leaves are below it.
        width: How many trees this table has.
        most: The most leaves of a tree.
    """

    def __init__(
        self,
        trees: Trees,
        nodes: Places,
        owner: Places,
        first: Places,
        counts: Places,
        *,
        width: int,
        most: int,
    ) -> None:
        word: Any = next(
            one for one in (np.uint8, np.uint16, np.uint32, np.uint64) if most <= np.iinfo(one).bits
        )
        left = trees.left[nodes]
        below = (np.uint64(1) << counts[left].astype(np.uint64)) - np.uint64(
            1
        )  # an inner node has < 64 on its left
        self._kept = (~(below << first[left].astype(np.uint64))).astype(word)
        self._width, self._word = width, word
        self._tree, self._nodes = owner[nodes], nodes
        self._columns: list[_Column] = []
        parts: list[Array] = []
        size = 0
        asked = trees.feature[nodes]
        for feature in np.unique(asked).tolist():
            mine = np.flatnonzero(asked == feature)
            make = self._sets if feature in trees.codes else self._intervals
            bounds, rows = make(trees, feature, mine)
            self._columns.append(
                _Column(feature, bounds, trees.codes.get(feature), size, size + len(rows) - 1)
            )
            size += len(rows)
            parts.append(rows)
        self._table = np.concatenate(parts) if parts else np.zeros((0, width), dtype=word)
        self.bytes = self._table.nbytes
        self._chunk = max(_CACHE // max(width * self._table.itemsize * len(self._columns), 1), 1)
        del self._tree, self._nodes, self._kept

    def one(self, row: Sequence[float]) -> Array:
        """Find the place of the leaf of each tree for one row, counted from 1."""
        if not self._columns:
            return np.ones(self._width, dtype=np.uint8)
        places = [column.place(row[column.feature]) for column in self._columns]
        return _lowest(np.bitwise_and.reduce(self._table.take(places, axis=0), axis=0))

    def many(self, columns: Floats) -> Array:
        """Find the place of the leaf of each tree for each row, counted from 1."""
        rows = columns.shape[1]
        if not self._columns:
            return np.ones((rows, self._width), dtype=np.uint8)
        places = np.empty((len(self._columns), rows), dtype=np.intp)
        for line, column in zip(places, self._columns, strict=True):
            line[:] = column.places(columns[column.feature])
        if np.isnan(columns).any():
            asked = [column.feature for column in self._columns]
            gaps = np.array([[column.gap] for column in self._columns])
            np.copyto(places, gaps, where=np.isnan(columns[asked]))
        left = np.empty((rows, self._width), dtype=self._word)
        for start in range(0, rows, self._chunk):
            part = slice(start, start + self._chunk)
            np.bitwise_and.reduce(self._table.take(places[:, part], axis=0), axis=0, out=left[part])
        return _lowest(left)

    def _intervals(self, trees: Trees, feature: int, mine: Places) -> tuple[Floats, Array]:
        """Make the rows of a column of numbers: one for each interval, and one for a gap."""
        del feature
        bounds, place = np.unique(trees.threshold[self._nodes[mine]], return_inverse=True)
        rows = self._full(len(bounds) + 2)
        np.bitwise_and.at(rows, (place + 1, self._tree[mine]), self._kept[mine])
        np.bitwise_and.accumulate(rows[:-1], axis=0, out=rows[:-1])
        self._gap(rows, trees, mine)
        return bounds, rows

    def _sets(self, trees: Trees, feature: int, mine: Places) -> tuple[Floats, Array]:
        """Make the rows of a column of categories: one for each code, and one for a gap or any other."""
        rows = self._full(len(trees.codes[feature]) + 1)
        for node in mine.tolist():
            away = np.flatnonzero(~trees.sets[int(self._nodes[node])])
            rows[away, self._tree[node]] &= self._kept[node]
        self._gap(rows, trees, mine)
        return np.empty(0), rows

    def _gap(self, rows: Array, trees: Trees, mine: Places) -> None:
        away = mine[~trees.gaps_left[self._nodes[mine]]]
        np.bitwise_and.at(rows[-1], self._tree[away], self._kept[away])

    def _full(self, rows: int) -> Array:
        return np.full((rows, self._width), np.iinfo(self._word).max, dtype=self._word)


class _Column:
    """Finds the row of a table for a value of one column."""

    __slots__ = ("_bounds", "_known", "_list", "_start", "feature", "gap")

    def __init__(
        self, feature: int, bounds: Floats, known: npt.NDArray[np.bool_] | None, start: int, gap: int
    ) -> None:
        self.feature, self._start, self.gap = feature, start, gap
        self._bounds, self._list = bounds, bounds.tolist()
        self._known = None if known is None else known.copy()

    def place(self, value: float) -> int:
        if value != value:  # noqa: PLR0124 - NaN, quicker than math.isnan
            return self.gap
        if self._known is None:
            return self._start + bisect_left(self._list, value)
        code = int(value) if abs(value) < len(self._known) else -1
        return self._start + code if code >= 0 and self._known[code] else self.gap

    def places(self, values: Floats) -> Places:
        """Find the rows for values; where there is none, whoever asks has to say so."""
        if self._known is None:
            found = self._bounds.searchsorted(values)
            found += self._start
            return found
        away = np.isnan(values) | (np.abs(values) >= len(self._known))
        codes = np.where(away, -1, values).astype(np.intp)
        return np.where((codes >= 0) & self._known[codes], codes + self._start, self.gap)


def _lowest(words: Any) -> Array:  # noqa: ANN401 - unsigned integers of any size
    """Find the lowest bit that is set, counted from 1."""
    below = words ^ (words - _ONE[words.dtype.itemsize])  # that bit, and all below it
    if hasattr(np, "bitwise_count"):
        found: Array = np.bitwise_count(below)
    else:  # before numpy 2; exact for powers of two
        found = np.log2((words & below).astype(np.float64)).astype(np.intp) + 1
    return found
