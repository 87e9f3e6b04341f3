"""Which way a metric is better, as far as its name says so."""

from __future__ import annotations

import re

from mlops_magics.checks.metrics import HIGHER_IS_BETTER

_PARTS = re.compile(r"[^a-z0-9]+")
# What people call a metric besides scikit-learn's names.
_MORE = frozenset(
    {"auc", "auroc", "acc", "accuracy", "f1", "fbeta", "precision", "recall", "sensitivity"}
) | {
    "specificity",
    "kappa",
    "mcc",
    "ndcg",
    "map",
    "iou",
    "dice",
    "bleu",
    "rouge",
    "r2",
    "gini",
    "score",
    "likelihood",
}
_LESS = frozenset(
    {"loss", "error", "err", "rmse", "mse", "mae", "mape", "smape", "rmsle", "msle", "brier"}
) | {
    "logloss",
    "deviance",
    "perplexity",
    "latency",
    "seconds",
    "wer",
    "ece",
    "pinball",
}


def higher_is_better(metric: str) -> bool | None:
    """Say which way a metric is better.

    Args:
        metric: Its name, with whatever stands before and after: ``test_roc_auc``, ``val/log_loss``.

    Returns:
        Whether more is better; None where the name does not say, or says both.
    """
    if (known := HIGHER_IS_BETTER.get(metric)) is not None:
        return known
    parts = [part for part in _PARTS.split(metric.lower()) if part]
    if "neg" in parts:  # scikit-learn's scorers turn what is to be small round
        return True
    said = {part in _MORE for part in parts if part in _MORE or part in _LESS}
    if said == {True, False} and parts[-1] == "score":  # a score of an error says nothing
        return None
    return said.pop() if len(said) == 1 else None
