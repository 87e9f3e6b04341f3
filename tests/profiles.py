"""Profiles for the tests of how they are shown: real frames, summarised in the plainest way."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.stats.summary import (
    QUANTILES,
    Alert,
    Associations,
    Change,
    ColumnSummary,
    Duplicates,
    Histogram,
    Lengths,
    Level,
    MissingPattern,
    Numbers,
    Pair,
    Relation,
    Segment,
    TableSummary,
    TargetSummary,
    labels,
)
from mlops_magics.steps.profile.result import Profile

FLIGHTS = Path(__file__).parents[1] / "notebooks" / "data" / "flights.parquet"
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    """it's "quoted" \\ `ticked`""",
    "long " * 2000,
    "\u05e9\u05dc\u05d5\u05dd (\u05e2\u05d5\u05dc\u05dd)",
    "turn\u202egnp.exe\x1b[31m\x07",
    "</script><!--<script>",
]


def flights(rows: int = 3000) -> pd.DataFrame:
    """Real flights with a target, spread over the year."""
    whole = pd.read_parquet(FLIGHTS)
    frame = whole.iloc[:: max(1, len(whole) // rows)].reset_index(drop=True)
    frame["late"] = (frame.pop("arr_delay") > 15).map({True: "yes", False: "no"})
    return frame


def evil() -> pd.DataFrame:
    """Names and values that must stay text."""
    return pd.DataFrame(
        {name: [EVIL[(place + k) % len(EVIL)] for k in range(40)] for place, name in enumerate(EVIL)}
    )


def summary_of(frame: pd.DataFrame, source: str = "flights", target: str | None = None) -> TableSummary:
    names = labels(list(frame.columns))
    frame = frame.set_axis(list(names), axis=1)
    columns = tuple(_column(frame.iloc[:, place], name, place) for place, name in enumerate(names))
    gaps = [column.name for column in columns if column.missing]
    return TableSummary(
        source=source,
        rows=len(frame),
        columns=columns,
        digest="0" * 32,
        memory=sum(column.memory for column in columns),
        sampled=len(frame),
        duplicates=Duplicates(0),
        patterns=_patterns(frame, gaps),
        associations=_associations(frame, columns),
        target=None if target is None else _target(frame, target),
        head=tuple(tuple(map(_scalar, row)) for row in frame.head(10).itertuples(index=False)),
    )


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _column(values: Any, name: str, position: int) -> ColumnSummary:
    kind = {"i": "integer", "f": "float", "M": "date", "b": "boolean"}.get(values.dtype.kind, "string")
    held = values.dropna()
    distinct = int(held.nunique())
    numeric = kind in {"integer", "float"}
    meaning = "number" if numeric and distinct > 2 else "date" if kind == "date" else "category"
    meaning = "constant" if distinct == 1 else "flag" if distinct == 2 else meaning
    meaning = "id" if kind == "string" and distinct == len(held) > 40 else meaning
    counts = held.value_counts().head(10)
    ranged = len(held) and kind in {"integer", "float", "date"}
    return ColumnSummary(
        name=name,
        position=position,
        dtype=str(values.dtype),
        kind=kind if distinct else "empty",
        meaning=meaning if distinct else "empty",
        rows=len(values),
        missing=int(values.isna().sum()),
        distinct=distinct,
        top=tuple(Level(_scalar(value), int(count)) for value, count in counts.items()),
        minimum=_scalar(held.min()) if ranged else None,
        maximum=_scalar(held.max()) if ranged else None,
        numbers=_numbers(held.astype("datetime64[us]").astype("int64") if kind == "date" else held)
        if ranged
        else None,
        lengths=_lengths(held) if kind == "string" and len(held) else None,
        memory=int(values.memory_usage(deep=True, index=False)),
    )


def _lengths(held: Any) -> Lengths:
    sizes = held.astype(str).str.len()
    return Lengths(int(sizes.min()), float(sizes.mean()), int(sizes.max()))


def _numbers(held: Any) -> Numbers:
    array = held.to_numpy(float)
    counts, edges = np.histogram(array, bins=min(40, max(1, held.nunique())))
    return Numbers(
        count=len(array),
        minimum=float(array.min()),
        maximum=float(array.max()),
        mean=float(array.mean()),
        std=float(array.std()),
        skew=float(held.skew()),
        kurtosis=float(held.kurt()),
        quantiles={q: float(np.quantile(array, q)) for q in QUANTILES},
        rank_error=0.0,
        histogram=Histogram(float(edges[0]), float(edges[1] - edges[0]), tuple(map(int, counts))),
        zeros=int((array == 0).sum()),
        negatives=int((array < 0).sum()),
    )


def _patterns(frame: pd.DataFrame, gaps: list[str]) -> tuple[MissingPattern, ...]:
    if not gaps:
        return ()
    counts = frame[gaps].isna().value_counts().head(20)
    return tuple(
        MissingPattern(tuple(np.array(gaps)[np.array(key)]), int(count), int(count) / len(frame))
        for key, count in counts.items()
    )


def _associations(frame: pd.DataFrame, columns: tuple[ColumnSummary, ...]) -> Associations:
    names = [column.name for column in columns if column.kind in {"integer", "float"}]
    if not names:
        return Associations(len(frame))
    strength = frame[names].corr()
    pairs = [
        Pair(left, right, "pearson", float(strength.loc[left, right]))
        for place, left in enumerate(names)
        for right in names[place + 1 :]
        if not math.isnan(strength.loc[left, right])
    ]
    pairs.sort(key=lambda pair: -abs(pair.value))
    matrix = tuple(
        tuple(None if math.isnan(v) else abs(float(v)) for v in row) for row in strength.to_numpy()
    )
    return Associations(
        len(frame), tuple(pairs), tuple(names) if len(names) <= 60 else (), matrix if len(names) <= 60 else ()
    )


def _target(frame: pd.DataFrame, target: str) -> TargetSummary:
    hit = (frame[target] == "yes").astype(float)
    segments, relations = [], []
    for name in [name for name in frame.columns if name != target]:
        groups = hit.groupby(frame[name].astype(str), observed=True).agg(["mean", "size"])
        skill = float(groups["mean"].std() or 0) if len(groups) < 100 else 0.01
        skill = 0.0 if math.isnan(skill) else skill
        relations.append(Relation(name, skill / 10, min(1.0, skill / 3), min(1.0, skill)))
        if frame[name].dtype.kind in "OU" or str(frame[name].dtype) in {"str", "category", "string"}:
            for level, (mean, size) in groups.iterrows():
                if level != "nan" and size > 20:
                    half = 1.96 * math.sqrt(mean * (1 - mean) / size + 1e-6)
                    rest = (hit.sum() - mean * size) / max(1, len(frame) - size)
                    words = f"{name} = {level}"
                    low, high = max(0.0, mean - half), min(1.0, mean + half)
                    one = Segment(
                        name, words, int(size), size / len(frame), mean, low, high, mean - rest, 0.001
                    )
                    segments.append(one)
    segments.sort(key=lambda one: -abs(one.difference))
    relations.sort(key=lambda one: -one.skill)
    return TargetSummary(target, "binary", "yes", float(hit.mean()), tuple(relations), tuple(segments[:20]))


def alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            "leak",
            ("visib",),
            "high",
            0.95,
            0.98,
            "visib alone predicts late with a skill of 0.98.",
            "Leave it out.",
        ),
        Alert(
            "missing",
            ("wind_gust",),
            "medium",
            0.5,
            0.76,
            "wind_gust is missing in 76.1 % of the rows.",
            "Drop it.",
        ),
        Alert("skew", ("precip",), "low", 0.1, 9.3, "precip is skewed: 9.3.", "Take its logarithm."),
    )


def changes() -> tuple[Change, ...]:
    return (
        Change("distance", "changed", 0.31, 1e-9, 1039.9, 2041.2, 0.0, 0.1, "the mean of distance doubled"),
        Change("carrier", "same", 0.01, 0.7, 0.17, 0.18, 0.0, 0.0, ""),
        Change("gate", "removed", None, None, None, None, 0.0, 0.0, "gate is not there any more"),
    )


def flights_profile(rows: int = 3000, **more: Any) -> Profile:
    return Profile(summary_of(flights(rows), target="late"), alerts(), **more)


def evil_profile() -> Profile:
    """Every name, value and sentence carries what must stay text."""
    frame = evil()
    table = summary_of(frame, source=EVIL[1])
    gap = [None] * 5
    frame.iloc[:5, 0] = gap
    table = summary_of(frame, source=EVIL[1])
    found = [
        Alert(name[:300], (name,), "high", 1.0, 1.0, f"{name} is wrong ({name}).", name) for name in EVIL
    ]
    relations = tuple(Relation(name, 0.1, 0.2, 0.3) for name in EVIL[1:])
    segments = tuple(Segment(n, f"{n} = {n}", 9, 0.2, 0.5, 0.4, 0.6, 0.1, 0.01) for n in EVIL)
    target = TargetSummary(EVIL[0], "binary", EVIL[0], 0.2, relations, segments)
    pairs = tuple(Pair(left, right, "cramers_v", 0.9) for left, right in itertools.pairwise(EVIL))
    joined = Associations(40, pairs, tuple(EVIL), tuple(tuple(0.9 for _ in EVIL) for _ in EVIL))
    made = {
        **{name: getattr(table, name) for name in table.__slots__},
        "target": target,
        "associations": joined,
    }
    changed = tuple(Change(n, "changed", 0.5, 0.01, n, n, 0.1, 0.2, f"{n} turned into {n}") for n in EVIL)
    return Profile(TableSummary(**made), tuple(found), changed, EVIL[0], tuple(EVIL))
