"""From scores to answers: labels and probabilities, in scikit-learn's own order of operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.base import Array, Floats, Value

Scores = Callable[[Value], Floats]
"""Gives each row's scores: rows first."""
Link = Callable[[Floats], Floats]
"""Makes probabilities of scores."""


def logistic(scores: Floats) -> Floats:
    """Make two probabilities of one score."""
    from scipy.special import expit

    found = np.empty((len(scores), 2))
    found[:, 1] = expit(scores[:, 0])
    found[:, 0] = 1 - found[:, 1]
    return found


def softmax(scores: Floats) -> Floats:
    """Make as many probabilities as there are scores."""
    found: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found


def one_against_rest(scores: Floats) -> Floats:
    """Make probabilities of the scores of one classifier a class, as liblinear does."""
    from scipy.special import expit

    found: Floats = expit(scores)
    total = found.sum(axis=1, keepdims=True)
    nothing = total == 0
    if nothing.any():
        found[nothing[:, 0]] = 1
        total[nothing] = found.shape[1]
    found /= total
    return found


def same(scores: Floats) -> Floats:
    """Take scores that are probabilities already."""
    return scores


def labels(scores: Floats, classes: Array) -> Array:
    """Choose each row's class: of one score by its sign, of several the largest, the first one of equals."""
    places = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
    found: Array = classes.take(places, axis=0)
    return found


@dataclass(frozen=True, slots=True)
class Chances:
    """A classifier's head.

    Attributes:
        scores: What gives each row's scores.
        classes: The labels, in the scores' order.
        link: What makes probabilities of them; None for a classifier that has none.
    """

    scores: Scores
    classes: Array
    link: Link | None = same

    def __call__(self, value: Value, method: Method) -> Array:
        """Answer with labels or with probabilities."""
        found = self.scores(value)
        if method == "predict":
            return labels(found, self.classes)
        if self.link is None:
            raise ValueError("this classifier has no probabilities")
        return self.link(found)
