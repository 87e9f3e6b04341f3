from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as theirs

from mlops_magics.checks.metrics import HIGHER_IS_BETTER, Metric, measure, metrics
from mlops_magics.checks.model import Predictions
from mlops_magics.checks.problem import Problem


def values(problem: Problem, truth: np.ndarray, given: Predictions) -> dict[str, Metric]:
    found = metrics(problem, given, measure(problem, truth, given))
    for one in found:
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.value <= one.high
        assert one.higher_is_better is HIGHER_IS_BETTER[one.name]
    return {one.name: one for one in found}


def test_binary_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    said = rng.uniform(size=500)
    truth = (rng.uniform(size=500) < said).astype(float)
    labels = (said > 0.4).astype(float)
    found = values(
        Problem("binary", ("no", "yes")), truth, Predictions(labels, np.column_stack([1 - said, said]), said)
    )
    expected = {
        "roc_auc": theirs.roc_auc_score(truth, said),
        "average_precision": theirs.average_precision_score(truth, said),
        "accuracy": theirs.accuracy_score(truth, labels),
        "balanced_accuracy": theirs.balanced_accuracy_score(truth, labels),
        "precision": theirs.precision_score(truth, labels),
        "recall": theirs.recall_score(truth, labels),
        "f1": theirs.f1_score(truth, labels),
        "log_loss": theirs.log_loss(truth, said),
        "brier": theirs.brier_score_loss(truth, said),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1, 1], size=400)
    truth = np.array([rng.choice(3, p=row) for row in proba]).astype(float)
    labels = proba.argmax(axis=1).astype(float)
    found = values(Problem("multiclass", ("a", "b", "c")), truth, Predictions(labels, proba))
    expected = {
        "roc_auc_ovr": theirs.roc_auc_score(truth, proba, multi_class="ovr"),
        "accuracy": theirs.accuracy_score(truth, labels),
        "balanced_accuracy": theirs.balanced_accuracy_score(truth, labels),
        "precision_macro": theirs.precision_score(truth, labels, average="macro"),
        "f1_macro": theirs.f1_score(truth, labels, average="macro"),
        "log_loss": theirs.log_loss(truth, proba),
        "brier": float(((proba - np.eye(3)[truth.astype(int)]) ** 2).sum(axis=1).mean()),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300) + 1e6
    said = truth + rng.normal(size=300)
    found = values(Problem("regression"), truth, Predictions(said))
    expected = {
        "r2": theirs.r2_score(truth, said),
        "rmse": theirs.root_mean_squared_error(truth, said),
        "mae": theirs.mean_absolute_error(truth, said),
        "median_ae": theirs.median_absolute_error(truth, said),
        "mape": theirs.mean_absolute_percentage_error(truth, said),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)


def test_what_is_not_defined_is_left_out() -> None:
    zeros = Predictions(np.zeros(50), np.tile([0.9, 0.1], (50, 1)), np.full(50, 0.1))
    alone = values(Problem("binary", (0, 1)), np.zeros(50), zeros)
    assert not {"roc_auc", "average_precision", "precision", "recall", "f1"} & set(alone)
    flat = values(Problem("regression"), np.zeros(50), Predictions(np.linspace(-1, 1, 50)))
    assert not {"r2", "mape"} & set(flat)


def test_unusable_predictions_make_every_metric_nan() -> None:
    given = Predictions(np.array([0.0, np.nan]), unusable=1)
    assert all(math.isnan(one.value) for one in metrics(Problem("regression"), given, None))


def test_the_influence_of_a_function_of_sums_is_its_derivative() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.normal(size=60), rng.normal(size=60)
    measured = measure(Problem("regression"), truth, Predictions(said))
    influence = measured.influence("r2")
    weights = np.ones(60)
    weights[5] += 1e-6
    moved = theirs.r2_score(truth, said, sample_weight=weights)
    assert influence.rows[5] == pytest.approx((moved - influence.value) / 1e-6, rel=1e-3)
