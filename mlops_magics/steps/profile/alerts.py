"""What harms a model or a conclusion: each alert with the number behind it and a remedy, the worst first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from mlops_magics.foundation.blocks import shown
from mlops_magics.stats.engine import Survey
from mlops_magics.stats.meaning import looks_like_dates, share_of_numbers
from mlops_magics.stats.sample import SampleColumn
from mlops_magics.stats.summary import (
    Alert,
    ColumnSummary,
    Level,
    Numbers,
    Pair,
    TableSummary,
    TargetSummary,
)

_ROWS: Final = 30  # fewer rows say little about anything but themselves
_LEAK: Final = {"binary": 0.95, "classes": 0.97, "number": 0.99}
_TELLS: Final = 0.9  # of the target's entropy: more is a leak too
_COPY: Final = 0.9995
_NEAR: Final = 0.97
_MISSING: Final = 0.05
_RARE: Final = {"high": 0.01, "medium": 0.05}
_SAME: Final = 0.99  # of the rows hold one value
_SKEWED: Final = 10.0
_FAR: Final = 20.0  # times the middle 98 % that an end lies beyond them
_MIXED: Final = 0.001
_STANDS_IN: Final = frozenset({-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999, 9999999})
_APART: Final = 1.5  # times the middle 90 %
_DAY: Final = 86_400e6  # microseconds
_READS: Final = 0.98  # of the texts are numbers


def find(survey: Survey) -> tuple[Alert, ...]:
    """Find all that deserves an alert.

    Args:
        survey: The table's summary and sample.

    Returns:
        The alerts, the most harmful first.
    """
    table = survey.table
    found = [*_of_table(table)]
    goal = table.target.name if table.target else None
    for column, sampled in zip(table.columns, survey.sample.columns, strict=True):
        found += _of_column(column, sampled, goal=column.name == goal)
    if table.target is not None:
        found += _of_target(table, table.target)
    leaks = {alert.columns[0] for alert in found if alert.code == "leak"}
    found += [
        alert
        for pair in table.associations.pairs
        if goal not in {pair.left, pair.right} and not {pair.left, pair.right} <= leaks
        for alert in _of_pair(table, pair)
    ]
    return tuple(sorted(found, key=lambda alert: (-alert.harm, alert.columns, alert.code)))


def _of_table(table: TableSummary) -> Iterator[Alert]:
    if not table.rows:
        yield Alert("empty", (), "high", 1.0, 0, "The table has no rows.", "Look at how it was read.")
    repeated = table.duplicates.rows if table.duplicates else 0
    if repeated:
        share = repeated / table.rows
        about = "" if table.duplicates is None or table.duplicates.exact else "about "
        yield Alert(
            "duplicate",
            (),
            "high" if share > _MISSING else "medium",
            0.5 + share / 3,
            repeated,
            f"{about}{repeated:,} rows ({_percent(share)}) repeat an earlier row.".capitalize(),
            "Drop them before splitting, or equal rows stand on both sides.",
        )


def _of_column(column: ColumnSummary, sampled: SampleColumn, *, goal: bool) -> Iterator[Alert]:
    name = (column.name,)
    if column.meaning == "empty":
        if column.rows:
            yield Alert("empty", name, "medium", 0.5, 1.0, f"{column.name} has no value in any row.", _DROP)
        return
    yield from _of_gaps(column, goal=goal)
    if column.meaning == "constant" and column.rows > 1:
        value = _first(column)
        yield Alert(
            "constant",
            name,
            "medium",
            0.4,
            1,
            f"{column.name} is {value} in every row that has a value.",
            _DROP,
        )
    yield from _of_kind(column, sampled)
    if column.meaning == "id" and not goal:
        what = f"{column.name} has {_count(column.distinct, 'different value')}: it names rows."
        yield Alert("id", name, "low", 0.15, column.distinct, what, "Keep it out of the features.")
    if column.personal:
        what = f"{column.name} looks like {_ARTICLES.get(column.personal, column.personal)}."
        remedy = (
            "Its values are left out of what is logged; leave it out of the features unless it is needed."
        )
        yield Alert("personal", name, "medium", 0.35, column.distinct, what, remedy)
    if column.numeric and column.numbers is not None and column.meaning != "id":
        yield from _of_numbers(column)
    if column.kind == "date":
        yield from _of_dates(column)
    if not goal:
        yield from _of_sameness(column)


def _of_sameness(column: ColumnSummary) -> Iterator[Alert]:
    if column.rows < _ROWS or not column.top or not column.top_exact or column.meaning == "constant":
        return
    share = column.top[0].count / column.rows
    if share > _SAME:
        what = f"{column.name} is {_first(column)} in {_percent(share)} of the rows."
        remedy = "It can hardly tell rows apart; drop it or group it."
        yield Alert("imbalance", (column.name,), "low", 0.25, share, what, remedy)


_DROP = "Drop it."
_ARTICLES: Final = {
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "name": "names of people",
    "address": "addresses of people",
    "ip": "addresses of computers",
    "card": "card numbers",
    "account": "account numbers",
    "birth": "dates of birth",
    "free text": "free text, in which anything may be written",
}


def _of_gaps(column: ColumnSummary, *, goal: bool) -> Iterator[Alert]:
    rate, name = column.missing_rate, (column.name,)
    if goal and column.missing:
        what = f"The target {column.name} is missing in {column.missing:,} rows ({_percent(rate)})."
        yield Alert(
            "missing", name, "high", 0.9, rate, what, "Drop these rows: nothing can be learnt from them."
        )
    elif rate >= _MISSING:
        what = f"{column.name} is missing in {_percent(rate)} of the rows."
        remedy = (
            "Ask why; keep the gap as a value of its own (a tree model does), or fill it inside the pipeline."
        )
        level, harm = ("medium", 0.3 + 0.25 * rate) if rate >= 0.5 else ("low", 0.2 + 0.25 * rate)  # noqa: PLR2004 - half
        yield Alert("missing", name, "medium" if level == "medium" else "low", harm, rate, what, remedy)
    if column.infinite:
        what = f"{column.name} is infinite in {column.infinite:,} rows."
        yield Alert(
            "infinite",
            name,
            "high",
            0.85,
            column.infinite,
            what,
            "Find the division by zero; set these to missing.",
        )


def _of_kind(column: ColumnSummary, sampled: SampleColumn) -> Iterator[Alert]:
    name = (column.name,)
    rarer = 1 - max(column.mixed.values(), default=1.0)
    if rarer > _MIXED:
        types = ", ".join(f"{_percent(share)} {kind}" for kind, share in list(column.mixed.items())[:4])
        yield Alert(
            "mixed",
            name,
            "high",
            0.7 + 0.2 * rarer,
            rarer,
            f"{column.name} mixes types: {types}.",
            "Convert it to one type where it is read.",
        )
    elif column.kind == "string" and column.distinct > 1:
        if share_of_numbers(sampled.texts) > _READS:
            what = f"{column.name} holds numbers as text."
            yield Alert(
                "numbers as text", name, "medium", 0.45, 1.0, what, "Convert it with pandas.to_numeric."
            )
        elif looks_like_dates(sampled.texts):
            what = f"{column.name} holds dates as text."
            yield Alert(
                "dates as text", name, "medium", 0.4, 1.0, what, "Convert it with pandas.to_datetime."
            )


def _of_numbers(column: ColumnSummary) -> Iterator[Alert]:
    numbers, name = column.numbers, (column.name,)
    if numbers is None or numbers.count < _ROWS:
        return
    if (gap := _stand_in(column, numbers)) is not None:
        what = f"{column.name} is {shown(gap.value)} in {gap.count:,} rows, far from all else: maybe a gap."
        remedy = "Read it as missing (na_values when reading)."
        yield Alert("stand-in", name, "high", 0.65, gap.count, what, remedy)
        return
    low, high = numbers.quantiles[0.01], numbers.quantiles[0.99]
    width = high - low
    below, above = low - numbers.minimum, numbers.maximum - high
    if width > 0 and max(below, above) > _FAR * width:
        end = numbers.maximum if above >= below else numbers.minimum
        what = f"{column.name} reaches {shown(end)}; 98 % of it lies from {shown(low)} to {shown(high)}."
        remedy = (
            "Check the unit and the source of these rows; a robust scaler or a limit in the contract helps."
        )
        yield Alert("outliers", name, "medium", 0.4, end, what, remedy)
    elif numbers.skew is not None and abs(numbers.skew) > _SKEWED:
        what = f"{column.name} is skewed ({shown(numbers.skew)})."
        remedy = "Take its logarithm for a linear model; trees do not mind."
        yield Alert("skew", name, "low", 0.2, numbers.skew, what, remedy)


def _stand_in(column: ColumnSummary, numbers: Numbers) -> Level | None:
    """Find a value such as -999 that is frequent, outermost, and far from the rest."""
    middle, spread = numbers.quantiles[0.5], numbers.quantiles[0.95] - numbers.quantiles[0.05]
    for level in column.top:
        value = level.value
        if not isinstance(value, int | float) or value not in _STANDS_IN:
            continue
        if value in {column.minimum, column.maximum} and abs(value - middle) > _APART * spread > 0:
            return level
    return None


def _of_dates(column: ColumnSummary) -> Iterator[Alert]:
    numbers = column.numbers
    now = time.time() * 1e6 + _DAY
    if numbers is None or numbers.maximum <= now:
        return
    bins = zip(numbers.histogram.edges, numbers.histogram.counts, strict=False)
    later = max(1, sum(count for edge, count in bins if edge > now))
    yield Alert(
        "future",
        (column.name,),
        "medium",
        0.55,
        later,
        f"{column.name} reaches into the future: {column.maximum}.",
        "Check the format it was read with; a date that stands for nothing is better missing.",
    )


def _of_target(table: TableSummary, target: TargetSummary) -> Iterator[Alert]:
    by_name = table.by_name
    if target.problem == "binary":
        rare = min(target.value, 1 - target.value)
        if rare < _RARE["medium"]:
            high = rare < _RARE["high"]
            what = f"The rarer class of the target {target.name} has {_percent(rate=rare)} of the rows."
            remedy = "Judge by average precision, not accuracy; stratify the split."
            yield Alert(
                "rare class",
                (target.name,),
                "high" if high else "medium",
                0.75 if high else 0.5,
                rare,
                what,
                remedy,
            )
    if table.sampled < _ROWS:
        return
    for relation in target.relations:
        column = by_name[relation.column]
        if column.meaning == "empty":
            continue
        if relation.skill >= _LEAK[target.problem] or relation.share >= _TELLS:
            skill = max(relation.skill, relation.share)
            what = (
                f"{relation.column} alone tells {target.name} (skill {skill:.3f} of 1): "
                "it may be known only afterwards."
            )
            yield Alert(
                "leak", (relation.column,), "high", 0.95 + 0.05 * min(skill, 1.0), skill, what, _LEAKS
            )
        elif relation.when_missing >= _TELLS:
            what = (
                f"Whether {relation.column} is missing alone tells {target.name} "
                f"(skill {relation.when_missing:.3f} of 1): it may be filled in only afterwards."
            )
            yield Alert("leak", (relation.column,), "high", 0.94, relation.when_missing, what, _LEAKS)


_LEAKS = "Ask when it is known; leave it out unless that is before the prediction."


def _of_pair(table: TableSummary, pair: Pair) -> Iterator[Alert]:
    left, right = (table.by_name[name] for name in (pair.left, pair.right))
    strength = abs(pair.value)
    if "constant" in {left.meaning, right.meaning} or table.sampled < _ROWS:
        return
    if pair.measure == "correlation_ratio" and left.distinct * 2 > table.sampled:
        return  # a category with a level a row or two explains anything
    later, earlier = (right, left) if right.position > left.position else (left, right)
    names = (later.name, earlier.name)
    if strength >= _COPY:
        what = f"{later.name} says the same as {earlier.name} ({_MEASURES[pair.measure]} {pair.value:.4f})."
        yield Alert("copy", names, "medium", 0.42, pair.value, what, f"Keep one of them: drop {later.name}.")
    elif strength >= _NEAR and pair.measure in {"pearson", "spearman"}:
        what = f"{later.name} nearly follows {earlier.name} ({_MEASURES[pair.measure]} {pair.value:.3f})."
        yield Alert(
            "redundant",
            names,
            "low",
            0.18,
            pair.value,
            what,
            "A linear model cannot tell their effects apart.",
        )


_MEASURES: Final = {
    "pearson": "correlation",
    "spearman": "rank correlation",
    "cramers_v": "Cramer's V",
    "correlation_ratio": "correlation ratio",
}


def _percent(rate: float) -> str:
    return f"{shown(float(f'{100 * rate:.3g}'))} %"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _first(column: ColumnSummary) -> str:
    if column.personal:
        return "one value"
    value = column.top[0].value if column.top else column.minimum
    text = repr(value) if isinstance(value, str) else shown(value)
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - what fits in a sentence
