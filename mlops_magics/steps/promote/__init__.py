"""Promote: an alias moves because somebody says so and gives the reason, and only past the gates."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote.desk import Desk
from mlops_magics.steps.promote.governing import governed
from mlops_magics.steps.promote.page import written
from mlops_magics.steps.promote.rejudging import Rows, moved_by, rejudged
from mlops_magics.steps.promote.result import Governed, Promotion, Refusal, Remark, Review, Spoken
from mlops_magics.tracking.store import open_store

__all__ = ["Alias", "Desk", "Governed", "Promotion", "Refusal", "Remark", "Review", "Spoken", "promote"]

Alias = Literal["candidate", "challenger", "champion"]


@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    to: None = None,
    reason: None = None,
    rollback: Literal[False] = False,
    page: Path | None = None,
    data: object = None,
    target: str | None = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Review: ...
@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    to: Alias | None = None,
    reason: str,
    rollback: bool = False,
    data: object = None,
    target: str | None = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Promotion: ...
@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    reason: str,
    approve: Literal[True],
    settings: Settings | None = None,
) -> Spoken: ...
@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    reason: str,
    reject: Literal[True],
    settings: Settings | None = None,
) -> Spoken: ...
@overload
def promote(
    model: str, *, version: str | None = None, comment: str, settings: Settings | None = None
) -> Remark: ...
@overload
def promote(model: str, *, policy: Path, settings: Settings | None = None) -> Governed: ...
def promote(  # noqa: PLR0913 - what a person at this desk can do
    model: str,
    *,
    version: str | None = None,
    to: Alias | None = None,
    reason: str | None = None,
    rollback: bool = False,
    approve: bool = False,
    reject: bool = False,
    comment: str | None = None,
    policy: Path | None = None,
    page: Path | None = None,
    data: object = None,
    target: str | None = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Review | Promotion | Spoken | Remark | Governed:
    """Promote a version of a model, or look at what would be promoted.

    Without a reason it shows the promotion widget: versions, what each alias points to now, gates,
    the candidate beside the champion, a reason field, confirm. With one it promotes at once. Gates are
    checked again here either way, and the version's files are held against those that were registered; a
    refusal says which gate, its number and its threshold. Each move is written into the model's history
    with who, when and why.

    Args:
        model: The registered model's name.
        version: The version to promote; by default the candidate, which is the last one registered.
        to: The alias to move; the champion by default.
        reason: Why. Whoever reads the history next year must understand it.
        rollback: Bring the alias's previous version back instead, whichever that is.
        approve: Say that you approve of the version instead; the policy must name you.
        reject: Say that you are against it instead; that stands until you approve.
        comment: Say this of the version instead, or ask somebody to look at it; it stays in the history.
        policy: A TOML file with what a promotion to champion takes from now on: ``approvals``,
            ``approvers``, ``promoters``, ``tests``, ``machine`` (whether a retraining may promote by itself),
            ``[grants]`` and ``[gates]``. Only managers of the model may set it.
        page: Write the review as one HTML page that can be sent and opened offline: the gates, the version
            beside the holder of the alias with intervals, slices and curves, what differs between their
            parameters, data and code, and the history.
        data: Rows with the target, a table or the path of one: the version is evaluated on them anew, beside
            the champion of today and by the policy's gates, and that evaluation alone counts.
        target: The column that is predicted in these rows; that of the version's last evaluation by default.
        allow_pickle: Load models that are kept in pickle for that, which executes code.
        allow_code: Load models that bring code of their own for that, which is executed.
        settings: Where the store is; found from the current folder by default.

    Returns:
        A Promotion when a reason was given, else a Review; what was said where it was an approval; the
        policy where one was set.

    Raises:
        RefusedError: A gate failed, the version was never evaluated or registered by us, its files were
            changed, another one was quicker, or MLflow or the policy does not let you.
        NotFoundError: There is no such model or version, or nothing to roll back to.
        UsageError: The reason is missing, options contradict each other, or one would not be heeded.
    """
    checked_name(model, "model")
    acts = (rollback, approve, reject, comment is not None, policy is not None)
    rows = _rows(data, target, allow_pickle=allow_pickle, allow_code=allow_code)
    _check_together(acts, judges=rows is not None, reads=page is not None, moves=reason is not None)
    _check_heeded(acts, version, to, reason)
    desk = Desk(open_store(settings or Settings.discover()), model, to or "champion")
    if policy is not None:
        return governed(desk.store, model, policy)
    if comment is not None:
        return desk.remark(version, comment)
    if reason is not None:
        return _done(desk, version, reason, rows, acts)
    if page is None and (any(acts) or to is not None):
        raise UsageError(
            "A promotion needs a reason.", 'Add --reason "...", or leave --to out to see the widget.'
        )
    judged_by = None
    if rows is not None:
        version, judged_by = rejudged(desk, version, rows)
    return desk.review(version, judged_by) if page is None else written(desk, version, page)


def _check_together(acts: tuple[bool, ...], *, judges: bool, reads: bool, moves: bool) -> None:
    """Refuse options that contradict each other."""
    if sum(acts) > 1:
        raise UsageError(
            "--rollback, --approve, --reject, --comment and --policy are different things.",
            "Say one of them a line.",
        )
    if judges and any(acts):
        raise UsageError("--data judges a version, and goes with a promotion alone.", "Leave it out here.")
    if reads and (moves or any(acts)):
        raise UsageError("--page writes what is there, and moves nothing.", "Say it in a line of its own.")


def _check_heeded(acts: tuple[bool, ...], version: str | None, to: Alias | None, reason: str | None) -> None:
    """Refuse options that would not be heeded: who writes one expects that it counts."""
    rollback, approve, reject, comment, policy = acts
    given = {"--version": version, "--to": to, "--reason": reason}
    unheeded = {
        "--rollback": (rollback, {"--version"}, "the version before comes back, whichever it is"),
        "--approve": (approve, {"--to"}, "an approval is of a version"),
        "--reject": (reject, {"--to"}, "it is said of a version"),
        "--comment": (comment, {"--to", "--reason"}, "it is said of a version"),
        "--policy": (policy, {"--version", "--to", "--reason"}, "it is the model's"),
    }
    for name, (asked, idle, why) in unheeded.items():
        extra = [each for each in given if each in idle and given[each] is not None]
        if asked and extra:
            raise UsageError(f"{name} does not go with {', '.join(extra)}: {why}.", f"Leave out {extra[0]}.")


def _done(
    desk: Desk, version: str | None, reason: str, rows: Rows | None, acts: tuple[bool, ...]
) -> Promotion | Spoken:
    """Do what a reason was given for."""
    rollback, approve, reject, *_ = acts
    if approve or reject:
        return desk.speak(version, reason, approved=approve)
    if rollback:
        return desk.back(desk.alias, reason)
    return desk.move(version, desk.alias, reason) if rows is None else moved_by(desk, version, rows, reason)


def _rows(data: object, target: str | None, *, allow_pickle: bool, allow_code: bool) -> Rows | None:
    if data is not None:
        return Rows(data, target, allow_pickle, allow_code)
    if target is not None or allow_pickle or allow_code:
        raise UsageError(
            "--target, --allow-pickle and --allow-code are for judging anew.", "Name the rows: --data TABLE."
        )
    return None
