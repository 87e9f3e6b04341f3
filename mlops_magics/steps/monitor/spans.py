"""What came in one length of time, counted: small, adds up, and can be written down."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from mlops_magics.stats.windows import Window

STAGES: Final = ("decode", "queue", "predict", "encode")
"""What a request spends its time on, in the order in which it does."""
WHOLE: Final = "all"
"""All stages together."""

_GROWTH: Final = math.log(1.02)  # of a bucket of milliseconds: what is read from it is right to 1 %
_LEAST: Final = 1e-4  # milliseconds
PLACES: Final = 200  # of a probability


@dataclass(frozen=True, slots=True)
class Chances:
    """The probabilities of the class that is looked for, counted in equal parts from 0 to 1.

    Attributes:
        counts: How many rows fell in each part.
        sums: The sum of their probabilities.
        sure: The sum of the likeliest class's probability over all rows, of any number of classes.
        spread: The sum of that probability times what is missing of it to 1.
        rows: How many rows came with probabilities.
    """

    counts: tuple[int, ...] = ()
    sums: tuple[float, ...] = ()
    sure: float = 0.0
    spread: float = 0.0
    rows: int = 0

    def __add__(self, other: Chances) -> Chances:
        return Chances(
            _summed(self.counts, other.counts),
            _summed(self.sums, other.sums),
            self.sure + other.sure,
            self.spread + other.spread,
            self.rows + other.rows,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """One length of time.

    Attributes:
        began: When it began, in seconds since 1970.
        ended: When it ended, not included.
        requests: How many requests came.
        rows: How many rows were predicted.
        refused: How many requests were refused, by the error's code.
        failed: Those of them that were no fault of the request.
        breached: How many requests were refused for a column, by that column.
        versions: How many rows each version answered.
        asked: How many requests each version answered.
        saved: How many requests a canary could not answer, by its version: the live one did, so they are not
            among the failed ones.
        spent: How many requests took how long, in buckets of milliseconds, by stage.
        chances: The probabilities that were answered.
        window: How the rows look beside the reference; None where there is none, or no row.
        last: When the newest request came; 0 for none.
    """

    began: float
    ended: float
    requests: int = 0
    rows: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    breached: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    saved: Mapping[str, int] = field(default_factory=dict)
    spent: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    chances: Chances = Chances()
    window: Window | None = None
    last: float = 0.0

    @property
    def errors(self) -> int:
        """How many requests were refused."""
        return sum(self.refused.values())

    def __add__(self, other: Span) -> Span:
        windows = [each for each in (self.window, other.window) if each is not None]
        return Span(
            min(self.began, other.began),
            max(self.ended, other.ended),
            self.requests + other.requests,
            self.rows + other.rows,
            _counted(self.refused, other.refused),
            self.failed + other.failed,
            _counted(self.breached, other.breached),
            _counted(self.versions, other.versions),
            _counted(self.asked, other.asked),
            _counted(self.saved, other.saved),
            {
                name: _counted(self.spent.get(name, {}), other.spent.get(name, {}))
                for name in {**self.spent, **other.spent}
            },
            self.chances + other.chances,
            windows[0] + windows[1] if len(windows) > 1 else next(iter(windows), None),
            max(self.last, other.last),
        )

    def to_json(self) -> bytes:
        """Write it."""
        told = {name: value for name, value in _fields(self).items() if value}
        told["window"] = None if self.window is None else orjson.Fragment(self.window.to_json())
        return orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Span:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError: It is something else.
        """
        window, chances = told.get("window"), told.get("chances")
        spent = told.get("spent", {})
        return cls(
            **{
                **told,
                "window": None if window is None else Window.from_json(orjson.dumps(window)),
                "chances": Chances() if chances is None else _chances(chances),
                "spent": {name: {int(at): n for at, n in held.items()} for name, held in spent.items()},
            }
        )


def total(spans: Sequence[Span]) -> Span:
    """Add up lengths of time; nothing came where there are none."""
    if not spans:
        return Span(0.0, 0.0)
    while len(spans) > 1:  # in pairs: what is added stays small for long
        spans = [
            spans[at] + spans[at + 1] if at + 1 < len(spans) else spans[at] for at in range(0, len(spans), 2)
        ]
    return spans[0]


def buckets(milliseconds: Any) -> dict[int, int]:  # noqa: ANN401 - a numpy array of floats
    """Count times in buckets, each 2 % wider than the one before."""
    import numpy as np

    held = milliseconds[np.isfinite(milliseconds)]
    places = np.floor(np.log(np.maximum(held, _LEAST)) / _GROWTH).astype(np.int64)
    found, counts = np.unique(places, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def quantile(held: Mapping[int, int], share: float) -> float | None:
    """Read a quantile of times from their buckets, in milliseconds; None of none.

    Args:
        held: How many requests are in each bucket.
        share: Which share of the requests took at most so long: 0.99.
    """
    wanted = share * sum(held.values())
    reached = 0
    for place in sorted(held):
        reached += held[place]
        if reached >= wanted:
            return math.exp((place + 0.5) * _GROWTH)
    return None


def moment(seconds: float) -> str:
    """Write a moment as ISO time in UTC; "" of none."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds > 0 else ""


def _fields(span: Span) -> dict[str, Any]:
    told = {name: getattr(span, name) for name in Span.__dataclass_fields__ if name != "window"}
    return told | {"chances": asdict(span.chances) if span.chances.rows else None}


def _chances(told: Mapping[str, Any]) -> Chances:
    return Chances(
        tuple(told["counts"]), tuple(told["sums"]), told["sure"], told["spread"], int(told["rows"])
    )


def _counted(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    return dict(Counter(one) + Counter(other))


def _summed(one: Sequence[Any], other: Sequence[Any]) -> tuple[Any, ...]:
    if not one or not other:
        return tuple(one or other)
    return tuple(a + b for a, b in zip(one, other, strict=True))
