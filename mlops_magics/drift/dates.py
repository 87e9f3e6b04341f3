"""Dates go forward by nature: their days of the week and hours are looked at, and whether they went back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.chance import chi_square
from mlops_magics.stats.windows import ColumnWindow

_DAY: Final = 86_400e6
_WEEKS: Final = 8 * 7 * _DAY  # of fewer weeks, one that is cut off changes the profile
_DAYS: Final = 7 * _DAY


@dataclass(frozen=True, slots=True)
class _Dates:
    name: str = "dates"
    weight: float = 8.0
    floor: float = 0.05

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        bins = reference.bins
        if reference.kind != "date" or bins is None:
            return None
        rows = sum(window.counts)
        if not rows:
            return nothing(self.name, reference.name, "dates")
        share = rows / (rows + sum(bins.counts))
        span = min(bins.maximum - bins.minimum, _span(window))
        back = window.below / rows
        tried = [
            (
                share**window.below,
                back,
                f"{back:.1%} of the dates lie before the first of before.",
            ),
            _clock(reference.weekdays, window.weekdays if span >= _WEEKS else (), "days of the week"),
            _clock(reference.hours, window.hours if span >= _DAYS else (), "hours of the day"),
        ]
        chance, effect, words = min(tried, key=lambda one: (one[0], -one[1]))
        ahead = window.above / rows
        told = f"{words} {ahead:.0%} of the dates are later than all of before, as is to be expected."
        return Score(self.name, reference.name, effect, effect, min(1.0, len(tried) * chance), told)


def _span(window: ColumnWindow) -> float:
    return window.quantiles[-1] - window.quantiles[0] if window.quantiles else 0.0


def _clock(then: tuple[int, ...], now: tuple[int, ...], what: str) -> tuple[float, float, str]:
    """Compare a profile of days or hours, where both have one."""
    if not then or len(then) != len(now):
        return 1.0, 0.0, f"The {what} are as before."
    found = chi_square(then, now)
    words = f"The dates lie on other {what} than before (an effect of {found.effect:.3f})."
    return found.p, found.effect, words


TEST = _Dates()
