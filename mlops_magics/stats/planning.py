"""From what columns mean to how a pipeline prepares them; what cannot help a model is left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mlops_magics.foundation.frames import Frame
from mlops_magics.model_parts.plan import Plan
from mlops_magics.stats import dates
from mlops_magics.stats.columns import Column
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.summary import ColumnSummary, TableSummary

_FEW_LEVELS: Final = 30  # values that are worth a column each
_DAY: Final = 86_400_000_000  # microseconds
_YEAR: Final = 366 * _DAY


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that the pipeline does not use.

    Attributes:
        column: The column.
        why: The reason, in a few words.
    """

    column: str
    why: str


def plan_of(
    frame: Frame, summary: TableSummary, *, target: str | None = None, without: Collection[str] = ()
) -> tuple[Plan, tuple[LeftOut, ...]]:
    """Decide how each column is prepared.

    Args:
        frame: The rows that are trained on.
        summary: What is known about the table.
        target: The column that is predicted.
        without: Columns that the user leaves out.

    Returns:
        The plan, and what is left out of it.
    """
    plan = Plan(problem=summary.target.problem if summary.target is not None else "")
    left: list[LeftOut] = []
    names = tuple(map(str, frame.names))
    counts = Counter(names)
    for told in summary.columns:
        if told.name == target:
            continue
        why = "you leave it out" if told.name in without else _useless(told) or _nameless(told, names, counts)
        if not why:
            column = decoded(frame, told.position)
            if column.nulls == column.rows:
                why = "has no value in the rows that are trained on"
            else:
                plan = _with(plan, told, column)
        if why:
            left.append(LeftOut(told.name, why))
    return plan, tuple(left)


def _useless(told: ColumnSummary) -> str:
    """Say why a column cannot help a model; "" where it may."""
    meanings = {
        "empty": "has no value",
        "constant": "has one value only",
        "id": "names rows and tells nothing about them",
    }
    if told.personal:
        return f"looks personal ({told.personal})"
    if told.meaning in meanings:
        return meanings[told.meaning]
    kinds = {
        "other": "holds values of several kinds",
        "duration": "holds durations, which no request can carry: make them numbers",
        "decimal": "holds decimals, which no request can carry: make them floats",
    }
    return kinds.get(told.kind, "")


def _nameless(told: ColumnSummary, names: Sequence[str], counts: Counter[str]) -> str:
    """Say why a pipeline could not find a column by its name."""
    name = names[told.position]
    if counts[name] > 1:
        return "shares its name with another column"
    return "" if name == told.name else "has a name that is no text: rename it"


def _with(plan: Plan, told: ColumnSummary, column: Column) -> Plan:
    name = told.name
    if column.texts is None:
        if column.kind == "date":
            return _with_date(plan, told, hours=_hours(column))
        return replace(plan, numbers=(*plan.numbers, name))
    form = dates.form_of(column.texts.drop_nulls())
    if form is not None:
        plan = replace(plan, formats=plan.formats | {name: form})
        return _with_date(plan, told, hours="%H" in form)
    if told.meaning == "text":
        return replace(plan, texts=(*plan.texts, name))
    if told.distinct <= _FEW_LEVELS:
        return replace(plan, categories=(*plan.categories, name))
    return replace(plan, many=(*plan.many, name))


def _hours(column: Column) -> bool:
    """Tell whether dates have a time of day."""
    if column.numbers is None:
        return False
    return bool(((column.numbers * column.unit) % _DAY != 0).any())


def _with_date(plan: Plan, told: ColumnSummary, *, hours: bool) -> Plan:
    years = told.numbers is None or told.numbers.maximum - told.numbers.minimum > _YEAR
    parts = (*(("year",) if years else ()), "month", "day", "weekday", *(("hour",) if hours else ()))
    return replace(plan, dates=plan.dates | {told.name: parts})
