"""How likely chance alone makes two sets of counts differ as much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_EXPECTED: Final = 5.0  # rows in a cell, below which it is put together with other small ones
_MANY: Final = 10.0  # rows expected of either kind, from which on a proportion is nearly normal

Counts = Sequence[int] | npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class ChiSquare(NamedTuple):
    """Two tables of counts, compared.

    Attributes:
        statistic: Pearson's.
        freedom: Its degrees of freedom.
        p: How likely chance alone makes it as large.
        effect: How far the shares are apart, from 0 to 1: Cramer's V, less what chance adds, as it would be
            of two tables with as many rows each. It grows neither with cells nor with rows, and is the same
            for a small window as for one as large as the reference.
    """

    statistic: float = 0.0
    freedom: int = 0
    p: float = 1.0
    effect: float = 0.0


def chi_square(one: Counts, two: Counts) -> ChiSquare:
    """Compare two tables of counts; cells in which few rows are expected are put together."""
    from scipy.special import chdtrc

    a, b = _joined(np.asarray(one, np.float64), np.asarray(two, np.float64))
    all_a, all_b = a.sum(), b.sum()
    if a.size <= 1 or not all_a or not all_b:
        return ChiSquare()
    root, freedom = math.sqrt(all_b / all_a), a.size - 1
    statistic = float(((root * a - b / root) ** 2 / (a + b)).sum())
    p, q = a / all_a, b / all_b
    apart = float(((p - q) ** 2 / (p + q)).sum()) / 2 - freedom / 4 * float(1 / all_a + 1 / all_b)
    effect = math.sqrt(min(1.0, max(0.0, apart)))
    return ChiSquare(statistic, freedom, float(chdtrc(freedom, statistic)), effect)


def _joined(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Put cells in which few rows are expected together; those without any row go."""
    all_a, all_b = a.sum(), b.sum()
    if not all_a or not all_b:
        return a, b
    small = (a + b) * min(all_a, all_b) / (all_a + all_b) < _EXPECTED
    if small.any():
        a, b = np.append(a[~small], a[small].sum()), np.append(b[~small], b[small].sum())
        if 0 < (a[-1] + b[-1]) * min(all_a, all_b) / (all_a + all_b) < _EXPECTED and a.size > 1:
            least = int(np.argmin((a + b)[:-1]))  # what is left over is still small: to the least of the rest
            a[least], b[least] = a[least] + a[-1], b[least] + b[-1]
            a, b = a[:-1], b[:-1]
    held = (a + b) > 0
    return a[held], b[held]


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
        return chi_square((held, rows - held), (now_held, now_rows - now_held)).p
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
