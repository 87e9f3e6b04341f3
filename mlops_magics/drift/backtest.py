"""What an alarm would have said of the windows so far: shown before it is turned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.judging import judge
from mlops_magics.stats.windows import Window


@dataclass(frozen=True, slots=True)
class WouldAlarm:
    """A window that would have been an alarm.

    Attributes:
        place: Its place in the history.
        began: When it began.
        columns: The columns, the one that matters most first.
        words: What was seen of the first.
        first: Whether the window before was none: an alarm that goes on is told once.
    """

    place: int
    began: datetime | None
    columns: tuple[str, ...]
    words: str
    first: bool


@dataclass(frozen=True, slots=True)
class BackTest:
    """A history, judged by an alarm.

    Attributes:
        windows: Its windows.
        judged: Of these, with enough rows.
        alarms: Which would have been alarms.
        promised: The rate of false alarms that the alarm was solved for, a window.
        rate: The rate of windows that would have been alarms.
        interval: Where the true rate lies, with 95 %, were windows independent (Wilson).
    """

    windows: int
    judged: int
    alarms: tuple[WouldAlarm, ...]
    promised: float
    rate: float
    interval: tuple[float, float]

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        told = sum(alarm.first for alarm in self.alarms)
        expected = self.promised * self.judged
        what = "alarm" if told == 1 else "alarms"
        return (
            f"In {self.judged:,} windows there would have been {told:,} {what}, over {len(self.alarms):,} of "
            f"them; {expected:.1f} false ones are allowed for."
        )


def backtest(alarm: Alarm, reference: Reference, history: Sequence[Window]) -> BackTest:
    """Judge each window of a history with those before it.

    Args:
        alarm: The thresholds.
        reference: The rows that the model was fitted on, as they were.
        history: The windows, in order.
    """
    found: list[WouldAlarm] = []
    drifted: dict[int, frozenset[str]] = {}
    judged = 0
    for place, window in enumerate(history):
        earlier = history[max(0, place - alarm.persistence + 1) : place]
        drift = judge(reference, window, alarm=alarm, before=earlier, drifted=drifted)
        judged += drift.judged
        if drift.alarmed:
            first = not found or found[-1].place != place - 1
            names = tuple(each.name for each in drift.alarms)
            found.append(WouldAlarm(place, window.began, names, drift.alarms[0].words, first))
    rate = len(found) / judged if judged else 0.0
    return BackTest(len(history), judged, tuple(found), alarm.rate, rate, wilson(len(found), judged))


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return where a share lies with 95 %, for so many of a total."""
    if not total:
        return 0.0, 1.0
    z, share = 1.959964, count / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)
