"""The suspected cause of a drift is the one that was planted, in columns of every shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drifting import reference, window

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.judging import ColumnDrift, judge
from mlops_magics.drift.solving import solve
from mlops_magics.stats.windows import Window

ROWS = 6_000
SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "years": lambda random, rows: random.integers(1, 90, rows).astype(float),
    "length": lambda random, rows: random.normal(170, 12, rows),
    "fare": lambda random, rows: random.lognormal(3, 1, rows),
    "tail": lambda random, rows: np.abs(random.standard_t(2.2, rows)),
    "stars": lambda random, rows: random.integers(1, 6, rows),
    "rain": lambda random, rows: np.where(random.random(rows) < 0.8, 0.0, random.exponential(3, rows)),
    "share": lambda random, rows: random.beta(2, 3, rows),
    "degrees": lambda random, rows: random.normal(12, 8, rows),
    "calm": lambda random, rows: random.gamma(3, 2, rows),
}
FACTORS = (365, 1000, 100, 60, 2.54, 0.45359237, 12, 1 / 1000, 1 / 60)


def rows_of(seed: int, rows: int = ROWS, wide: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    told = {name: shape(random, rows) for name, shape in SHAPES.items()}
    told |= {f"more{place}": random.normal(size=rows) for place in range(wide)}
    told["town"] = random.choice(["Oslo", "Rome", "Lima", "Bern"], rows, p=[0.5, 0.3, 0.15, 0.05])
    told["shop"] = random.choice([f"shop {place}" for place in range(9)], rows)
    return pd.DataFrame(told)


@cache
def known(wide: int = 0) -> Reference:
    return reference(rows_of(0, wide=wide))


def found(table: pd.DataFrame, name: str, wide: int = 0) -> ColumnDrift:
    drift = judge(known(wide), window(known(wide), table))
    return next(each for each in drift.columns if each.name == name)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"rain"}))
def test_a_change_of_unit_is_named_by_its_factor(name: str, factor: float) -> None:
    table = rows_of(1)
    table[name] = table[name] * factor
    each = found(table, name)
    assert each.alarmed
    assert each.suspected.startswith(f"unit change \N{MULTIPLICATION SIGN}{factor:.6g}: "), each.suspected


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", SHAPES)
def test_in_a_small_window_it_is_that_factor_or_one_that_chance_cannot_tell(name: str, factor: float) -> None:
    table = rows_of(1, ROWS if name == "rain" else 400)  # four of five hours are dry
    table[name] = table[name] * factor
    each = found(table, name)
    assert each.cause == "unit change", each.suspected
    told = float(each.suspicion.partition(":")[0].removeprefix("\N{MULTIPLICATION SIGN}"))
    assert told / factor == pytest.approx(1, rel=0.25), each.suspected


@pytest.mark.parametrize("name", ["length", "fare", "tail", "degrees"])
def test_it_is_named_in_a_table_of_many_columns_with_few_bins(name: str) -> None:
    table = rows_of(1, wide=150)
    table[name] *= 1000
    assert len(known(150).by_name[name].bins.counts) < 100  # type: ignore[union-attr]
    assert found(table, name, 150).suspected.startswith("unit change \N{MULTIPLICATION SIGN}1000")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("degrees", lambda x: 1.8 * x + 32, "\N{MULTIPLICATION SIGN}1.8 +32: degrees Celsius to Fahrenheit"),
        ("degrees", lambda x: (x - 32) / 1.8, "\N{MULTIPLICATION SIGN}0.555556 -17.7778: degrees Fahrenheit"),
        ("degrees", lambda x: x + 273.15, "+273.15: degrees Celsius to kelvin"),
        ("fare", lambda x: -x, "\N{MULTIPLICATION SIGN}-1: a number to its opposite"),
        ("calm", lambda x: 8.6 * x, "\N{MULTIPLICATION SIGN}8."),
    ],
)
def test_other_conversions_are_named(name: str, change: Callable[[Any], Any], words: str) -> None:
    table = rows_of(1)
    table[name] = change(table[name])
    each = found(table, name)
    assert each.cause == "unit change", each.suspected
    assert each.suspected.startswith(f"unit change {words}"), each.suspected


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fare", lambda x: x * 1.3),  # prices rose
        ("degrees", lambda x: x + 6),  # it is summer
        ("calm", lambda x: x + 15),
        ("length", lambda x: x.where(x.index % 4 > 0, x + 300)),  # some are other
        ("rain", lambda x: np.where(x > 0, x + 2, x)),
        ("stars", lambda x: np.maximum(x, 3)),
        ("share", lambda x: x**3),
    ],
)
def test_what_no_unit_explains_is_no_change_of_unit(name: str, change: Callable[[Any], Any]) -> None:
    table = rows_of(1)
    table[name] = change(table[name])
    each = found(table, name)
    assert each.alarmed
    assert each.cause in {"shift", "range"}, each.suspected


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("fare", lambda x: x.where(x.index % 2 == 0), "So many gaps"),
        ("fare", lambda _: 7.25, "one and the same value"),
        ("rain", lambda _: 0.0, "one and the same value"),
        ("years", lambda _: 999.0, "one and the same value"),
        ("town", lambda _: "unknown", "one and the same value"),
        ("length", lambda x: x.astype(str), "another kind"),
        ("calm", lambda x: x.where(x > 4, np.inf), "division by zero"),
    ],
)
def test_a_fault_of_a_pipeline_is_named(name: str, change: Callable[[Any], Any], words: str) -> None:
    table = rows_of(1)
    table[name] = change(table[name])
    each = found(table, name)
    assert (each.cause, words in each.suspicion) == ("pipeline fault", True), each.suspected


@pytest.mark.parametrize(("one", "other"), [("years", "length"), ("fare", "share"), ("town", "shop")])
def test_columns_that_changed_places_are_named(one: str, other: str) -> None:
    table = rows_of(1)
    table[[one, other]] = table[[other, one]].to_numpy()
    for name, partner in ((one, other), (other, one)):
        each = found(table, name)
        assert each.cause == "pipeline fault"
        assert f"like those of '{partner}'" in each.suspicion, each.suspected
    only = rows_of(1)
    only[one] = only[other]  # copied, not swapped
    assert "swapped" not in found(only, one).suspicion


def test_a_new_category_is_named() -> None:
    table = rows_of(1)
    table.loc[::3, "town"] = "Paris"
    each = found(table, "town")
    assert each.suspected.startswith("new category: ")
    assert "'Paris'" in each.suspicion


def test_a_season_is_named_where_the_history_has_it() -> None:
    def at(hour: int, shift: float) -> Window:
        table = rows_of(100 + hour, 800)
        night = 10.0 if hour % 24 < 6 else 0.0
        return window(known(), table.assign(degrees=table["degrees"] + night + shift), hour)

    usual = [at(hour, 0.0) for hour in range(24 * 4)]
    alarm = solve(known(), "1/100", rows=800, seconds=3_600.0, history=usual, draws=60)
    assert alarm.season
    night = judge(known(), at(24 * 5 + 2, 2.5), alarm=alarm)
    each = next(each for each in night.columns if each.name == "degrees")
    assert (each.alarmed, each.cause) == (True, "season"), each.suspected
    assert "usually lies up to" in each.suspicion


@pytest.mark.parametrize(("hours", "cause"), [(1, "season"), (-1, "season"), (6, "pipeline fault")])
def test_a_clock_that_was_moved_is_named(hours: int, cause: str) -> None:
    def dates(seed: int, first: str) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        day = random.integers(0, 200, ROWS) * 24.0
        hour = np.clip(random.normal(14, 3, ROWS), 7, 21)
        return pd.DataFrame({"when": pd.Timestamp(first) + pd.to_timedelta(day + hour, "h")})

    made = reference(dates(0, "2025-01-06"))
    later = dates(1, "2025-08-04")
    assert not judge(made, window(made, later)).alarmed
    later["when"] += pd.Timedelta(hours, "h")
    (each,) = judge(made, window(made, later)).columns
    assert (each.alarmed, each.cause) == (True, cause), each.suspected
    assert f"{abs(hours)} {'later' if hours > 0 else 'earlier'}" in each.suspicion
