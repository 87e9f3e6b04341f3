"""One column of a window, and what the model answered in it: counts that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.rules import PROBABILITIES
from mlops_magics.foundation.errors import MLOpsError

FRESH: Final = 20
"""New values that are kept by name."""
REMEDY: Final = "Count the rows again against the reference of the version that answers now."

_NUMBERS: Final = ("rows", "missing", "infinite", "wrong", "absent", "below", "above", "worded")
_COUNTS: Final = ("counts", "tail", "lengths", "words", "hours", "weekdays")
_LEVELS: Final = ("named", "fresh")


@dataclass(frozen=True, slots=True)
class ColumnWindow:
    """One column of a window.

    Attributes:
        name: Its name, as in the reference.
        rows: How many rows there were.
        missing: Of these, without a value.
        infinite: Of these, plus or minus infinity.
        wrong: Of these, with a value of another kind than the reference's: a text among numbers.
        absent: Of these, in tables that had no such column.
        below: Numbers below the least one of the reference.
        above: Numbers above the greatest one.
        counts: Numbers in each of the reference's bins.
        named: How often each of the reference's frequent values occurred.
        tail: How often all others did, by bucket; empty where the reference counts none.
        fresh: The most frequent values that have no name in the reference, with their counts; never of a
            personal column.
        lengths: Texts in each of the reference's bins of lengths.
        worded: How many texts were looked at for words.
        words: How many of these held a word of each bucket.
        hours: Dates by the hour of the day.
        weekdays: Dates by the day of the week, Monday first.
        quantiles: Where the numbers lie, at ``PROBABILITIES``; of windows that were added, nearly.
    """

    name: str
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    wrong: int = 0
    absent: int = 0
    below: int = 0
    above: int = 0
    counts: tuple[int, ...] = ()
    named: Mapping[str, int] = field(default_factory=dict)
    tail: tuple[int, ...] = ()
    fresh: Mapping[str, int] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()
    worded: int = 0
    words: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    quantiles: tuple[float, ...] = ()

    def __add__(self, other: ColumnWindow) -> ColumnWindow:
        if self.name != other.name:
            raise MLOpsError(f"Columns '{self.name}' and '{other.name}' do not add up.", REMEDY)
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        sums |= {name: _added(self, other, name) for name in _COUNTS}
        sums |= {name: _merged(getattr(self, name), getattr(other, name)) for name in _LEVELS}
        fresh = sorted(sums["fresh"].items(), key=lambda pair: (-pair[1], pair[0]))[:FRESH]
        return ColumnWindow(
            self.name,
            **sums | {"fresh": dict(fresh)},
            quantiles=_mixed(self, other),
        )

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ColumnWindow:
        """Read what a window's JSON holds of it."""
        return _column(told)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model answered in a window, in the bins of the reference's predictions.

    Attributes:
        rows: How many rows it answered.
        missing: Of these, without an answer.
        numbers: Predicted numbers in each bin.
        labels: How often each class was answered.
        probabilities: Probabilities of each class in each bin.
    """

    rows: int = 0
    missing: int = 0
    numbers: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    probabilities: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __add__(self, other: Answers) -> Answers:
        names = sorted({*self.probabilities, *other.probabilities})
        return Answers(
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            numbers=_added(self, other, "numbers"),
            labels=_merged(self.labels, other.labels),
            probabilities={
                name: summed(self.probabilities.get(name, ()), other.probabilities.get(name, ()))
                for name in names
            },
        )

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Answers:
        """Read what a window's JSON holds of them."""
        return _answers(told)


def summed(one: Sequence[int], two: Sequence[int]) -> tuple[int, ...]:
    """Add counts bin by bin; those of a side that has none count nothing."""
    if not one or not two:
        return tuple(one or two)
    return tuple(a + b for a, b in zip(one, two, strict=True))


def _added(one: Any, two: Any, name: str) -> tuple[int, ...]:  # noqa: ANN401 - a window's part
    return summed(getattr(one, name), getattr(two, name))


def _merged(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + two.get(name, 0) for name in (*one, *(n for n in two if n not in one))}


def _mixed(one: ColumnWindow, two: ColumnWindow) -> tuple[float, ...]:
    """Take the quantiles of both together; between those of one its rows are taken as evenly spread."""
    if not one.quantiles or not two.quantiles:
        return one.quantiles or two.quantiles
    values = np.unique([*one.quantiles, *two.quantiles])
    parts = [
        np.interp(values, each.quantiles, PROBABILITIES, left=0.0, right=1.0) * _values(each)
        for each in (one, two)
    ]
    reached = (parts[0] + parts[1]) / (_values(one) + _values(two))
    return tuple(np.interp(PROBABILITIES, reached, values).tolist())


def _values(column: ColumnWindow) -> int:
    return max(1, sum(column.counts))


def _column(told: Mapping[str, Any]) -> ColumnWindow:
    found: dict[str, Any] = {}
    for item in fields(ColumnWindow):
        value = told.get(item.name)
        if value is None:
            continue
        if item.name in _COUNTS:
            found[item.name] = tuple(map(int, value))
        elif item.name in _LEVELS:
            found[item.name] = {str(name): int(count) for name, count in value.items()}
        elif item.name == "quantiles":
            found[item.name] = tuple(map(float, value))
        else:
            found[item.name] = (str if item.name == "name" else int)(value)
    return ColumnWindow(**{"name": "", **found})


def _answers(told: Mapping[str, Any]) -> Answers:
    return Answers(
        rows=int(told.get("rows", 0)),
        missing=int(told.get("missing", 0)),
        numbers=tuple(map(int, told.get("numbers", ()))),
        labels={str(name): int(count) for name, count in told.get("labels", {}).items()},
        probabilities={
            str(name): tuple(map(int, counts)) for name, counts in told.get("probabilities", {}).items()
        },
    )
