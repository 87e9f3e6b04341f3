"""How well the model does in parts of the rows, and whether a part is surely worse than the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.intervals import Influence, Z, on_logit, wilson
from mlops_magics.checks.metrics import HIGHER_IS_BETTER, Measured, measure
from mlops_magics.checks.model import Numbers, Predictions
from mlops_magics.checks.problem import Problem
from mlops_magics.foundation.blocks import shown

Mask = npt.NDArray[np.bool_]

ROWS = 30
"""How many rows a part needs; fewer prove nothing."""

_SCARCE = 10  # rows of the rarer class that a ranking needs
_LEVELS = 20  # the most frequent ones; the others are one slice together
_QUARTERS = 4  # numbers with more distinct values than levels are cut at their quartiles
_LABEL_CHARACTERS = 40
_SIGNS = frozenset(">≥<≤")
_RANKED = frozenset({"roc_auc", "average_precision", "ndcg", "precision_at_k"})
_DROP, _LOSS_DROP = 0.05, 0.5


def part_of(column: str, level: str) -> str:
    """Name a part of a column: ``hour > 17``, ``carrier = UA``."""
    return f"{column} {level}" if level[:1] in _SIGNS else f"{column} = {level}"


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows.

    Attributes:
        column: The column that cuts.
        level: Its value, or range, in this part.
        rows: How many rows it has.
        metric: The metric.
        value: The metric in this part; None where it has too few rows.
        low: The lower end of its 95 % interval.
        high: The upper end.
        drop: How much worse than the mean of its column's slices: absolute, or a share where lower is better.
        p_value: One-sided, of a drop no larger than allowed; adjusted for the number of slices (Holm).
        worse: Whether it is surely worse by more than allowed.
    """

    column: str
    level: str
    rows: int
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    drop: float | None = None
    p_value: float | None = None
    worse: bool = False


def allowed_drop(metric: str, asked: float | None) -> float:
    """Say how much worse than the mean a slice may be."""
    if asked is not None:
        return asked
    return _DROP if HIGHER_IS_BETTER[metric] else _LOSS_DROP


def slice_up(
    problem: Problem,
    truth: Numbers,
    given: Predictions,
    columns: Mapping[str, Any],
    *,
    metric: str,
    drop: float | None,
    alpha: float,
) -> tuple[Slice, ...]:
    """Measure a metric in every slice and test it against the mean of the slices of its column.

    For accuracy and mean absolute error that mean is the metric of the whole. For a ranking it is not:
    a column that predicts well (the hour of a delay) leaves little to rank within its slices, and all of
    them would seem to fall below the whole.

    Args:
        problem: The kind of problem.
        truth: The target as numbers.
        given: The predictions, all usable.
        columns: The columns that cut, by name.
        metric: The metric; R², which a part's own spread distorts, gives way to the mean absolute error.
        drop: How much worse is allowed; None for the default of the metric.
        alpha: The error that all tests together may make.
    """
    metric = "mae" if problem.kind == "regression" and HIGHER_IS_BETTER[metric] else metric
    names = measure(problem, truth, given).names()
    metric = metric if metric in names else names[0]
    allowed = allowed_drop(metric, drop)
    found = list[Slice]()
    for name, values in columns.items():
        parts = [
            _measured(problem, truth, given, mask, Slice(name, level, int(mask.sum()), metric))
            for level, mask in levels(values)
        ]
        found += _against_mean(parts, allowed)
    return _holm(found, alpha)


def _measured(
    problem: Problem, truth: Numbers, given: Predictions, mask: Mask, empty: Slice
) -> tuple[Slice, Numbers | None]:
    """Measure one slice, and how much each row moves the metric in it; None where rows are too few."""
    sought = problem.sought(truth)[mask]
    if empty.rows < ROWS or (empty.metric in _RANKED and min(sought.sum(), (~sought).sum()) < _SCARCE):
        return empty, None
    part = measure(problem, truth[mask], _part(given, mask))
    if empty.metric not in part.names():
        return empty, None
    influence = part.influence(empty.metric)
    rows = np.zeros(len(truth))
    rows[mask] = influence.rows
    low, high = _interval(part, empty.metric, influence)
    return replace(empty, value=influence.value, low=low, high=high), rows


def _against_mean(parts: list[tuple[Slice, Numbers | None]], allowed: float) -> list[Slice]:
    """Test the slices of one column, row by row, against their mean weighted by rows."""
    known = [(one, rows, one.value) for one, rows in parts if rows is not None and one.value is not None]
    total = sum(one.rows for one, _, _ in known)
    mean = sum(one.rows / total * value for one, _, value in known)
    moved_mean = sum((one.rows / total * rows for one, rows, _ in known), start=np.zeros(1))
    tested = list[Slice]()
    for one, rows in parts:
        if rows is None or one.value is None or (mean <= 0 and not HIGHER_IS_BETTER[one.metric]):
            tested.append(one)  # too few rows, or a loss of zero everywhere, which has no scale
            continue
        if HIGHER_IS_BETTER[one.metric]:
            drop, moved = mean - one.value, moved_mean - rows
        else:
            share = one.value / mean
            drop, moved = share - 1, (rows - share * moved_mean) / mean
        error, excess = float(np.sqrt(moved @ moved)), drop - allowed
        p_value = math.erfc(excess / error / math.sqrt(2)) / 2 if error > 0 else float(excess <= 0)
        tested.append(replace(one, drop=drop, p_value=p_value))
    return tested


def _part(given: Predictions, mask: Mask) -> Predictions:
    proba = None if given.proba is None else given.proba[mask]
    return Predictions(given.labels[mask], proba, None if given.score is None else given.score[mask])


def _interval(part: Measured, metric: str, influence: Influence) -> tuple[float, float]:
    if metric in part.proportions:
        found = wilson(*part.proportions[metric])
        return found.low, found.high
    if metric in _RANKED or metric == "roc_auc_ovr":
        found = on_logit(influence.value, influence.error, part.scarce)
        return found.low, found.high
    return influence.value - Z * influence.error, influence.value + Z * influence.error


def _holm(slices: list[Slice], alpha: float) -> tuple[Slice, ...]:
    """Adjust the p-values for their number: Holm, Scandinavian Journal of Statistics 6 (1979)."""
    tested = sorted(
        (i for i, one in enumerate(slices) if one.p_value is not None), key=lambda i: _p(slices[i])
    )
    running = 0.0
    for place, i in enumerate(tested):
        running = min(1.0, max(running, (len(tested) - place) * _p(slices[i])))
        slices[i] = replace(slices[i], p_value=running, worse=running < alpha)
    return tuple(slices)


def _p(one: Slice) -> float:
    return 1.0 if one.p_value is None else one.p_value


def levels(values: Any) -> Iterator[tuple[str, Mask]]:  # noqa: ANN401 - a pandas column
    """Cut a column into its levels: values, quarters of a range, the rare ones together, and what is missing.

    Yields:
        What each part is called, and its rows; each row is in one part.
    """
    missing = np.asarray(values.isna(), dtype=bool)
    if values.dtype.kind in "iuf" and values.nunique() > _LEVELS:
        yield from _quarters(np.asarray(values, dtype=np.float64), missing)
    else:
        labels = np.asarray(values.astype(object).map(_label), dtype=object)
        names, counts = np.unique(labels[~missing].astype(str), return_counts=True)
        order = np.lexsort((names, -counts))
        frequent = sorted(names[order[:_LEVELS]])
        for name in frequent:
            yield str(name), np.asarray((labels == name) & ~missing, dtype=bool)
        if len(names) > _LEVELS:
            rest = np.asarray(~np.isin(labels.astype(str), frequent) & ~missing, dtype=bool)
            yield f"({len(names) - _LEVELS} others)", rest
    if missing.any():
        yield "(missing)", missing


def _quarters(values: Numbers, missing: Mask) -> Iterator[tuple[str, Mask]]:
    edges = np.unique(np.quantile(values[~missing], np.arange(1, _QUARTERS) / _QUARTERS))
    place = np.searchsorted(edges, values, side="left")
    for i in range(len(edges) + 1):
        if i == 0:
            label = f"≤ {shown(float(edges[0]))}"
        elif i == len(edges):
            label = f"> {shown(float(edges[-1]))}"
        else:
            label = f"{shown(float(edges[i - 1]))} to {shown(float(edges[i]))}"
        mask = (place == i) & ~missing
        if mask.any():
            yield label, mask


def _label(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 1] + "…"
