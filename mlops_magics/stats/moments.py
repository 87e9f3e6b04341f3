"""The first four central moments, in blocks that fit the cache, mergeable without losing digits.

The merging formulas are those of Pébay, "Formulas for robust, one-pass parallel computation of
covariances and arbitrary-order statistical moments" (2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 32_768  # values: with their temporaries they fit a core's cache


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of powers of the distances from the mean.

    Attributes:
        count: How many values.
        mean: Their mean.
        m2: The sum of the squared distances from the mean.
        m3: Of the cubed ones.
        m4: Of the fourth powers.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0

    @classmethod
    def of(cls, values: npt.NDArray[Any], counts: npt.NDArray[np.int64] | None = None) -> Moments:
        """Take the moments of finite numbers.

        Args:
            values: The numbers.
            counts: How often each occurs; once, where it is None.
        """
        if not values.size:
            return cls()
        total = values.size if counts is None else int(counts.sum())
        with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e77 a fourth power is infinite
            mean = _mean(values, counts, total)
            sums = np.zeros(4)
            for start in range(0, values.size, _BLOCK):
                away = np.subtract(values[start : start + _BLOCK], mean, dtype=np.float64)
                square = away * away
                weight = None if counts is None else counts[start : start + _BLOCK]
                sums += _sums(away, square, weight)
            drift = float(sums[0]) / total  # what rounding left in the mean
        moments = cls(total, mean, float(sums[1]), float(sums[2]), float(sums[3]))
        return moments._moved(drift) if math.isfinite(drift) else moments

    def _moved(self, drift: float) -> Moments:
        n, mean, m2, m3, m4 = self.count, self.mean + drift, self.m2, self.m3, self.m4
        if abs(drift) > 1e75:  # noqa: PLR2004 - its fourth power is infinite, and so are these sums already
            return Moments(n, mean, m2, m3, m4)
        return Moments(
            n,
            mean,
            max(m2 - n * drift**2, 0.0),
            m3 - 3 * drift * m2 + 2 * n * drift**3,
            max(m4 - 4 * drift * m3 + 6 * drift**2 * m2 - 3 * n * drift**4, 0.0),
        )

    def merged(self, other: Moments) -> Moments:
        """Take the moments of both together."""
        if not self.count or not other.count:
            return self if self.count else other
        a, b = float(self.count), float(other.count)
        n, d = a + b, other.mean - self.mean
        try:
            m2 = self.m2 + other.m2 + d**2 * a * b / n
            m3 = self.m3 + other.m3 + d**3 * a * b * (a - b) / n**2
            m3 += 3 * d * (a * other.m2 - b * self.m2) / n
            m4 = self.m4 + other.m4 + d**4 * a * b * (a * a - a * b + b * b) / n**3
            m4 += 6 * d**2 * (a * a * other.m2 + b * b * self.m2) / n**2
            m4 += 4 * d * (a * other.m3 - b * self.m3) / n
        except OverflowError:
            m2 = m3 = m4 = math.inf
        return Moments(self.count + other.count, self.mean + d * b / n, m2, m3, m4)

    @property
    def std(self) -> float | None:
        """The standard deviation, with n - 1."""
        if self.count < 2:  # noqa: PLR2004 - one value has no spread
            return None
        return _finite(math.sqrt(self.m2 / (self.count - 1)))

    @property
    def skew(self) -> float | None:
        """The third standardised moment, as scipy computes it."""
        variance = self._variance()
        if variance is None:
            return None
        return _finite(self.m3 / self.count / variance**1.5)

    @property
    def kurtosis(self) -> float | None:
        """The fourth standardised moment less 3, as scipy computes it."""
        variance = self._variance()
        if variance is None:
            return None
        return _finite(self.m4 / self.count / variance**2 - 3)

    def _variance(self) -> float | None:
        """Return the variance; None where it is zero, rounding noise, or beyond what a double can square."""
        if not self.count:
            return None
        variance = self.m2 / self.count
        noise = (4 * np.finfo(np.float64).eps * abs(self.mean)) ** 2 if abs(self.mean) < 1e150 else math.inf  # noqa: PLR2004 - its square is finite
        inside = 1e-150 < variance < 1e150  # noqa: PLR2004 - and so are the variance's powers
        return variance if inside and variance > noise else None


def _mean(values: npt.NDArray[Any], counts: npt.NDArray[np.int64] | None, total: int) -> float:
    if counts is None:
        mean = float(values.mean(dtype=np.float64))
    else:
        mean = float(np.einsum("i,i->", values.astype(np.float64, copy=False), counts.astype(np.float64)))
        mean /= total
    if math.isfinite(mean):
        return mean
    halves = values.astype(np.float64, copy=False) / total  # the sum overflows: divide first
    return float((halves if counts is None else halves * counts).sum())


def _sums(
    away: npt.NDArray[np.float64], square: npt.NDArray[np.float64], weight: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64]:
    # einsum, not @: BLAS would wake its threads for each block, which then spin for longer than it takes.
    if weight is None:
        sums = (
            away.sum(),
            square.sum(),
            np.einsum("i,i->", square, away),
            np.einsum("i,i->", square, square),
        )
    else:
        held = square * weight
        sums = (
            np.einsum("i,i->", away, weight.astype(np.float64)),
            held.sum(),
            np.einsum("i,i->", held, away),
            np.einsum("i,i->", held, square),
        )
    return np.array(sums)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
