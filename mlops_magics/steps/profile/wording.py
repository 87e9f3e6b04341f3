"""The facts of a profile in words, alike in the notebook, the report and the card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mlops_magics.foundation.blocks import Name, Phrase, shown
from mlops_magics.stats.summary import ColumnSummary, Scalar, Segment, TableSummary, TargetSummary

MEASURES: Final = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "cramers_v": "Cramér's V",
    "correlation_ratio": "correlation ratio",
}
_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_STEP = 1024
_FEW = 3  # most frequent values that are named in a line
_MIDNIGHT = re.compile(r"T00:00(?::00(?:\.0+)?)?$")
_MOMENTS = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::00(?:\.0+)?)?(?![\d:.])")
_SECONDS = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::00(?:\.0+)?)?(?=$|[+Z-])")


def percent(share: float) -> float:
    """Give a share in percent with as many digits as a reader needs.

    Args:
        share: From 0 to 1.

    Returns:
        The percentage with one decimal; two digits of a small one, so that little is never shown as nothing.
    """
    value = 100 * share
    rounded = round(value, 1)
    whole = rounded in {0.0, 100.0} and rounded != value
    return float(f"{value:.2g}") if whole and value < 1 else round(value, 3) if whole else rounded


def moment(value: Scalar) -> Scalar:
    """Write a date as a reader does: without midnight, without seconds that are zero.

    Args:
        value: A value; ISO text for dates.

    Returns:
        The same value, a date in short.
    """
    if not isinstance(value, str):
        return value
    return _SECONDS.sub(r"\1 \2", _MIDNIGHT.sub("", value))


def size(count: int) -> str:
    """Write a number of bytes with its unit.

    Args:
        count: The bytes.

    Returns:
        The text: "61.3 MB".
    """
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{shown(float(f'{value:.3g}'))} {_UNITS[unit]}"


def many(count: int, one: str, more: str = "") -> str:
    """Count things in words.

    Args:
        count: How many.
        one: The word for one.
        more: The word for more; ``one`` with an s where nothing is said.

    Returns:
        The text: "3 rows".
    """
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def phrase(text: str, names: Sequence[str]) -> Phrase:
    """Set the names in a sentence apart, so that none turns the direction of the words beside it.

    Args:
        text: The sentence.
        names: The names that may occur in it.

    Returns:
        The sentence in parts.
    """
    known = sorted({name for name in names if name.strip()}, key=lambda name: (-len(name), name))
    if not known:
        return Phrase((text,))
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, known))})(?!\w)")
    parts = pattern.split(text)
    return Phrase(tuple(Name(part) if place % 2 else part for place, part in enumerate(parts) if part))


def extent(table: TableSummary) -> str:
    """Say how large a table is, in a line.

    Args:
        table: The table.

    Returns:
        The text: "336,776 rows · 22 columns · 61.3 MB · no duplicate rows".
    """
    parts = [many(table.rows, "row"), many(len(table.columns), "column"), size(table.memory)]
    if table.duplicates is not None:
        found = table.duplicates
        about = "" if found.exact else "about "
        parts.append(f"{about}{many(found.rows, 'duplicate row')}" if found.rows else "no duplicate rows")
    if 0 < table.sampled < table.rows:
        parts.append(f"relations from {table.sampled:,} rows")
    return " · ".join(parts)


def span(column: ColumnSummary) -> Phrase | None:
    """Say what a column holds, in a line: its range, its most frequent values or its lengths.

    Args:
        column: The column.

    Returns:
        The line; None for a column without values.
    """
    if (
        column.meaning in {"number", "date", "ordinal"}
        and column.numbers is not None
        and column.minimum is not None
    ):
        low, high = shown(moment(column.minimum)), shown(moment(column.maximum))
        return Phrase((low,) if low == high else (f"{low} to {high}",))
    if column.top:
        return Phrase(_levels(column))
    if column.minimum is not None:
        return Phrase((f"{shown(moment(column.minimum))} to {shown(moment(column.maximum))}",))
    if column.lengths is not None and column.distinct:
        short, long = column.lengths.minimum, column.lengths.maximum
        return Phrase(
            (f"{short:,} to {long:,} characters" if short != long else f"{short:,} characters each",)
        )
    return None


def _levels(column: ColumnSummary) -> tuple[str | Name, ...]:
    held = max(1, column.rows - column.missing)
    parts: list[str | Name] = []
    for level in column.top[:_FEW]:
        name = Name(shown(moment(level.value)) or "(empty text)")
        parts += [", " if parts else "", name, f" {shown(percent(level.count / held))} %"]
    return tuple(part for part in parts if part)


def portion(segment: Segment) -> Phrase:
    """Say which rows a segment holds, its dates without what says nothing.

    Args:
        segment: The segment.

    Returns:
        The words.
    """
    column = segment.column
    rest = segment.words.removeprefix(column)
    if rest == segment.words:
        return phrase(segment.words, (column,))
    if rest.startswith(" = "):
        return Phrase((Name(column), " = ", Name(rest.removeprefix(" = "))))
    return Phrase((Name(column), _MOMENTS.sub(r"\1 \2", rest)))


def aim(target: TargetSummary) -> Phrase:
    """Say what is counted of the target: "mean of delay", "rate of late = yes".

    Args:
        target: The target.

    Returns:
        The words.
    """
    if target.problem == "number":
        return Phrase(("mean of ", Name(target.name)))
    return Phrase(("rate of ", Name(target.name), " = ", Name(shown(target.positive))))
