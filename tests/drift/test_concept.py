"""More errors than before, once labels have come."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlops_magics.drift.concept import FLOOR, Errors, errors_of, worse
from mlops_magics.foundation.errors import UsageError


def _errors(rate: float, rows: int, seed: int) -> Errors:
    random = np.random.default_rng(seed)
    truth = random.random(rows) < 0.5
    return errors_of(truth, np.where(random.random(rows) < rate, ~truth, truth), loss="error")


def test_errors_add_up_and_are_those_of_the_rows() -> None:
    truth, said = ["a", "b", "a", "b"], ["a", "a", "a", "a"]
    whole = errors_of(truth, said, loss="error")
    assert (whole.rows, whole.mean) == (4, 0.5)
    assert (
        errors_of(truth[:1], said[:1], loss="error") + errors_of(truth[1:], said[1:], loss="error") == whole
    )
    away = errors_of([1.0, 2.0, np.nan], [2.0, 4.0, 1.0], loss="squared error")
    assert (away.rows, away.total) == (2, 5.0)
    assert away.variance == pytest.approx(np.var([1, 4], ddof=1))
    sure = errors_of([1, 0], [1.0, 1.0], loss="log loss")
    assert np.isfinite(sure.total)
    assert sure.total > 30


def test_more_errors_are_found_and_fewer_are_none() -> None:
    score = worse(_errors(0.1, 5_000, 0), _errors(0.15, 2_000, 1))
    assert score is not None
    assert score.p is not None
    assert score.p < 1e-6
    assert score.effect > FLOOR
    assert "from 0.1" in score.words
    better = worse(_errors(0.15, 5_000, 0), _errors(0.1, 2_000, 1))
    assert better is not None
    assert (better.effect, better.p) == (0.0, pytest.approx(1.0, abs=1e-3))


def test_the_p_value_is_welchs() -> None:
    random = np.random.default_rng(0)
    one, two = random.exponential(1, 200), random.exponential(1.2, 80)
    zeros = np.zeros(200), np.zeros(80)
    score = worse(
        errors_of(one, zeros[0], loss="absolute error"), errors_of(two, zeros[1], loss="absolute error")
    )
    assert score is not None
    expected = stats.ttest_ind(two, one, equal_var=False, alternative="greater").pvalue
    assert score.p == pytest.approx(expected)


def test_false_alarms_come_at_their_rate() -> None:
    chances = []
    for seed in range(400):
        score = worse(_errors(0.2, 4_000, 2 * seed), _errors(0.2, 1_000, 2 * seed + 1))
        assert score is not None
        chances.append(score.p)
    share = np.mean(np.array(chances) < 0.05)
    assert 0.025 < share < 0.08


def test_too_few_labels_say_nothing() -> None:
    assert worse(_errors(0.1, 5_000, 0), _errors(0.9, 20, 1)) is None
    flawless = Errors("error", 100, 0.0, 0.0)
    score = worse(flawless, flawless)
    assert score is not None
    assert (score.effect, score.p) == (0.0, 1.0)


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(UsageError, match="do not belong together"):
        errors_of([1, 2], [1], loss="error")
    with pytest.raises(UsageError, match="do not add up"):
        Errors("error", 1, 0, 0) + Errors("log loss", 1, 0, 0)
    with pytest.raises(UsageError, match="cannot be compared"):
        worse(Errors("error", 1, 0, 0), Errors("log loss", 1, 0, 0))
