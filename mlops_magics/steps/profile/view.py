"""A profile as a page needs it: JSON types, names as they are, texts of any length bounded.

The card and the report show the same view: ``overview`` comes at once, ``detail`` a column at a time.
``widgets/src/cards/profile_model.ts`` types both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.foundation.blocks import Name, Phrase, cut, shown
from mlops_magics.stats.summary import (
    Alert,
    Associations,
    Change,
    ColumnSummary,
    MissingPattern,
    Scalar,
    Segment,
    TableSummary,
    TargetSummary,
)
from mlops_magics.steps.profile import code
from mlops_magics.steps.profile.code import Writer
from mlops_magics.steps.profile.drawing import merged
from mlops_magics.steps.profile.show import standing
from mlops_magics.steps.profile.wording import MEASURES, aim, extent, moment, phrase, portion

View = dict[str, Any]

_BARS = 24  # of an inline histogram
_LEVELS = 6  # parts of an inline bar
_PAIRS = 30
_GAPS = 30  # columns in the pattern of missing values
_PATTERNS = 12
_HEAD = 40  # columns of the first rows
_LONG = 10_000  # characters of a name or a value, as far as they travel
_LEVEL_RANKS = {"high": 3, "medium": 2, "low": 1}


def overview(
    table: TableSummary,
    alerts: Sequence[Alert],
    changes: Sequence[Change] = (),
    against: str | None = None,
    notes: Sequence[str] = (),
    *,
    odd: Mapping[str, str] | None = None,
) -> View:
    """Say what a page shows of a profile before anything is asked for.

    Args:
        table: The table.
        alerts: Its alerts, the worst first.
        changes: A change a column, where another table was compared with.
        against: What that table is called.
        notes: What a reader should know about how this was made.
        odd: How code reaches the columns whose names are not their labels.

    Returns:
        The view, in JSON types.
    """
    write = Writer.of(table, odd)
    places = {column.name: column.position for column in table.columns}
    words, tone = standing(alerts)
    return {
        "source": safe(table.source),
        "extent": extent(table).split(" · "),
        "standing": {"words": words, "tone": tone},
        "target": None if table.target is None else _target(table.target, places),
        "alerts": [_alert(write, alert, places) for alert in alerts],
        "columns": _columns(table, alerts),
        "segments": _segments(write, table, places),
        "pairs": _pairs(table.associations, places),
        "map": _map(table.associations, places),
        "patterns": _patterns(table.columns, table.patterns),
        "against": None if against is None else safe(against),
        "changes": [_change(change, places) for change in changes],
        "head": _head(table),
        "notes": [safe(note) for note in notes],
        "code": code.of_table(write, table.columns),
    }


def rounded(value: float | None, digits: int = 6) -> float | None:
    """Round to significant digits; what JSON cannot carry is None.

    Args:
        value: The number.
        digits: How many digits are kept.

    Returns:
        The number, or None.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def scalar(value: Scalar) -> str | int | float | bool | None:
    """Make a value fit for JSON and for a page: a date short, a huge number a text, what steers spelt out.

    Args:
        value: The value.

    Returns:
        The value as JSON carries it.
    """
    if isinstance(value, float):
        return rounded(value, 12) if math.isfinite(value) else str(value)
    if (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53
    ):  # JavaScript skips some
        return f"{value:,}"
    return shown(cut(str(moment(value)), _LONG)) if isinstance(value, str) else value


def parts(words: Phrase) -> list[str | list[str]]:
    """Write a sentence in parts: a text is a text, a name is a list of one.

    Args:
        words: The sentence.

    Returns:
        Its parts.
    """
    return [[safe(part.text)] if isinstance(part, Name) else shown(cut(part, _LONG)) for part in words.parts]


def safe(name: str) -> str:
    """Spell out what steers, and bound the length.

    Args:
        name: A name.

    Returns:
        The name as it is shown.
    """
    return shown(cut(name, _LONG))


def _target(target: TargetSummary, places: dict[str, int]) -> View:
    return {
        "column": places.get(target.name),
        "words": parts(aim(target)),
        "rate": target.problem != "number",
        "value": rounded(target.value),
    }


def _alert(write: Writer, alert: Alert, places: dict[str, int]) -> View:
    return {
        "level": alert.level,
        "what": parts(phrase(alert.what, alert.columns)),
        "remedy": parts(phrase(alert.remedy, alert.columns)),
        "columns": [places[name] for name in alert.columns if name in places],
        "code": code.of_alert(write, alert),
    }


def _columns(table: TableSummary, alerts: Sequence[Alert]) -> list[View]:
    harm: dict[str, int] = {}
    for alert in alerts:
        for name in alert.columns[:2]:  # further ones are its company, not its subject
            harm[name] = max(harm.get(name, 0), _LEVEL_RANKS[alert.level])
    skills = {one.column: one.skill for one in table.target.relations} if table.target else {}
    return [_column(column, harm.get(column.name, 0), skills.get(column.name)) for column in table.columns]


def _column(column: ColumnSummary, harm: int, skill: float | None) -> View:
    numbers = column.numbers
    added = numbers is not None and column.numeric and column.meaning not in {"id", "constant"}
    held = max(1, column.rows - column.missing)
    found: View = {
        "name": safe(column.name),
        "meaning": column.meaning,
        "missing": rounded(column.missing_rate),
        "distinct": column.distinct,
        "about": column.distinct_error > 0,
        "mean": rounded(numbers.mean) if numbers is not None and added else None,
        "std": rounded(numbers.std) if numbers is not None and added else None,
        "low": scalar(column.minimum) if column.numbers is not None else None,
        "high": scalar(column.maximum) if column.numbers is not None else None,
        "skill": rounded(skill, 3),
        "harm": harm,
    }
    if numbers is not None and column.distinct > 1 and column.meaning not in {"category", "flag"}:
        found["bars"] = _scaled(merged(numbers.histogram.counts, _BARS))
    elif column.top and column.distinct > 1:
        found["shares"] = [rounded(level.count / held, 3) for level in column.top[:_LEVELS]]
    if column.top and (numbers is None or column.meaning in {"category", "flag", "constant"}):
        level = column.top[0]
        found["top"] = [cut(str(scalar(level.value)), 200), rounded(level.count / held, 3)]
    return found


def _scaled(counts: Sequence[int]) -> list[int]:
    """Scale counts to 100; what holds anything is at least 1."""
    top = max(counts, default=0)
    return [0 if not count else max(1, round(100 * count / top)) for count in counts]


def _segments(write: Writer, table: TableSummary, places: dict[str, int]) -> list[View]:
    if table.target is None:
        return []
    columns = table.by_name

    def one(segment: Segment) -> View:
        known = columns.get(segment.column)
        return {
            "what": parts(portion(segment)),
            "column": places.get(segment.column),
            "rows": segment.rows,
            "share": rounded(segment.share, 3),
            "value": rounded(segment.value, 4),
            "low": rounded(segment.low, 4),
            "high": rounded(segment.high, 4),
            "difference": rounded(segment.difference, 3),
            "code": "" if known is None else code.of_segment(write, segment, known),
        }

    return [one(segment) for segment in table.target.segments]


def _pairs(joined: Associations, places: dict[str, int]) -> list[list[Any]]:
    known = [pair for pair in joined.pairs if pair.left in places and pair.right in places][:_PAIRS]
    return [
        [places[pair.left], places[pair.right], MEASURES[pair.measure], rounded(pair.value, 3)]
        for pair in known
    ]


def _map(joined: Associations, places: dict[str, int]) -> View:
    """Give the strengths below the diagonal, row by row, in percent."""
    cells = [
        None if value is None or not math.isfinite(value) else round(100 * value)
        for place, row in enumerate(joined.matrix)
        for value in row[:place]
    ]
    return {"columns": [places[name] for name in joined.names if name in places], "cells": cells}


def _patterns(columns: Sequence[ColumnSummary], patterns: Sequence[MissingPattern]) -> View:
    named = {name for pattern in patterns for name in pattern.columns}
    gaps = [column for column in columns if column.name in named]
    gaps.sort(key=lambda column: (-column.missing, column.position))
    kept = gaps[:_GAPS]
    order = {column.name: place for place, column in enumerate(kept)}
    return {
        "columns": [column.position for column in kept],
        "more": len(gaps) - len(kept),
        "patterns": [
            {
                "rows": pattern.rows,
                "share": rounded(pattern.share, 3),
                "gaps": sorted(order[name] for name in pattern.columns if name in order),
            }
            for pattern in patterns[:_PATTERNS]
        ]
        if gaps
        else [],
    }


def _change(change: Change, places: dict[str, int]) -> View:
    return {
        "column": places.get(change.column),
        "name": safe(change.column),
        "status": change.status,
        "distance": rounded(change.distance, 3),
        "before": scalar(change.before),
        "after": scalar(change.after),
        "words": parts(phrase(change.words, (change.column,))),
    }


def _head(table: TableSummary) -> View:
    shown_columns = min(len(table.columns), _HEAD)
    rows = [[scalar(value) for value in row[:shown_columns]] for row in table.head]
    return {"columns": shown_columns, "rows": rows}
