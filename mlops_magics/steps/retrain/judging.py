"""The new version beside the champion, on both holdouts, and past the gates or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.steps.evaluate import Evaluation, evaluate
from mlops_magics.steps.promote.desk import Desk
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.result import Judged
from mlops_magics.tracking import evaluations, policies
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

FEWEST = 30
"""Rows of a holdout: fewer say nothing."""

_ALIAS = "champion"


@dataclass(frozen=True, slots=True)
class Holdout:
    """Rows that were never trained on.

    Attributes:
        name: "frozen" or "recent".
        rows: The rows, a pandas frame.
    """

    name: str
    rows: Any


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the evaluations said.

    Attributes:
        judged: One a holdout.
        summary: The last one, which a promotion goes by; None where there was no holdout.
        notes: Which holdout could not be used.
    """

    judged: tuple[Judged, ...]
    summary: Summary | None
    notes: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Why the version may not be promoted; "" where it may."""
        return "; ".join(f"on the {one.holdout} holdout: {one.refusal}" for one in self.judged if one.refusal)


def target_of(store: Store, asked: Asked, base: ModelVersion) -> str:
    """Say which column is predicted.

    Raises:
        UsageError: Nobody has said.
    """
    if asked.target is not None:
        return asked.target
    summary = evaluations.read(store, base)
    if summary is None:
        raise UsageError(
            f"{base.model}/{base.version} was never evaluated, so its target is not known.",
            "Name the column that is predicted: --target COLUMN.",
        )
    return summary.target


def may_be_moved(store: Store, asked: Asked) -> None:
    """Make sure, before anything is computed, that a machine may move the alias.

    Raises:
        RefusedError: The alias is the champion, and the model's policy does not let a machine move it.
    """
    if asked.promote != _ALIAS:
        return
    policy = policies.read(store, asked.model)
    if policy is None or not policy.machine:
        raise RefusedError(
            f"No policy of {asked.model} lets a retraining move the champion by itself.",
            "Let it be the challenger, or write machine = true into the policy: "
            f"%mlops_promote {asked.model} --policy FILE.",
        )


def judge(
    store: Store,
    asked: Asked,
    item: ModelVersion,
    *,
    champion: ModelVersion | None,
    holdouts: Sequence[Holdout],
    target: str,
) -> Sentence:
    """Evaluate a version on each holdout beside the champion, and say whether it may be promoted.

    Args:
        store: The open store.
        asked: What was asked.
        item: The new version.
        champion: The version to compare with; None where there is none.
        holdouts: The holdouts, the one that a promotion goes by last.
        target: The column that is predicted.
    """
    desk = Desk(store, asked.model, asked.promote)
    judged, notes, summary = list[Judged](), list[str](), None
    for holdout in holdouts:
        if len(holdout.rows) < FEWEST:
            notes.append(f"The {holdout.name} holdout has {len(holdout.rows)} rows: too few to judge by.")
            continue
        found = evaluate(
            item,
            holdout.rows,
            target=target,
            against=None if champion is None else f"{champion.model}/{champion.version}",
            allow_pickle=asked.allow_pickle,
            allow_code=asked.allow_code,
            settings=store.settings,
        )
        summary = found.summary
        refusal = None if asked.promote in item.aliases else desk.review(item.version, summary).refusal
        judged.append(_told(holdout, found, "" if refusal is None else refusal.what))
    return Sentence(tuple(judged), summary, tuple(notes))


def _told(holdout: Holdout, found: Evaluation, refusal: str) -> Judged:
    first = next(iter(found.assessment.comparisons), None)
    if first is None:
        return Judged(holdout.name, len(holdout.rows), refusal=refusal)
    return Judged(
        holdout.name,
        len(holdout.rows),
        first.metric,
        first.candidate,
        first.champion,
        first.better,
        refusal,
    )
