"""Curves and matrices as few points: enough to draw, small enough to keep beside a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.calibration import reliability
from mlops_magics.checks.intervals import wilson
from mlops_magics.checks.model import Numbers, Predictions
from mlops_magics.checks.problem import Problem

_POINTS = 80
_DOTS = 240
_BANDS = 10
_CLASSES = 10  # a larger matrix is not readable; the commonest classes are kept
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, with a band where one is known.

    Attributes:
        name: "roc", "roc of the champion", "precision_recall", "calibration", "residuals" or "residual band".
        x: Across.
        y: Up.
        low: The lower edge of the band.
        high: The upper edge.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each class was taken for which.

    Attributes:
        labels: The classes, as text.
        counts: A row for each true class, a column for each predicted one.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def curves_of(
    problem: Problem, truth: Numbers, given: Predictions, champion: Predictions | None
) -> tuple[Curve, ...]:
    """Trace the curves of a problem.

    Args:
        problem: The kind of problem.
        truth: The target as numbers.
        given: The predictions.
        champion: The champion's predictions, where there is one.
    """
    if given.unusable:
        return ()
    if problem.kind == "regression":
        return _residuals(truth, given.labels)
    found = list[Curve]()
    yes = problem.sought(truth)
    if given.score is not None and 0 < yes.sum() < len(yes):
        found.append(_roc("roc", yes, given.score))
        if champion is not None and champion.score is not None and not champion.unusable:
            found.append(_roc("roc of the champion", yes, champion.score))
        found.append(_precision_recall(yes, given.score))
    if given.score is not None and given.proba is not None:
        found.append(_calibration(given.score, yes))
    return tuple(found)


def confusion_of(problem: Problem, truth: Numbers, given: Predictions) -> Confusion | None:
    """Count which class was taken for which; None where there are no classes."""
    if not problem.classes or given.unusable:
        return None
    classes = len(problem.classes)
    flat = truth.astype(np.int64) * classes + given.labels.astype(np.int64)
    counts = np.bincount(flat, minlength=classes**2).reshape(classes, classes)
    order = np.sort(np.argsort(-(counts.sum(axis=1)), kind="stable")[:_CLASSES])
    labels = tuple(str(problem.classes[i]) for i in order)
    return Confusion(labels, tuple(tuple(int(n) for n in row) for row in counts[np.ix_(order, order)]))


def _steps(yes: npt.NDArray[np.bool_], score: Numbers) -> tuple[Numbers, Numbers]:
    """Count hits and false alarms at each distinct threshold, from the highest."""
    order = np.argsort(-score, kind="stable")
    hits, alarms = np.cumsum(yes[order]), np.cumsum(~yes[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    return np.append(0.0, hits[last]), np.append(0.0, alarms[last])


def _roc(name: str, yes: npt.NDArray[np.bool_], score: Numbers) -> Curve:
    hits, alarms = _steps(yes, score)
    rate, false = hits / hits[-1], alarms / alarms[-1]
    way = (rate + false) / 2  # grows with every step, so points lie evenly along the curve
    at = np.linspace(0, 1, _POINTS)
    return Curve(name, _few(np.interp(at, way, false)), _few(np.interp(at, way, rate)))


def _precision_recall(yes: npt.NDArray[np.bool_], score: Numbers) -> Curve:
    hits, alarms = _steps(yes, score)
    recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:])
    at = np.linspace(1 / _POINTS, 1, _POINTS)  # before it, a row or two decide: a zigzag that tells nothing
    place = np.minimum(np.searchsorted(recall, at, side="left"), len(recall) - 1)
    return Curve("precision_recall", _few(at), _few(precision[place]))


def _calibration(said: Numbers, yes: npt.NDArray[np.bool_]) -> Curve:
    bins = reliability(said, yes)
    ends = [wilson(share * rows, rows) for share, rows in zip(bins.happened, bins.rows, strict=True)]
    low, high = np.array([end.low for end in ends]), np.array([end.high for end in ends])
    return Curve("calibration", _few(bins.said), _few(bins.happened), _few(low), _few(high))


def _residuals(truth: Numbers, given: Numbers) -> tuple[Curve, ...]:
    off = truth - given
    some = np.unique(np.linspace(0, len(off) - 1, _DOTS).astype(np.int64))
    parts = [
        part
        for part in np.array_split(np.argsort(given, kind="stable"), max(1, min(_BANDS, len(off) // 20)))
        if len(part)
    ]
    cuts = np.array([np.quantile(off[part], (0.1, 0.5, 0.9)) for part in parts])
    middle = np.array([np.median(given[part]) for part in parts])
    return (
        Curve("residuals", _few(given[some]), _few(off[some])),
        Curve("residual band", _few(middle), _few(cuts[:, 1]), _few(cuts[:, 0]), _few(cuts[:, 2])),
    )


def _few(values: Numbers | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
