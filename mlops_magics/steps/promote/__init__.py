"""Promote: an alias moves because somebody says so and gives the reason, and only past the gates."""

from __future__ import annotations

from typing import Literal, overload

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote.desk import Desk
from mlops_magics.steps.promote.result import Promotion, Refusal, Review
from mlops_magics.tracking.store import open_store

__all__ = ["Alias", "Desk", "Promotion", "Refusal", "Review", "promote"]

Alias = Literal["candidate", "challenger", "champion"]


@overload
def promote(
    model: str,
    *,
    version: str | None = None,
    to: None = None,
    reason: None = None,
    rollback: Literal[False] = False,
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
def promote(
    model: str,
    *,
    version: str | None = None,
    to: Alias | None = None,
    reason: str | None = None,
    rollback: bool = False,
    settings: Settings | None = None,
) -> Review | Promotion:
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
        settings: Where the store is; found from the current folder by default.

    Returns:
        A Promotion when a reason was given, else a Review.

    Raises:
        RefusedError: A gate failed, or the version was never evaluated or registered by us.
        NotFoundError: There is no such model or version, or nothing to roll back to.
        UsageError: The reason is missing.
    """
    checked_name(model, "model")
    store = open_store(settings or Settings.discover())
    desk = Desk(store, model, to or "champion")
    if reason is None:
        if rollback or to is not None:
            raise UsageError(
                "A promotion needs a reason.", 'Add --reason "...", or leave --to out to see the widget.'
            )
        return desk.review(version)
    if rollback:
        return desk.back(desk.alias, reason)
    return desk.move(version, desk.alias, reason)
