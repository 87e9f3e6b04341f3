"""One part of a column of numbers, and the column that parts add up to.

A part is exact (:class:`Counted`) while that is affordable, and a stream of sums otherwise. Parts merge
in pairs, neighbours first or last: the answer is the same, up to rounding in the fifteenth digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.stats.counted import Counted, quantile
from mlops_magics.stats.distinct import Distinct, Sketching
from mlops_magics.stats.histogram import Bins
from mlops_magics.stats.moments import Moments
from mlops_magics.stats.summary import QUANTILES, Histogram, Numbers

EXACT_ROWS: Final = 2_000_000  # up to here a column is sorted, and every number about it is exact
_TABLED: Final = 1 << 20  # different values that are counted exactly in a longer column
_PROBE: Final = 4_096  # values that tell whether a long column has few different ones
_BLOCK: Final = 65_536  # values: with their temporaries they fit a core's cache
_FEW: Final = 3_600  # different values among them, below which all are counted


@dataclass(frozen=True, slots=True)
class Stream:
    """What is kept of values that are too many to keep.

    Attributes:
        moments: Their moments.
        bins: Their histogram.
        distinct: Their smallest hashes.
        zeros: How many are zero.
        negatives: How many are below zero.
    """

    moments: Moments
    bins: Bins
    distinct: Distinct
    zeros: int
    negatives: int

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> tuple[Stream | None, int, int]:
        """Read values in blocks that fit the cache.

        Args:
            values: The values; NaN and infinities may be among them.

        Returns:
            What is kept of the finite ones, None where there is none; how many are NaN; how many infinite.
        """
        nan = infinite = zeros = negatives = 0
        moments, sketch = Moments(), Sketching()
        low, high = math.inf, -math.inf
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            block, gaps = _finite(block)
            nan, infinite = nan + gaps[0], infinite + gaps[1]
            if not block.size:
                continue
            low, high = min(low, block.min().item()), max(high, block.max().item())
            zeros += block.size - int(np.count_nonzero(block))
            negatives += int(np.count_nonzero(block < 0))
            moments = moments.merged(Moments.of(block))
            sketch.add(hashed(block))
        if low > high:
            return None, nan, infinite
        bins = Bins.of(values, low, high)
        return cls(moments, bins, sketch.made(), zeros, negatives), nan, infinite

    @classmethod
    def of_counted(cls, counted: Counted) -> Stream:
        """Take the same from values that were counted; there is at least one."""
        moments, bins, zeros, negatives = _sums(counted)
        return cls(moments, bins, Distinct.of(hashed(counted.values)), zeros, negatives)

    def merged(self, other: Stream) -> Stream:
        """Take both together."""
        return Stream(
            self.moments.merged(other.moments),
            self.bins.merged(other.bins),
            self.distinct.merged(other.distinct),
            self.zeros + other.zeros,
            self.negatives + other.negatives,
        )


@dataclass(frozen=True, slots=True)
class Course:
    """Whether values only rise or only fall, in the order of the rows.

    Attributes:
        first: The first value; None where there is none.
        last: The last value.
        rising: No value is below the one before it.
        strictly: Each value is above the one before it, which proves that all differ.
        falling: No value is above the one before it.
    """

    first: float | None = None
    last: float | None = None
    rising: bool = True
    falling: bool = True
    strictly: bool = True

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Course:
        """Look at a part's values."""
        if not values.size:
            return cls()
        ends = values[0].item(), values[-1].item()
        rising = _all(np.greater_equal, values)
        falling = (not rising or ends[0] == ends[1]) and _all(np.less_equal, values)
        return cls(*ends, rising, falling, rising and _all(np.greater, values))

    def then(self, other: Course) -> Course:
        """Go on with the rows that follow."""
        if self.last is None or other.first is None:
            return other if self.last is None else self
        return Course(
            self.first,
            other.last,
            self.rising and other.rising and other.first >= self.last,
            self.falling and other.falling and other.first <= self.last,
            self.strictly and other.strictly and other.first > self.last,
        )


@dataclass(frozen=True, slots=True)
class NumberPart:
    """A part of a column of numbers.

    Attributes:
        rows: Its rows.
        nulls: Rows without a value.
        nan: Rows that hold NaN.
        infinite: Rows that hold plus or minus infinity.
        held: The finite values: counted, streamed, or None where there is none.
        course: Whether they rise or fall.
        limit: How many different values may be counted exactly.
    """

    rows: int
    nulls: int
    nan: int
    infinite: int
    held: Counted | Stream | None
    course: Course
    limit: int

    @classmethod
    def of(cls, values: npt.NDArray[Any], nulls: int, total: int) -> NumberPart:
        """Take a part.

        Args:
            values: Its values, nulls left out; NaN and infinities may be among them.
            nulls: How many rows have none.
            total: The rows of the whole column, which decide whether it stays exact.
        """
        limit = EXACT_ROWS if total <= EXACT_ROWS else _TABLED
        held, nan, infinite = _held(values, total)
        course = Course.of(values[~np.isnan(values)] if nan else values)  # NaN is missing, as nulls are
        return cls(values.size + nulls, nulls, nan, infinite, held, course, limit)

    def then(self, other: NumberPart) -> NumberPart:
        """Go on with the rows that follow."""
        return NumberPart(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.nan + other.nan,
            self.infinite + other.infinite,
            _merged(self.held, other.held, self.limit),
            self.course.then(other.course),
            self.limit,
        )

    @property
    def distinct(self) -> tuple[int, float]:
        """How many different finite values there are, and the relative standard error of that."""
        if self.held is None:
            return 0, 0.0
        if isinstance(self.held, Counted):
            return int(self.held.values.size), 0.0
        if self.course.strictly:
            return self.held.moments.count, 0.0
        return min(self.held.distinct.count, self.held.moments.count), self.held.distinct.error

    def numbers(self, sample: npt.NDArray[np.float64], unit: float = 1.0) -> Numbers | None:
        """Return the distribution.

        Args:
            sample: The finite values of the row sample, sorted, in the unit that is shown: quantiles come
                from it where the column is too long to be sorted.
            unit: What values are multiplied by to be shown.

        Returns:
            The distribution, or None where no value is finite.
        """
        if self.held is None:
            return None
        if isinstance(self.held, Counted):
            moments, bins, zeros, negatives = _sums(self.held)
            found = {share: value * unit for share, value in self.held.quantiles(QUANTILES).items()}
            error = 0.0
        else:
            held = self.held
            moments, bins, zeros, negatives = held.moments, held.bins, held.zeros, held.negatives
            found = {share: quantile(share, sample.size, sample.__getitem__) for share in QUANTILES}
            error = 0.5 / math.sqrt(sample.size)
        std = moments.std
        return Numbers(
            count=moments.count,
            minimum=bins.low * unit,
            maximum=bins.high * unit,
            mean=min(max(moments.mean, bins.low), bins.high) * unit,
            std=None if std is None else std * unit,
            skew=moments.skew,
            kurtosis=moments.kurtosis,
            quantiles=found,
            rank_error=error,
            histogram=Histogram(bins.start * unit, bins.width * unit, tuple(bins.counts.tolist())),
            zeros=zeros,
            negatives=negatives,
        )


def _all(compare: np.ufunc, values: npt.NDArray[Any]) -> bool:
    """Compare each value with the one before it; most columns show in their first values that it fails."""
    return all(bool(compare(part[1:], part[:-1]).all()) for part in (values[:64], values))


def hashed(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Hash numbers to 64 bits each."""
    if values.dtype.kind == "f" and values.dtype.itemsize < 4:  # noqa: PLR2004 - bytes; half floats are rare
        values = values.astype(np.float32)
    hashes: npt.NDArray[np.uint64] = pl.Series(values).hash().to_numpy()
    return hashes


def _sums(counted: Counted) -> tuple[Moments, Bins, int, int]:
    values, counts = counted.values, counted.counts
    zero, above = np.searchsorted(values, values.dtype.type(0), "left"), np.searchsorted(values, 0, "right")
    once = values.size == counted.total
    return (
        Moments.of(values, None if once else counts),
        Bins.of_sorted(values, counts),
        int(counts[zero:above].sum()),
        int(counts[:zero].sum()),
    )


def _finite(block: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[int, int]]:
    """Leave NaN and infinities out of a block, and count them."""
    if block.dtype.kind != "f":
        return block, (0, 0)
    keep = np.isfinite(block)
    kept = int(np.count_nonzero(keep))
    if kept == block.size:
        return block, (0, 0)
    nan = int(np.count_nonzero(np.isnan(block)))
    return block[keep], (nan, block.size - kept - nan)


def _held(values: npt.NDArray[Any], total: int) -> tuple[Counted | Stream | None, int, int]:
    if total <= EXACT_ROWS or Counted.short(values):
        return _counted(values)
    probe = values[:: max(values.size // _PROBE, 1)]
    if np.unique(probe).size <= _FEW:
        held, nan, infinite = _counted(values)
        if held is None or held.values.size <= _TABLED:
            return held, nan, infinite
    return Stream.of(values)


def _counted(values: npt.NDArray[Any]) -> tuple[Counted | None, int, int]:
    """Count values; sorted, those that are not finite stand at the ends."""
    if values.dtype.kind != "f":
        return (Counted.of(values) if values.size else None), 0, 0
    ordered = np.sort(values)
    start = int(np.searchsorted(ordered, -np.inf, "right"))
    stop, held = np.searchsorted(ordered, np.inf, "left"), np.searchsorted(ordered, np.inf, "right")
    counted = Counted.of_sorted(ordered[start:stop])[0] if stop > start else None
    return counted, values.size - int(held), start + int(held - stop)


def _merged(
    left: Counted | Stream | None, right: Counted | Stream | None, limit: int
) -> Counted | Stream | None:
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, Counted) and isinstance(right, Counted):
        both = left.merged(right)
        return both if both.values.size <= limit else Stream.of_counted(both)
    return _streamed(left).merged(_streamed(right))


def _streamed(held: Counted | Stream) -> Stream:
    return held if isinstance(held, Stream) else Stream.of_counted(held)
