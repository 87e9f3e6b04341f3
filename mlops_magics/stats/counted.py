"""Different values with how often each occurs: the exact form of a column, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]

TOP: Final = 10
_SHORT_RANGE = 1 << 20  # whole numbers of so short a range are counted in a table, without sorting
_BLOCK = 262_144


@dataclass(frozen=True, slots=True)
class Counted:
    """Different values, sorted, and their counts.

    Attributes:
        values: The values: numbers, or the 64-bit hashes of texts.
        counts: How often each occurs.
    """

    values: Values
    counts: Counts

    @classmethod
    def of(cls, values: Values) -> Counted:
        """Count finite values in any order."""
        if values.dtype.kind in "iu" and values.size:
            low, high = int(values.min()), int(values.max())
            if high - low < min(_SHORT_RANGE, 4 * values.size):
                return cls._of_table(values, low, high)
        return cls.of_sorted(np.sort(values))[0]

    @classmethod
    def of_sorted(cls, values: Values) -> tuple[Counted, Counts]:
        """Count sorted values; return also where each different one starts."""
        new = np.empty(values.size, bool)
        new[:1] = True
        np.not_equal(values[1:], values[:-1], out=new[1:])
        starts = np.flatnonzero(new)
        if starts.size == values.size:  # all differ
            return cls(values, np.ones(values.size, np.int64)), starts
        return cls(values[starts], np.diff(starts, append=values.size)), starts

    @classmethod
    def _of_table(cls, values: Values, low: int, high: int) -> Counted:
        table = np.zeros(high - low + 1, np.int64)
        step = max(_BLOCK, 4 * table.size)  # bincount makes a table a block
        for start in range(0, values.size, step):
            block = values[start : start + step]
            table += np.bincount(_above(block, low), minlength=table.size)
        held = np.flatnonzero(table)
        whole = np.uint64 if values.dtype.kind == "u" else np.int64
        return cls(held.astype(whole) + whole(low), table[held])

    @classmethod
    def short(cls, values: Values) -> bool:
        """Tell whether values are whole numbers of a range short enough for a table."""
        if values.dtype.kind not in "iu" or not values.size:
            return False
        return int(values.max()) - int(values.min()) < _SHORT_RANGE

    def merged(self, other: Counted) -> Counted:
        """Count both together."""
        if not self.values.size or not other.values.size:
            return self if self.values.size else other
        values = np.concatenate([self.values, other.values])
        counts = np.concatenate([self.counts, other.counts])
        order = np.argsort(values, kind="stable")  # both halves are sorted: a merge
        values, counts = values[order], counts[order]
        starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
        return Counted(values[starts], np.add.reduceat(counts, starts))

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def places(self, limit: int) -> npt.NDArray[np.intp]:
        """Return where the most frequent values stand; of equally frequent ones the least come first."""
        count = min(limit, self.counts.size)
        if not count:
            return np.empty(0, np.intp)
        least = np.partition(self.counts, -count)[-count]
        surely = np.flatnonzero(self.counts > least)
        tied = np.flatnonzero(self.counts == least)[: count - surely.size]
        found = np.concatenate([surely, tied])
        return found[np.lexsort((found, -self.counts[found]))]

    def most(self, limit: int = TOP) -> list[tuple[Any, int]]:
        """Return the most frequent values with their counts; of equals, the least value first."""
        return [(self.values[place].item(), int(self.counts[place])) for place in self.places(limit)]

    def quantiles(self, shares: tuple[float, ...]) -> dict[float, float]:
        """Return several quantiles."""
        ends = np.cumsum(self.counts)
        total = int(ends[-1])
        if total == self.values.size:  # all differ: a rank is a place
            return {share: quantile(share, total, self.values.__getitem__) for share in shares}
        return {
            share: quantile(share, total, lambda rank: self.values[np.searchsorted(ends, rank, "right")])
            for share in shares
        }


def _above(values: Values, low: int) -> npt.NDArray[np.int64]:
    if values.dtype == np.uint64:  # may fit no signed number; the difference does
        return (values - np.uint64(low)).astype(np.int64)
    return values.astype(np.int64, copy=False) - low


def quantile(share: float, total: int, at: Any) -> float:  # noqa: ANN401 - a rank's value
    """Interpolate between the two ranks around a share of ``total - 1``."""
    place = share * (total - 1)
    rank = int(place)
    low, high = float(at(rank)), float(at(min(rank + 1, total - 1)))
    part = place - rank
    if low == high or part == 0.0:
        return low
    return low * (1 - part) + high * part
