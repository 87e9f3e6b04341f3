"""When a drift is an alarm: thresholds that were solved for a budget of false alarms, kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from mlops_magics.foundation import forms
from mlops_magics.stats.windows import Answers

Season = Literal["", "hour", "weekday", "hour of the week"]
Floors = Mapping[str, Mapping[str, float]]

VERSION: Final = 1
_REMEDY: Final = "Solve the thresholds again: %mlops_monitor NAME --alarm 1/month."


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a drift must exceed to be an alarm.

    A column is an alarm where its p-value, adjusted over all columns, lies below ``alpha``, and its effect
    above the floor of the test, in ``persistence`` windows in a row.

    Attributes:
        budget: How many false alarms somebody bears, as it was said.
        rate: The same in false alarms a window.
        alpha: How likely chance may move any column as far.
        floors: By column and test, effects up to which a difference is usual here; those of the tests
            themselves hold besides.
        season: By what usual effects differ: the hour, the day of the week, or both; "" where they do not.
        seasons: The floors of each such hour or day.
        minimum: Rows that a window must have to be judged.
        persistence: How many windows in a row must have drifted.
        answers: How the model usually answers.
        together: How likely chance may tell the rows of a window from those of before by all columns
            together; 0 where they are not compared so.
        basis: How the thresholds were found, in words.
        expected: The rate of false alarms that is expected with them: the rate asked for, or less where
            floors keep chance down.
    """

    budget: str = "1/100"
    rate: float = 0.01
    alpha: float = 0.01
    floors: Floors = field(default_factory=dict)
    season: Season = ""
    seasons: Mapping[str, Floors] = field(default_factory=dict)
    minimum: int = 200
    persistence: int = 1
    answers: Answers | None = None
    together: float = 0.0
    basis: str = "Rows are taken as independent of each other; nothing was solved."
    expected: float = 0.01

    def floors_at(self, moment: datetime | None) -> Floors:
        """Return the floors of a window that began at a moment."""
        return self.seasons.get(slot(moment, self.season), self.floors)

    @property
    def varying(self) -> frozenset[str]:
        """The columns that usually differ by more than chance."""
        return frozenset(self.floors).union(*self.seasons.values())

    def to_json(self) -> bytes:
        """Write it as JSON."""
        return orjson.dumps(asdict(self) | {"version": VERSION})

    @classmethod
    def from_json(cls, content: bytes | str) -> Alarm:
        """Read it.

        Args:
            content: The JSON text.

        Raises:
            MLOpsError: It is damaged, or of a version that this release does not read.
        """
        with forms.told(content, VERSION, "The alarm", _REMEDY) as told:
            answers = told.pop("answers")
            return cls(**told, answers=None if answers is None else Answers.from_dict(answers))


def slot(moment: datetime | None, season: Season) -> str:
    """Name the hour or day of a moment, in UTC, by which what is usual differs; "" for none."""
    if moment is None or not season:
        return ""
    here: Any = moment.astimezone(UTC) if moment.tzinfo is not None else moment
    day, hour = f"{here:%a}", f"{here:%H}h"
    return {"hour": hour, "weekday": day, "hour of the week": f"{day} {hour}"}[season]
