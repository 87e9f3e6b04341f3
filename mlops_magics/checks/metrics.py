"""The metrics of each kind of problem, each with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlops_magics.checks import intervals, ranking
from mlops_magics.checks.intervals import UNDEFINED, Estimate, Influence
from mlops_magics.checks.model import Codes, Numbers, Predictions
from mlops_magics.checks.problem import Problem
from mlops_magics.checks.ranking import Lists

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "roc_auc": True,
    "roc_auc_ovr": True,
    "average_precision": True,
    "ndcg": True,
    "ndcg_by_list": True,
    "precision_at_k": True,
    "accuracy": True,
    "balanced_accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "precision_macro": True,
    "f1_macro": True,
    "log_loss": False,
    "brier": False,
    "r2": True,
    "rmse": False,
    "mae": False,
    "median_ae": False,
    "mape": False,
}
"""All metrics by the names that scikit-learn's users know, and which way is better."""

_UNUSABLE = {
    "binary": ("roc_auc", "accuracy"),
    "multiclass": ("accuracy",),
    "regression": ("r2", "rmse", "mae"),
    "ranking": ("roc_auc", "ndcg"),
}
_SHARES = frozenset({"balanced_accuracy", "f1", "precision_macro", "f1_macro"})
_MANY_CLASSES = 100  # above it, metrics that look at each class alone are left out
_LISTS = 10  # fewer of them tell nothing of how sure their mean is
_TINY = float(np.finfo(np.float64).eps)  # what scikit-learn clips probabilities to

Statistic = Callable[[Numbers], Numbers]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric on the rows.

    Attributes:
        name: Its name.
        value: Its value; NaN where predictions are missing.
        low: The lower end of its 95 % interval; None where there is none.
        high: The upper end.
        higher_is_better: Which way is better.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    higher_is_better: bool


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the metrics of one model are computed from.

    Attributes:
        columns: Terms a row whose sums give the statistics.
        statistics: Functions of the sums (last axis), by metric.
        influences: Metrics that are no function of sums, with the influence of each row.
        proportions: Metrics that are plain proportions: hits and trials.
        bounded: Metrics that are bounded by another way than their influence's log odds.
        scarce: Rows of the smallest class, which bounds what a perfect ranking proves.
        chance: What knowing nothing gives, of metrics for which that hangs on the rows.
        right: The column that is 1 where the predicted class is right.
    """

    columns: Numbers
    statistics: Mapping[str, Statistic]
    influences: Mapping[str, Influence] = field(default_factory=dict)
    proportions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bounded: Mapping[str, Estimate] = field(default_factory=dict)
    scarce: int = 0
    chance: Mapping[str, float] = field(default_factory=dict)
    right: int = 0

    def names(self) -> tuple[str, ...]:
        """The metrics that are defined here, in the order in which they are shown."""
        found = {*self.statistics, *self.influences}
        return tuple(name for name in HIGHER_IS_BETTER if name in found)

    def value(self, name: str) -> float:
        """The metric on all rows."""
        if name in self.influences:
            return self.influences[name].value
        return float(_quietly(self.statistics[name], self.columns.sum(axis=0)))

    def influence(self, name: str) -> Influence:
        """The metric on all rows, with how much each row moves it (delta method for functions of sums)."""
        if name in self.influences:
            return self.influences[name]
        sums, statistic = self.columns.sum(axis=0), self.statistics[name]
        steps = np.diag(1e-6 * np.maximum(np.abs(sums), 1.0))
        slopes = (_quietly(statistic, sums + steps) - _quietly(statistic, sums - steps)) / (
            2 * steps.diagonal()
        )
        return Influence(self.value(name), np.asarray(self.columns @ slopes))


def measure(problem: Problem, truth: Numbers, given: Predictions, lists: Codes | None = None) -> Measured:
    """Prepare all metrics that are defined for these rows.

    Args:
        problem: The kind of problem.
        truth: Codes of the classes, numbers, or grades.
        given: The predictions, all of them usable.
        lists: Of a ranking: the list that each row is ranked in, numbered from 0; None for one of all rows.
    """
    if problem.kind == "regression":
        return _regression(truth, given.labels)
    if problem.kind == "ranking":
        return _ranking(problem, truth, given.labels, lists)
    return _binary(truth, given) if problem.kind == "binary" else _multiclass(problem, truth, given)


def metrics(problem: Problem, given: Predictions, measured: Measured | None) -> tuple[Metric, ...]:
    """Estimate all metrics.

    Args:
        problem: The kind of problem.
        given: The predictions.
        measured: What was prepared; None where a prediction is unusable, and then all metrics are NaN:
            a mean over the rows that a model chose to answer would flatter it.
    """
    if measured is None or given.unusable:
        names = _UNUSABLE[problem.kind]
        return tuple(_metric(name, UNDEFINED) for name in names)
    replicates = intervals.resampled(measured.columns)
    return tuple(_metric(name, _estimate(measured, name, replicates)) for name in measured.names())


def _estimate(measured: Measured, name: str, replicates: Numbers) -> Estimate:
    if name in measured.bounded:
        return measured.bounded[name]
    if name in measured.influences:
        found = measured.influences[name]
        return intervals.on_logit(found.value, found.error, measured.scarce)
    if name in measured.proportions:
        return intervals.wilson(*measured.proportions[name])
    drawn = intervals.percentile(measured.value(name), _quietly(measured.statistics[name], replicates))
    if name in _SHARES and measured.scarce and drawn.low == drawn.high:
        # Where no drawing differs, as every row is right: a few rows without a fault prove little.
        bounds = intervals.wilson(drawn.value * measured.scarce, measured.scarce)
        return Estimate(drawn.value, min(drawn.value, bounds.low), max(drawn.value, bounds.high))
    return drawn


def _metric(name: str, estimate: Estimate) -> Metric:
    low, high = (end if math.isfinite(end) else None for end in estimate[1:])
    return Metric(name, estimate.value, low, high, HIGHER_IS_BETTER[name])


def _quietly(statistic: Statistic, sums: Numbers) -> Numbers:
    """Compute where a replicate may divide by zero: NaN is then the honest answer."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(statistic(sums))


def _ratio(over: int, under: int) -> Statistic:
    return lambda sums: sums[..., over] / sums[..., under]


def _binary(truth: Numbers, given: Predictions) -> Measured:
    yes, said = truth == 1, given.labels == 1
    terms = [np.ones_like(truth), yes, said, yes & said, given.labels == truth, ~yes & (given.labels == 0)]
    sums = [float(np.sum(term)) for term in terms]
    # The sums by position: 0 rows, 1 positives, 2 called positive, 3 hits, 4 right, 5 right negatives.
    statistics: dict[str, Statistic] = {"accuracy": _ratio(4, 0)}
    proportions = {"accuracy": (sums[4], sums[0])}
    if sums[2]:
        statistics["precision"], proportions["precision"] = _ratio(3, 2), (sums[3], sums[2])
    if sums[1]:
        statistics["recall"], proportions["recall"] = _ratio(3, 1), (sums[3], sums[1])
        statistics["f1"] = lambda s: 2 * s[..., 3] / (s[..., 1] + s[..., 2])
    if 0 < sums[1] < sums[0]:
        statistics["balanced_accuracy"] = lambda s: (
            (s[..., 3] / s[..., 1] + s[..., 5] / (s[..., 0] - s[..., 1])) / 2
        )
    if given.proba is not None and given.score is not None:
        statistics |= {"log_loss": _ratio(len(terms), 0), "brier": _ratio(len(terms) + 1, 0)}
        terms += [_surprise(truth, given.proba), (given.score - yes) ** 2]
    influences = {} if given.score is None else _rankings(yes, given.score)
    scarce = int(min(sums[1], sums[0] - sums[1]))
    return Measured(_columns(terms), statistics, influences, proportions, scarce=scarce, right=4)


def _rankings(yes: npt.NDArray[np.bool_], score: Numbers) -> dict[str, Influence]:
    found = {
        "roc_auc": intervals.roc_auc(yes, score),
        "average_precision": intervals.average_precision(yes, score),
    }
    return {name: influence for name, influence in found.items() if influence is not None}


def _ranking(problem: Problem, truth: Numbers, score: Numbers, lists: Codes | None) -> Measured:
    sought = problem.sought(truth)
    found = _rankings(sought, score)
    if (gain := ranking.ndcg(truth, score)) is not None:
        found["ndcg"] = gain
    scarce, bounded = int(min(sought.sum(), (~sought).sum())), dict[str, Estimate]()
    if (first := ranking.precision_at(sought, score, problem.top)) is not None:
        taken = int(sought.sum()) if problem.top is None else problem.top
        found["precision_at_k"] = first
        bounded["precision_at_k"] = intervals.on_logit(first.value, first.error, taken)
    gains = None if lists is None else ranking.ndcg_by_list(truth, score, lists)
    chance = {} if gains is None else {"ndcg_by_list": gains.chance}
    if gains is not None:
        found["ndcg_by_list"], bounded["ndcg_by_list"] = _of_lists(gains, len(truth))
    return Measured(np.ones((len(truth), 1)), {}, found, bounded=bounded, scarce=scarce, chance=chance)


def _of_lists(gains: Lists, rows: int) -> tuple[Influence, Estimate]:
    """Bound the mean of lists by drawing lists, not rows: what is in one list hangs together."""
    count, moved = len(gains.each), np.zeros(rows)
    if count < _LISTS:
        return Influence(gains.value, np.full(rows, math.nan)), Estimate(gains.value, math.nan, math.nan)
    # A list moves the mean as a whole: its first row stands for it.
    moved[gains.firsts] = (gains.each - gains.value) / count
    drawn = intervals.resampled(np.column_stack([gains.each, np.ones(count)]))
    return Influence(gains.value, moved), intervals.percentile(gains.value, drawn[:, 0] / drawn[:, 1])


def _surprise(truth: Numbers, proba: Numbers) -> Numbers:
    chosen = proba[np.arange(len(truth)), truth.astype(np.int64)]
    total = proba.sum(axis=1)
    return np.asarray(-np.log(np.clip(chosen / total, _TINY, 1 - _TINY)))


def _multiclass(problem: Problem, truth: Numbers, given: Predictions) -> Measured:
    ones, right = np.ones_like(truth), given.labels == truth
    terms = [ones, right]
    statistics: dict[str, Statistic] = {"accuracy": _ratio(1, 0)}
    if given.proba is not None:
        exact = np.eye(len(problem.classes))[truth.astype(np.int64)]
        terms += [_surprise(truth, given.proba), ((given.proba - exact) ** 2).sum(axis=1)]
        statistics |= {"log_loss": _ratio(2, 0), "brier": _ratio(3, 0)}
    present = np.unique(truth)
    seen = np.union1d(present, given.labels[given.labels >= 0])
    if len(seen) <= _MANY_CLASSES:
        at, k = len(terms), len(seen)
        terms += [truth == code for code in seen]
        terms += [given.labels == code for code in seen]
        terms += [right & (truth == code) for code in seen]
        statistics |= _by_class(at, k, np.isin(seen, present))
    influences = {} if given.proba is None else _one_against_rest(truth, given.proba)
    counts = np.unique(truth, return_counts=True)[1]
    return Measured(
        _columns(terms),
        statistics,
        influences,
        {"accuracy": (float(right.sum()), float(len(truth)))},
        scarce=int(counts.min()),
        right=1,
    )


def _by_class(at: int, k: int, present: npt.NDArray[np.bool_]) -> dict[str, Statistic]:
    """Average over classes; what a class that nobody names or has would divide by zero counts zero."""

    def parts(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        return (
            sums[..., at : at + k],
            sums[..., at + k : at + 2 * k],
            sums[..., at + 2 * k : at + 3 * k],
        )

    def mean(hits: Numbers, of: Numbers) -> Numbers:
        return np.asarray(np.where(of > 0, hits / of, 0.0).mean(axis=-1))

    def recall(sums: Numbers) -> Numbers:
        true, _, hits = (part[..., present] for part in parts(sums))
        # A rare class may be missing from a replicate: the mean is then over those that are there.
        return np.asarray(np.where(true > 0, hits / true, 0.0).sum(axis=-1) / (true > 0).sum(axis=-1))

    def precision(sums: Numbers) -> Numbers:
        _, said, hits = parts(sums)
        return mean(hits, said)

    def f1(sums: Numbers) -> Numbers:
        true, said, hits = parts(sums)
        return mean(2 * hits, true + said)

    return {"balanced_accuracy": recall, "precision_macro": precision, "f1_macro": f1}


def _one_against_rest(truth: Numbers, proba: Numbers) -> dict[str, Influence]:
    """Average the areas of each class against the rest; the rows' influences average alike."""
    codes = np.unique(truth)
    if len(codes) > _MANY_CLASSES:
        return {}
    found = [intervals.roc_auc(truth == code, proba[:, int(code)]) for code in codes]
    areas = [area for area in found if area is not None]
    if len(areas) < 2:  # noqa: PLR2004 - one class alone cannot be told from itself
        return {}
    value = float(np.mean([area.value for area in areas]))
    return {"roc_auc_ovr": Influence(value, np.mean([area.rows for area in areas], axis=0))}


def _regression(truth: Numbers, given: Numbers) -> Measured:
    error = np.abs(truth - given)
    centred = truth - truth.mean()  # squares of far numbers would lose their digits
    terms = [np.ones_like(truth), error, error**2, centred, centred**2]
    statistics: dict[str, Statistic] = {
        "rmse": lambda s: np.sqrt(s[..., 2] / s[..., 0]),
        "mae": _ratio(1, 0),
    }
    if np.ptp(truth) > 0 and len(truth) > 1:
        statistics["r2"] = lambda s: 1 - s[..., 2] / (s[..., 4] - s[..., 3] ** 2 / s[..., 0])
    if np.abs(truth).min() > _TINY * np.abs(truth).max():
        statistics["mape"] = _ratio(len(terms), 0)
        terms.append(error / np.abs(truth))
    middle, influence = intervals.median(error)
    return Measured(
        _columns(terms),
        statistics,
        {"median_ae": influence},
        bounded={"median_ae": middle},
        scarce=len(truth),
    )


def _columns(terms: list[Numbers] | list[npt.NDArray[np.bool_]]) -> Numbers:
    return np.column_stack([np.asarray(term, dtype=np.float64) for term in terms])
