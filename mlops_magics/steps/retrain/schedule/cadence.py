"""How often something runs: read from a length of time or a cron expression, and written for each scheduler.

A length of time that no calendar can repeat evenly ("every 7 hours": the day's last gap would be shorter) is
refused, not rounded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3_600, 86_400, 604_800
_NIGHT: Final = 3  # the hour of what runs once a day or less
_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_PART: Final = re.compile(r"(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_DAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_SUNDAY: Final = 7
_REMEDY: Final = "Write 15m, 6h, 1d or 7d, or a cron expression such as '30 3 * * 1'."


@dataclass(frozen=True, slots=True)
class Cadence:
    """When something runs, in UTC.

    Attributes:
        cron: As a cron expression of five fields.
        fields: The numbers of each field; None where it is any.
        seconds: The least time between two runs.
    """

    cron: str
    fields: tuple[tuple[int, ...] | None, ...]
    seconds: int

    @classmethod
    def parse(cls, when: str, name: str) -> Cadence:
        """Read a length of time or a cron expression.

        Args:
            when: What was written.
            name: What runs. Its minute, and the day of a weekly one, are drawn by it, so that not everything
                begins on the hour.

        Raises:
            UsageError: It is neither, or no calendar can say it.
        """
        words = when.split()
        if len(words) == len(_BOUNDS):
            return cls._of(" ".join(words))
        return cls._of(_evenly(when, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])))

    @classmethod
    def _of(cls, cron: str) -> Cadence:
        fields = tuple(
            _numbers(word, name, *bounds)
            for word, name, bounds in zip(cron.split(), _NAMES, _BOUNDS, strict=True)
        )
        return cls(cron, fields, _least(fields))

    @property
    def calendar(self) -> str:
        """The same for systemd's ``OnCalendar=``.

        Raises:
            UsageError: It names days of the month and of the week: cron runs on either, systemd on both.
        """
        minutes, hours, days, months, weekdays = self.fields
        if days is not None and weekdays is not None:
            raise UsageError(
                f"systemd cannot say '{self.cron}': on some days of the month, or some of the week.",
                "Name days of the month or of the week, not both.",
            )
        week = "" if weekdays is None else ",".join(_DAYS[day] for day in weekdays) + " "
        return f"{week}*-{_listed(months)}-{_listed(days)} {_listed(hours)}:{_listed(minutes)}:00 UTC"


def _evenly(when: str, draw: int) -> str:
    total = seconds(when, "--every")
    if total % _MINUTE:
        raise UsageError(f"No calendar repeats every '{when}'.", "Write whole minutes, such as 15m.")
    minutes, minute = round(total / _MINUTE), draw % 60
    day = draw // 60 % 7
    if total == _WEEK:
        return f"{minute} {_NIGHT} * * {day}"
    if total == _DAY:
        return f"{minute} {_NIGHT} * * *"
    if total < _HOUR and 60 % minutes == 0:
        return "* * * * *" if minutes == 1 else f"{_every(minute % minutes, minutes, 60)} * * * *"
    hours = minutes // 60
    if minutes % 60 == 0 and hours < 24 and 24 % hours == 0:  # noqa: PLR2004 - hours of a day
        return f"{minute} * * * *" if hours == 1 else f"{minute} */{hours} * * *"
    raise UsageError(
        f"No calendar repeats every '{when}' evenly.",
        f"{_near(minutes)}, or a cron expression such as '30 3 * * 1'.",
    )


def _every(first: int, step: int, of: int) -> str:
    return ",".join(str(value) for value in range(first, of, step))


def _near(minutes: int) -> str:
    """Name the cadences on either side."""
    even = (
        [m for m in range(1, 60) if 60 % m == 0]
        + [60 * h for h in range(1, 24) if 24 % h == 0]
        + [1440, 10080]
    )
    below = [_short(m) for m in even if m < minutes][-1:]
    above = [_short(m) for m in even if m > minutes][:1]
    return f"Write {' or '.join([*below, *above])}"


def _short(minutes: int) -> str:
    for size, letter in ((1440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size}{letter}"
    return f"{minutes}m"


def _numbers(word: str, name: str, least: int, most: int) -> tuple[int, ...] | None:
    if word == "*":
        return None
    found: set[int] = set()
    for part in word.split(","):
        read = _PART.fullmatch(part)
        if read is None:
            raise UsageError(f"'{word[:40]}' is no {name} of a cron expression.", _REMEDY)
        star, first, last, step = read.groups()
        begin = least if star else int(first)
        # A number with a step goes on to the end, as it does in most crons; without one it is itself.
        end = int(last) if last else most if star or step else begin
        if not least <= begin <= end <= most or step == "0":
            raise UsageError(f"'{word[:40]}' is no {name} between {least} and {most}.", _REMEDY)
        found |= set(range(begin, end + 1, int(step or 1)))
    if most == _SUNDAY:  # cron calls Sunday 0 and 7
        found = {number % _SUNDAY for number in found}
    return tuple(sorted(found))


def _least(fields: Sequence[tuple[int, ...] | None]) -> int:
    """Say how close two runs may come."""
    minutes, hours, days, months, weekdays = fields
    if minutes is None or len(minutes) > 1:
        return _MINUTE * _gap(minutes, 60)
    if hours is None or len(hours) > 1:
        return _HOUR * _gap(hours, 24)
    if days is not None and weekdays is None:
        return _DAY * (_gap(days, 28) if len(days) > 1 else 28)
    del months  # a month that is left out only makes it rarer
    return _DAY * (1 if weekdays is None or days is not None else _gap(weekdays, 7))


def _gap(numbers: tuple[int, ...] | None, around: int) -> int:
    if numbers is None:
        return 1
    following = [*numbers[1:], numbers[0] + around]
    return min(later - number for number, later in zip(numbers, following, strict=True))


def _listed(numbers: tuple[int, ...] | None) -> str:
    return "*" if numbers is None else ",".join(f"{number:02d}" for number in numbers)
