"""The gate that asks whether a model treats groups of rows alike, where the policy names groups.

Equal rates of selection are demographic parity; equal true and false positive rates are equalised odds:
Hardt, Price and Srebro, NeurIPS (2016). The rates of each group are fairlearn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.model import Numbers
from mlops_magics.checks.policy import Groups
from mlops_magics.checks.ranking import share_of_top
from mlops_magics.checks.slicing import ROWS, Mask, levels, part_of
from mlops_magics.foundation.blocks import shown
from mlops_magics.foundation.errors import MissingExtraError

_NAMED = 3  # groups and pairs that a sentence holds
_ROUNDING = 1e-12

_Rate = Callable[[Numbers, Numbers], float]


class _Measure(NamedTuple):
    """What is compared between groups: ``rate`` of truth and answer, on the rows that it is of."""

    name: str
    rate: _Rate
    truth: Numbers
    answer: Numbers
    rows: Mask
    spreads: bool = False  # a mean of numbers, not a proportion


class _Group(NamedTuple):
    """A measure in one group; ``centre`` and ``variance`` are what tests and intervals are made of."""

    words: str
    value: float
    centre: float
    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two groups of a column in one measure.

    Attributes:
        measure: The measure.
        high: The group where it is higher, in words, and its value there.
        low: The other group.
        shift: The difference that the test is made of; near the difference itself.
        error: Its standard error.
        freedom: The degrees of freedom of its distribution; infinite for proportions.
        p_value: One-sided, of a difference no larger than allowed; adjusted for all pairs (Holm).
    """

    measure: str
    high: tuple[str, float]
    low: tuple[str, float]
    shift: float
    error: float
    freedom: float
    p_value: float = 1.0

    @property
    def difference(self) -> float:
        """How much the groups differ."""
        return self.high[1] - self.low[1]

    def beyond(self, allowed: float) -> float:
        """Return the probability of such a difference where the true one, either way, is what is allowed."""
        from scipy.special import stdtr

        size = abs(self.shift)
        if self.error <= _ROUNDING:  # without spread a difference is what it is
            return float(size <= allowed + _ROUNDING)
        ends = np.array([allowed - size, -allowed - size]) / self.error
        return float(stdtr(self.freedom, ends).sum())

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the ends between which the difference lies, but for an error of alpha."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.freedom, 1 - alpha / 2)) * self.error
        return self.shift - half, self.shift + half


def compared(facts: Facts, asked: Groups) -> tuple[list[Pair], list[str]]:
    """Compare every two groups of each column in each measure that the kind of problem has.

    Args:
        facts: What was predicted, and the columns of the groups.
        asked: The columns, and the difference that is allowed.

    Returns:
        The pairs, with p-values adjusted for their number; the groups with too few rows, in words.

    Raises:
        MissingExtraError: fairlearn is not installed.
    """
    measures = tuple(_measures(facts))
    pairs, scarce = list[Pair](), dict[str, None]()
    for column in asked.columns:
        parts = [(part_of(column, level), mask) for level, mask in levels(facts.groups[column])]
        for measure in measures:
            few = [words for words, mask in parts if (mask & measure.rows).sum() < ROWS]
            scarce.update(dict.fromkeys(_few(words, dict(parts)[words], measure) for words in few))
            enough = [part for part in parts if part[0] not in few]
            if len(enough) > 1:
                pairs += [_pair(measure, *two) for two in combinations(_by_group(measure, enough), 2)]
    return _holm([replace(one, p_value=one.beyond(asked.difference)) for one in pairs]), list(scarce)


def _few(words: str, mask: Mask, measure: _Measure) -> str:
    """Say of which measure a group is left out, where it has rows enough for another."""
    return words if mask.sum() < ROWS else f"{words} (of the {measure.name})"


def _measures(facts: Facts) -> Iterator[_Measure]:
    """Choose what is compared by the kind of problem."""
    try:
        from fairlearn.metrics import (
            false_positive_rate,
            mean_prediction,
            selection_rate,
            true_positive_rate,
        )
    except ImportError as error:
        raise MissingExtraError("fairlearn", "fairness") from error
    from sklearn.metrics import accuracy_score

    truth, answer = facts.truth, facts.given.labels
    every = np.ones(len(truth), dtype=np.bool_)
    if facts.problem.kind == "binary":
        yield _Measure("selection rate", selection_rate, truth, answer, every)
        yield _Measure("true positive rate", true_positive_rate, truth, answer, truth == 1)
        yield _Measure("false positive rate", false_positive_rate, truth, answer, truth == 0)
    elif facts.problem.kind == "multiclass":
        yield _Measure("accuracy", accuracy_score, truth, answer, every)
    elif facts.problem.kind == "ranking":
        sought = facts.problem.sought(truth)
        taken = share_of_top(sought, answer, facts.problem.top)
        yield _Measure("portion among the top", mean_prediction, truth, taken, every)
    elif (spread := float(truth.std())) > 0:
        off = (answer - truth) / spread
        yield _Measure("mean error", mean_prediction, truth, off, every, spreads=True)


def _by_group(measure: _Measure, parts: Sequence[tuple[str, Mask]]) -> list[_Group]:
    """Measure each group with fairlearn; each number more that it is asked for takes as long again."""
    from fairlearn.metrics import MetricFrame

    group = np.full(len(measure.truth), -1, dtype=np.int64)
    for place, (_, mask) in enumerate(parts):
        group[mask] = place
    taken = measure.rows & (group >= 0)
    values = MetricFrame(
        metrics=measure.rate,
        y_true=measure.truth[taken],
        y_pred=measure.answer[taken],
        sensitive_features=group[taken],
    ).by_group
    found = list[_Group]()
    for place, (words, mask) in enumerate(parts):
        own = measure.answer[mask & measure.rows]
        variance = float(own.var(ddof=1)) if measure.spreads else None
        found.append(_group(words, float(values.loc[place]), len(own), variance))
    return found


def _group(words: str, value: float, rows: int, variance: float | None) -> _Group:
    """Say how sure a mean is; a proportion gets one success and one failure more: 0 of 30 is not certain.

    Agresti and Caffo, The American Statistician 54 (2000).
    """
    if variance is not None:
        return _Group(words, value, value, variance / rows, rows - 1)
    centre = (value * rows + 1) / (rows + 2)
    return _Group(words, value, centre, centre * (1 - centre) / (rows + 2), math.inf)


def _pair(measure: _Measure, one: _Group, other: _Group) -> Pair:
    """Put two independent groups side by side; degrees of freedom are Welch's."""
    high, low = (one, other) if one.value >= other.value else (other, one)
    variance = high.variance + low.variance
    weights = high.variance**2 / high.freedom + low.variance**2 / low.freedom
    return Pair(
        measure.name,
        (high.words, high.value),
        (low.words, low.value),
        high.centre - low.centre,
        math.sqrt(variance),
        variance**2 / weights if weights > 0 else math.inf,
    )


def _holm(pairs: Sequence[Pair]) -> list[Pair]:
    """Adjust the p-values for their number, the smallest first: Holm (1979)."""
    ordered, running = list[Pair](), 0.0
    for place, one in enumerate(sorted(pairs, key=lambda pair: pair.p_value)):
        running = min(1.0, max(running, (len(pairs) - place) * one.p_value))
        ordered.append(replace(one, p_value=running))
    return ordered


class Fairness:
    """No two groups of a column that the policy names surely differ by more than is allowed."""

    name = "fairness"

    def judge(self, facts: Facts) -> Verdict:
        """Judge all pairs of groups together, by the two that differ most."""
        asked = facts.policy.fairness
        if asked is None:
            return not_applicable(self.name, "The policy names no group.")
        if facts.measured is None:
            return failed(self.name, None, None, "Groups cannot be compared: some predictions are unusable.")
        try:
            pairs, scarce = compared(facts, asked)
        except MissingExtraError as error:
            return failed(self.name, None, asked.difference, f"{error.what} {error.remedy}.")
        left = f" Left out, with fewer than {ROWS} rows: {_some(scarce)}." if scarce else ""
        if not pairs:
            return not_applicable(self.name, f"There are no two groups to compare.{left}")
        bad = [one for one in pairs if one.p_value < facts.policy.alpha]
        worst = max(bad or pairs, key=lambda one: one.difference)
        words = _words(worst, facts.policy.alpha / len(pairs))
        bound = f"more than {shown(asked.difference)}"
        if bad:
            more = [f"{one.measure}, {one.high[0]} and {one.low[0]}" for one in bad if one is not worst]
            also = f" So do: {_some(more)}." if more else ""
            return failed(
                self.name, worst.difference, asked.difference, f"{words}: surely {bound}.{also}{left}"
            )
        most = f", the most of {len(pairs):,} pairs" if len(pairs) > 1 else ""
        found = f"{words}{most}: not surely {bound}.{left}"
        return passed(self.name, worst.difference, asked.difference, found)


def _words(pair: Pair, alpha: float) -> str:
    (high, most), (low, least) = pair.high, pair.low
    start, end = pair.interval(alpha)
    return (
        f"The {pair.measure} is {_short(most)} for {high} and {_short(least)} for {low}; "
        f"they differ by {_short(pair.difference)} ({_short(start)} to {_short(end)})"
    )


def _short(value: float) -> str:
    return shown(float(f"{value:.3g}"))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more


GATE = Fairness()
