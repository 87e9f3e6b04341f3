"""Predictors that are made of others: voting, stacked, calibrated ones, and targets that were transformed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.answers import Chances, labels, same
from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Head,
    MakeHead,
    Shape,
    Step,
    UnsupportedError,
    Value,
    attribute,
    numbers,
)

MakeCommittee = Callable[[Any, Shape, MakeHead], Head]
"""Makes a head of a fitted predictor, given what makes one of each that is in it."""

_TWO: Final = 2
_DUST: Final = 1e-5  # above 1, which scikit-learn takes for rounding


@dataclass(frozen=True, slots=True)
class Prepared:
    """A predictor behind transformers of its own.

    Attributes:
        step: What they compute.
        head: The predictor.
    """

    step: Step
    head: Head

    def __call__(self, value: Value, method: Method) -> Array:
        """Answer each row."""
        return self.head(self.step(value), method)


def _scores(head: Head, value: Value) -> Floats:
    """Ask for what scikit-learn calls the decision function: rows first.

    Raises:
        UnsupportedError: The predictor has none that is known.
    """
    if isinstance(head, Prepared):
        return _scores(head.head, head.step(value))
    if not isinstance(head, Chances):
        raise UnsupportedError("a predictor without scores is part of another")
    return head.scores(value)


@dataclass(frozen=True, slots=True)
class _Averaged:
    """The mean of probabilities, weighted."""

    heads: tuple[Head, ...]
    weights: Floats | None

    def __call__(self, value: Value) -> Floats:
        told = np.asarray([head(value, "predict_proba") for head in self.heads])
        found: Floats = np.average(told, axis=0, weights=self.weights)
        return found


@dataclass(frozen=True, slots=True)
class _Counted:
    """Votes, weighted; each voter answers with the place of a class."""

    heads: tuple[Head, ...]
    weights: Floats
    classes: int

    def __call__(self, value: Value) -> Floats:
        votes = [head(value, "predict") for head in self.heads]
        found = np.zeros((len(votes[0]), self.classes))
        rows = np.arange(len(found))
        for vote, weight in zip(votes, self.weights, strict=True):
            found[rows, vote] += weight
        return found


@dataclass(frozen=True, slots=True)
class _Majority:
    """The class with the most votes, the first one of equals."""

    votes: _Counted
    classes: Array

    def __call__(self, value: Value, method: Method) -> Array:
        if method != "predict":
            raise ValueError("a vote has no probabilities")
        found: Array = self.classes.take(self.votes(value).argmax(axis=1), axis=0)
        return found


@dataclass(frozen=True, slots=True)
class _Likeliest:
    """The class with the highest probability; of two classes too, by the larger and not by a sign."""

    chances: Callable[[Value], Floats]
    classes: Array

    def __call__(self, value: Value, method: Method) -> Array:
        found = self.chances(value)
        return labels(found, self.classes) if method == "predict" else same(found)


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean of numbers, weighted."""

    heads: tuple[Head, ...]
    weights: Floats | None

    def __call__(self, value: Value, method: Method) -> Array:
        told = np.asarray([head(value, method) for head in self.heads]).T
        found: Array = np.average(told, axis=1, weights=self.weights)
        return found


def _weights(model: Any) -> Floats | None:  # noqa: ANN401 - a fitted estimator
    """Read the weights of those that vote; one that was dropped has none."""
    if model.weights is None:
        return None
    kept = [one != "drop" for _, one in model.estimators]
    return np.asarray(model.weights, dtype=np.float64)[kept]


def voting(model: Any, shape: Shape, make: MakeHead) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a VotingClassifier."""
    heads = tuple(make(one, shape) for one in attribute(model, "estimators_"))
    classes, weights = np.asarray(attribute(model, "classes_")), _weights(model)
    if classes.ndim != 1:
        raise UnsupportedError("VotingClassifier answers with several outputs")
    if model.voting == "soft":
        return _Likeliest(_Averaged(heads, weights), classes)
    counted = np.ones(len(heads)) if weights is None else weights
    return _Majority(_Counted(heads, counted, len(classes)), classes)


def averaging(model: Any, shape: Shape, make: MakeHead) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a VotingRegressor."""
    heads = tuple(make(one, shape) for one in attribute(model, "estimators_"))
    return _Mean(heads, _weights(model))


@dataclass(frozen=True, slots=True)
class _Stacked:
    """A last predictor on what the first ones say."""

    heads: tuple[tuple[Head, str], ...]
    last: Head
    classes: Array | None

    def __call__(self, value: Value, method: Method) -> Array:
        told = np.concatenate([_said(head, how, value) for head, how in self.heads])
        found = self.last(told, method)
        if method == "predict" and self.classes is not None:
            found = self.classes.take(found, axis=0)
        return found


def _said(head: Head, how: str, value: Value) -> Floats:
    """Ask one predictor as fitting did; columns first, of two probabilities the second."""
    if how == "decision_function":
        return np.ascontiguousarray(_scores(head, value).T)
    found = np.asarray(head(value, "predict_proba" if how == "predict_proba" else "predict"))
    if found.ndim == 1:
        return found.reshape(1, -1).astype(np.float64)
    return np.ascontiguousarray(found[:, 1:].T if found.shape[1] == _TWO else found.T)


def stacking(model: Any, shape: Shape, make: MakeHead) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a StackingClassifier or a StackingRegressor."""
    if model.passthrough:
        raise UnsupportedError(f"{type(model).__name__} passes its columns on")
    first = attribute(model, "estimators_")
    heads = tuple(
        (make(one, shape), how) for one, how in zip(first, attribute(model, "stack_method_"), strict=True)
    )
    classes = getattr(model, "classes_", None)
    if classes is not None and np.ndim(classes) != 1:
        raise UnsupportedError(f"{type(model).__name__} answers with several outputs")
    width = sum(_width(how, classes) for _, how in heads)
    last = make(attribute(model, "final_estimator_"), numbers(width))
    return _Stacked(heads, last, None if classes is None else np.asarray(classes))


def _width(how: str, classes: Any) -> int:  # noqa: ANN401 - an array of labels, or None
    several = classes is not None and how != "predict" and len(classes) > _TWO
    return len(classes) if several else 1


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """One predictor, and what makes probabilities of its scores."""

    head: Head
    scored: bool
    calibrators: tuple[tuple[int, Callable[[Floats], Floats]], ...]
    classes: int

    def __call__(self, value: Value) -> Floats:
        told = _scores(self.head, value) if self.scored else self.head(value, "predict_proba")
        if self.classes == _TWO:
            told = told[:, -1:]  # of two probabilities the second; of scores there is one
        found = np.zeros((len(told), self.classes))
        for column, (place, calibrate) in enumerate(self.calibrators):
            found[:, place] = calibrate(np.ascontiguousarray(told[:, column]))
        if self.classes == _TWO:
            found[:, 0] = 1.0 - found[:, 1]
        else:
            total = found.sum(axis=1, keepdims=True)
            even = np.full_like(found, 1 / self.classes)
            found = np.divide(found, total, out=even, where=total != 0)
        found[(found > 1.0) & (found <= 1.0 + _DUST)] = 1.0
        return found


@dataclass(frozen=True, slots=True)
class _Together:
    """The mean of several calibrated predictors, added up in their order."""

    members: tuple[_Calibrated, ...]

    def __call__(self, value: Value) -> Floats:
        first, *others = self.members
        found = first(value)
        for one in others:
            found = found + one(value)
        return found / len(self.members)


def calibrated(model: Any, shape: Shape, make: MakeHead) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a CalibratedClassifierCV."""
    classes = np.asarray(attribute(model, "classes_"))
    members = []
    for one in attribute(model, "calibrated_classifiers_"):
        if one.method not in {"sigmoid", "isotonic"}:
            raise UnsupportedError(f"CalibratedClassifierCV calibrates by {one.method}")
        known = np.searchsorted(classes, one.estimator.classes_)
        places = [1] if len(classes) == _TWO else known.tolist()
        makers = tuple(
            (place, _calibrator(each)) for place, each in zip(places, one.calibrators, strict=True)
        )
        head, scored = make(one.estimator, shape), hasattr(one.estimator, "decision_function")
        members.append(_Calibrated(head, scored, makers, len(classes)))
    return _Likeliest(_Together(tuple(members)), classes)


def _calibrator(made: Any) -> Callable[[Floats], Floats]:  # noqa: ANN401 - a fitted calibrator
    if type(made).__name__ == "IsotonicRegression":
        if made.out_of_bounds != "clip":
            raise UnsupportedError("an isotonic calibrator does not clip")
        x, y = np.asarray(made.X_thresholds_), np.asarray(made.y_thresholds_)
        return lambda scores: np.interp(np.clip(scores.astype(x.dtype), made.X_min_, made.X_max_), x, y)
    from scipy.special import expit

    slope, constant = attribute(made, "a_"), attribute(made, "b_")
    return lambda scores: np.asarray(expit(-(slope * scores + constant)))


@dataclass(frozen=True, slots=True)
class _Restored:
    """A regression whose answers are brought back to the target's own scale."""

    head: Head
    steps: Sequence[Callable[[Array], Array]]

    def __call__(self, value: Value, method: Method) -> Array:
        found = self.head(value, method)
        for step in self.steps:
            found = step(found)
        return found


def transformed_target(model: Any, shape: Shape, make: MakeHead) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a TransformedTargetRegressor."""
    if attribute(model, "_training_dim") != 1:
        raise UnsupportedError("TransformedTargetRegressor answers with several outputs")
    return _Restored(make(attribute(model, "regressor_"), shape), _back(attribute(model, "transformer_")))


def _back(made: Any) -> tuple[Callable[[Array], Array], ...]:  # noqa: ANN401 - a fitted transformer
    """Undo a transformer of one column.

    Raises:
        UnsupportedError: It is none that is known.
    """
    name = type(made).__name__
    if name == "FunctionTransformer":
        undo = made.inverse_func
        if undo is None:
            return ()
        if not (isinstance(undo, np.ufunc) and undo.nin == undo.nout == 1) or made.inv_kw_args:
            raise UnsupportedError("TransformedTargetRegressor has a function of its author")
        return (undo,)
    if name == "StandardScaler":
        times = (lambda found: found * made.scale_[0],) if made.with_std else ()
        plus = (lambda found: found + made.mean_[0],) if made.with_mean else ()
        return (*times, *plus)
    if name == "MinMaxScaler" and not made.clip:
        return (lambda found: (found - made.min_[0]) / made.scale_[0],)
    raise UnsupportedError(f"TransformedTargetRegressor with a {name}")
