"""What the card of a monitoring shows: its state at first, and one column at a time when the page asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.artifact.reference import Bins, ColumnReference, Reference
from mlops_magics.drift.judging import ColumnDrift, Drift
from mlops_magics.foundation.blocks import cut, shown
from mlops_magics.foundation.errors import UsageError
from mlops_magics.stats.window_columns import ColumnWindow
from mlops_magics.steps.monitor.drawing import named
from mlops_magics.steps.monitor.observed import Observed

Json = dict[str, Any]

_GROUPS: Final = 12  # of a column's bins or values
_COLUMNS: Final = 400
_ROOM: Final = 40
_GONE: Final = ("The monitor has no such column or window.", "Reload the page, then choose again.")


@dataclass(frozen=True, slots=True)
class Desk:
    """A monitoring that a page asks of.

    Attributes:
        seen: The monitoring.
    """

    seen: Observed

    @property
    def began(self) -> list[float]:
        """When each judged window began, oldest first."""
        return sorted(self.seen.drifts)

    def overview(self) -> Json:
        """Return what is shown first: the alerts, the windows, the columns with how far they are now."""
        seen, began = self.seen, self.began
        count = len(seen.alerts)
        words = "quiet" if not count else f"{count} alert{'s' * (count > 1)}"
        length = began[-1] - began[0] + seen.seconds if began else seen.seconds
        return {
            "place": shown(seen.place),
            "about": f"{shown(seen.model)}, version {seen.version}",
            "standing": {"tone": "bad" if count else "good", "words": words},
            "extent": f"{seen.rows:,} rows in {seen.windows:,} window{'s' * (seen.windows != 1)}",
            "alerts": [_alert(one) for one in seen.alerts],
            "windows": [named(each, length) if each else "all rows" for each in began],
            "columns": [_column(each) for each in self._columns()],
            "notes": [shown(note) for note in seen.notes],
        }

    def column(self, place: int, window: int, against: int | None) -> Json:
        """Return how a column looks in a window beside the rows it was fitted on, or beside another window.

        Args:
            place: The column, by its place in the overview.
            window: The window, by its place.
            against: Another window; None for the rows that the model was fitted on.

        Raises:
            UsageError: There is no such column or window.
        """
        columns, began = self._columns(), self.began
        if not (
            0 <= place < len(columns)
            and 0 <= window < len(began)
            and (against is None or against < len(began))
        ):
            raise UsageError(*_GONE)
        name = columns[place].name
        found = self._found(self.seen.drifts[began[window]], name)
        return {
            "name": shown(name),
            "words": "" if found is None else shown(found.words),
            "cause": "" if found is None else shown(found.suspected),
            "course": [self._effect(each, name) for each in began],
            "alarmed": [at for at, each in enumerate(began) if self._alarmed(each, name)],
            "bars": self._bars(name, began[window], None if against is None else began[against]),
        }

    def _columns(self) -> list[ColumnDrift]:
        return list(self.seen.moved[:_COLUMNS])

    def _found(self, drift: Drift, name: str) -> ColumnDrift | None:
        return next((each for each in reversed(drift.every) if each.name == name), None)

    def _effect(self, began: float, name: str) -> float | None:
        found = self._found(self.seen.drifts[began], name)
        return None if found is None else round(found.effect, 4)

    def _alarmed(self, began: float, name: str) -> bool:
        found = self._found(self.seen.drifts[began], name)
        return found is not None and found.alarmed

    def _bars(self, name: str, window: float, against: float | None) -> list[Json]:
        reference: Reference | None = self.seen.reference
        known = None if reference is None else reference.by_name.get(name)
        now = self._counts(known, name, window)
        then = _fitted(known) if against is None else self._counts(known, name, against)
        if known is None or now is None or then is None:
            return []
        return [
            {"label": label, "then": _share(then, label), "now": _share(now, label)}
            for label in _labels(known, then, now)
        ]

    def _counts(self, known: ColumnReference | None, name: str, began: float) -> Mapping[str, int] | None:
        unit = self.seen.units.get(began)
        if known is None or unit is None or unit.window is None or name not in unit.window.by_name:
            return None
        return _windowed(known, unit.window.by_name[name])


def _alert(alert: Any) -> Json:  # noqa: ANN401 - an Alert
    return {
        "kind": alert.kind,
        "subject": shown(alert.subject),
        "words": shown(alert.words),
        "since": alert.since,
        "segment": shown(alert.segment),
        "cause": shown(alert.cause),
        "examples": list(alert.examples),
        "then": shown(alert.then),
    }


def _column(each: ColumnDrift) -> Json:
    return {
        "name": shown(each.name),
        "effect": round(each.effect, 4),
        "p": each.adjusted,
        "level": each.level,
        "alarmed": each.alarmed,
        "importance": each.importance,
    }


def _fitted(known: ColumnReference | None) -> dict[str, int] | None:
    if known is None:
        return None
    found = {"no value": known.missing}
    if known.bins is not None:
        return found | _grouped(known.bins, known.bins.counts)
    if known.levels is None:
        return found
    return (
        found
        | {cut(shown(name), _ROOM): count for name, count in known.levels.named.items()}
        | {"all others": sum(known.levels.tail)}
    )


def _windowed(known: ColumnReference, now: ColumnWindow) -> dict[str, int]:
    found = {"no value": now.missing + now.absent}
    if known.bins is not None:
        return found | _grouped(known.bins, now.counts)
    fresh = {cut(shown(name), _ROOM): count for name, count in now.fresh.items()}
    rest = max(0, sum(now.tail) - sum(fresh.values()))
    return (
        found
        | {cut(shown(name), _ROOM): count for name, count in now.named.items()}
        | fresh
        | {"all others": rest}
    )


def _grouped(bins: Bins, counts: Sequence[int]) -> dict[str, int]:
    """Put bins together to a dozen, each named by where it begins."""
    size = -(-len(bins.counts) // _GROUPS)
    found = {}
    for first in range(0, len(bins.counts), size):
        low = bins.minimum if not first else bins.edges[first - 1]
        found[f"from {shown(float(low))}"] = sum(counts[first : first + size])
    return found


def _labels(known: ColumnReference, then: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    every = list({**then, **now})
    if known.bins is not None:
        return every
    values = [name for name in every if name not in {"no value", "all others"}]
    most = sorted(values, key=lambda name: -max(_share(then, name), _share(now, name)))[:_GROUPS]
    return ["no value", *most, *(["all others"] if "all others" in every else [])]


def _share(counts: Mapping[str, int], label: str) -> float:
    return round(counts.get(label, 0) / max(1, sum(counts.values())), 4)
