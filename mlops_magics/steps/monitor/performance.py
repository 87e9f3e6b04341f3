"""How good the answers were: measured where labels have come, estimated from probabilities before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.reference import Reference
from mlops_magics.checks.intervals import Z, on_logit
from mlops_magics.checks.metrics import HIGHER_IS_BETTER, Measured, measure, metrics
from mlops_magics.checks.model import Predictions, encode
from mlops_magics.checks.problem import Problem
from mlops_magics.steps.monitor.spans import PLACES, Chances, Span
from mlops_magics.tracking.evaluations import Summary

PRIMARY: Final = ("roc_auc", "accuracy", "rmse")
"""What a model is judged by: the first of these that is measured."""

_PLACES: Final = tuple(dict.fromkeys((*PRIMARY, *HIGHER_IS_BETTER)))
_FEWEST: Final = 50  # rows: of fewer a number says little, and no alert comes of it
_TWO: Final = 2  # classes
_CLOSE: Final = 0.05  # by how much said and seen may differ on average, for an estimate to say something


@dataclass(frozen=True, slots=True)
class Number:
    """A metric of a length of time.

    Attributes:
        name: The metric.
        value: Its value.
        low: The lower end of its 95 % interval; None where there is none.
        high: The upper end.
        before: What the version's evaluation found; None where it found none.
        worse: Whether it is worse than that by more than noise.
        estimated: Whether it is only what the probabilities lead to expect.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    before: float | None = None
    worse: bool = False
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Performance:
    """The metrics of a length of time.

    Attributes:
        began: When it began, in seconds since 1970; 0 where there is no time.
        ended: When it ended.
        rows: How many rows they were measured on.
        numbers: The metrics, the one that the model is judged by first.
    """

    began: float
    ended: float
    rows: int
    numbers: tuple[Number, ...]

    @property
    def primary(self) -> Number | None:
        """The metric that the model is judged by; None where none is known."""
        return next(iter(self.numbers), None)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Rows whose truth is known, with what was answered.

    Attributes:
        truth: The truth, one a row.
        labels: What was answered; None in the place of a row that was asked for probabilities.
        probabilities: Probabilities, a column a class; None where not every row came with them.
    """

    truth: Sequence[Any]
    labels: Sequence[Any]
    probabilities: np.ndarray[Any, Any] | None


def measured(
    answers: Answers,
    reference: Reference | None,
    before: Summary | None,
    times: tuple[float, float],
    alpha: float,
) -> Performance | None:
    """Measure the metrics of rows whose truth is known, as evaluating does.

    Args:
        answers: The rows.
        reference: What says which classes there are; None where nothing does.
        before: The version's evaluation; None where it was never evaluated.
        times: When the rows came.
        alpha: The chance that a metric is called worse though it is not.

    Returns:
        The metrics; None of rows that cannot be measured.
    """
    if not len(answers.truth):
        return None
    problem, truth, given = _problem(answers, reference)
    if given.unusable == len(truth):
        return None
    if given.unusable:
        kept = (
            np.isfinite(given.labels) & (given.labels >= 0) if problem.classes else np.isfinite(given.labels)
        )
        truth, given = truth[kept], _part(given, kept)
    found = measure(problem, truth, given)
    told = metrics(problem, given, found)
    numbers = [
        Number(
            one.name,
            one.value,
            one.low,
            one.high,
            None if before is None else before.metrics.get(one.name),
            worse=_worse(found, one.name, before, len(truth), alpha),
        )
        for one in told
        if math.isfinite(one.value)
    ]
    return Performance(*times, len(truth), tuple(sorted(numbers, key=_rank)))


def estimated(span: Span, before: Summary | None) -> Performance | None:
    """Estimate metrics from probabilities alone, which is right as far as these mean what they say.

    A row with the probability p of the class looked for is one such row with the chance p: what accuracy
    and area under the ROC curve are to be expected follows from the probabilities of all rows.

    Args:
        span: A length of time.
        before: The version's evaluation.

    Returns:
        The estimates; None where the model gives no probabilities, or where its evaluation did not find
        that they mean what they say.
    """
    chances = span.chances
    if not chances.rows or not calibrated(before):
        return None
    accuracy = chances.sure / chances.rows
    # As far as said and seen differed at the evaluation, they may do so now.
    half = Z * math.sqrt(chances.spread) / chances.rows + (_gap(before) or 0.0)
    numbers = [_guess("accuracy", accuracy, accuracy - half, accuracy + half, before)]
    if chances.counts and (area := _area(chances)) is not None:
        numbers.append(_guess("roc_auc", *area, before))
    return Performance(span.began, span.ended, chances.rows, tuple(sorted(numbers, key=_rank)))


def calibrated(before: Summary | None) -> bool:
    """Tell whether the version's evaluation found that its probabilities nearly mean what they say."""
    gap = _gap(before)
    return gap is not None and gap <= _CLOSE


def _gap(before: Summary | None) -> float | None:
    """Return by how much said and seen differed on average; None where the gate did not pass."""
    for gate in () if before is None else before.gates:
        if gate.name == "calibration" and gate.outcome == "pass":
            return gate.value
    return None


def written(value: object) -> str:
    """Write a label as it is compared: 1, 1.0 and the text "1" are the same; true is not 1."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _guess(name: str, value: float, low: float, high: float, before: Summary | None) -> Number:
    was = None if before is None else before.metrics.get(name)
    return Number(name, value, max(0.0, low), min(1.0, high), was, estimated=True)


def _area(chances: Chances) -> tuple[float, float, float] | None:
    """Expect an area under the ROC curve; its interval is as wide as one of so many rows would be."""
    held = np.asarray(chances.sums)
    others = np.asarray(chances.counts) - held
    yes, no = float(held.sum()), float(others.sum())
    if yes < 1 or no < 1 or len(held) != PLACES:
        return None
    below = np.concatenate([[0.0], np.cumsum(others)[:-1]])
    area = float((held * (below + others / 2)).sum() / (yes * no))
    # Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982).
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (yes - 1) * (first - area**2) + (no - 1) * (second - area**2)
    found = on_logit(area, math.sqrt(max(spread, 0.0) / (yes * no)), int(min(yes, no)))
    return area, found.low, found.high


def _problem(answers: Answers, reference: Reference | None) -> tuple[Problem, Any, Predictions]:
    told = None if reference is None else reference.predictions
    numeric = all(isinstance(value, int | float | np.number) for value in (*answers.truth, *answers.labels))
    if (told is not None and told.numbers is not None) or (told is None and numeric and _many(answers)):
        truth = np.asarray(answers.truth, np.float64)
        labels = np.asarray([np.nan if each is None else each for each in answers.labels], np.float64)
        return Problem("regression"), truth, Predictions(labels, unusable=int((~np.isfinite(labels)).sum()))
    truths = [written(value) for value in answers.truth]
    said = [None if value is None else written(value) for value in answers.labels]
    width = 0 if answers.probabilities is None else answers.probabilities.shape[1]
    classes = _classes(reference, {*truths, *(each for each in said if each is not None)}, width)
    fits = answers.probabilities is not None and width == len(classes)
    proba = answers.probabilities if fits else None
    codes = encode(said, classes).astype(np.float64)
    if proba is not None:
        chosen = proba.argmax(axis=1)
        codes = np.where(codes < 0, chosen, codes)
    kind = "binary" if len(classes) <= _TWO else "multiclass"
    score = proba[:, 1] if proba is not None and len(classes) == _TWO else None
    given = Predictions(codes, proba, score, int((codes < 0).sum()))
    return Problem(kind, tuple(classes)), encode(truths, classes).astype(np.float64), given  # type: ignore[arg-type]


def _many(answers: Answers) -> bool:
    """Tell whether a target that nothing is known of is one of numbers, not of classes."""
    held = np.asarray(answers.truth, np.float64)
    return len(np.unique(held)) > 20 or bool((held != np.round(held)).any())  # noqa: PLR2004 - classes


def _classes(reference: Reference | None, seen: set[str], width: int) -> list[str]:
    """Order the classes as the model does, so that the second of two is the one that is looked for."""
    told = None if reference is None else reference.predictions
    known = [] if told is None else list(told.probabilities)
    if told is not None and len(known) == 1 and len({*told.labels, *seen, *known}) <= _TWO:
        others = sorted({*told.labels, *seen} - set(known))
        return [*others[:1], *known] if others else ["", *known]
    every = {*seen, *(told.labels if told is not None else ())}
    if len(known) >= len(every) or len(known) == width:
        return [*known, *sorted(every - set(known))]
    return sorted(every, key=_order)


def _order(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _part(given: Predictions, kept: np.ndarray[Any, Any]) -> Predictions:
    return Predictions(
        given.labels[kept],
        None if given.proba is None else given.proba[kept],
        None if given.score is None else given.score[kept],
    )


def _worse(found: Measured, name: str, before: Summary | None, rows: int, alpha: float) -> bool:
    """Tell whether a metric is worse than at the evaluation by more than both numbers' noise.

    The evaluation keeps no variance; one of as many rows would have had that of these, and it shrinks as
    rows grow.
    """
    was = None if before is None else before.metrics.get(name)
    if before is None or was is None or rows < _FEWEST or not before.rows:
        return False
    error = found.influence(name).error
    spread = error * math.sqrt(1 + rows / before.rows)
    drop = was - found.value(name) if HIGHER_IS_BETTER[name] else found.value(name) - was
    if not math.isfinite(drop) or not spread > 0:
        return False
    return 0.5 * math.erfc(drop / spread / math.sqrt(2)) < alpha


def _rank(number: Number) -> int:
    return _PLACES.index(number.name)
