"""Who moved which alias of a model when and why: records that are only ever added.

A record is a tag of the registered model, under a name of its own: two that are written at the same moment
do not meet, and one that is written twice is there once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from mlops_magics.foundation.masking import masked
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.rights import User
from mlops_magics.tracking.store import Store, door

_PREFIX: Final = "mlops.promotion."
_REASON_CHARACTERS: Final = 2000  # a tag holds 5,000
OVERTAKEN: Final = "overtaken"
COMMENT: Final = "comment"


@dataclass(frozen=True, slots=True)
class Event:
    """One move of an alias, as it stands in the registry.

    Attributes:
        when: ISO time in UTC.
        who: The user who did it.
        verified: Whether MLflow authenticated that user; without authentication the name is a claim.
        alias: The alias that moved.
        old: The version it pointed to before, or None.
        new: The version it points to since, or None when it was taken away.
        reason: Why.
        kind: "promotion", "rollback" or "registration"; "overtaken" for one that came too late, and did not
            move anything; "comment" for what somebody said of the version ``new``.
        id: What tells it from any other.
    """

    when: str
    who: str
    verified: bool
    alias: str
    old: str | None
    new: str | None
    reason: str
    kind: str = "promotion"
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @property
    def moved(self) -> bool:
        """Whether the alias moved."""
        return self.kind not in {OVERTAKEN, COMMENT}

    @property
    def key(self) -> str:
        """The tag that it is kept in."""
        digits = "".join(sign for sign in self.when[:23] if sign.isdecimal())
        return f"{_PREFIX}{digits}-{self.id}"


def event(
    alias: str,
    old: str | None,
    new: str | None,
    reason: str,
    *,
    kind: str = "promotion",
    by: User | None = None,
) -> Event:
    """Make the record of a move that is about to happen now.

    Args:
        alias: The alias.
        old: What it points to.
        new: What it is to point to.
        reason: Why.
        kind: What kind of move it is.
        by: Who moves it; by default the operating system's user, unverified.
    """
    by = by or User(user(), verified=False)
    return Event(
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        by.name,
        verified=by.verified,
        alias=alias,
        old=old,
        new=new,
        reason=masked(reason)[:_REASON_CHARACTERS],
        kind=kind,
    )


def write(store: Store, model: str, event: Event) -> None:
    """Add a record to a model's history."""
    with door(f"The history of {model}"):
        store.client.set_registered_model_tag(model, event.key, as_json(event))


def of_tags(tags: Mapping[str, str]) -> tuple[Event, ...]:
    """Read a model's moves from its tags, oldest first. What is not a record of ours is left out."""
    found = (_read(value, key) for key, value in tags.items() if key.startswith(_PREFIX))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.when, one.id)))


def last_move(history: Iterable[Event], alias: str) -> Event | None:
    """Find the newest record of a move of an alias, in records of the oldest first."""
    found = [move for move in history if move.alias == alias and move.moved]
    return found[-1] if found else None


def as_json(event: Event) -> str:
    """Write a record."""
    return json.dumps(asdict(event), ensure_ascii=False)


def of_fields(content: Mapping[str, Any]) -> Event:
    """Make a record of the fields that it was written with.

    Raises:
        TypeError: A field is missing.
    """
    known = {item.name for item in fields(Event)}
    return Event(**{name: value for name, value in content.items() if name in known})


def _read(text: str, key: str) -> Event | None:
    try:
        content: dict[str, Any] = json.loads(text)
        # What an earlier release has written is told apart by its number.
        return of_fields({"id": key.removeprefix(_PREFIX)} | content)
    except (ValueError, TypeError):
        return None
