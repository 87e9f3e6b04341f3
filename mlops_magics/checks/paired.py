"""Is it better than the champion, or only luckier? Both models on the same rows, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlops_magics.checks import intervals
from mlops_magics.checks.intervals import Z
from mlops_magics.checks.metrics import HIGHER_IS_BETTER, Measured
from mlops_magics.checks.model import Numbers

MARGIN = 0.01
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate beside a champion in one metric, on the same rows.

    Attributes:
        metric: The metric.
        candidate: The candidate's value.
        champion: The champion's value.
        difference: The candidate's less the champion's.
        low: The lower end of the difference's 95 % interval.
        high: The upper end.
        p_value: Two-sided, of no difference.
        better: True or False where the difference is significant; None where it is inside the noise.
        non_inferior: Whether it is surely (one-sided) not worse by more than the margin.
    """

    metric: str
    candidate: float
    champion: float
    difference: float
    low: float
    high: float
    p_value: float
    better: bool | None
    non_inferior: bool


class _Difference(NamedTuple):
    shift: float  # the centre of the interval: near the difference, but not always it
    error: float
    p_value: float


def compare(
    candidate: Measured, champion: Measured, *, margin: float = MARGIN, alpha: float = ALPHA
) -> tuple[Comparison, ...]:
    """Compare two models in all metrics that both have.

    DeLong's test for the area under the ROC curve, McNemar's for accuracy, the infinitesimal jackknife
    for average precision and the median, a Poisson bootstrap with the same weights for both elsewhere.

    Args:
        candidate: The candidate's metrics.
        champion: The champion's, on the same rows.
        margin: How much worse is still "not worse": absolute where higher is better; a share of the
            champion's value where lower is better, for losses have no scale of their own.
        alpha: The error that is accepted, two-sided for "better", one-sided for "not worse".
    """
    names = [name for name in candidate.names() if name in set(champion.names())]
    pairs = np.hstack([candidate.columns, champion.columns])
    replicates = intervals.resampled(pairs)
    split = candidate.columns.shape[1]
    found = []
    for name in names:
        if name in candidate.influences:
            error = _error(candidate.influences[name].rows - champion.influences[name].rows)
            difference = candidate.value(name) - champion.value(name)
            tested = _Difference(difference, error, _p_value(difference, error))
        elif name == "accuracy":
            tested = _mcnemar(candidate, champion)
        else:
            tested = _bootstrapped(candidate, champion, name, replicates[:, :split], replicates[:, split:])
        values = candidate.value(name), champion.value(name)
        found.append(_read(name, values, tested, margin=margin, alpha=alpha))
    return tuple(found)


def _read(
    name: str, values: tuple[float, float], tested: _Difference, *, margin: float, alpha: float
) -> Comparison:
    from scipy.stats import norm

    candidate, champion = values
    difference = candidate - champion
    higher = HIGHER_IS_BETTER[name]
    gain, centre = (difference, tested.shift) if higher else (-difference, -tested.shift)
    allowed = margin if higher else margin * abs(champion)
    surely = centre - float(norm.ppf(1 - alpha)) * tested.error
    better = (gain > 0) if tested.p_value < alpha else None
    half = Z * tested.error
    return Comparison(
        name,
        candidate,
        champion,
        difference,
        tested.shift - half,
        tested.shift + half,
        tested.p_value,
        better,
        bool(surely > -allowed),
    )


def _error(rows: Numbers) -> float:
    return float(np.sqrt(rows @ rows))


def _p_value(difference: float, error: float) -> float:
    if not math.isfinite(difference) or not math.isfinite(error):
        return math.nan
    if error <= 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _mcnemar(candidate: Measured, champion: Measured) -> _Difference:
    """Test paired proportions by the rows on which only one of the two is right.

    The mid-p form of McNemar's test: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13
    (2013). Interval: Agresti and Min, Statistics in Medicine 24 (2005), half a row added to each cell.
    """
    from scipy.stats import binom

    right, was_right = (one.columns[:, one.right] > 0 for one in (candidate, champion))
    won, lost = int((right & ~was_right).sum()), int((~right & was_right).sum())
    rows = len(right) + 2
    gained, spread = won - lost, won + lost + 1
    error = math.sqrt(spread - gained**2 / rows) / rows
    apart = won + lost
    if not apart:
        return _Difference(0.0, error, 1.0)
    fewer = min(won, lost)
    tail = 2 * float(binom.cdf(fewer, apart, 0.5)) - float(binom.pmf(fewer, apart, 0.5))
    return _Difference(gained / rows, error, min(1.0, tail))


def _bootstrapped(
    candidate: Measured, champion: Measured, name: str, mine: Numbers, theirs: Numbers
) -> _Difference:
    difference = candidate.value(name) - champion.value(name)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = candidate.statistics[name](mine) - champion.statistics[name](theirs)
    finite = apart[np.isfinite(apart)]
    if len(finite) < len(apart) / 2:
        return _Difference(difference, math.nan, math.nan)
    error = float(finite.std(ddof=1))
    if error <= 1e-12 * (abs(candidate.value(name)) + abs(champion.value(name))):
        error = 0.0
    return _Difference(difference, error, _p_value(difference, error))
