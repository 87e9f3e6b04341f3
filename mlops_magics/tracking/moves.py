"""Moving an alias so that of two who try at once, from any two machines, one wins and the other hears of it.

MLflow moves an alias for whoever asks last, and has no way to say "only if it still points there". So each
who wants to move one first says so in a tag of the model (an intent) and then looks whether anybody else has.
As saying comes before looking, of two not both can see nobody; who sees another withdraws and tries again.
The intent also holds what has to be written down afterwards. Whoever finds one of a process that died
finishes its work: an alias that has moved gets its record, one that has not keeps its place.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from mlops_magics.foundation.errors import MLOpsError, RefusedError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.tracking import history, registry, rights
from mlops_magics.tracking.history import Event
from mlops_magics.tracking.store import Store, door

_PREFIX: Final = "mlops.intent."
_LEASE: Final = 120.0  # seconds; a move takes five calls
_TRIES: Final = 8
_PAUSE: Final = 0.15  # seconds, doubled each time and drawn at random

Ending = Literal["completed", "undone"]


@dataclass(frozen=True, slots=True)
class Intent:
    """A move that somebody has begun.

    Attributes:
        event: The move.
        process: Who.
        until: When it is taken for dead whatever became of the process, in seconds since the epoch.
    """

    event: Event
    process: ProcessId
    until: float

    @property
    def key(self) -> str:
        """The tag that it is kept in."""
        return f"{_PREFIX}{self.event.id}"

    @property
    def dead(self) -> bool:
        """Whether nobody will finish it."""
        return self.process.alive() is False or time.time() > self.until


@dataclass(frozen=True, slots=True)
class Outside:
    """An alias that does not point to where the history says.

    Attributes:
        alias: The alias.
        version: What it points to; None where it was taken away.
        recorded: What the last recorded move made it point to; None where none is recorded.
    """

    alias: str
    version: str | None
    recorded: str | None


def move(store: Store, model: str, event: Event) -> None:
    """Move an alias, and write down the move.

    Args:
        store: The open store.
        model: The registered model.
        event: The move; its ``old`` is what the alias must still point to.

    Raises:
        RefusedError: It points elsewhere by now, or others keep moving it.
        MLOpsError: It points elsewhere right after the move: somebody went around this.
        UnavailableError: The store fails; whatever happened, ``recover`` or the next move finishes it.
    """
    intent = Intent(event, ProcessId.current(), time.time() + _LEASE)
    _announced(store, model, intent)
    try:
        _still_so(store, model, intent)
    except BaseException:
        with contextlib.suppress(MLOpsError):
            _withdrawn(store, model, intent)
        raise
    try:
        with door(f"The alias {event.alias} of {model}"):
            if event.new is None:
                store.client.delete_registered_model_alias(model, event.alias)
            else:
                store.client.set_registered_model_alias(model, event.alias, event.new)
        history.write(store, model, event)
    except BaseException:
        with contextlib.suppress(MLOpsError):  # then the intent stays until somebody recovers
            _finish(store, model, intent)
        raise
    _withdrawn(store, model, intent)
    holder = registry.aliases_of(store, model).get(event.alias)
    if holder != event.new:
        raise overtaken(model, event.alias, holder)


def point(store: Store, model: str, alias: str, version: str, *, reason: str, kind: str) -> None:
    """Move an alias to a version, wherever it points to by now."""
    who = rights.current(store)
    for attempt in range(_TRIES):
        holder = registry.aliases_of(store, model).get(alias)
        if holder == version:
            return
        try:
            move(store, model, history.event(alias, holder, version, reason, kind=kind, by=who))
        except RefusedError:
            if attempt + 1 == _TRIES:
                raise
        else:
            return


def overtaken(model: str, alias: str, holder: str | None) -> RefusedError:
    """Say to one who came too late where the alias points now."""
    what = Sentence("Someone moved %1 of %2 away at the same moment.", alias, model)
    if holder:
        what = Sentence("Someone moved %1 of %2 to version %3 at the same moment.", alias, model, holder)
    line = f"%mlops_promote {model}"
    return RefusedError(what, Sentence("Look at %1, and promote again if you still want to.", line))


def recover(store: Store, model: str) -> tuple[tuple[Event, Ending], ...]:
    """Finish the moves of a model whose processes died.

    Returns:
        Each with how it ended: "completed" where the alias had moved and its record was missing, "undone"
        where it had not.
    """
    return tuple(
        (intent.event, _finish(store, model, intent))
        for intent in _intents(registry.tags_of(store, model))
        if intent.dead
    )


def outside(holders: Mapping[str, str], moves: tuple[Event, ...]) -> tuple[Outside, ...]:
    """Find the aliases that were moved by other means than ours.

    Args:
        holders: What each alias points to.
        moves: The model's history.
    """
    found = []
    for alias in dict.fromkeys([*registry.ALIASES, *holders]):
        last = history.last_move(moves, alias)
        recorded = None if last is None else last.new
        if holders.get(alias) != recorded:
            found.append(Outside(alias, holders.get(alias), recorded))
    return tuple(found)


def strays(store: Store) -> Iterator[tuple[str, Outside]]:
    """Find the aliases of all models that were moved by other means than ours.

    A model that was never moved by us is somebody else's, and has none.

    Args:
        store: The open store.

    Yields:
        The model's name, and the alias.
    """
    for item in registry.registered(store):
        recorded = history.of_tags(item.tags)
        if any(event.moved for event in recorded):
            for stray in outside(item.aliases, recorded):
                yield item.name, stray


def _announced(store: Store, model: str, intent: Intent) -> None:
    """Say what is wanted, until nobody else wants to move the alias."""
    for attempt in range(_TRIES):
        with door(f"The model '{model}'"):
            store.client.set_registered_model_tag(model, intent.key, _as_json(intent))
        others = [
            other
            for other in _intents(registry.tags_of(store, model))
            if other.event.alias == intent.event.alias and other.key != intent.key
        ]
        for other in others:
            if other.dead:
                _finish(store, model, other)
        if all(other.dead for other in others):
            return
        _withdrawn(store, model, intent)
        # Nothing secret hangs on the pause; it only must not be the other's.
        time.sleep(_PAUSE * 2 ** min(attempt, 4) * random.uniform(0.5, 1.5))  # noqa: S311
        holder = registry.aliases_of(store, model).get(intent.event.alias)
        if holder != intent.event.old:
            raise overtaken(model, intent.event.alias, holder)
    raise RefusedError(
        f"Another move of {intent.event.alias} of {model} does not come to an end.",
        f"Wait two minutes: then %mlops_recover {model} takes it for dead and finishes it.",
    )


def _still_so(store: Store, model: str, intent: Intent) -> None:
    """Make sure, right before the move, that it is still what was judged and still ours to make."""
    if intent.key not in registry.tags_of(store, model):
        raise RefusedError(
            f"This move of {intent.event.alias} of {model} took so long that it was taken for dead.",
            "Look at how it stands, and promote again.",
        )
    holder = registry.aliases_of(store, model).get(intent.event.alias)
    if holder != intent.event.old:
        raise overtaken(model, intent.event.alias, holder)


def _finish(store: Store, model: str, intent: Intent) -> Ending:
    """Bring alias and history of a move that was left in the middle to agree."""
    tags = registry.tags_of(store, model)
    moved = registry.aliases_of(store, model).get(intent.event.alias) == intent.event.new
    if moved and intent.event.key not in tags:
        history.write(store, model, intent.event)
    _withdrawn(store, model, intent)
    return "completed" if moved else "undone"


def _withdrawn(store: Store, model: str, intent: Intent) -> None:
    with door(f"The model '{model}'"), contextlib.suppress(KeyError):
        store.client.delete_registered_model_tag(model, intent.key)


def _intents(tags: Mapping[str, str]) -> list[Intent]:
    found = (_read(value) for key, value in tags.items() if key.startswith(_PREFIX))
    return [intent for intent in found if intent is not None]


def _as_json(intent: Intent) -> str:
    return json.dumps(asdict(intent), ensure_ascii=False)


def _read(text: str) -> Intent | None:
    try:
        content: dict[str, Any] = json.loads(text)
        event, process = history.of_fields(content["event"]), ProcessId(**content["process"])
        return Intent(event, process, float(content["until"]))
    except (ValueError, TypeError, KeyError):
        return None
