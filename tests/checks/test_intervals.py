from __future__ import annotations

import math

import numpy as np
import pytest

from mlops_magics.checks import intervals


def scored(rows: int = 200, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    yes = rng.uniform(size=rows) < 0.3
    return yes, np.round(rng.normal(size=rows) + yes, 1)  # rounded, so that scores tie


def naive_delong(yes: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    wins = np.sign(score[yes][:, None] - score[~yes][None, :]) / 2 + 0.5
    area = float(wins.mean())
    variance = wins.mean(axis=1).var(ddof=1) / yes.sum() + wins.mean(axis=0).var(ddof=1) / (~yes).sum()
    return area, math.sqrt(variance)


def test_delong_is_the_quadratic_formula() -> None:
    yes, score = scored()
    found = intervals.roc_auc(yes, score)
    assert found is not None
    area, error = naive_delong(yes, score)
    assert found.value == pytest.approx(area, abs=1e-12)
    assert found.error == pytest.approx(error, abs=1e-12)


def test_delong_covariance_is_that_of_a_bootstrap() -> None:
    yes, score = scored(400)
    other = score + np.random.default_rng(2).normal(size=400) * 0.5
    one, two = intervals.roc_auc(yes, score), intervals.roc_auc(yes, other)
    assert one is not None
    assert two is not None
    error = float(np.linalg.norm(one.rows - two.rows))
    rng, differences = np.random.default_rng(3), []
    for _ in range(300):
        again = rng.integers(0, 400, 400)
        first, second = (naive_delong(yes[again], values[again])[0] for values in (score, other))
        differences.append(first - second)
    assert error == pytest.approx(np.std(differences), rel=0.15)


def test_area_and_average_precision_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    yes, score = scored(1000)
    area, mean = intervals.roc_auc(yes, score), intervals.average_precision(yes, score)
    assert area is not None
    assert mean is not None
    assert area.value == pytest.approx(roc_auc_score(yes, score), abs=1e-12)
    assert mean.value == pytest.approx(average_precision_score(yes, score), abs=1e-12)


def test_influence_of_average_precision_is_its_derivative() -> None:
    from sklearn.metrics import average_precision_score

    yes, score = scored(80)
    found = intervals.average_precision(yes, score)
    assert found is not None
    step = 1e-6
    for row in (0, 7, int(np.flatnonzero(yes)[3])):
        weights = np.ones(80)
        weights[row] += step
        moved = average_precision_score(yes, score, sample_weight=weights)
        assert found.rows[row] == pytest.approx((moved - found.value) / step, abs=1e-6)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson_gives_published_values(hits: int, trials: int, low: float, high: float) -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    found = intervals.wilson(hits, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_tried_is_not_a_proportion() -> None:
    assert math.isnan(intervals.wilson(0, 0).value)


def test_a_perfect_ranking_of_few_rows_is_not_certain() -> None:
    yes = np.arange(20) >= 10
    found = intervals.roc_auc(yes, np.arange(20.0))
    assert found is not None
    estimate = intervals.on_logit(found.value, found.error, 10)
    assert estimate.value == estimate.high == 1.0
    assert estimate.low < 0.8


def test_one_class_has_no_ranking() -> None:
    assert intervals.roc_auc(np.ones(5, dtype=bool), np.arange(5.0)) is None
    assert intervals.average_precision(np.zeros(5, dtype=bool), np.arange(5.0)) is None


def test_the_bootstrap_has_the_error_of_a_mean_in_short_and_long_tables() -> None:
    for rows in (500, 50_123):
        values = np.random.default_rng(4).exponential(size=rows)
        sums = intervals.resampled(np.column_stack([np.ones(rows), values]))
        means = sums[:, 1] / sums[:, 0]
        assert means.std() == pytest.approx(values.std() / math.sqrt(rows), rel=0.1)
        assert means.mean() == pytest.approx(values.mean(), rel=0.02)


def covered(name: str, rows: int = 120, trials: int = 200) -> float:
    """How often the interval holds the truth; scores are normal, one apart, and cut half way."""
    inside = 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        yes = rng.uniform(size=rows) < 0.5
        score = rng.normal(size=rows) + yes
        if name == "roc_auc":
            area, truth = intervals.roc_auc(yes, score), 0.76025  # Phi(1 / sqrt 2)
            assert area is not None
            found = intervals.on_logit(area.value, area.error, rows // 2)
        else:
            said, truth = score > 0.5, 0.69146  # Phi(0.5) on both sides
            sums = np.column_stack([yes & said, yes, said]).astype(float)
            f1 = [2 * s[..., 0] / (s[..., 1] + s[..., 2]) for s in (sums.sum(0), intervals.resampled(sums))]
            found = intervals.percentile(float(f1[0]), f1[1])
        inside += found.low <= truth <= found.high
    return inside / trials


@pytest.mark.parametrize("name", ["roc_auc", "f1"])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert 0.91 <= covered(name) <= 0.99


def test_median_is_bounded_by_order_statistics() -> None:
    inside = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(size=61)
        estimate, influence = intervals.median(values)
        inside += estimate.low <= math.log(2) <= estimate.high
        assert influence.error == pytest.approx((estimate.high - estimate.low) / (2 * intervals.Z), rel=0.02)
    assert 0.92 <= inside / 200 <= 0.995
