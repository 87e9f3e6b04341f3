"""Profiles for the tests of how they are shown: real flights, and names and values that must stay text."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mlops_magics.stats.engine import summarize
from mlops_magics.stats.summary import (
    Alert,
    Associations,
    Change,
    Pair,
    Relation,
    Segment,
    TableSummary,
    TargetSummary,
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
    return summarize(frame, target=target, source=source)


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
    frame.iloc[:5, 0] = None
    table = summary_of(frame, source=EVIL[1])
    found = [
        Alert(name[:300], (name,), "high", 1.0, 1.0, f"{name} is wrong ({name}).", name) for name in EVIL
    ]
    relations = tuple(Relation(name, 0.1, 0.2, 0.3) for name in EVIL[1:])
    segments = tuple(Segment(n, f"{n} = {n}", 9, 0.2, 0.5, 0.4, 0.6, 0.1, 0.01) for n in EVIL)
    target = TargetSummary(EVIL[0], "binary", EVIL[0], 0.2, relations, segments)
    pairs = tuple(Pair(left, right, "cramers_v", 0.9) for left, right in itertools.pairwise(EVIL))
    joined = Associations(40, pairs, tuple(EVIL), tuple(tuple(0.9 for _ in EVIL) for _ in EVIL))
    changed = tuple(Change(n, "changed", 0.5, 0.01, n, n, 0.1, 0.2, f"{n} turned into {n}") for n in EVIL)
    table = replace(table, target=target, associations=joined)
    return Profile(table, tuple(found), changed, EVIL[0], tuple(EVIL))
