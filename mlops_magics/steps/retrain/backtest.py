"""Which policy of retraining would have served best: history is replayed, window by window, under each.

Each policy begins with the same model, fitted on the first window. Every later window is answered by the
model that the policy has at that moment, and judged; then its labels are known, and the policy says whether
it retrains: on all rows up to there, or on those since the last training. What a retraining may use is never
newer than the window before the one that it is judged on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from mlops_magics.artifact.reference import Reference
from mlops_magics.checks.metrics import HIGHER_IS_BETTER, Metric, measure, metrics
from mlops_magics.checks.model import model_of, predict
from mlops_magics.checks.problem import problem_of, truth_of
from mlops_magics.drift.judging import judge
from mlops_magics.foundation.blocks import Block, Name, Note, Table, Title
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UsageError
from mlops_magics.foundation.result import Result
from mlops_magics.stats.reference import reference_of
from mlops_magics.stats.windows import Window, counted
from mlops_magics.steps.monitor.observed import SHORT
from mlops_magics.steps.retrain.marks import Array, Kind, has, ordered
from mlops_magics.steps.retrain.marks import Table as Frame
from mlops_magics.steps.retrain.when import NEW_DATA, Condition, Facts, parse

_SPANS: Final[Mapping[str, float]] = {"daily": 86_400.0, "weekly": 604_800.0, "monthly": 2_592_000.0}
_WINDOWS: Final = 2_000
_FEWEST: Final = 30  # rows of a window that is judged
_PRIMARY: Final = ("roc_auc", "accuracy", "r2")
_SURE: Final = 1.96
_EARLY: Final = 0.5  # of a window: how much before its time a retraining by the calendar is due


@dataclass(frozen=True, slots=True)
class Scored:
    """How a policy did.

    Attributes:
        policy: The policy, as it was written.
        retrainings: How often it retrained.
        mean: The mean of the metric over the windows, by their rows.
        worst: The worst window's.
        values: The metric of each window; NaN where it could not be judged.
        when: In which windows it retrained, from 0.
        against: How its windows differ in the mean from those of the best policy, with the half width of the
            95 % interval of that; None of the best one.
    """

    policy: str
    retrainings: int
    mean: float
    worst: float
    values: tuple[float, ...]
    when: tuple[int, ...]
    against: tuple[float, float] | None = None

    @property
    def as_good(self) -> bool:
        """Whether it differs from the best one by no more than chance."""
        return self.against is None or abs(self.against[0]) <= self.against[1]


@dataclass(frozen=True)
class Backtest(Result):
    """Policies of retraining, tried on what was.

    Attributes:
        model: The registered model.
        metric: The metric.
        higher: Whether more of it is better.
        windows: How many windows were judged.
        rows: How many rows they have.
        policies: The policies, the best first.
    """

    model: str
    metric: str
    higher: bool
    windows: int
    rows: int
    policies: tuple[Scored, ...]

    volatile: ClassVar[bool] = False

    @property
    def advised(self) -> Scored:
        """The policy that retrains least often among those that differ from the best one by chance only."""
        return min((one for one in self.policies if one.as_good), key=lambda one: one.retrainings)

    def blocks(self) -> Iterable[Block]:
        """Show the policies, the best first, with what each costs."""
        yield Title(f"Policies of retraining {self.model}", f"{self.windows} windows, {self.rows:,} rows")
        yield Table(
            ("policy", "retrainings", self.metric, "worst window", "beside the best"),
            [(Name(one.policy), one.retrainings, one.mean, one.worst, _beside(one)) for one in self.policies],
            ["good" if one is self.advised else "plain" for one in self.policies],
        )
        best = self.advised
        yield Note(f"Of those that are as good as the best one, {best.policy} retrains least often.")
        yield Note("Each window is answered by a model that saw no row of it.", "quiet")


def _beside(one: Scored) -> str:
    if one.against is None:
        return "the best"
    word = "as good, within chance" if one.as_good else "surely other"
    return f"{one.against[0]:+.3f} ± {one.against[1]:.3f}: {word}"


@dataclass(frozen=True, slots=True)
class Policy:
    """When to retrain.

    Attributes:
        written: As it was written.
        every: After how many seconds; 0 for not by the calendar.
        worse: Whether it retrains where a window is surely worse than the first one after the training was.
        when: The condition; None for none.
    """

    written: str
    every: float = 0.0
    worse: bool = False
    when: Condition | None = None

    @classmethod
    def of(cls, text: str) -> Policy:
        """Read a policy.

        Args:
            text: ``never``, ``always``, ``daily``, ``weekly``, ``monthly``, ``on drift``, ``on performance``,
                or a condition as ``--when`` has it.

        Raises:
            UsageError: It is none.
        """
        word = " ".join(text.lower().split())
        if word in _SPANS:
            return cls(text, every=_SPANS[word])
        if word == "never":
            return cls(text)
        if word == "always":
            return cls(text, when=parse(NEW_DATA))
        if word == "on performance":
            return cls(text, worse=True)
        return cls(text, when=parse(word[3:] if word.startswith("on ") else text))


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a window.

    Attributes:
        rows: The rows, labels and all.
        ended: When it ended: seconds, or the cursor's own number.
    """

    rows: Frame
    ended: float


@dataclass(slots=True)
class Fitted:
    """A model that a policy has at some moment.

    Attributes:
        estimator: The estimator.
        reference: How the rows looked that it was fitted on.
        ended: When the last of them was.
        first: The metric of the first window that it answered; None before.
        seen: The windows that it answered, counted.
    """

    estimator: Any
    reference: Reference | None
    ended: float
    first: Metric | None = None
    seen: list[Window] = field(default_factory=list)


@dataclass(slots=True)
class Replay:
    """History, replayed.

    Attributes:
        estimator: The champion's model, of which others of its kind are fitted.
        target: The column with the label.
        features: The columns that it takes, in their order; nothing else of the rows is given to a model.
        everything: Fit on all rows up to then, not on those since the last training alone.
    """

    estimator: Any
    target: str
    features: tuple[Any, ...]
    everything: bool
    _models: dict[tuple[int, int], Fitted] = field(default_factory=dict)

    def scores(self, policies: Sequence[Policy], parts: Sequence[Part]) -> list[Scored]:
        """Replay windows under policies, the best first.

        Args:
            policies: The policies.
            parts: The windows, in order.
        """
        higher = HIGHER_IS_BETTER[self.metric(parts)]
        told = [self._one(policy, parts) for policy in policies]
        told.sort(key=lambda one: (-one.mean if higher else one.mean, one.retrainings))
        weights = np.array([float(len(part.rows)) for part in parts[1:]])
        return [_against(one, told[0], weights) for one in told]

    def metric(self, parts: Sequence[Part]) -> str:
        """Say which metric is judged by."""
        return self._judged(self._fit(parts, 0, 0), parts[1]).name

    def _one(self, policy: Policy, parts: Sequence[Part]) -> Scored:
        model, values, when = self._fit(parts, 0, 0), list[float](), list[int]()
        since, name = 0, ""
        for place, part in enumerate(parts[1:], start=1):
            metric = self._judged(model, part)
            name = metric.name
            values.append(metric.value)
            if model.first is None:
                model.first = metric
            if place < len(parts) - 1 and self._due(
                policy, model, part, metric, parts[since + 1 : place + 1]
            ):
                model = self._fit(parts, 0 if self.everything else since + 1, place)
                since = place
                when.append(place)
        found, weights = np.array(values), np.array([len(part.rows) for part in parts[1:]])
        known = np.isfinite(found)
        if not known.any():
            raise UsageError("No window could be judged.", "Let windows be longer: --window 30d.")
        worst = float((np.min if HIGHER_IS_BETTER[name] else np.max)(found[known]))
        mean = float(np.average(found[known], weights=weights[known]))
        return Scored(policy.written, len(when), mean, worst, tuple(values), tuple(when))

    def _due(self, policy: Policy, model: Fitted, part: Part, metric: Metric, since: Sequence[Part]) -> bool:
        age = part.ended - model.ended
        if policy.every:
            return age >= policy.every - _EARLY * (part.ended - since[0].ended) / max(1, len(since))
        if policy.worse:
            return _surely_worse(metric, model.first)
        if policy.when is None:
            return False
        facts: dict[str, float | bool] = {
            "age": age,
            "rows": float(sum(len(one.rows) for one in since)),
            NEW_DATA: True,
            metric.name: metric.value,
            SHORT.get(metric.name, metric.name): metric.value,
        }
        if "drift" in set(policy.when.names()):
            facts |= self._drift(model, part)
        return policy.when.held(facts).holds is True

    def _drift(self, model: Fitted, part: Part) -> Facts:
        if model.reference is None:
            return {}
        window = counted(model.reference, self._features(part.rows))
        found = judge(model.reference, window, before=tuple(model.seen))
        model.seen.append(window)
        return {"drift": found.alarmed} if found.judged else {}

    def _fit(self, parts: Sequence[Part], first: int, last: int) -> Fitted:
        """Fit a model on some windows; two policies that come to the same one share it."""
        from sklearn.base import clone

        rows = _together(parts[first : last + 1])
        if (kept := self._models.get((first, last))) is None:
            try:
                made = clone(self.estimator).fit(self._features(rows), rows[self.target])
            except Exception as error:
                raise RefusedError(
                    f"The champion's model cannot be fitted on windows {first} to {last}: {error}",
                    "Let windows be longer: --window 30d.",
                ) from error
            kept = Fitted(made, reference_of(self._features(rows), made), parts[last].ended)
            self._models[first, last] = kept
        return Fitted(kept.estimator, kept.reference, kept.ended)

    def _features(self, rows: Frame) -> Frame:
        return rows[list(self.features)]

    def _judged(self, model: Fitted, part: Part) -> Metric:
        """Measure the answers to a window."""
        rows, target = self._features(part.rows), part.rows[self.target]
        asked = model_of(model.estimator, self.features, self.target, self.features)
        try:
            problem = problem_of(asked, rows, target, self.target)
            truth = truth_of(problem, target, self.target)
            given = predict(asked, rows, problem.classes, ranking=problem.kind == "ranking")
            measured = None if given.unusable else measure(problem, truth, given)
            found = {one.name: one for one in metrics(problem, given, measured)}
        except MLOpsError as error:
            raise UsageError(f"A window cannot be judged: {error.what}", "Let windows be longer.") from error
        name = next((one for one in _PRIMARY if one in found), next(iter(found)))
        return found[name]


def _surely_worse(metric: Metric, first: Metric | None) -> bool:
    if first is None or metric.low is None or metric.high is None:
        return False
    return metric.high < first.value if metric.higher_is_better else metric.low > first.value


def _against(one: Scored, best: Scored, weights: Array) -> Scored:
    """Put a policy beside the best one, window by window."""
    if one is best:
        return one
    differences = np.array(one.values) - np.array(best.values)
    known = np.isfinite(differences)
    differences, weights = differences[known], weights[known]
    mean = float(np.average(differences, weights=weights))
    spread = float(np.sqrt(np.average((differences - mean) ** 2, weights=weights)))
    half = _SURE * spread / max(1.0, (len(differences) - 1) ** 0.5)
    return Scored(one.policy, one.retrainings, one.mean, one.worst, one.values, one.when, (mean, half))


def windows_of(frame: Frame, cursor: str, target: str, length: float) -> list[Part]:
    """Cut labelled rows into windows.

    Args:
        frame: The rows, a pandas frame.
        cursor: The column that grows with time.
        target: The column with the label.
        length: How long a window is: in seconds of a time, in units of a number.

    Raises:
        UsageError: There are too few windows, or too many.
    """
    has(frame, cursor)
    has(frame, target)
    rows = frame[frame[target].notna() & frame[cursor].notna()]
    places, kind = ordered(rows[cursor])
    numbers = _numbers(places, kind)
    cells = np.floor((numbers - numbers.min()) / length).astype("int64") if len(rows) else numbers
    found = [
        Part(rows[cells == cell], float(numbers.min() + (cell + 1) * length))
        for cell in np.unique(cells)
        if int((cells == cell).sum()) >= _FEWEST
    ]
    if len(found) < 3 or len(found) > _WINDOWS:  # noqa: PLR2004 - to fit, to judge, and to judge after
        raise UsageError(
            f"The rows make {len(found)} windows of at least {_FEWEST} rows; 3 to {_WINDOWS} are needed.",
            "Choose another length: --window 7d; of a cursor that is a number, --window 1000.",
        )
    return found


def _numbers(places: Frame, kind: Kind) -> Array:
    import pandas as pd

    if kind == "number":
        return places.to_numpy(dtype="float64")
    moments = pd.to_datetime(places, utc=True, errors="coerce", format="ISO8601" if kind == "text" else None)
    if moments.isna().any():
        raise UsageError("The cursor is a text that is no time.", "Name a column of times or numbers.")
    return moments.dt.as_unit("ns").astype("int64").to_numpy(dtype="float64") / 1e9


def _together(parts: Sequence[Part]) -> Frame:
    import pandas as pd

    return pd.concat([part.rows for part in parts], ignore_index=True)


def backtested(model: str, replay: Replay, written: Sequence[str], parts: Sequence[Part]) -> Backtest:
    """Try policies on what was.

    Args:
        model: The registered model.
        replay: What replays it.
        written: The policies, as they were written.
        parts: The windows, in order.

    Raises:
        UsageError: A policy is not understood, or a window cannot be judged.
        RefusedError: The model cannot be fitted on a window.
    """
    policies = [Policy.of(text) for text in written]
    metric = replay.metric(parts)
    found = tuple(replay.scores(policies, parts))
    rows = sum(len(part.rows) for part in parts[1:])
    return Backtest(model, metric, HIGHER_IS_BETTER[metric], len(parts) - 1, rows, found)
