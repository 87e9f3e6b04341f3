"""A profile without the values that look personal: what leaves the kernel."""

from __future__ import annotations

from dataclasses import replace

from mlops_magics.stats.summary import Change, ColumnSummary, TableSummary, TargetSummary


def without_values(table: TableSummary) -> TableSummary:
    """Leave out the values of columns that look personal; their counts stay.

    Args:
        table: The summary.

    Returns:
        The summary without their frequent values, ends, quantiles, rows and segments.
    """
    personal = {column.name for column in table.columns if column.personal}
    if not personal:
        return table
    places = {column.position for column in table.columns if column.personal}
    return replace(
        table,
        columns=tuple(map(_bare, table.columns)),
        target=None if table.target is None else _untold(table.target, personal),
        head=tuple(
            tuple(None if i in places else value for i, value in enumerate(row)) for row in table.head
        ),
    )


def quiet(changes: tuple[Change, ...], table: TableSummary) -> tuple[Change, ...]:
    """Leave out the words of changes in columns that look personal."""
    personal = {column.name for column in table.columns if column.personal}
    return tuple(
        replace(change, words="", before=None, after=None) if change.column in personal else change
        for change in changes
    )


def _bare(column: ColumnSummary) -> ColumnSummary:
    if not column.personal:
        return column
    notes = (*column.notes, "values left out: they look personal")
    return replace(column, top=(), minimum=None, maximum=None, numbers=None, notes=notes)


def _untold(target: TargetSummary, personal: set[str]) -> TargetSummary:
    kept = tuple(item for item in target.segments if item.column not in personal)
    return replace(target, segments=kept, positive=None if target.name in personal else target.positive)
