"""A reference by stretches of time, coarsely: how much its columns differ from one month to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST: Final = 24
"""Stretches that are kept."""
GROUPS: Final = 10
"""Into how many groups a column's bins or levels are put for them, at most."""


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch of time.

    Attributes:
        began: When it began, in microseconds since 1970.
        ended: When it ended.
        rows: Its rows, of those that were looked at.
        counts: By column, how many rows fell into each group, and last how many had no value.
    """

    began: float
    ended: float
    rows: int
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Periods:
    """All stretches, in order.

    Attributes:
        column: The column that told the time.
        unit: How long they are: "hour", "day", "week", "month", "quarter" or "year".
        held: The stretches that have rows.
    """

    column: str
    unit: str
    held: tuple[Period, ...]

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Periods:
        """Read what a reference's JSON holds of them.

        Raises:
            ValueError: It is damaged.
        """
        return cls(str(told["column"]), str(told["unit"]), tuple(map(_period, told["held"])))


def _period(told: Mapping[str, Any]) -> Period:
    return Period(
        float(told["began"]),
        float(told["ended"]),
        int(told["rows"]),
        {str(name): tuple(map(int, counts)) for name, counts in told.get("counts", {}).items()},
    )


def starts(bins: int) -> tuple[int, ...]:
    """Name the bins at which the groups of so many bins begin: always the same for the same number."""
    groups = min(bins, GROUPS)
    return tuple((bins * place) // groups for place in range(groups))
