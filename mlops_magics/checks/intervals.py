"""How sure a number is: the interval estimates that all metrics and comparisons use.

Everything here is a function of arrays, and gives the same result in every run: the one random
number generator has a fixed seed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.model import Numbers

Z = 1.959963984540054  # the 97.5 % point of the normal distribution: intervals hold 95 %
_REPLICATES = 1000
_UNITS = 2000  # resampled units; a standard error from so many is right to 2 %
_SEED = 20_240_607


class Estimate(NamedTuple):
    """A number and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


class Influence(NamedTuple):
    """A statistic, and how much each row moves it.

    The rows' influences sum to zero and their squares to the variance of the statistic, so that the
    variance of a difference on the same rows is the sum of squares of the differences.
    """

    value: float
    rows: Numbers

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.rows @ self.rows))


def wilson(hits: float, trials: float) -> Estimate:
    """Estimate a proportion.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Args:
        hits: How often it was so.
        trials: Of how many.
    """
    if trials <= 0:
        return UNDEFINED
    share = hits / trials
    scale = 1 + Z**2 / trials
    centre = (share + Z**2 / (2 * trials)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    # At 0 and 1 the bound equals the share exactly; rounding must not push it past.
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def on_logit(value: float, error: float, scarce: int) -> Estimate:
    """Bound a number between 0 and 1 symmetrically on the scale of its log odds (delta method).

    Pepe, "The Statistical Evaluation of Medical Tests" (2003), section 5.2.

    Args:
        value: The number.
        error: Its standard error.
        scarce: Rows of the smaller class. Where the error vanishes (a perfect ranking), Wilson's bound
            for that many trials is taken: a few rows ranked without a fault prove little.
    """
    if not math.isfinite(value):
        return UNDEFINED
    spread = value * (1 - value)
    if error <= 0 or spread <= 0:
        return wilson(value * scarce, scarce)
    centre, half = math.log(value / (1 - value)), Z * error / spread
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, centre + side)))) for side in (-half, half))
    return Estimate(value, low, high)


def roc_auc(positive: npt.NDArray[np.bool_], score: Numbers) -> Influence | None:
    """Measure the area under the ROC curve with DeLong's variance in O(n log n).

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); midranks as in Sun and Xu, IEEE Signal
    Processing Letters 21 (2014). The structural components are scaled so that their squares sum to
    the published variance, and their products to the published covariance.

    Args:
        positive: Which rows are of the positive class.
        score: What ranks them.

    Returns:
        The area, or None where a class has fewer than two rows.
    """
    count, others = int(positive.sum()), int((~positive).sum())
    if count < 2 or others < 2:  # noqa: PLR2004 - a variance needs two
        return None
    order = np.argsort(score)
    ranked, first = score[order], positive[order]
    if math.isnan(ranked[-1]):  # they are sorted to the end
        return Influence(math.nan, np.full(len(score), math.nan))
    # One sort is enough: below each score lie so many positives, and the others are the rest.
    begins = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    ends = np.append(begins[1:], len(ranked))
    so_far = np.concatenate([[0], np.cumsum(first)])
    positives = (so_far[begins] + so_far[ends]) / 2  # of equal scores half are counted
    below = np.repeat(np.column_stack([positives, (begins + ends) / 2 - positives]), ends - begins, axis=0)
    of_row = np.where(first, below[:, 1] / others, 1 - below[:, 0] / count)
    area = float(of_row[first].mean())
    rows = np.empty(len(score))
    scale = np.where(first, math.sqrt(count * (count - 1)), math.sqrt(others * (others - 1)))
    rows[order] = (of_row - area) / scale
    return Influence(area, rows)


def average_precision(positive: npt.NDArray[np.bool_], score: Numbers) -> Influence | None:
    """Measure the average precision, and its variance by the infinitesimal jackknife.

    With rows as weights w, AP = sum over positives of w_i P(s_i) / sum of positives' w_i, where
    P(s) = TP(s) / N(s) counts the rows that score at least s; its derivative in each w_j is written
    out (Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, chapter 6).

    Args:
        positive: Which rows are of the positive class.
        score: What ranks them.

    Returns:
        The average precision, or None where no row, or every row, is positive.
    """
    total = int(positive.sum())
    if total in {0, len(score)}:
        return None
    _, level = np.unique(-score, return_inverse=True)  # equal scores share a threshold
    hits = np.bincount(level, weights=positive)
    taken = np.cumsum(np.bincount(level))
    precision = np.cumsum(hits) / taken
    value = float(hits @ precision) / total
    later = np.cumsum((hits / taken)[::-1])[::-1]
    later_lost = np.cumsum((hits * precision / taken)[::-1])[::-1]
    rows = positive * (precision[level] - value + later[level]) - later_lost[level]
    return Influence(value, rows / total)


def median(values: Numbers) -> tuple[Estimate, Influence]:
    """Estimate a median by order statistics, free of any distribution.

    Hahn and Meeker, "Statistical Intervals" (1991), section 5.2. The influence takes the density at
    the median from the width of that interval.

    Args:
        values: The values.
    """
    ordered, count = np.sort(values), len(values)
    value = float(np.median(values))
    half = Z * math.sqrt(count) / 2
    low = float(ordered[max(0, math.floor(count / 2 - half))])
    high = float(ordered[min(count - 1, math.ceil(count / 2 + half))])
    error = (high - low) / (2 * Z)
    rows = np.sign(values - value) * error / math.sqrt(count)
    return Estimate(value, low, high), Influence(value, rows)


def resampled(columns: Numbers) -> Numbers:
    """Resample the column sums of a table: a Poisson bootstrap.

    Each row counts Poisson(1) times (Chamandy and others, "Estimating uncertainty for massive data
    streams", Google 2012). Long tables are first summed into blocks of every 2000th row, which leaves
    the variance of the sums as it is and bounds the cost.

    Args:
        columns: One row a row, one column a term.

    Returns:
        One row a replicate, one column a term.
    """
    rows = len(columns)
    if rows > _UNITS:
        whole = rows - rows % _UNITS
        blocks = columns[:whole].reshape(-1, _UNITS, columns.shape[1]).sum(axis=0)
        blocks[: rows - whole] += columns[whole:]
    else:
        blocks = columns
    return np.asarray(_weights(len(blocks)).astype(np.float64) @ blocks)


@lru_cache(maxsize=4)
def _weights(units: int) -> npt.NDArray[np.uint8]:
    """Draw how often each unit counts in each replicate: the same for every table of that length."""
    drawn = np.random.default_rng(_SEED).poisson(1.0, size=(_REPLICATES, units)).astype(np.uint8)
    drawn.flags.writeable = False
    return drawn


def percentile(value: float, replicates: Numbers) -> Estimate:
    """Bound a statistic by the 2.5 and 97.5 % points of its replicates.

    Args:
        value: The statistic on the rows as they are.
        replicates: The statistic on resampled rows; NaN where a replicate does not define it.
    """
    finite = replicates[np.isfinite(replicates)]
    if not math.isfinite(value) or len(finite) < len(replicates) / 2:
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(finite, (0.025, 0.975))
    # Where nothing varies, rounding alone would put the value outside.
    return Estimate(value, min(value, float(low)), max(value, float(high)))
