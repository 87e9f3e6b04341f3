"""What a search makes better: metrics by the names that evaluating uses, and how each is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from mlops_magics.foundation.errors import UsageError, nearest

Kind = Literal["binary", "multiclass", "regression"]

# The first of each kind is the one that is taken where none is named.
METRICS: Final[dict[Kind, tuple[str, ...]]] = {
    "binary": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
    ),
    "multiclass": (
        "log_loss",
        "roc_auc_ovr",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "precision_macro",
        "recall_macro",
    ),
    "regression": ("rmse", "mae", "median_ae", "r2", "mape"),
}
_LESS: Final = {
    "log_loss": "neg_log_loss",
    "brier": "",
    "rmse": "neg_root_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    "median_ae": "neg_median_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
}
_OF_ALL: Final = {"log_loss", "roc_auc_ovr"}
_KINDS: Final = {"binary": "two classes", "multiclass": "several classes", "regression": "numbers"}


def checked_metric(name: str | None, kind: Kind) -> str:
    """Accept a metric that suits what is predicted.

    Args:
        name: What the user wrote; None for the usual one.
        kind: What is predicted.

    Raises:
        UsageError: There is no such metric, or it is one of something else.
    """
    known = METRICS[kind]
    if name is None:
        return known[0]
    if name in known:
        return name
    if any(name in others for others in METRICS.values()):
        raise UsageError(
            f"{name} is no metric of a target of {_KINDS[kind]}.", f"There is: {', '.join(known)}."
        )
    raise UsageError(f"There is no metric '{name}'.", nearest(name, known))


def lower_is_better(name: str) -> bool:
    """Tell whether less of a metric is better."""
    return name in _LESS


def by_probability(name: str) -> bool:
    """Tell whether a metric of several classes asks how probable each of them is."""
    return name in _OF_ALL


def scorer_of(name: str, positive: object) -> Callable[[Any, Any, Any], float]:
    """Make what computes a metric from a fitted estimator, rows and truth.

    Args:
        name: The metric.
        positive: The positive one of two classes; of no account for other targets.
    """
    from sklearn import metrics

    sign = -1.0 if lower_is_better(name) else 1.0
    if name in {"f1", "precision", "recall"}:
        of_class = {
            "f1": metrics.f1_score,
            "precision": metrics.precision_score,
            "recall": metrics.recall_score,
        }
        found = metrics.make_scorer(of_class[name], pos_label=positive, zero_division=0.0)
    elif name == "average_precision":
        ways = ("decision_function", "predict_proba")
        found = metrics.make_scorer(metrics.average_precision_score, response_method=ways, pos_label=positive)
    elif name == "brier":
        found = metrics.make_scorer(
            metrics.brier_score_loss,
            greater_is_better=False,
            response_method="predict_proba",
            pos_label=positive,
        )
    else:
        found = metrics.get_scorer(_LESS.get(name, name))
    return lambda model, rows, truth: sign * float(found(model, rows, truth))
