"""Linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.answers import Chances, Link, logistic, one_against_rest, softmax
from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Head,
    Shape,
    UnsupportedError,
    Value,
    attribute,
    finite,
)

_LOG_LINKS: Final = frozenset({"PoissonRegressor", "GammaRegressor"})


@dataclass(frozen=True, slots=True)
class Weighted:
    """Weighted sums of the columns.

    Attributes:
        weights: One row a sum.
        constant: What is added to each sum.
    """

    weights: Floats
    constant: Floats

    def __call__(self, value: Value) -> Floats:
        """Add up: rows first."""
        if hasattr(value, "toarray"):
            return np.asarray(value @ self.weights.T) + self.constant
        # Rows first in memory, as scikit-learn has them: BLAS rounds otherwise for another layout.
        return np.ascontiguousarray(finite(value).T) @ self.weights.T + self.constant


@dataclass(frozen=True, slots=True)
class _Line:
    """A regression's answer."""

    sums: Weighted
    several: bool
    exponent: bool

    def __call__(self, value: Value, method: Method) -> Array:
        del method
        found = self.sums(value)
        if not self.several:
            found = found[:, 0]
        return np.exp(found) if self.exponent else found


def _sums(model: Any, shape: Shape) -> Weighted:  # noqa: ANN401 - a fitted estimator
    shape.only("number", "sparse", what=model)
    weights = attribute(model, "coef_")
    if hasattr(weights, "toarray"):  # after sparsify()
        weights = weights.toarray()
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    constant = np.broadcast_to(np.asarray(attribute(model, "intercept_"), dtype=np.float64), len(weights))
    return Weighted(weights, constant.copy())


def regressor(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a linear regression."""
    several = np.ndim(attribute(model, "coef_")) > 1
    exponent = type(model).__name__ in _LOG_LINKS
    if type(model).__name__ == "TweedieRegressor":
        exponent = model.link == "log" or (model.link == "auto" and model.power > 0)
    return _Line(_sums(model, shape), several, exponent)


def classifier(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a linear classifier; only labels unless it is logistic."""
    classes = np.asarray(attribute(model, "classes_"))
    if classes.ndim != 1:
        raise UnsupportedError(f"{type(model).__name__} answers with several outputs")
    return Chances(_sums(model, shape), classes, _link(model, len(classes)))


def _link(model: Any, classes: int) -> Link | None:  # noqa: ANN401 - a fitted estimator
    name = type(model).__name__
    two = 2
    if name.startswith("LogisticRegression"):
        if classes <= two:
            return logistic
        return one_against_rest if model.solver == "liblinear" else softmax
    if name == "SGDClassifier" and model.loss == "log_loss":
        return logistic if classes <= two else one_against_rest
    if name == "SGDClassifier" and model.loss == "modified_huber":
        raise UnsupportedError("SGDClassifier with the loss modified_huber")
    return None
