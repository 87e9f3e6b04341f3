"""All models on one page: every endpoint, and every version that an alias points to, in short."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from mlops_magics.foundation.blocks import Block, Cell, Code, Name, Note, Table, Title, Tone
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.result import Result, live
from mlops_magics.steps.monitor import looking
from mlops_magics.steps.monitor.looking import Asked
from mlops_magics.steps.monitor.result import Monitoring
from mlops_magics.steps.monitor.spans import WHOLE
from mlops_magics.steps.monitor.watched import Watched, endpoints_of, reference_of
from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking import alerts, evaluations, registry
from mlops_magics.tracking.registry import Inventory
from mlops_magics.tracking.store import Store

_SHOWN: Final = 200  # rows of a page; the worst are first
_DAY: Final = 86_400.0
_SICK: Final = frozenset({"failed", "down", "stopping"})


@dataclass(frozen=True)
class Member:
    """One endpoint, or a version that an alias points to and no endpoint of this machine serves.

    Attributes:
        place: The endpoint's name; "" without one.
        model: The registered model.
        version: The version.
        aliases: The aliases that point to it.
        status: How the endpoint is; "" without one.
        rate: Requests a second over the time that is looked at.
        errors: The share of the requests that were refused.
        p99: In how many milliseconds 99 of 100 requests were answered; None without any.
        drift: The column that has moved furthest beyond the alarm; "" for none.
        effect: How far.
        age: How many seconds ago the version was registered.
        alerts: How many alerts are open, or would be.
        trouble: Why it could not be looked at; "" where it could.
    """

    place: str
    model: str
    version: str
    aliases: tuple[str, ...] = ()
    status: str = ""
    rate: float = 0.0
    errors: float = 0.0
    p99: float | None = None
    drift: str = ""
    effect: float = 0.0
    age: float = 0.0
    alerts: int = 0
    trouble: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing asks to be looked at."""
        return not self.alerts and not self.trouble and self.status not in _SICK


@dataclass(frozen=True)
class Fleet(Result):
    """All models at this moment.

    Attributes:
        members: Endpoints and versions, those first that ask to be looked at.
        seconds: How far back it was looked.
        window: How long a window is.
        notes: What the user should know.
        run_id: The run that it is logged with; None where it is not.
        every: What was seen of each endpoint.
    """

    members: tuple[Member, ...]
    seconds: float
    window: float = 3_600.0
    notes: tuple[str, ...] = ()
    run_id: str | None = None
    every: tuple[Monitoring, ...] = live(default=())

    volatile: ClassVar[bool] = True

    @property
    def holds(self) -> bool:
        """Whether nothing asks to be looked at."""
        return all(one.well for one in self.members)

    def blocks(self) -> Iterable[Block]:
        """Show a member a row, those first that ask to be looked at."""
        bad = sum(not one.well for one in self.members)
        tone: Tone = "bad" if bad else "good"
        yield Title("All models", f"{bad} of {len(self.members)} to look at" if bad else "quiet", tone)
        shown = self.members[:_SHOWN]
        if shown:
            yield Table(
                _HEADINGS, [_row(one) for one in shown], ["plain" if one.well else "bad" for one in shown]
            )
        if len(self.members) > _SHOWN:
            yield Note(
                f"And {len(self.members) - _SHOWN} more, which are well: .members has them all.", "quiet"
            )
        for one in shown:
            if one.trouble:
                yield Note(f"{one.place or one.model}: {one.trouble}", "bad")
        sick = next((one for one in self.members if one.place and one.alerts), None)
        if sick is not None:
            yield Code(f"%mlops_monitor {sick.place}")
        if not self.members:
            yield Note("There is no endpoint, and no version that an alias points to.")
        for note in self.notes:
            yield Note(note, "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the run."""
        return {} if self.run_id is None else {"run_id": self.run_id}


_HEADINGS: Final = (
    "endpoint",
    "status",
    "model",
    "aliases",
    "requests/s",
    "refused %",
    "p99 ms",
    "drift",
    "effect",
    "age, days",
    "alerts",
)


def look(store: Store, asked: Asked) -> Fleet:
    """Look at everything, each in short: thresholds are those of chance alone.

    Args:
        store: The open store.
        asked: How long windows are, how far back it is looked, and which false alarms somebody bears.
    """
    inventory = registry.inventory(store)
    seen: list[Monitoring] = []
    members = list(_endpoints(store, asked, inventory, seen))
    served = {(one.model, one.version) for one in members}
    members += [one for one in _versions(inventory) if (one.model, one.version) not in served]
    ordered = sorted(members, key=lambda one: (one.well, -one.alerts, -one.effect, one.model, one.place))
    return Fleet(tuple(ordered), asked.since, asked.seconds, every=tuple(seen))


def _endpoints(store: Store, asked: Asked, inventory: Inventory, seen: list[Monitoring]) -> Iterator[Member]:
    for endpoint in endpoints_of(store):
        version = inventory.versions.get((endpoint.model, endpoint.version))
        if version is None:
            yield Member(
                endpoint.name,
                endpoint.model,
                endpoint.version,
                status=endpoint.status,
                trouble="its version is gone",
            )
            continue
        if endpoint.journal is None:
            trouble = "it keeps no journal" if endpoint.status == "ready" else ""
            yield Member(
                endpoint.name,
                endpoint.model,
                endpoint.version,
                version.aliases,
                endpoint.status,
                trouble=trouble,
            )
            continue
        try:
            kept = reference_of(store, version), evaluations.of_tags(version)
            one = Watched(endpoint.name, version, endpoint.journal, *kept)
            found = looking.look(store, one, asked, brief=True)
        except MLOpsError as error:
            trouble = f"{error.what} {error.remedy}"
            yield Member(
                endpoint.name,
                endpoint.model,
                endpoint.version,
                version.aliases,
                endpoint.status,
                trouble=trouble,
            )
            continue
        seen.append(found)
        yield _member(endpoint, version.aliases, found, asked.since, _open(inventory, endpoint))


def _open(inventory: Inventory, endpoint: Endpoint) -> frozenset[str]:
    tags = inventory.tags.get(endpoint.model, {})
    return frozenset(one.key for one in alerts.of_tags(tags, endpoint.name))


def _member(
    endpoint: Endpoint, aliases: tuple[str, ...], found: Monitoring, seconds: float, opened: frozenset[str]
) -> Member:
    alarms = () if found.drift is None else found.drift.alarms
    return Member(
        place=endpoint.name,
        model=endpoint.model,
        version=endpoint.version,
        aliases=aliases,
        status=endpoint.status,
        rate=found.requests / seconds,
        errors=sum(found.errors.values()) / found.requests if found.requests else 0.0,
        p99=found.latency[WHOLE][2] if WHOLE in found.latency else None,
        drift=alarms[0].name if alarms else "",
        effect=alarms[0].effect if alarms else 0.0,
        age=found.age,
        alerts=len(opened | {one.key for one in found.alerts}),
    )


def _versions(inventory: Inventory) -> Iterator[Member]:
    now = time.time()
    for (model, number), version in inventory.versions.items():
        if version.aliases:
            opened = [one for one in alerts.of_tags(inventory.tags.get(model, {})) if one.version == number]
            yield Member("", model, number, version.aliases, age=now - version.since, alerts=len(opened))


def _row(one: Member) -> Sequence[Cell]:
    place = Name(one.place) if one.place else None
    aliases = ", ".join(one.aliases) or None
    age = round(one.age / _DAY, 1)
    if not one.status:
        return place, None, Name(f"{one.model}/{one.version}"), aliases, *(None,) * 5, age, one.alerts
    return (
        place,
        one.status,
        Name(f"{one.model}/{one.version}"),
        aliases,
        round(one.rate, 3),
        round(one.errors * 100, 2),
        one.p99,
        Name(one.drift) if one.drift else None,
        one.effect if one.drift else None,
        age,
        one.alerts,
    )
