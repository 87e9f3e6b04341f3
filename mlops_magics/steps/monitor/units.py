"""Windows that are judged: enough rows each, none looked at twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.judging import Drift, judge
from mlops_magics.drift.together import Rows
from mlops_magics.stats.windows import Window
from mlops_magics.steps.monitor.spans import Span

_BACK: Final = 200  # windows before one, from which is told since when, and how the model usually answers
_DRAWN: Final = 400  # windows that are judged for the time axis


@dataclass(frozen=True, slots=True)
class Judged:
    """What the windows say.

    Attributes:
        units: The windows that were judged, oldest first; of little traffic several together.
        drifts: What each of them says, by when it began.
    """

    units: tuple[Span, ...]
    drifts: Mapping[float, Drift]

    @property
    def newest(self) -> Span | None:
        """The newest window that was judged."""
        return self.units[-1] if self.units else None

    @property
    def drift(self) -> Drift | None:
        """What the newest one says."""
        return None if not self.units else self.drifts.get(self.units[-1].began)


def united(spans: Sequence[Span], minimum: int, now: float) -> tuple[Span, ...]:
    """Put windows together until each has enough rows to judge by.

    A window that is still open is looked at only where no other can be: whoever looks at it again and again
    while it fills would look more often than the alarm was made for.

    Args:
        spans: The windows, oldest first.
        minimum: How many rows a judged one has at least.
        now: This moment; 0 where the rows have no time.
    """
    over = [span for span in spans if span.ended <= now or not span.ended]
    return _grouped(over, minimum) or _grouped(spans, minimum)


def judged(
    reference: Reference | None,
    units: Sequence[Span],
    alarm: Alarm,
    *,
    newest: bool = False,
    rows: Rows | None = None,
) -> Judged:
    """Compare each window with the rows that the model was fitted on.

    Args:
        reference: Those rows; None where nothing was kept of them: then nothing is said.
        units: The windows.
        alarm: How sure and how far a drift must be.
        newest: Whether only the newest one is looked at.
        rows: Rows of the newest one beside those that the model was fitted on; None without any.
    """
    if reference is None:
        return Judged((), {})
    held = [unit for unit in units if unit.window is not None]
    windows = [_placed(unit) for unit in held]
    first = len(held) - 1 if newest else max(0, len(held) - _DRAWN)
    drifted: dict[int, frozenset[str]] = {}
    drifts = {
        held[at].began: judge(
            reference,
            windows[at],
            alarm=alarm,
            before=windows[max(0, at - _BACK) : at],
            rows=rows if at == len(held) - 1 else None,
            drifted=drifted,
        )
        for at in range(max(0, first), len(held))
    }
    return Judged(tuple(held), drifts)


def _placed(unit: Span) -> Window:
    assert unit.window is not None  # noqa: S101 - only such are kept
    return unit.window


def _grouped(spans: Sequence[Span], minimum: int) -> tuple[Span, ...]:
    found: list[Span] = []
    open_: Span | None = None
    for span in spans:
        open_ = span if open_ is None or open_.window is None else open_ + span
        if open_.window is not None and open_.window.rows >= minimum:
            found.append(open_)
            open_ = None
    return tuple(found)
