"""All that is known of one column, as a page shows it when a reader asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_magics.foundation.blocks import shown
from mlops_magics.stats.summary import NUMERIC, ColumnSummary, Lengths, Numbers, Relation, TableSummary
from mlops_magics.steps.profile import code
from mlops_magics.steps.profile.code import Writer
from mlops_magics.steps.profile.drawing import histogram_words
from mlops_magics.steps.profile.view import View, rounded, safe, scalar
from mlops_magics.steps.profile.wording import MEASURES, aim, moment, percent, size

_PAIRS = 6
_WEAK = 0.05  # an association that nobody needs to read
_ORDER = {"up": "only rises, in the table's order", "down": "only falls, in the table's order"}
Fact = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Aimed:
    """The target inside a column, as the kernel's data say.

    Attributes:
        bins: Its mean or rate in each bin of the column's histogram; None where a bin is empty.
        levels: The same for each of the column's most frequent values.
        rows: How many rows that was computed from.
    """

    bins: Sequence[float | None] = ()
    levels: Sequence[float | None] = ()
    rows: int = 0


def detail(
    table: TableSummary,
    position: int,
    aimed: Aimed | None = None,
    odd: Mapping[str, str] | None = None,
) -> View:
    """Say all that is known of a column.

    Args:
        table: The table.
        position: The column's place in it.
        aimed: The target inside it, where the data are at hand.
        odd: How code reaches the columns whose names are not their labels.

    Returns:
        The view, in JSON types.
    """
    column = table.columns[position]
    aimed = aimed or Aimed()
    return {
        "position": position,
        "name": safe(column.name),
        "dtype": safe(column.dtype),
        "meaning": column.meaning,
        "facts": [[label, value] for label, value in _facts(table, column)],
        "quantiles": _quantiles(column),
        "drawing": _drawing(table, column, aimed),
        "levels": _levels(column, aimed),
        "pairs": _pairs(table, column.name),
        "notes": [safe(note) for note in _notes(column, aimed)],
        "code": [list(pair) for pair in code.of_column(Writer.of(table, odd), column)],
    }


def _facts(table: TableSummary, column: ColumnSummary) -> Iterator[Fact]:
    if column.missing:
        yield "missing", f"{column.missing:,} ({shown(percent(column.missing_rate))} %)"
    if column.nan:
        yield "of these NaN", column.nan
    if column.infinite:
        yield "infinite", column.infinite
    about = f" ±{shown(percent(column.distinct_error))} %" if column.distinct_error else ""
    yield "distinct", f"{column.distinct:,}{about}"
    if column.numbers is not None:
        yield from _numbers(column, column.numbers)
    if column.lengths is not None:
        yield from _lengths(column.lengths)
    if column.ordered:
        yield "order", _ORDER[column.ordered]
    if column.mixed:
        kinds = (f"{safe(kind)} {shown(percent(share))} %" for kind, share in column.mixed.items())
        yield "holds", ", ".join(kinds)
    if column.personal:
        yield "looks like", column.personal
    if table.target is not None:
        found = (one for one in table.target.relations if one.column == column.name)
        yield from _relation(next(found, None))
    yield "memory", size(column.memory)


def _numbers(column: ColumnSummary, numbers: Numbers) -> Iterator[Fact]:
    if column.kind not in NUMERIC:
        yield "from", scalar(column.minimum)
        yield "to", scalar(column.maximum)
        return
    yield "mean", rounded(numbers.mean)
    if numbers.std is not None:
        yield "std", rounded(numbers.std)
    if numbers.skew is not None:
        yield "skew", rounded(numbers.skew, 3)
    if numbers.kurtosis is not None:
        yield "kurtosis", rounded(numbers.kurtosis, 3)
    yield "min", scalar(column.minimum)
    yield "max", scalar(column.maximum)
    held = max(1, column.rows - column.missing)
    if numbers.zeros:
        yield "zeros", f"{numbers.zeros:,} ({shown(percent(numbers.zeros / held))} %)"
    if numbers.negatives:
        yield "negative", f"{numbers.negatives:,} ({shown(percent(numbers.negatives / held))} %)"


def _lengths(lengths: Lengths) -> Iterator[Fact]:
    if lengths.minimum == lengths.maximum:
        yield "characters", lengths.minimum
    else:
        mean = shown(rounded(lengths.mean, 3))
        yield "characters", f"{lengths.minimum:,} to {lengths.maximum:,}, {mean} on average"


def _relation(relation: Relation | None) -> Iterator[Fact]:
    if relation is None:
        return
    yield "skill alone", rounded(relation.skill, 3)
    yield "tells of the target", f"{shown(percent(relation.share))} %"
    if relation.when_missing > 0:
        yield "skill of its gaps", rounded(relation.when_missing, 3)


def _quantiles(column: ColumnSummary) -> list[list[Any]]:
    if column.numbers is None or column.kind not in NUMERIC:
        return []
    return [[f"{percent(share):g} %", rounded(value)] for share, value in column.numbers.quantiles.items()]


def _drawing(table: TableSummary, column: ColumnSummary, aimed: Aimed) -> View | None:
    if column.numbers is None or column.distinct < 2:  # noqa: PLR2004 - one value has no shape
        return None
    histogram = column.numbers.histogram
    target = table.target
    return {
        "counts": list(histogram.counts),
        "ticks": [shown(moment(column.minimum)), shown(moment(column.maximum))],
        "words": histogram_words(column),
        "target": None
        if target is None or not any(value is not None for value in aimed.bins)
        else {
            "words": "".join(shown(part) for part in aim(target).parts),
            "values": [rounded(value, 3) for value in aimed.bins],
            "overall": rounded(target.value, 4),
        },
    }


def _levels(column: ColumnSummary, aimed: Aimed) -> list[list[Any]]:
    """Give value, count, share and, where it is known, the target."""
    held = max(1, column.rows - column.missing)
    found = [[scalar(level.value), level.count, rounded(level.count / held, 3)] for level in column.top]
    if len(aimed.levels) != len(found):
        return found
    return [[*row, rounded(value, 4)] for row, value in zip(found, aimed.levels, strict=True)]


def _pairs(table: TableSummary, name: str) -> list[list[Any]]:
    places: Mapping[str, int] = {column.name: column.position for column in table.columns}
    found = []
    for pair in table.associations.pairs:
        other = pair.right if pair.left == name else pair.left if pair.right == name else None
        if other is not None and other in places and abs(pair.value) >= _WEAK:
            found.append([places[other], MEASURES[pair.measure], rounded(pair.value, 3)])
    return found[:_PAIRS]


def _notes(column: ColumnSummary, aimed: Aimed) -> Iterator[str]:
    yield from column.notes
    if column.numbers is not None and column.numbers.rank_error:
        yield f"Quantiles are estimates: their rank is right within ±{percent(column.numbers.rank_error)} %."
    if column.top and not column.top_exact:
        yield "The counts of the most frequent values are scaled up from a sample."
    if aimed.rows and aimed.rows < column.rows:
        yield f"The target is from {aimed.rows:,} rows."
