"""A contract made from a table: what was seen, with margins that more rows of the same kind keep within.

The margins are wide on purpose. A contract catches what is impossible (a negative distance, a carrier that
does not exist, kilometres for miles); whether possible values have drifted is another question, with tests
of its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule, RuleKind, Scalar
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats import dates
from mlops_magics.stats.columns import Column
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.judging import shapes
from mlops_magics.stats.summary import ColumnSummary, Numbers, TableSummary
from mlops_magics.stats.units import quantiles

_FEW: Final = 50  # rows below which a table shows too little to forbid anything
_MANY: Final = 100  # from which what was never seen is strange
_SURE: Final = 500  # from which it is wrong, one value is the only one, and a tail is what it looks like
_ODDS: Final = 3  # times the odds of a gap that were seen
_LEVELS: Final = 1000  # values that a list of allowed ones may have
_REPEATED: Final = 0.5  # distinct values a row above which texts are no category
_OFTEN: Final = 5  # times that the rarest value of a complete list was seen
_EDGE: Final = 30  # values at the end of a distribution that make it an edge
_STEEP: Final = 0.3  # of the bin before: a distribution that falls faster than that has a tail
_NEAR: Final = 0.6  # of the way between the 1 % and 5 % quantiles: how far an edge lies beyond the first
_LONGER: Final = 1e5  # how many times longer a table would have to be to hold a value beyond the bound
_SAMPLE: Final = 50_000
_DAY: Final = 86_400e6  # microseconds
_KINDS: Final[dict[str, RuleKind]] = {
    "boolean": "boolean",
    "integer": "integer",
    "float": "number",
    "decimal": "number",
    "date": "date",
    "duration": "duration",
    "string": "string",
}


def contract_of(
    frame: Frame,
    summary: TableSummary,
    name: str,
    *,
    target: str | None = None,
    optional: Collection[str] = (),
) -> Contract:
    """Make the contract of a table.

    No value of a column that looks personal goes into it.

    Args:
        frame: The table.
        summary: What is known about it.
        name: What to call the contract.
        target: The column that is predicted.
        optional: Columns that rows may come without.
    """
    rules = tuple(
        replace(_rule(each, decoded(frame, each.position)), optional=each.name in optional)
        for each in summary.columns
    )
    return Contract(name, rules, target, summary.rows)


def _rule(told: ColumnSummary, column: Column) -> ColumnRule:
    rule = ColumnRule(
        told.name,
        kind=_KINDS.get(column.kind, "any"),
        nullable=_gaps(told),
        personal=bool(told.personal),
    )
    held = told.rows - told.missing
    if held < _FEW:
        return replace(rule, nullable=1.0 if told.missing else rule.nullable)
    if column.texts is not None:
        return _of_texts(rule, told, column.texts.drop_nulls()) if column.kind == "string" else rule
    if told.numbers is None or column.kind == "boolean" or column.numbers is None:
        return rule
    if column.kind == "date":
        return _of_dates(rule, told.numbers)
    return _of_numbers(rule, told, told.numbers, column.numbers)


def _gaps(told: ColumnSummary) -> float:
    """Allow three times the odds of a gap: from 1 % to 3 %, from 76 % to 91 %; none where none was seen."""
    rate = told.missing_rate
    if not told.rows or rate >= 1:
        return 1.0
    return float(f"{_ODDS * rate / (1 - rate + _ODDS * rate):.3g}")


def _of_texts(rule: ColumnRule, told: ColumnSummary, texts: pl.Series) -> ColumnRule:
    form = dates.form_of(texts)
    if form is not None:
        read = dates.written(texts, form)
        return replace(rule, kind="date", format=form, past=_past(float(read.max())))
    listed = told.meaning in {"category", "flag", "ordinal", "constant"} and told.distinct <= _LEVELS
    if listed and not rule.personal and told.distinct_rate < _REPEATED:
        return _listed(rule, texts)
    lengths = texts.str.len_chars()
    least, most = int(lengths.to_numpy().min()), int(lengths.to_numpy().max())
    some = texts.head(1)[0]
    shape = shapes(texts.head(1))[0]
    same = len(some) < _FEW and bool((shapes(texts) == shape).all())
    fixed = same and least == most
    return replace(
        rule,
        unique=_key(told, texts),
        shape=shape if same and not rule.personal else None,
        lengths=(least, most) if fixed else (0 if least == 0 else 1, 3 * most + 100),
    )


def _of_dates(rule: ColumnRule, numbers: Numbers) -> ColumnRule:
    """Dates go on; what lies as long before the first as the last lies behind it is none of them."""
    first = numbers.minimum - max(numbers.maximum - numbers.minimum, 365 * _DAY)
    earliest = dates.iso(math.floor(first / _DAY) * _DAY)
    known = earliest[:4].isdecimal() and len(earliest) >= len("2024-01-01")
    return replace(rule, minimum=earliest if known else None, past=_past(numbers.maximum))


def _past(latest: float) -> bool:
    return latest <= datetime.now(UTC).timestamp() * 1e6


def _of_numbers(rule: ColumnRule, told: ColumnSummary, numbers: Numbers, values: Any) -> ColumnRule:  # noqa: ANN401 - an array
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    # A column of whole numbers with gaps is a column of floats in pandas.
    if rule.kind == "number" and told.missing and not (finite % 1).any():
        rule = replace(rule, kind="integer")
    if told.meaning == "flag" and not rule.personal:  # other numbers have an order, and so a range
        return _listed(rule, pl.Series("", finite))
    if told.meaning == "id":
        return replace(rule, unique=_key(told, pl.Series("", finite)))
    if rule.personal or told.infinite:
        return rule
    if numbers.minimum == numbers.maximum and numbers.count < _SURE:
        return rule
    if numbers.minimum == numbers.maximum:
        return replace(rule, minimum=numbers.minimum, maximum=numbers.maximum)
    low, high = _bounds(numbers, whole=rule.kind == "integer")
    some = quantiles(finite[:: max(1, finite.size // _SAMPLE)])
    return replace(rule, minimum=low, maximum=high, quantiles=some)


def _key(told: ColumnSummary, values: pl.Series) -> bool:
    """Tell whether a column is a key; where values were only counted roughly, count them."""
    if told.meaning != "id" or told.distinct_rate < _REPEATED:
        return False
    return bool(values.n_unique() == len(values))


def _listed(rule: ColumnRule, values: pl.Series) -> ColumnRule:
    """Allow the values that were seen; the list is closed where it shows no sign of going on."""
    counted = values.value_counts().sort("count", values.name, descending=[True, False])
    counts = counted["count"]
    allowed: tuple[Scalar, ...] = tuple(counted[values.name].to_list())
    once = int((counts == 1).sum())
    if int(counts.to_numpy().min()) >= _OFTEN and len(values) >= _MANY:
        return replace(rule, allowed=allowed, closed=len(values) >= _SURE)
    # Good and Turing: unseen values come as often as values that were seen once.
    return replace(rule, allowed=allowed, closed=False, unseen=min(1.0, (once + 1) / len(values)))


def _bounds(numbers: Numbers, *, whole: bool) -> tuple[float, float]:
    """Extend what was seen at each end: not at all at an edge, as far as the tail suggests else."""
    counts = numbers.histogram.counts
    step = numbers.histogram.width
    margin = 0.0 if whole and step <= 1 else step
    edge_low, edge_high = _edge(numbers, counts, -1), _edge(numbers, counts[::-1], 1)
    counting = whole or numbers.zeros >= _EDGE  # a count, or an amount that may be none
    low = numbers.minimum - (margin if edge_low else _reach(numbers, -1))
    high = numbers.maximum + (margin if edge_high else _reach(numbers, 1))
    if numbers.minimum >= 0 > low and (edge_low or counting or (numbers.skew or 0.0) > 1):
        low = 0.0
    if numbers.maximum <= 0 < high and (edge_high or counting or (numbers.skew or 0.0) < -1):
        high = 0.0
    if whole:
        return math.floor(low), math.ceil(high)
    return _rounded(low, math.floor), _rounded(high, math.ceil)


def _edge(numbers: Numbers, counts: tuple[int, ...], side: int) -> bool:
    """Tell whether a distribution ends there, as ages do at 0, rather than fades.

    Args:
        numbers: The distribution.
        counts: Its bins, from that end on.
        side: 1 for the upper end, -1 for the lower.
    """
    extreme, out, near = _end(numbers, side)
    if numbers.count < _SURE or len(counts) < 2:  # noqa: PLR2004 - a neighbour to compare with
        return False
    full = counts[0] >= _EDGE and counts[0] >= _STEEP * counts[1]
    return full and abs(extreme - out) <= _NEAR * abs(out - near)


def _end(numbers: Numbers, side: int) -> tuple[float, float, float]:
    """Return an end of a distribution: the extreme, and the quantiles 1 % and 5 % before it."""
    if side > 0:
        return numbers.maximum, numbers.quantiles[0.99], numbers.quantiles[0.95]
    return numbers.minimum, numbers.quantiles[0.01], numbers.quantiles[0.05]


def _reach(numbers: Numbers, side: int) -> float:
    """Say how far beyond the extreme a much longer table would go, by how the tail falls off.

    The distances of the 95 % and 99 % quantiles and of the extreme from the median tell the tail's index:
    how much farther it goes each time that the table grows by some factor.
    """
    extreme, outer, inner = (abs(each - numbers.quantiles[0.5]) for each in _end(numbers, side))
    index = math.log(outer / inner) / math.log(5) if 0 < inner < outer else 1.0
    beyond = max(numbers.count / 100, 1.0)
    index *= 1 + beyond**-0.5  # as many values tell the 99 % quantile: few tell it badly
    if numbers.count < _SURE:
        index = max(index, 1.0)
    if beyond >= _EDGE and 0 < outer < extreme:
        grown = math.log(beyond)
        index = min(index, math.log(extreme / outer) / grown * (1 + 2 / grown))
    return float(extreme * (_LONGER ** min(max(index, 0.1), 1.5) - 1))


def _rounded(value: float, towards: Any) -> float:  # noqa: ANN401 - math.floor or math.ceil
    """Write a bound with three digits, on its outer side."""
    if value == 0 or not math.isfinite(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    found = float(f"{towards(value / unit) * unit:.6g}")
    return found if math.isfinite(found) else value
