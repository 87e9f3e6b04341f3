"""Assess a model on rows that it has not seen: metrics, comparison, slices, gates."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlops_magics.artifact.kept import Kept
from mlops_magics.artifact.rows import RowSample
from mlops_magics.artifact.takes import Takes
from mlops_magics.checks import CHECKS
from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.base import judge_all
from mlops_magics.checks.discovery import discover
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.metrics import Measured, measure, metrics
from mlops_magics.checks.model import Codes, Model, Numbers, Predictions, model_of, predict
from mlops_magics.checks.paired import compare
from mlops_magics.checks.points import confusion_of, curves_of
from mlops_magics.checks.policy import Policy, checked_gates
from mlops_magics.checks.problem import Problem, checked_target, problem_of, truth_of
from mlops_magics.checks.slicing import slice_up
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.frames import Frame

Gates = Policy | str | Path | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Unloadable:
    """A champion that is there by name, and cannot be loaded: its gate fails, and the rest is judged.

    Attributes:
        why: What happened, as a sentence.
        lost: Whether its files are gone or are others, so that nothing that is said now makes it load.
    """

    why: str
    lost: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Holder:
    """A champion that was read back from its files.

    Attributes:
        estimator: The fitted model.
        takes: Which rows it takes; None where nothing was kept of that.
    """

    estimator: Any
    takes: Takes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Rival:
    """The champion on the same rows; ``trouble`` says why not, ``takes`` which rows it takes."""

    given: Predictions | None = None
    measured: Measured | None = None
    trouble: str = ""
    takes: Takes | None = None


def assess(
    estimator: Any,  # noqa: ANN401 - any object with predict
    frame: Any,  # noqa: ANN401 - a table of any library, or a path
    target: str,
    *,
    champion: Any = None,  # noqa: ANN401 - any object with predict
    gates: Gates = None,
    thresholds: Mapping[str, Any] | None = None,
    slices: Sequence[str] = (),
    features: Sequence[str] | None = None,
    trained_on: RowSample | None = None,
    kept: Kept | None = None,
) -> Assessment:
    """Assess a fitted model.

    Args:
        estimator: Any fitted object with ``predict``.
        frame: Rows that it has not seen: a table or a path.
        target: The column that is predicted.
        champion: A fitted model to compare with, on the same rows, or a :class:`Holder` of one;
            :class:`Unloadable` where it is lost.
        gates: A policy, the path of a ``gates.toml``, or names of gates; None for all with defaults.
        thresholds: Bounds by metric, over those of the policy: ``{"roc_auc": 0.8}``.
        slices: Columns whose parts are looked at one by one.
        features: The columns that the model takes, where it does not say so itself.
        trained_on: Which rows it was fitted on, where that is known.
        kept: How its files hold it, and how it answers, read back from them, where it was logged.

    Returns:
        The assessment; a gate that fails is a verdict, not an exception.

    Raises:
        UsageError: The model or the rows cannot be used.
        NotFoundError: There is no such column, gate or metric.
    """
    started, policy = time.perf_counter(), policy_of(gates).with_thresholds(thresholds)
    table = Frame.of(frame, "the test table")
    truth_column, groups = checked_target(_column(table, target), target), _groups(policy, table, target)
    model = model_of(estimator, table.names, target, features)
    rows = _rows(table, model)
    problem = replace(problem_of(model, rows, truth_column, target), top=policy.top)
    truth = truth_of(problem, truth_column, target)
    given = predict(model, rows, problem.classes, ranking=problem.kind == "ranking")
    asked = problem, truth, _lists(policy, table, problem, target)
    measured = None if given.unusable else measure(problem, truth, given, asked[-1])
    rival = None if champion is None else _rival(champion, model, table, target, asked)
    facts = Facts(
        model=model,
        problem=problem,
        target=target,
        rows=rows,
        truth=truth,
        given=given,
        measured=measured,
        metrics=metrics(problem, given, measured),
        policy=policy,
        champion=None if rival is None else rival.trouble,
        trained_on=trained_on,
        kept=kept,
        groups=groups,
    )
    return _assessment(_sliced(_compared(facts, rival), table, slices), rival, started)


def policy_of(gates: Gates) -> Policy:
    """Take a policy, the path of one, or the names of gates.

    Raises:
        NotFoundError: There is no such file, gate or metric.
        UsageError: The file is not understood.
    """
    if gates is None:
        return Policy()
    if isinstance(gates, Policy):
        return replace(gates, gates=checked_gates(gates.gates, CHECKS, "The policy"))
    if isinstance(gates, str | Path):
        return Policy.read(gates, CHECKS)
    return Policy(gates=checked_gates(gates, CHECKS, "gates"))


def _rows(table: Frame, model: Model) -> Any:  # noqa: ANN401 - a pandas table
    return table.select([table.position(name) for name in model.features]).to_pandas()


def _column(table: Frame, name: str) -> Any:  # noqa: ANN401 - a pandas column
    return table.select([table.position(name)]).to_pandas().iloc[:, 0]


def _groups(policy: Policy, table: Frame, target: str) -> dict[str, Any]:
    """Take the columns whose groups are compared, whether the model takes them or not."""
    if policy.fairness is None or not policy.asks("fairness"):
        return {}
    if target in policy.fairness.columns:
        raise UsageError(
            f"The policy's fairness names '{target}', which is predicted.",
            "Name columns that say who or what a row is of.",
        )
    return {name: _column(table, name) for name in policy.fairness.columns}


def _lists(policy: Policy, table: Frame, problem: Problem, target: str) -> Codes | None:
    """Number the lists that rows are ranked in, where the policy names a column for them."""
    import pandas as pd

    name = policy.list_by
    if name is None:
        return None
    if problem.kind != "ranking" or name == target:
        why = "which is predicted" if name == target else f"but this is {problem.kind}, no ranking"
        raise UsageError(f"The policy's list_by names '{name}', {why}.", "Leave list_by out of the policy.")
    codes = pd.factorize(_column(table, name))[0]
    if lost := int((codes < 0).sum()):
        raise UsageError(
            f"'{name}' is null in {lost:,} of {len(codes):,} rows: their list is not known.",
            "Drop these rows, or leave list_by out of the policy.",
        )
    return np.asarray(codes, dtype=np.int64)


def _rival(
    champion: Any,  # noqa: ANN401 - any object
    candidate: Model,
    table: Frame,
    target: str,
    asked: tuple[Problem, Numbers, Codes | None],
) -> _Rival:
    """Ask the champion. That it cannot answer is a verdict on the comparison, not on the whole."""
    if isinstance(champion, Unloadable):
        return _Rival(trouble=champion.why)
    if isinstance(champion, Holder):
        return replace(_rival(champion.estimator, candidate, table, target, asked), takes=champion.takes)
    problem, truth, lists = asked
    own = hasattr(champion, "feature_names_in_")
    try:
        model = model_of(champion, table.names, target, None if own else candidate.features)
        given = predict(model, _rows(table, model), problem.classes, ranking=problem.kind == "ranking")
    except MLOpsError as error:
        return _Rival(trouble=f"The champion could not be compared: {error.what}")
    if given.unusable:
        return _Rival(trouble=f"The champion gave no usable prediction for {given.unusable:,} rows.")
    return _Rival(given, measure(problem, truth, given, lists))


def _compared(facts: Facts, rival: _Rival | None) -> Facts:
    facts = facts if rival is None else replace(facts, rival=rival.takes)
    if rival is None or rival.measured is None:
        return facts
    if facts.measured is None:
        return replace(facts, champion="The model's predictions cannot be compared: some are unusable.")
    policy = facts.policy
    found = compare(facts.measured, rival.measured, margin=policy.margin, alpha=policy.alpha)
    return replace(facts, comparisons=found)


def _sliced(facts: Facts, table: Frame, slices: Sequence[str]) -> Facts:
    if isinstance(slices, str):
        raise UsageError(
            f"slices is the text '{slices}', not a list of columns.", f"Write slices=['{slices}']."
        )
    columns = {name: _column(table, name) for name in slices}
    facts = _searched(facts)
    if not columns or facts.measured is None:
        return facts
    found = slice_up(
        facts.problem,
        facts.truth,
        facts.given,
        columns,
        metric=facts.primary,
        drop=facts.policy.slice_drop,
        alpha=facts.policy.alpha,
    )
    return replace(facts, slices=found)


def _searched(facts: Facts) -> Facts:
    """Look for portions that nobody named, where the gate that tells of them is asked."""
    policy = facts.policy
    if not policy.asks("slices") or policy.found_slices == "off" or facts.measured is None:
        return facts
    found = discover(
        facts.problem,
        facts.truth,
        facts.given,
        facts.rows,
        drop=policy.slice_drop,
        alpha=policy.alpha,
    )
    return replace(facts, search=found)


def _assessment(facts: Facts, rival: _Rival | None, started: float) -> Assessment:
    names = facts.policy.gates or tuple(
        name
        for name in filter(facts.policy.asks, CHECKS.table)
        if name != "signature" or facts.champion is not None  # nothing is to be said of it without a champion
    )
    verdicts = judge_all([CHECKS.get(name) for name in names], facts)
    return Assessment(
        kind=facts.problem.kind,
        target=facts.target,
        classes=tuple(str(value) for value in facts.problem.classes),
        rows=len(facts.truth),
        metrics=facts.metrics,
        comparisons=facts.comparisons,
        verdicts=verdicts,
        slices=facts.slices,
        curves=curves_of(facts.problem, facts.truth, facts.given, rival.given if rival else None),
        confusion=confusion_of(facts.problem, facts.truth, facts.given),
        primary=facts.primary,
        margin=facts.policy.margin,
        seconds=time.perf_counter() - started,
        search=facts.search,
        policy=facts.policy.table(),
    )
