"""How likely chance alone makes two sets of counts differ as much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_EXPECTED: Final = 5.0  # rows in a cell, below which it is put together with other small ones
_MANY: Final = 10.0  # rows expected of either kind, from which on a proportion is nearly normal

Counts = Sequence[int] | npt.NDArray[np.int64]


def chi_square(one: Counts, two: Counts) -> tuple[float, int, float]:
    """Compare two tables of counts; cells in which few rows are expected are put together.

    Returns:
        Pearson's statistic, its degrees of freedom, and the p-value.
    """
    from scipy.special import chdtrc

    a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
    all_a, all_b = a.sum(), b.sum()
    if not all_a or not all_b:
        return 0.0, 0, 1.0
    small = (a + b) * min(all_a, all_b) / (all_a + all_b) < _EXPECTED
    if small.any():
        a, b = np.append(a[~small], a[small].sum()), np.append(b[~small], b[small].sum())
        if 0 < (a[-1] + b[-1]) * min(all_a, all_b) / (all_a + all_b) < _EXPECTED and a.size > 1:
            least = int(np.argmin((a + b)[:-1]))  # what is left over is still small: to the least of the rest
            a[least], b[least] = a[least] + a[-1], b[least] + b[-1]
            a, b = a[:-1], b[:-1]
    held = (a + b) > 0
    a, b = a[held], b[held]
    if a.size <= 1:
        return 0.0, 0, 1.0
    root = math.sqrt(all_b / all_a)
    statistic = float(((root * a - b / root) ** 2 / (a + b)).sum())
    return statistic, a.size - 1, float(chdtrc(a.size - 1, statistic))


def cramers_v(statistic: float, freedom: int, rows: float) -> float:
    """Turn the statistic into an effect from 0 to 1 that does not grow with the number of cells or rows."""
    if not freedom or rows <= 1:
        return 0.0
    return math.sqrt(min(1.0, max(0.0, statistic / rows - freedom / (rows - 1))))


def proportion(held: int, rows: int, now_held: int, now_rows: int) -> float:
    """Compare how often something was so with how often it is: the p-value, from both sides.

    Args:
        held: How often it was, in the reference.
        rows: Of how many rows.
        now_held: How often it is, in the window.
        now_rows: Of how many rows.
    """
    if not rows or not now_rows:
        return 1.0
    total, both = held + now_held, rows + now_rows
    if 2 * total > both:  # the rarer of yes and no tells more
        held, now_held, total = rows - held, now_rows - now_held, both - total
    share = now_rows / both
    if total * min(share, 1 - share) >= _MANY:
        return chi_square((held, rows - held), (now_held, now_rows - now_held))[2]
    return min(1.0, 2 * min(at_least(now_held, total, share), at_most(now_held, total, share)))


def at_least(count: int, total: int, share: float) -> float:
    """Return the chance of so many or more of a total, each with the same chance."""
    from scipy.special import bdtrc

    return 1.0 if count <= 0 else float(bdtrc(count - 1, total, share))


def at_most(count: int, total: int, share: float) -> float:
    """Return the chance of so many or fewer of a total, each with the same chance."""
    from scipy.special import bdtr

    return float(bdtr(count, total, share)) if total else 1.0


def kolmogorov_smirnov(one: Counts, two: Counts) -> tuple[float, float]:
    """Compare two sets of counts in ordered bins.

    Returns:
        The greatest distance of the two running shares, and the p-value.
    """
    from scipy.special import kolmogorov

    a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
    all_a, all_b = a.sum(), b.sum()
    if not all_a or not all_b:
        return 0.0, 1.0
    distance = float(np.abs(np.cumsum(a) / all_a - np.cumsum(b) / all_b).max())
    root = math.sqrt(all_a * all_b / (all_a + all_b))
    return distance, float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


def shares(counts: Counts) -> npt.NDArray[np.float64]:
    """Turn counts into shares of 1."""
    found: npt.NDArray[np.float64] = np.asarray(counts, np.float64)
    return found / max(float(found.sum()), 1.0)
