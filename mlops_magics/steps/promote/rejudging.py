"""Judge a version anew before it is promoted: on these rows, beside the champion, in this kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.steps.evaluate import evaluate
from mlops_magics.steps.promote.desk import Desk, checked
from mlops_magics.steps.promote.judging import not_allowed
from mlops_magics.steps.promote.result import Promotion
from mlops_magics.tracking.evaluations import Summary


@dataclass(frozen=True, slots=True)
class Rows:
    """What is judged on.

    Attributes:
        data: The rows, with the target.
        target: The column that is predicted; None for that of the version's last evaluation.
        allow_pickle: Load models that are kept in pickle.
        allow_code: Load models that bring code of their own.
    """

    data: Any
    target: str | None = None
    allow_pickle: bool = False
    allow_code: bool = False


def rejudged(desk: Desk, version: str | None, rows: Rows) -> tuple[str, Summary | None]:
    """Evaluate a version on rows, beside the holder of champion where that is the alias in question.

    The gates are those of the model's policy. The evaluation is kept as any other.

    Args:
        desk: The desk.
        version: The version; the candidate by default.
        rows: The rows.

    Returns:
        The version, and the evaluation.

    Raises:
        RefusedError: A model may not be loaded.
        UsageError: The target is not known, or the rows cannot be used.
        NotFoundError: There is no such version, or no such column.
    """
    seen = desk.review(version)
    holder = seen.holders.get(desk.alias)
    item = next(one for one in seen.versions if one.version == seen.selected)
    held = next((one for one in seen.versions if one.version == holder), None)
    # A model is not compared with itself: judging knows the same files again.
    same = held is None or held.version == item.version or (item.digest and item.digest == held.digest)
    found = evaluate(
        item,
        rows.data,
        target=rows.target or _target(seen.target, desk.model, item.version),
        against=None if same or desk.alias != "champion" else f"{desk.model}/{holder}",
        allow_pickle=rows.allow_pickle,
        allow_code=rows.allow_code,
        settings=desk.store.settings,
    )
    return item.version, found.summary


def moved_by(desk: Desk, version: str | None, rows: Rows, reason: str) -> Promotion:
    """Promote a version by what its evaluation on these rows says, and by no other.

    Who may not promote is told before anything is computed, and a version that holds the alias already is
    not evaluated: nothing would move.

    Raises:
        RefusedError: A gate failed, another one was quicker, or MLflow or the policy does not let this user.
        UsageError: The reason is empty, the target is not known, or the rows cannot be used.
        NotFoundError: There is no such version, or no such column.
    """
    checked(desk.alias, reason)
    seen = desk.review(version)
    if seen.holders.get(desk.alias) == seen.selected:
        return desk.move(seen.selected, desk.alias, reason)
    if (lacking := not_allowed(seen.rules, desk.model)) is not None:
        raise RefusedError(lacking.what, lacking.remedy)
    wanted, summary = rejudged(desk, seen.selected, rows)
    return desk.move(wanted, desk.alias, reason, summary)


def _target(before: str | None, model: str, version: str) -> str:
    if before is None:
        raise UsageError(
            f"{model}/{version} was never evaluated, so its target is not known.",
            "Name the column that is predicted: --target COLUMN.",
        )
    return before
