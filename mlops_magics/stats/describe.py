"""A column's summary, made of its parts' sum, its sample and what its library says about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from mlops_magics.foundation.blocks import shown
from mlops_magics.stats.columns import Column
from mlops_magics.stats.counted import Counted
from mlops_magics.stats.meaning import Evidence, meaning, personal
from mlops_magics.stats.numbers import NumberPart
from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import ColumnSummary, Level, Numbers, Scalar
from mlops_magics.stats.texts import TextPart

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400_000_000  # microseconds
_OFTEN: Final = 3  # times a value must be seen in the sample for its count to be scaled up
_EXACT_FLOAT: Final = 2**53


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a column before it is read.

    Attributes:
        name: Its name as text.
        position: Its place.
        dtype: Its type as its library calls it.
        memory: Its bytes.
        rows: The table's rows.
    """

    name: str
    position: int
    dtype: str
    memory: int
    rows: int


def describe(
    facts: Facts, column: Column, part: NumberPart | TextPart, sample: SampleColumn
) -> ColumnSummary:
    """Put a column's summary together.

    Args:
        facts: What its library says.
        column: How it was decoded.
        part: The sum of its parts.
        sample: Its sampled rows.
    """
    distinct, error = part.distinct
    plain = ColumnSummary(
        name=facts.name,
        position=facts.position,
        dtype=facts.dtype,
        kind=column.kind,
        meaning="other",
        rows=facts.rows,
        missing=part.nulls,
        distinct=distinct,
        distinct_error=error,
        mixed=dict(column.mixed),
        memory=facts.memory,
        notes=column.notes,
    )
    full = (
        _numbers(plain, column, part, sample) if isinstance(part, NumberPart) else _texts(plain, part, sample)
    )
    evidence = _evidence(full, part, sample)
    named = meaning(evidence)
    return replace(full, meaning=named, personal=personal(evidence, named))


def _numbers(plain: ColumnSummary, column: Column, part: NumberPart, sample: SampleColumn) -> ColumnSummary:
    numbers = part.numbers(sample.ordered, column.unit)
    if numbers is None and part.infinite:
        plain = replace(plain, notes=(*plain.notes, "no finite value"))
    top, exact = _top(plain, column, part, sample)
    low, high = _ends(part)
    return replace(
        plain,
        missing=part.nulls + part.nan,
        nan=part.nan,
        infinite=part.infinite,
        top=top,
        top_exact=exact,
        minimum=None if low is None else written(plain, low * column.unit if column.unit != 1 else low),
        maximum=None if high is None else written(plain, high * column.unit if column.unit != 1 else high),
        numbers=numbers,
        ordered=_ordered(part),
    )


def _ordered(part: NumberPart) -> Literal["", "up", "down"]:
    if part.distinct[0] <= 1:
        return ""
    return "up" if part.course.rising else "down" if part.course.falling else ""


def _ends(part: NumberPart) -> tuple[Any, Any]:
    """Return the least and the greatest value, whole numbers with all their digits."""
    if part.held is None:
        return None, None
    if isinstance(part.held, Counted):
        return part.held.values[0].item(), part.held.values[-1].item()
    return part.held.bins.low, part.held.bins.high


def _top(
    plain: ColumnSummary, column: Column, part: NumberPart, sample: SampleColumn
) -> tuple[tuple[Level, ...], bool]:
    if isinstance(part.held, Counted):
        most = part.held.most()
        if not most or most[0][1] == 1:
            return (), True
        return tuple(Level(written(plain, _scaled(value, column.unit)), count) for value, count in most), True
    if part.held is None or not sample.ordered.size:
        return (), True
    values, counts = np.unique(sample.ordered, return_counts=True)
    most = Counted(values, counts).most()
    scale = plain.rows / max(sample.codes.size, 1)
    often = [(value, count) for value, count in most if count > _OFTEN]
    return tuple(Level(written(plain, value), round(count * scale)) for value, count in often), False


def _scaled(value: Any, unit: float) -> Any:  # noqa: ANN401 - a number of any kind
    return value if unit == 1 else value * unit


def _texts(plain: ColumnSummary, part: TextPart, sample: SampleColumn) -> ColumnSummary:
    top, exact = part.top(sample)
    return replace(plain, top=top, top_exact=exact, lengths=part.lengths)


def _evidence(full: ColumnSummary, part: NumberPart | TextPart, sample: SampleColumn) -> Evidence:
    whole = steps = False
    if full.numbers is not None and full.kind in {"integer", "float", "decimal"}:
        numbers = sample.ordered
        whole = full.kind == "integer" or bool((numbers == np.floor(numbers)).all())
        steps = whole and _even(full.numbers, full.distinct)
    return Evidence(
        name=full.name,
        kind=full.kind,
        rows=full.rows,
        held=full.rows - full.missing,
        distinct=full.distinct,
        whole=whole,
        steps=steps,
        course=full.ordered,
        lengths=part.lengths if isinstance(part, TextPart) else None,
        top=full.top,
        texts=sample.texts,
    )


def _even(numbers: Numbers, distinct: int) -> bool:
    """Tell whether whole numbers fill their range, as steps of a scale do."""
    return numbers.minimum >= -1 and numbers.maximum - numbers.minimum + 1 <= distinct + 1


def written(column: ColumnSummary, value: float, *, short: bool = False) -> Scalar:
    """Write a stored number as a person reads it: dates as ISO text, flags as true and false.

    Args:
        column: The column it belongs to.
        value: The number; dates and durations in microseconds.
        short: Write plain numbers as text too, in four digits.
    """
    if column.kind == "boolean":
        return bool(value)
    if column.kind == "date":
        return _date(value)
    if column.kind == "duration":
        return str(timedelta(microseconds=round(value))) if abs(value) < 1e20 else str(value)  # noqa: PLR2004 - its reach
    if (
        isinstance(value, float)
        and value.is_integer()
        and abs(value) < _EXACT_FLOAT
        and column.kind == "integer"
    ):
        value = int(value)
    if not short:
        return value
    return shown(
        int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT else value
    )


def _date(microseconds: float) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=round(microseconds))
    except OverflowError:  # before the year 1 or after 9999
        return f"{np.datetime64(int(microseconds // _DAY), 'D')}"
    text = moment.replace(tzinfo=None).isoformat()
    return text.removesuffix("T00:00:00")
