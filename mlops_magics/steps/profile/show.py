"""A profile as blocks: what harms most first, then the columns, then what they say about the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlops_magics.foundation.blocks import Block, Cell, Name, Note, Phrase, Table, Title, Tone, cut, shown
from mlops_magics.stats.summary import Alert, Change, ColumnSummary, TableSummary, TargetSummary
from mlops_magics.steps.profile.drawing import distribution
from mlops_magics.steps.profile.wording import aim, extent, many, percent, phrase, portion, span

_LONGEST = 300  # characters of a note


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of each part is shown; the rest is counted.

    Attributes:
        alerts: Alerts.
        columns: Columns.
        target: Columns that tell of the target, and segments, each.
        changes: Changed columns.
    """

    alerts: int = 12
    columns: int = 60
    target: int = 8
    changes: int = 20


_TONES: dict[str, Tone] = {"high": "bad", "medium": "plain", "low": "quiet"}


def blocks(
    table: TableSummary,
    alerts: Sequence[Alert],
    changes: Sequence[Change] = (),
    against: str | None = None,
    notes: Sequence[str] = (),
    *,
    caps: Caps = Caps(),
) -> Iterator[Block]:
    """Say what is shown of a profile in a notebook without a card.

    Args:
        table: The table.
        alerts: Its alerts, the worst first.
        changes: A change a column, where another table was compared with.
        against: What that table is called.
        notes: What a reader should know about how this was made.
        caps: How much of each part is shown.

    Yields:
        The blocks, the same in every run on the same data.
    """
    yield Title(Phrase((Name(table.source), f": {extent(table)}")), *standing(alerts))
    yield from _alerts(alerts, caps.alerts)
    yield from _columns(table, table.target, caps.columns)
    if table.target is not None:
        yield from _target(table.target, caps.target)
    if against is not None:
        yield from _changes(changes, against, caps.changes)
    for note in notes:
        yield Note(cut(note, _LONGEST), "quiet")


def standing(alerts: Iterable[Alert]) -> tuple[str, Tone]:
    """Say in a word how a table stands.

    Args:
        alerts: Its alerts.

    Returns:
        The words, and their tone.
    """
    levels = [alert.level for alert in alerts]
    if high := levels.count("high"):
        return f"{many(high, 'alert')} of high harm", "bad"
    return (many(len(levels), "alert"), "plain") if levels else ("nothing to warn of", "good")


def _alerts(alerts: Sequence[Alert], most: int) -> Iterator[Block]:
    rows = [
        (alert.level, phrase(alert.what, alert.columns), phrase(alert.remedy, alert.columns))
        for alert in alerts[:most]
    ]
    yield Table(("harm", "what", "what to do"), rows, [_TONES[alert.level] for alert in alerts[:most]])
    if (more := len(alerts) - most) > 0:
        yield Note(f"and {many(more, 'more alert')}", "quiet")


def _columns(table: TableSummary, target: TargetSummary | None, most: int) -> Iterator[Block]:
    if not table.columns:
        return
    skills = {one.column: one.skill for one in target.relations} if target else {}
    headings = [
        "column",
        "meaning",
        "missing %",
        "distinct",
        "distribution",
        "mean",
        "range or most frequent",
    ]
    rows = [_row(column) for column in table.columns[:most]]
    if target is not None:
        headings.append("skill")
        rows = [
            [*row, _rounded(skills.get(column.name))]
            for row, column in zip(rows, table.columns[:most], strict=True)
        ]
    yield Table(headings, rows)
    if (more := len(table.columns) - most) > 0:
        yield Note(f"and {many(more, 'more column')}", "quiet")
    if any(column.distinct_error for column in table.columns):
        worst = max(column.distinct_error for column in table.columns)
        yield Note(f"Distinct counts above a few thousand are estimates: ±{percent(worst)} %.", "quiet")


def _row(column: ColumnSummary) -> list[Cell]:
    numbers = column.numbers if column.numeric else None
    return [
        Name(column.name),
        column.meaning,
        percent(column.missing_rate) if column.missing else None,
        column.distinct,
        distribution(column),
        None if numbers is None or column.meaning in {"id", "constant"} else numbers.mean,
        span(column),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def _target(target: TargetSummary, most: int) -> Iterator[Block]:
    value = f" is {shown(_rounded(target.value))}"
    yield Title(Phrase((*aim(target).parts, value)))
    telling = [one for one in target.relations if one.skill > 0 or one.share > 0][:most]
    rows: list[list[Cell]] = [
        [Name(one.column), _rounded(one.skill), percent(one.share), _rounded(one.when_missing) or None]
        for one in telling
    ]
    yield Table(("column alone", "skill", "tells %", "skill of its gaps"), rows)
    headings = ("where it differs most", "rows", "share %", "value", "95 % interval", "difference")
    found: list[list[Cell]] = [
        [
            portion(one),
            one.rows,
            percent(one.share),
            _rounded(one.value),
            f"{shown(_rounded(one.low))} to {shown(_rounded(one.high))}",
            _rounded(one.difference),
        ]
        for one in target.segments[:most]
    ]
    yield Table(headings, found)


def _changes(changes: Sequence[Change], against: str, most: int) -> Iterator[Block]:
    changed = [change for change in changes if change.status != "same"]
    words = f"{many(len(changed), 'column')} of {len(changes):,} changed" if changed else "nothing changed"
    yield Title(Phrase(("against ", Name(against))), words, "bad" if changed else "good")
    rows: list[list[Cell]] = [
        [
            Name(change.column),
            change.status,
            _rounded(change.distance),
            _scalar(change.before),
            _scalar(change.after),
            phrase(change.words, (change.column,)),
        ]
        for change in changed[:most]
    ]
    yield Table(("column", "status", "distance", "before", "after", "what changed"), rows)
    if (more := len(changed) - most) > 0:
        yield Note(f"and {many(more, 'more changed column')}", "quiet")


def _scalar(value: object) -> Cell:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return Name(value) if isinstance(value, str) else value if isinstance(value, int) else None
