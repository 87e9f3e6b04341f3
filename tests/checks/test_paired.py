from __future__ import annotations

import math

import numpy as np
import pytest
from cases import said_table

from mlops_magics.checks.metrics import Measured, measure
from mlops_magics.checks.model import Predictions
from mlops_magics.checks.paired import Comparison, compare
from mlops_magics.checks.problem import Problem

BINARY = Problem("binary", (False, True))


def measured(truth: np.ndarray, said: np.ndarray) -> Measured:
    given = Predictions((said > 0.5).astype(float), np.column_stack([1 - said, said]), said)
    return measure(BINARY, truth.astype(float), given)


def compared(candidate: np.ndarray, champion: np.ndarray, truth: np.ndarray) -> dict[str, Comparison]:
    found = compare(measured(truth, candidate), measured(truth, champion))
    return {one.metric: one for one in found}


def test_a_clear_improvement_is_better_in_every_proper_metric() -> None:
    frame = said_table(noise=2.0)
    found = compared(*(frame[name].to_numpy() for name in ("said", "noisy", "late")))
    for name in ("roc_auc", "average_precision", "accuracy", "f1", "log_loss", "brier"):
        assert found[name].better is True
        assert found[name].non_inferior
        assert found[name].low <= found[name].difference <= found[name].high
        assert (found[name].low > 0) or (found[name].high < 0)
    back = compared(*(frame[name].to_numpy() for name in ("noisy", "said", "late")))
    assert all(back[name].better is False and not back[name].non_inferior for name in ("roc_auc", "log_loss"))


def test_a_model_against_itself_is_inside_the_noise_and_not_worse() -> None:
    frame = said_table(300)
    found = compared(*(frame[name].to_numpy() for name in ("said", "said", "late")))
    assert all(one.better is None and one.p_value == 1 and one.difference == 0 for one in found.values())
    assert found["roc_auc"].non_inferior
    assert found["log_loss"].non_inferior


def test_mcnemar_is_the_published_mid_p() -> None:
    # Fagerland and others (2013), table 1: airway hyper-responsiveness, 1 against 7 discordant pairs.
    truth = np.ones(21, dtype=bool)
    champion = np.array([1] + [0] * 7 + [1] * 13) * 0.8 + 0.1
    candidate = np.array([0] + [1] * 7 + [1] * 13) * 0.8 + 0.1
    found = compared(candidate, champion, truth)["accuracy"]
    assert found.p_value == pytest.approx(0.0391, abs=1e-4)
    assert found.difference == pytest.approx(6 / 21)


def test_few_rows_are_never_surely_not_worse() -> None:
    frame = said_table(60)
    found = compared(*(frame[name].to_numpy() for name in ("noisy", "said", "late")))
    assert found["roc_auc"].better is None
    assert not found["roc_auc"].non_inferior


def test_regression_is_compared_on_the_scale_of_its_losses() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=3000)
    close, far = truth + rng.normal(size=3000), truth + rng.normal(size=3000) * 1.2
    problem = Problem("regression")
    pair = [measure(problem, truth, Predictions(said)) for said in (close, far)]
    found = {one.metric: one for one in compare(*pair)}
    assert {one.better for one in found.values()} == {True}
    assert found["mae"].difference < 0
    assert all(math.isfinite(one.p_value) for one in found.values())


def rates(trials: int, rows: int, noises: tuple[float, float]) -> tuple[float, float]:
    better = not_worse = 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        odds = rng.normal(size=rows) * 1.5
        late = rng.uniform(size=rows) < 1 / (1 + np.exp(-odds))
        one, two = (1 / (1 + np.exp(-odds - rng.normal(size=rows) * noise)) for noise in noises)
        found = compared(one, two, late)["roc_auc"]
        better += found.better is True
        not_worse += found.non_inferior
    return better / trials, not_worse / trials


def test_noise_alone_is_seldom_called_better() -> None:
    better, _ = rates(100, 400, (0.6, 0.6))
    assert better <= 0.08


@pytest.mark.slow
def test_promotions_won_by_noise_stay_at_alpha() -> None:
    better, _ = rates(500, 1000, (0.6, 0.6))
    assert better <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 500)  # two-sided 0.05: half of it in favour
    # These noises put the candidate's area 0.01 below the champion's: exactly at the margin.
    _, not_worse = rates(500, 2000, AT_MARGIN)
    assert not_worse <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)


@pytest.mark.slow
def test_power_at_the_margin() -> None:
    _, not_worse = rates(200, 15_000, (0.6, 0.6))
    assert not_worse >= 0.8  # an equal model is let through
    better, _ = rates(200, 15_000, AT_MARGIN[::-1])
    assert better >= 0.8  # a model better by the margin is called better


AT_MARGIN = (0.732, 0.6)


@pytest.mark.slow
def test_the_margin_of_the_simulation_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(size=2_000_000) * 1.5
    late = rng.uniform(size=len(odds)) < 1 / (1 + np.exp(-odds))
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(late, odds + rng.normal(size=len(odds)) * noise) for noise in AT_MARGIN]
    assert areas[1] - areas[0] == pytest.approx(0.01, abs=0.001)
