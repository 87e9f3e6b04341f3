"""Folds: later rows are judged by earlier ones, groups stay whole, and what cannot be divided is told."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.folds import Folds, at_random, checked, in_groups, in_time
from mlops_magics.tuners.journal import Attempt
from mlops_magics.tuners.search import refit_seconds

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 2, 300)


@pytest.mark.parametrize(
    "when",
    [
        RANDOM.permutation(300).astype(float),
        RANDOM.integers(0, 40, 300).astype(float),
        np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [250, 10, 10, 10, 10, 10]),
        np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [10, 10, 10, 10, 10, 250]),
    ],
    ids=["all different", "ties", "early heap", "late heap"],
)
def test_each_fold_is_judged_on_later_rows_than_it_was_fitted_on(when: np.ndarray) -> None:
    folds = in_time(when, 5, "day")
    assert set(folds.parts.tolist()) == {-1, 0, 1, 2, 3, 4}
    for fold in range(5):
        assert when[folds.fitted(fold)].max() < when[folds.judged(fold)].min()
    fitted = [set(np.flatnonzero(folds.fitted(fold)).tolist()) for fold in range(5)]
    assert all(less < more for less, more in pairwise(fitted)), "the window expands"
    assert list(folds.shares) == [len(rows) / 300 for rows in fitted]


def test_blocks_of_time_are_even_where_rows_differ() -> None:
    folds = in_time(RANDOM.permutation(300).astype(float), 5, "day")
    assert np.bincount(folds.parts + 1).tolist() == [50] * 6


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_no_group_is_on_both_sides(kind: str) -> None:
    groups = RANDOM.integers(0, 23, 300)
    folds = in_groups(groups, TRUTH, kind, 4, "town")  # type: ignore[arg-type]
    for fold in range(4):
        assert not set(groups[folds.fitted(fold)]) & set(groups[folds.judged(fold)])
        assert folds.judged(fold).any()
    assert (folds.fitted(0) ^ folds.judged(0)).all()


def test_too_few_moments_or_groups_are_told() -> None:
    with pytest.raises(UsageError, match="day has 5 different values, too few for 5 folds") as caught:
        in_time(np.arange(300) % 5.0, 5, "day")
    assert caught.value.remedy == "Say --folds 4."
    assert in_time(np.arange(300) % 5.0, 4, "day").count == 4
    with pytest.raises(UsageError, match="town has 3 groups") as caught:
        in_groups(np.arange(300) % 3, TRUTH, "binary", 5, "town")
    assert caught.value.remedy == "Say --folds 3."
    with pytest.raises(UsageError, match="town has 1 group, ") as caught:
        in_groups(np.zeros(300, np.int64), TRUTH, "binary", 2, "town")
    assert caught.value.remedy == "Name another column with --by."


def test_a_class_that_a_fold_lacks_is_told() -> None:
    late = (np.arange(300) >= 150).astype(int)
    folds = in_time(np.arange(300.0), 5, "day")
    with pytest.raises(UsageError, match="Fold 1 of 5 by day has no row of class 1 to be fitted on"):
        checked(folds, late, "binary", "accuracy", "day")
    early = np.where(np.arange(300) < 100, TRUTH, 2 + TRUTH)
    with pytest.raises(UsageError, match="no row of class 2 to be fitted on") as caught:
        checked(folds, early, "multiclass", "log_loss", "day")
    assert "a metric such as accuracy" in caught.value.remedy
    assert checked(folds, early, "multiclass", "accuracy", "day") is folds
    assert checked(folds, late, "regression", "rmse", "day") is folds


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("ways", ["random", "time"])
def test_a_refit_is_never_reckoned_shorter_than_it_is(power: float, ways: str) -> None:
    folds = at_random(TRUTH, "binary", 5) if ways == "random" else in_time(np.arange(300.0), 5, "day")
    seconds = float(np.mean([share**power for share in folds.shares]))  # where a fit on all rows takes 1
    attempt = Attempt(0, "complete", 0.5, "yours", {}, 5, seconds)
    assert refit_seconds(attempt, folds.shares) >= 1.0
    if power == 2:
        assert refit_seconds(attempt, folds.shares) == pytest.approx(1.2)
    pruned = Attempt(0, "pruned", 0.5, "yours", {}, 2, float(np.mean([s**power for s in folds.shares[:2]])))
    assert refit_seconds(pruned, folds.shares) >= 1.0


def test_folds_at_random_hold_each_row_out_once() -> None:
    folds = at_random(TRUTH, "binary", 5)
    assert sum(folds.judged(fold).astype(int) for fold in range(5)).tolist() == [1] * 300
    assert isinstance(folds, Folds)
    assert folds.shares == pytest.approx([0.8] * 5, abs=0.01)
