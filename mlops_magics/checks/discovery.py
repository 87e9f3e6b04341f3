"""Portions of the rows that nobody named and in which the model is worse: found by search, tested together.

A portion is a level of one column, or of two at once. What is compared is the model's error on a row, never
the target, with the errors on rows that were given a similar answer: that some rows are harder, and that the
model says so itself, is no finding. All portions that were looked at count as tests (Holm).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.intervals import Z, wilson
from mlops_magics.checks.metrics import HIGHER_IS_BETTER
from mlops_magics.checks.model import Numbers, Predictions
from mlops_magics.checks.problem import Problem
from mlops_magics.checks.slicing import allowed_drop, levels, part_of

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ROWS = 30  # fewer prove nothing
_SHARE = 0.01  # of the rows: a smaller portion would drown in the number of tests
_LONGEST = 100_000  # rows that are searched
_COLUMNS = 40  # whose pairs are looked at
_TOLD = 5
_LOOKED_AT = 200  # sure portions, of which those are told that others do not explain
_ALIKE = 50  # rows whose answers count as similar
_MOST_BINS = 100


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of the rows that the search found, in which the model is surely worse.

    Attributes:
        where: Columns and their levels; one or two of them.
        rows: How many of the rows that were searched it has.
        metric: "accuracy" or "mae".
        value: The metric in it.
        low: The lower end of its 95 % interval.
        high: The upper end.
        expected: The metric of rows that were given similar answers.
        drop: How much worse it is than expected: absolute, or a share where lower is better.
        p_value: One-sided, of being no worse than expected; adjusted for all portions that were tried.
    """

    where: tuple[tuple[str, str], ...]
    rows: int
    metric: str
    value: float
    low: float
    high: float
    expected: float
    drop: float
    p_value: float

    @property
    def words(self) -> str:
        """What is in it: ``hour > 17 and carrier = UA``."""
        return " and ".join(part_of(column, level) for column, level in self.where)


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to.

    Attributes:
        portions: The portions in which the model is surely worse by more than allowed, the surest first.
        tried: How many portions were looked at.
    """

    portions: tuple[Portion, ...] = ()
    tried: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """What each row says of the model.

    Attributes:
        metric: The metric whose mean over rows ``value`` is.
        value: The row's part of the metric.
        expected: The mean of that over rows with similar answers.
        loss: What is tested: 1 for a wrong answer, or the error's rank among rows with similar answers.
        mean: The mean of the loss among rows with similar answers.
        spread: The variance of a rank there; None where the loss is right or wrong.
    """

    metric: str
    value: Numbers
    expected: Numbers
    loss: Numbers
    mean: Numbers
    spread: Numbers | None


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    name: str
    codes: Codes
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The portions of one column, or of two, that have enough rows."""

    columns: tuple[_Column, ...]
    place: Codes
    log_p: Numbers


def discover(
    problem: Problem,
    truth: Numbers,
    given: Predictions,
    rows: Any,  # noqa: ANN401 - a pandas table
    *,
    drop: float | None,
    alpha: float,
) -> Search:
    """Search for portions in which the model is worse.

    Args:
        problem: The kind of problem.
        truth: The target as numbers.
        given: The predictions, all usable.
        rows: The rows, features only.
        drop: How much worse is allowed; None for the default of the metric.
        alpha: How likely the search may tell of any portion where the model is equally good everywhere.

    Returns:
        What was found.
    """
    step = -(-len(truth) // _LONGEST)
    some = slice(None, None, step)
    errors = _errors(problem, truth[some], _thinned(given, some))
    columns = [_coded(str(name), rows.iloc[some, i]) for i, name in enumerate(rows.columns)]
    fewest = max(_ROWS, math.ceil(_SHARE * len(errors.loss)))
    cells = list(_cells([one for one in columns if len(one.labels) > 1], errors, fewest))
    tried = sum(len(one.place) for one in cells)
    if not tried:
        return Search()
    return Search(_told(cells, errors, allowed_drop(errors.metric, drop), alpha, fewest), tried)


def _thinned(given: Predictions, some: slice) -> Predictions:
    proba, score = (None if one is None else one[some] for one in (given.proba, given.score))
    return Predictions(given.labels[some], proba, score)


def _errors(problem: Problem, truth: Numbers, given: Predictions) -> _Errors:
    if problem.kind == "regression":
        return _by_size(np.abs(truth - given.labels), _binned(given.labels))
    right = _right(problem, truth, given).astype(np.float64)
    expected = _means(right, _alike(given))
    return _Errors("accuracy", right, expected, 1 - right, 1 - expected, None)


def _right(problem: Problem, truth: Numbers, given: Predictions) -> Mask:
    """Say which rows are answered rightly: of a ranking, as many are called as are sought, from the top."""
    if problem.kind != "ranking":
        return np.asarray(given.labels == truth)
    sought = problem.sought(truth)
    cut = np.sort(given.labels)[len(truth) - max(1, int(sought.sum()))]
    return np.asarray((given.labels >= cut) == sought)


def _by_size(error: Numbers, strata: Codes) -> _Errors:
    """Compare by ranks: a few huge errors then cannot make a portion, and no tail is guessed."""
    from scipy.stats import rankdata

    loss, spread = np.empty(len(error)), np.empty(len(error))
    for code in np.unique(strata):
        here = strata == code
        loss[here] = (rankdata(error[here]) - 0.5) / here.sum()
        spread[here] = loss[here].var()
    return _Errors("mae", error, _means(error, strata), loss, np.full(len(loss), 0.5), spread)


def _alike(given: Predictions) -> Codes:
    """Number the rows by what the model said of them, similar answers alike."""
    if given.score is not None:
        return _binned(given.score)
    if given.proba is not None:
        return _binned(given.proba.max(axis=1))
    return np.unique(given.labels, return_inverse=True)[1]


def _binned(values: Numbers) -> Codes:
    bins = int(min(_MOST_BINS, max(1, len(values) // _ALIKE)))
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return np.searchsorted(edges, values, side="left")


def _means(value: Numbers, strata: Codes) -> Numbers:
    rows = np.maximum(np.bincount(strata), 1)
    means: Numbers = np.bincount(strata, weights=value) / rows
    return means[strata]


def _coded(name: str, values: Any) -> _Column:  # noqa: ANN401 - a pandas column
    codes, labels = np.full(len(values), -1, np.int64), list[str]()
    for label, mask in levels(values):
        codes[mask] = len(labels)
        labels.append(label)
    return _Column(name, codes, tuple(labels))


def _cells(columns: Sequence[_Column], errors: _Errors, fewest: int) -> Iterator[_Cells]:
    """Test each level of each column, then of each two columns."""
    for one in columns:
        yield _tested((one,), one.codes, errors, fewest)
    for one, other in itertools.combinations(columns[:_COLUMNS], 2):
        width = len(other.labels)
        yield _tested((one, other), one.codes * width + other.codes, errors, fewest)


def _tested(columns: tuple[_Column, ...], codes: Codes, errors: _Errors, fewest: int) -> _Cells:
    rows = np.bincount(codes).astype(np.float64)
    loss, mean = _sums(codes, errors.loss), _sums(codes, errors.mean)
    place = np.flatnonzero((rows >= fewest) & (rows <= len(codes) - fewest))
    if errors.spread is None:
        log_p = _wrong_answers(loss[place], mean[place], rows[place])
    else:
        spread = _sums(codes, errors.spread)[place]
        log_p = _rank_sums(loss[place] - mean[place], spread)
    return _Cells(columns, place, log_p)


def _sums(codes: Codes, weights: Numbers) -> Numbers:
    return np.bincount(codes, weights=weights).astype(np.float64)


def _wrong_answers(wrong: Numbers, expected: Numbers, rows: Numbers) -> Numbers:
    """Bound the chance of so many wrong answers, on the log scale.

    Given how many rows of each kind of answer are wrong, a portion's wrong rows are a sum of hypergeometric
    numbers, hence of independent trials; the binomial of the same mean then bounds the upper tail (Hoeffding,
    Annals of Mathematical Statistics 27, 1956).
    """
    from scipy.stats import binom

    tail = binom.logsf(np.round(wrong) - 1, rows, np.clip(expected / np.maximum(rows, 1), 0, 1))
    return np.where(wrong >= expected + 1, tail, 0.0)


def _rank_sums(excess: Numbers, spread: Numbers) -> Numbers:
    """Find the chance of so high a sum of ranks (Wilcoxon); drawing without return only narrows it."""
    from scipy.stats import norm

    known = spread > 0
    scaled = np.where(known, excess / np.sqrt(np.where(known, spread, 1.0)), 0.0)
    return np.asarray(norm.logsf(scaled))


def _told(
    cells: Sequence[_Cells], errors: _Errors, allowed: float, alpha: float, fewest: int
) -> tuple[Portion, ...]:
    """Choose what is told: sure after Holm's correction, and worse by more than allowed.

    What is worse only by the rows that it shares with a surer portion is left out.
    """
    log_p = np.concatenate([one.log_p for one in cells])
    owner = np.repeat(np.arange(len(cells)), [len(one.place) for one in cells])
    place = np.concatenate([one.place for one in cells])
    order = np.argsort(log_p, kind="stable")
    told, explained, running = list[Portion](), np.zeros(len(errors.loss), bool), 0.0
    for rank, i in enumerate(order[:_LOOKED_AT]):
        running = max(running, min(1.0, (len(order) - rank) * math.exp(log_p[i])))
        if running >= alpha or len(told) == _TOLD:
            break
        columns, level = cells[owner[i]].columns, int(place[i])
        mask = _mask(columns, level)
        others = mask & ~explained
        if min(_drop(errors, mask), _drop(errors, others, fewest)) > allowed:
            told.append(_portion(columns, level, mask, errors, running))
            explained |= mask
    return tuple(told)


def _mask(columns: tuple[_Column, ...], place: int) -> Mask:
    places = _places(columns, place)
    mask = np.ones(len(columns[0].codes), bool)
    for one, level in zip(columns, places, strict=True):
        mask &= one.codes == level
    return mask


def _places(columns: tuple[_Column, ...], place: int) -> tuple[int, ...]:
    return (place,) if len(columns) == 1 else divmod(place, len(columns[1].labels))


def _drop(errors: _Errors, mask: Mask, fewest: int = 1) -> float:
    """Say how much worse the model is in some rows; of too few, nothing is said."""
    if mask.sum() < fewest:
        return -math.inf
    value, expected = float(errors.value[mask].mean()), float(errors.expected[mask].mean())
    if HIGHER_IS_BETTER[errors.metric]:
        return expected - value
    return value / expected - 1 if expected > 0 else 0.0


def _portion(
    columns: tuple[_Column, ...], place: int, mask: Mask, errors: _Errors, p_value: float
) -> Portion:
    value, rows = errors.value[mask], int(mask.sum())
    mean, expected = float(value.mean()), float(errors.expected[mask].mean())
    if errors.spread is None:
        _, low, high = wilson(float(value.sum()), rows)
    else:
        half = Z * float(value.std()) / math.sqrt(rows)
        low, high = mean - half, mean + half
    levels_ = zip(columns, _places(columns, place), strict=True)
    where = tuple((one.name, one.labels[i]) for one, i in levels_)
    return Portion(where, rows, errors.metric, mean, low, high, expected, _drop(errors, mask), p_value)
