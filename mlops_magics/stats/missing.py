"""Which columns are missing in the same rows, and which rows repeat others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.counted import Counted
from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import Duplicates, MissingPattern

MOST: Final = 20
_BITS: Final = 40  # columns whose gaps fit beside the number of a pattern of 100,000 rows
_CELLS: Final = 50_000_000
_COMPARED: Final = 50_000_000  # rows whose hashes are all kept: 400 MB
_PART: Final = 64  # of longer tables, one hash in so many is kept


def patterns(columns: Sequence[SampleColumn], rows: int) -> tuple[MissingPattern, ...]:
    """Find the most frequent sets of columns that are missing together, the most frequent first.

    Args:
        columns: The sampled columns.
        rows: How many rows the sample has.
    """
    gaps = [(item.label, item.missing) for item in columns]
    gaps = [(label, missing) for label, missing in gaps if missing.any()]
    if not rows:
        return ()
    if not gaps:
        return (MissingPattern((), rows, 1.0),)
    step = max(1, rows * len(gaps) // _CELLS)
    looked = len(gaps[0][1][::step])
    keys = np.zeros(looked, np.int64)
    for place, (_, missing) in enumerate(gaps):
        if place and place % _BITS == 0:  # no room for more: number the patterns so far
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        keys = (keys << 1) | missing[::step]
    counted, starts = Counted.of_sorted(keys[order := np.argsort(keys)])
    firsts, counts = np.minimum.reduceat(order, starts), counted.counts
    found = []
    for place in np.lexsort((firsts, -counts))[:MOST]:
        row = firsts[place] * step
        names = tuple(label for label, missing in gaps if missing[row])
        count = int(counts[place])
        found.append(MissingPattern(names, round(count * rows / looked), count / looked))
    return tuple(found)


def combined(columns: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """Make one hash a row of the hashes of its values, so that a value counts by its column too."""
    total = np.zeros(columns[0].size, np.uint64)
    for hashes in columns:
        total ^= hashes
        total *= np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return total


class RowHashes:
    """The hashes of whole rows, part by part.

    Args:
        rows: How many rows the table has; of a very long one a part of the hash range is kept.
    """

    def __init__(self, rows: int) -> None:
        self._exact = rows <= _COMPARED
        self._kept: list[npt.NDArray[np.uint64]] = []

    def add(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Take the hashes of some rows."""
        self._kept.append(hashes if self._exact else hashes[hashes % np.uint64(_PART) == 0])

    def duplicates(self) -> Duplicates:
        """Count the rows that repeat an earlier one."""
        hashes = np.sort(np.concatenate(self._kept)) if self._kept else np.empty(0, np.uint64)
        repeated = int(np.count_nonzero(hashes[1:] == hashes[:-1]))
        return Duplicates(repeated if self._exact else repeated * _PART, self._exact)
