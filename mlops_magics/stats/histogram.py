"""Histograms that add up: bins whose width is a power of two and whose edges are its multiples.

Bins twice as wide are pairs of bins, so histograms of parts merge exactly, in one pass and in any
order, although nobody knows the whole range before the last part was read. The bins are the narrowest
that need at most 64 for the range, hence 33 or more for whatever is not whole numbers in a short range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MOST: Final = 64
_BLOCK = 65_536
_LOWEST = -1_074  # the exponent of the least double
_SCALABLE = 1_000  # exponents whose power of two is a normal double, and so is its inverse


@dataclass(frozen=True, slots=True)
class Bins:
    """Counts by place: the bin at place p holds ``p * 2**exponent <= value < (p + 1) * 2**exponent``.

    Attributes:
        exponent: The width is two to this power.
        first: The place of the first bin.
        counts: What each bin holds, from the first on.
        low: The least value.
        high: The greatest value.
    """

    exponent: int
    first: int
    counts: npt.NDArray[np.int64]
    low: float
    high: float

    @classmethod
    def of_sorted(cls, values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> Bins:
        """Count different finite values that are sorted, with how often each occurs."""
        low, high = values[0].item(), values[-1].item()
        exponent = fitting(low, high)
        first, last = _place(low, exponent), _place(high, exponent)
        places = [first + step for step in range(1, last - first + 1)]
        inner = np.array([_edge(place, exponent, values.dtype) for place in places], values.dtype)
        below = np.concatenate([[0], np.cumsum(counts)])
        at = np.concatenate([[0], np.searchsorted(values, inner), [values.size]])
        return cls(exponent, first, np.diff(below[at]), low, high)

    @classmethod
    def of(cls, values: npt.NDArray[Any], low: float, high: float) -> Bins:
        """Count finite values in any order, whose least and greatest are known; others are left out."""
        exponent = fitting(low, high)
        first, last = _place(low, exponent), _place(high, exponent)
        counts = np.zeros(last - first + 1, np.int64)
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            if block.dtype.kind == "f" and not (keep := np.isfinite(block)).all():
                block = block[keep]
            counts += np.bincount(_places(block, exponent, first), minlength=counts.size)
        return cls(exponent, first, counts, low, high)

    def merged(self, other: Bins) -> Bins:
        """Count both together."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        exponent = max(fitting(low, high), self.exponent, other.exponent)
        first, last = _place(low, exponent), _place(high, exponent)
        counts = np.zeros(last - first + 1, np.int64)
        for part in (self, other):
            places = [
                ((part.first + i) >> (exponent - part.exponent)) - first for i in range(part.counts.size)
            ]
            np.add.at(counts, places, part.counts)
        return Bins(exponent, first, counts, low, high)

    @property
    def width(self) -> float:
        """The width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def start(self) -> float:
        """The lower edge of the first bin."""
        return _scaled(self.first, self.exponent)


def fitting(low: float, high: float) -> int:
    """Return the least exponent whose bins need at most ``MOST`` for a range.

    For whole numbers it is at least 0. It never is less than the last digit of the range's larger end,
    so that every place is a whole number that a double holds.
    """
    if isinstance(low, int) and isinstance(high, int):
        exponent = max((high - low).bit_length() - 7, 0)
    else:
        reach = max(abs(low), abs(high))
        least = max(math.frexp(reach)[1] - 53, _LOWEST) if reach else _LOWEST
        span = high / 2 - low / 2  # halved, for the whole may not be a double
        exponent = max(math.frexp(span)[1] + 1 - 7, least) if span else least
    while _place(high, exponent) - _place(low, exponent) >= MOST:
        exponent += 1
    return exponent


def _place(value: float, exponent: int) -> int:
    if isinstance(value, int) and exponent >= 0:
        return value >> exponent
    place = math.floor(_scaled(value, -exponent))
    return -1 if value < 0 <= place else place  # so little below zero that the scaling lost it


def _scaled(value: float, exponent: int) -> float:
    """Multiply by a power of two, exactly; in two steps where the power itself is no double."""
    half = exponent // 2
    try:
        return math.ldexp(math.ldexp(float(value), half), exponent - half)
    except OverflowError:  # the upper edge of the last bin may be beyond the greatest double
        return math.inf if value > 0 else -math.inf


def _edge(place: int, exponent: int, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - of the values' own type
    if dtype.kind in "iu":
        return place << exponent
    # In 32 or 16 bits the edge may not be there: the next one up has the same values below it.
    edge = _scaled(place, exponent)
    narrow = dtype.type(edge)
    return narrow if float(narrow) >= edge else np.nextafter(narrow, dtype.type(np.inf))


def _places(values: npt.NDArray[Any], exponent: int, first: int) -> npt.NDArray[np.int64]:
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:  # noqa: PLR2004 - bytes; may not fit a signed one
        return ((values >> np.uint64(exponent)) - np.uint64(first)).astype(np.int64)
    if values.dtype.kind in "iub":
        return (values.astype(np.int64, copy=False) >> exponent) - first
    wide = values.astype(np.float64, copy=False)
    scaled = np.ldexp(wide, -exponent) if abs(exponent) > _SCALABLE else wide * math.ldexp(1.0, -exponent)
    np.floor(scaled, out=scaled)
    if first < 0:  # as in _place
        scaled[(scaled == 0) & (wide < 0)] = -1
    return scaled.astype(np.int64) - first
