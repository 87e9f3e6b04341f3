"""Alerts: what somebody should look at, kept with the registered model while it lasts.

Each open alert is a tag of the registered model, under its own key: two monitors that see the same thing
write the same tag, one that sees it again changes nothing, and listing the models tells how many are open
without asking for anything else. When it is quiet the tag goes; the monitor's run keeps what it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from mlops_magics.foundation.masking import masked
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import Store, door

_PREFIX: Final = "mlops.alert."
_WORDS: Final = 600  # characters of a text; a tag holds 5,000
_EXAMPLES: Final = 5
_OPEN: Final = 100  # alerts of one place that are kept; of a broken pipeline each column alarms


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that somebody should look at.

    Attributes:
        kind: "drift", "answers", "performance", "latency", "errors", "contract", "age" or "labels".
        subject: What it is about: a column, a metric, an error's code.
        words: What happened, as a sentence.
        number: How far it is.
        threshold: What it may be at most, or at least.
        since: When it began, as ISO time in UTC; "" where there is no time.
        window: When the newest length of time began in which it was so; "" likewise.
        segment: Where most of it lies: a value, or a range.
        cause: What may be behind it, as a suspicion; "" for none.
        examples: Ids of a few requests of it.
        then: What to do next, as a command.
        place: Where: the endpoint, or the model of a table.
        version: Which version it is about.
        key: What tells it from any other; the same while it lasts.
    """

    kind: str
    subject: str
    words: str
    number: float | None = None
    threshold: float | None = None
    since: str = ""
    window: str = ""
    segment: str = ""
    cause: str = ""
    examples: tuple[str, ...] = ()
    then: str = ""
    place: str = ""
    version: str = ""
    key: str = ""

    def at(self, place: str, version: str) -> Alert:
        """Return it with where it is, and the key that follows from that."""
        told = f"{place}\0{version}\0{self.kind}\0{self.subject}"
        key = hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:16]
        return replace(self, place=place, version=version, key=key)

    def to_json(self) -> str:
        """Write it: masked, and short enough for a tag."""
        told = asdict(self)
        for name, value in told.items():
            if isinstance(value, str):
                told[name] = masked(value)[:_WORDS]
        return json.dumps(told | {"examples": list(self.examples[:_EXAMPLES])}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Alert | None:
        """Read one; None of what is none."""
        try:
            told: dict[str, Any] = json.loads(text)
            known = {item.name for item in fields(cls)}
            content = {name: value for name, value in told.items() if name in known}
            return cls(**content | {"examples": tuple(told.get("examples", ()))})
        except (ValueError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look changed.

    Attributes:
        new: Alerts that were not open before.
        going_on: Those that were, and are.
        over: Those that were, and are no more.
    """

    new: tuple[Alert, ...]
    going_on: tuple[Alert, ...]
    over: tuple[Alert, ...]

    @property
    def active(self) -> tuple[Alert, ...]:
        """What is open now."""
        return (*self.new, *self.going_on)


def of_tags(tags: Mapping[str, str], place: str | None = None) -> tuple[Alert, ...]:
    """Read the open alerts from a registered model's tags, the oldest first.

    Args:
        tags: The tags.
        place: Only those of this place; None for all.
    """
    found = (Alert.from_json(value) for name, value in tags.items() if name.startswith(_PREFIX))
    kept = [one for one in found if one is not None and place in {None, one.place}]
    return tuple(sorted(kept, key=lambda one: (one.since, one.key)))


def opened(store: Store, model: str, place: str | None = None) -> tuple[Alert, ...]:
    """Read the open alerts of a registered model, the oldest first.

    Args:
        store: The open store.
        model: The registered model.
        place: Only those of this place; None for all.

    Raises:
        NotFoundError: There is no such model.
    """
    return of_tags(registry.tags_of(store, model), place)


def everywhere(store: Store) -> Iterator[tuple[str, Alert]]:
    """Read the open alerts of all registered models, each with its model.

    Args:
        store: The open store.
    """
    for item in registry.registered(store):
        for alert in of_tags(item.tags):
            yield item.name, alert


def compared(before: Iterable[Alert], active: Sequence[Alert]) -> Settled:
    """Hold what is active against what was open: one that goes on keeps when it began.

    Args:
        before: What was open.
        active: What is active now.
    """
    known = {one.key: one for one in before}
    told = {one.key: one for one in active}
    going_on = tuple(
        replace(one, since=min(known[key].since, one.since) if known[key].since and one.since else one.since)
        for key, one in told.items()
        if key in known
    )
    return Settled(
        new=tuple(one for key, one in told.items() if key not in known),
        going_on=going_on,
        over=tuple(one for key, one in known.items() if key not in told),
    )


def settle(store: Store, model: str, settled: Settled) -> None:
    """Write what a look changed: new alerts are opened, those that are over are closed.

    Args:
        store: The open store.
        model: The registered model.
        settled: What changed.

    Raises:
        RefusedError: The store does not let us write to the model.
    """
    with door(f"The alerts of {model}"):
        for alert in settled.active[:_OPEN]:
            _open(store, model, alert)
        for alert in settled.over:
            store.client.delete_registered_model_tag(model, f"{_PREFIX}{alert.key}")


def _open(store: Store, model: str, alert: Alert) -> None:
    """Write an alert; where another look opens the same one at this moment, a store may refuse the second."""
    from mlflow.exceptions import MlflowException

    name, told = f"{_PREFIX}{alert.key}", alert.to_json()
    try:
        store.client.set_registered_model_tag(model, name, told)
    except MlflowException:
        if name not in registry.tags_of(store, model):
            raise
        store.client.set_registered_model_tag(model, name, told)
