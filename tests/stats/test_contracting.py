"""A contract made from a table: more rows of the same kind keep it, what is planted does not."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.breaches import check
from mlops_magics.stats.contracting import contract_of
from mlops_magics.stats.engine import summarize


def clean(seed: int, rows: int = 2000) -> pd.DataFrame:
    """Columns of many distributions, light and heavy tails, few and many levels."""
    random = np.random.default_rng(seed)
    zipf = np.minimum(random.zipf(1.5, rows), 10**6)
    return pd.DataFrame(
        {
            "normal": random.normal(size=rows),
            "shifted": random.normal(3, 1, rows),
            "uniform": random.random(rows),
            "exponential": random.exponential(3, rows),
            "lognormal": random.lognormal(0, 1.5, rows),
            "student": random.standard_t(2, rows),
            "cauchy": random.standard_cauchy(rows),
            "negative": -random.gamma(2, 2, rows),
            "mostly_zero": np.where(random.random(rows) < 0.93, 0.0, random.exponential(1, rows)),
            "gaps": np.where(random.random(rows) < 0.3, np.nan, random.normal(size=rows)),
            "whole_gaps": np.where(random.random(rows) < 0.1, np.nan, random.integers(1, 500, rows)),
            "counts": random.poisson(3, rows),
            "hour": random.integers(0, 24, rows),
            "large": random.integers(0, 2**60, rows),
            "key_id": random.permutation(10 * rows)[:rows],
            "flag": random.random(rows) < 0.02,
            "level": random.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.3, 0.08, 0.02]),
            "zipf": [f"z{each}" for each in zipf],
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 10**7, rows), unit="s"),
            "day": pd.to_datetime(random.integers(17_000, 18_000, rows), unit="D").strftime("%Y-%m-%d"),
            "words": [
                " ".join(random.choice(["one", "two", "three"], random.integers(4, 12))) for _ in range(rows)
            ],
            "mail": [f"p{each}@example.org" for each in random.permutation(rows)],
        }
    )


def contract(table: pd.DataFrame) -> Contract:
    made = contract_of(Frame.of(table), summarize(table), "c")
    assert Contract.from_json(made.to_json()) == made
    return made


def alarms(pairs: int, rows: int) -> list[tuple[int, str]]:
    return [
        (seed, breach.what)
        for seed in range(pairs)
        for breach in check(contract(clean(seed, rows)), Frame.of(clean(10_000 + seed, rows))).breaches
        if breach.severity == "error" or rows >= 500  # a rare level is easily missed in fewer rows
    ]


@pytest.mark.slow
def test_200_clean_tables_of_the_same_kind_raise_nothing() -> None:
    assert alarms(200, 1000) == []


@pytest.mark.slow
@pytest.mark.parametrize("rows", [120, 300, 10_000])
def test_clean_tables_of_other_sizes_raise_nothing(rows: int) -> None:
    assert alarms(200 if rows < 1000 else 50, rows) == []


@pytest.mark.slow
def test_a_large_table_keeps_the_contract_of_a_small_one_and_the_other_way_round() -> None:
    for seed in range(5):
        few, many = clean(seed, 1000), clean(100 + seed, 30_000)
        assert check(contract(many), Frame.of(few)).breaches == ()
        assert check(contract(few), Frame.of(many)).breaches == ()


def test_what_was_seen_is_what_is_asked_for() -> None:
    made = contract(clean(0, 5000))
    assert made.rule("uniform").minimum == 0.0
    assert 1.0 <= float(made.rule("uniform").maximum or 0) <= 1.1
    assert (made.rule("hour").minimum, made.rule("hour").maximum) == (0, 23)
    assert made.rule("hour").kind == "integer"
    assert made.rule("exponential").minimum == 0.0
    assert float(made.rule("normal").minimum or 0) < -4
    assert (made.rule("whole_gaps").kind, made.rule("gaps").kind) == ("integer", "number")
    assert made.rule("gaps").nullable == pytest.approx(0.56, abs=0.03)
    assert made.rule("normal").nullable == 0.0
    assert made.rule("whole_gaps").minimum == 0
    assert made.rule("level").allowed == ("a", "b", "c", "d")
    assert made.rule("level").closed
    assert not made.rule("zipf").closed
    assert made.rule("key_id").unique
    assert made.rule("key_id").maximum is None
    assert made.rule("when").past
    assert str(made.rule("when").minimum).startswith("2019-")
    assert made.rule("day").format == "%Y-%m-%d"
    assert made.rule("flag").kind == "boolean"


def test_a_contract_is_the_same_for_each_library_and_order_of_rows() -> None:
    table = clean(0)
    text = contract(table).to_json()
    assert contract(table.sample(frac=1, random_state=0)).to_json() == text
    other = pl.from_pandas(table)
    assert contract_of(Frame.of(other), summarize(other), "c").to_json() == text


def test_personal_values_are_in_no_contract() -> None:
    table = clean(0)
    table["mail"] = table["level"].map({"a": "ann@example.org", "b": "bo@example.org"})
    text = contract(table).to_json()
    assert "@" not in text
    assert json.loads(text)["columns"][list(table).index("mail")]["personal"]


@pytest.mark.parametrize(
    ("column", "rule"),
    [("hour", "range"), ("uniform", "range"), ("level", "category"), ("when", "future"), ("day", "format")],
)
def test_what_is_planted_is_found(column: str, rule: str) -> None:
    table = clean(1).astype({column: object})
    values = {
        "hour": 24,
        "uniform": 2.0,
        "level": "e",
        "when": pd.Timestamp("2100-01-01"),
        "day": "31.12.2019",
    }
    table.loc[7, column] = values[column]
    found = check(contract(clean(0)), Frame.of(table.infer_objects()))
    assert [(each.column, each.rule, each.rows) for each in found.breaches] == [(column, rule, 1)]
    assert found.bad_rows.index.tolist() == [7]


@pytest.mark.parametrize(
    "column", ["shifted", "lognormal", "uniform", "exponential", "counts", "large", "negative"]
)
@pytest.mark.parametrize("factor", [1000.0, 0.001, 60.0, 0.3048, 1.609344])
def test_a_change_of_unit_is_found_in_every_distribution_wide_or_narrow(column: str, factor: float) -> None:
    table = clean(1, 5000)
    table[column] = table[column] * factor
    found = check(contract(clean(0, 5000)), Frame.of(table)).breaches
    assert {each.column for each in found} == {column}
    assert f"{factor:.4g} times" in next(each.what for each in found if each.rule == "unit")


@pytest.mark.parametrize("rows", [0, 1, 2, 49])
def test_hardly_any_rows_forbid_hardly_anything(rows: int) -> None:
    made = contract(clean(0, 100).head(rows))
    assert all(rule.allowed is None and rule.minimum is None for rule in made.columns)
    assert all(each.severity == "warning" for each in check(made, Frame.of(clean(1))).breaches) or rows


def test_odd_tables_have_a_contract() -> None:
    odd = pd.DataFrame([[1, "a", {1}, 2**70], [2, None, [2], -(2**70)]] * 40, columns=["x", "x", 0, ("a", 1)])
    made = contract(odd)
    assert [rule.name for rule in made.columns] == ["x", "x#1", "0", "a.1"]
    assert check(made, Frame.of(odd)).breaches == ()
    null = pd.DataFrame({"<script>": [None] * 60, "{{7*7}}": [np.inf] * 60})
    assert check(contract(null), Frame.of(null)).breaches == ()
