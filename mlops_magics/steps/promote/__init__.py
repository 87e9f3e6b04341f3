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
    settings: Settings | None = None,
) -> Review | Promotion | Spoken | Remark | Governed:
    """Promote a version of a model, or look at what would be promoted.

    Without a reason it shows the promotion widget: versions, what each alias points to now, gates,
    the candidate beside the champion, a reason field, confirm. With one it promotes at once. Gates are
    checked again here either way; a refusal says which gate, its number and its threshold. Each move is
    written into the model's history with who, when and why.

    Args:
        model: The registered model's name.
        version: The version to promote; by default the candidate, which is the last one registered.
        to: The alias to move; the champion by default.
        reason: Why. Whoever reads the history next year must understand it.
        rollback: Bring the alias's previous version back instead.
        approve: Say that you approve of the version instead; the policy must name you.
        reject: Say that you are against it instead; that stands until you approve.
        comment: Say this of the version instead, or ask somebody to look at it; it stays in the history.
        policy: A TOML file with what a promotion to champion takes from now on: ``approvals``,
            ``approvers``, ``promoters``, ``tests``, ``[grants]`` and ``[gates]``. Only managers of the model
            may set it.
        page: Write the review as one HTML page that can be sent and opened offline: the gates, the version
            beside the holder of the alias with intervals, slices and curves, what differs between their
            parameters, data and code, and the history.
        settings: Where the store is; found from the current folder by default.

    Returns:
        A Promotion when a reason was given, else a Review; what was said where it was an approval; the
        policy where one was set.

    Raises:
        RefusedError: A gate failed, the version was never evaluated or registered by us, another one was
            quicker, or MLflow or the policy does not let you.
        NotFoundError: There is no such model or version, or nothing to roll back to.
        UsageError: The reason is missing, or options contradict each other.
    """
    checked_name(model, "model")
    if sum((rollback, approve, reject, comment is not None, policy is not None)) > 1:
        raise UsageError(
            "--rollback, --approve, --reject, --comment and --policy are different things.",
            "Say one of them a line.",
        )
    store = open_store(settings or Settings.discover())
    if policy is not None:
        return governed(store, model, policy)
    if page is not None and (reason is not None or rollback or approve or reject):
        raise UsageError("--page writes what is there, and moves nothing.", "Say it in a line of its own.")
    desk = Desk(store, model, to or "champion")
    if page is not None:
        return written(desk, version, page)
    if comment is not None:
        return desk.remark(version, comment)
    if reason is None:
        if rollback or approve or reject or to is not None:
            raise UsageError(
                "A promotion needs a reason.", 'Add --reason "...", or leave --to out to see the widget.'
            )
        return desk.review(version)
    if approve or reject:
        return desk.speak(version, reason, approved=approve)
    return desk.back(desk.alias, reason) if rollback else desk.move(version, desk.alias, reason)
