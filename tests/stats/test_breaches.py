"""A table against a contract: what is planted is found and named, what is clean raises nothing."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import PROBABILITIES, ColumnRule
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.breaches import Breach, Check, check

ROWS = 2000


def clean(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "carrier": random.choice(["AA", "B6", "Ülm", "<script>", "{{7*7}}"], rows),
            "distance": random.gamma(3, 300, rows),
            "temp": random.normal(15, 8, rows),
            "seats": np.where(random.random(rows) < 0.1, np.nan, random.integers(2, 400, rows)),
            "when": pd.Timestamp("2013-01-01")
            + pd.to_timedelta(random.integers(0, 3 * 10**7, rows), unit="s"),
            "day": pd.to_datetime(random.integers(15_000, 16_000, rows), unit="D").strftime("%d/%m/%Y"),
            "key": [f"N{i:05d}" for i in random.permutation(rows)],
            "mail": [f"p{i}@example.org" for i in range(rows)],
            "late": random.random(rows) < 0.2,
        }
    )


def _quantiles(column: str) -> tuple[float, ...]:
    return tuple(float(each) for each in np.quantile(clean()[column], PROBABILITIES))


CONTRACT = Contract(
    "flights",
    (
        ColumnRule("carrier", "string", 0.0, allowed=("AA", "B6", "Ülm", "<script>", "{{7*7}}")),
        ColumnRule("distance", "number", 0.0, 0.0, 20_000.0, quantiles=_quantiles("distance")),
        ColumnRule("temp", "number", 0.0, -60.0, 90.0, quantiles=_quantiles("temp")),
        ColumnRule("seats", "integer", 0.12, 1, 1000),
        ColumnRule("when", "date", 0.0, "2012-01-01", past=True),
        ColumnRule("day", "date", 0.0, format="%d/%m/%Y", past=True),
        ColumnRule("key", "string", 0.0, unique=True, shape="a9", lengths=(6, 6)),
        ColumnRule("mail", "string", 0.0, lengths=(5, 50), personal=True),
        ColumnRule("late", "boolean", 0.0),
    ),
    target="late",
    rows=ROWS,
)


def checked(data: Any) -> Check:
    return check(CONTRACT, Frame.of(data))


def only(found: Check) -> Breach:
    assert len(found.breaches) == 1, found.breaches
    return found.breaches[0]


def planted(column: str, values: Any, places: slice = slice(10, 15)) -> pd.DataFrame:
    table = clean()
    if not isinstance(values, float | int | bool):
        table[column] = table[column].astype(object)
    table.iloc[places, table.columns.get_loc(column)] = values
    return table


def test_a_clean_table_raises_nothing_in_any_library() -> None:
    table = clean(1)
    for data in (table, pl.from_pandas(table), pa.Table.from_pandas(table), table.drop(columns="late")):
        found = checked(data)
        assert found.breaches == ()
        assert found.bad == 0
        assert len(found.bad_rows) == 0


@pytest.mark.parametrize(
    ("column", "value", "rule", "words"),
    [
        ("carrier", "ZZ", "category", "'ZZ'"),
        ("carrier", " b6", "category", "' b6' (perhaps 'B6')"),
        ("carrier", None, "nulls", "have no value; the contract has that never"),
        ("distance", -1.0, "range", "are below 0"),
        ("distance", np.inf, "range", "are above 20000"),
        ("seats", 3.5, "type", "are no whole number"),
        ("when", pd.Timestamp("1970-01-01"), "range", "are below 2012-01-01"),
        ("when", pd.Timestamp("2199-01-01"), "future", "lie in the future"),
        ("day", "2013-05-31", "format", "written in another way than 31/12/2024"),
        ("day", "01/05/2199", "future", "lie in the future"),
        ("day", "soon", "type", "cannot be read as a date such as 31/12/2024"),
        ("key", "N00001X", "shape", "not written like a9"),
        ("key", "N1", "length", "not 6 to 6 characters"),
        ("mail", "a" * 51, "length", "not 5 to 50 characters"),
    ],
)
@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_what_is_planted_is_named_and_its_rows_come_back(
    column: str, value: Any, rule: str, words: str, library: str
) -> None:
    table = planted(column, value)
    if column in {"when", "distance", "seats"}:
        table[column] = table[column].infer_objects()
    makes = {"pandas": lambda x: x, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}
    data = makes[library](table)
    found = checked(data)
    breach = next(item for item in found.breaches if item.rule == rule)
    assert (breach.column, breach.rows, breach.severity, breach.whole) == (column, 5, "error", False)
    assert breach.what.startswith(f"{column}: 5 of 2,000 rows ")
    assert words in breach.what
    assert type(found.bad_rows) is type(data)
    bad = found.bad_rows if library == "pandas" else Frame.of(found.bad_rows).to_pandas()
    assert bad["key"].tolist()[:5] == table["key"].tolist()[10:15] if column != "key" else found.bad >= 5
    assert bad["reason"].str.contains(column).all()


def test_rows_that_are_bad_for_several_reasons_say_all_of_them() -> None:
    table = planted("carrier", "ZZ")
    table.loc[12:13, "distance"] = -1.0
    table.loc[20, "temp"] = None
    found = checked(table)
    reasons = found.bad_rows["reason"]
    assert found.bad_rows.index.tolist() == [10, 11, 12, 13, 14, 20]
    assert reasons[10] == "carrier holds a value that was never seen: 'ZZ'"
    assert "carrier" in reasons[12]
    assert "; distance" in reasons[12]
    assert reasons[20] == "temp has no value"


@pytest.mark.parametrize(
    ("column", "factor", "offset", "words"),
    [
        ("distance", 1.609344, 0.0, "miles to kilometres"),
        ("distance", 1 / 1.609344, 0.0, "kilometres to miles"),
        ("distance", 1000.0, 0.0, "kilometres to metres"),
        ("distance", 0.001, 0.0, "metres to kilometres"),
        ("distance", 0.3048, 0.0, "feet to metres"),
        ("distance", 60.0, 0.0, "hours to minutes"),
        ("temp", 1.8, 32.0, "Celsius to Fahrenheit"),
        ("temp", 1.0, 273.15, "Celsius to kelvin"),
        ("temp", -1.0, 0.0, "sign is turned"),
    ],
)
def test_a_change_of_unit_is_named_with_its_factor(
    column: str, factor: float, offset: float, words: str
) -> None:
    table = clean(7)
    table[column] = table[column] * factor + offset
    found = checked(table)
    breach = next(item for item in found.breaches if item.rule == "unit")
    assert (breach.column, breach.rows, breach.whole) == (column, ROWS, True)
    assert words in breach.what
    if factor > 0:
        assert f"{factor:.4g} times" in breach.what
    assert [item.column for item in found.breaches] == [column] * len(found.breaches)


def test_a_drift_that_no_unit_explains_is_no_unit_change() -> None:
    table = clean(3)
    table["distance"] = table["distance"] ** 1.05 + 100
    assert checked(table).breaches == ()


def test_columns_that_are_missing_extra_and_renamed() -> None:
    table = clean().rename(columns={"distance": "Distance", "seats": "nr_of_seats", "temp": "x"})
    found = checked(table)
    told = {(item.column, item.rule, item.severity) for item in found.breaches}
    assert told == {
        ("distance", "renamed column", "error"),
        ("seats", "missing column", "error"),
        ("temp", "missing column", "error"),
        ("nr_of_seats", "extra column", "warning"),
        ("x", "extra column", "warning"),
    }
    assert "Distance is" in next(item.what for item in found.breaches if item.rule == "renamed column")


def test_numbers_that_came_as_text_are_counted_and_still_judged() -> None:
    table = clean()
    table["distance"] = table["distance"].map(str)
    breach = only(checked(table))
    assert (breach.rule, breach.whole) == ("type", True)
    assert "each can be read as a number" in breach.what
    table.loc[:2, "distance"] = ["far", "1,5", "-7"]
    found = checked(table)
    assert [(item.rule, item.rows) for item in found.breaches] == [("type", ROWS), ("type", 2), ("range", 1)]
    assert "2 of them cannot be read as a number" in found.breaches[0].what
    assert found.breaches[1].examples == ("far", "1,5")


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("distance", pd.date_range("2013", periods=ROWS), "holds dates, not numbers"),
        ("carrier", np.arange(ROWS), "holds whole numbers, not texts"),
        ("late", np.arange(ROWS) % 2, "holds whole numbers, not truth values"),
        ("when", np.arange(ROWS), "holds whole numbers, not dates"),
    ],
)
def test_another_type_is_a_breach_of_the_whole_column(column: str, values: Any, words: str) -> None:
    table = clean()
    table[column] = values
    breach = only(checked(table))
    assert (breach.rule, breach.whole, breach.column) == ("type", True, column)
    assert words in breach.what


def test_keys_that_occur_twice_are_all_bad() -> None:
    table = clean()
    table.loc[3, "key"] = table.loc[9, "key"]
    found = checked(table)
    assert only(found).rule == "unique"
    assert found.bad_rows.index.tolist() == [3, 9]


def test_personal_values_are_shown_nowhere() -> None:
    found = checked(planted("mail", "x"))
    breach = only(found)
    assert breach.examples == ()
    assert breach.what == "mail: 5 of 2,000 rows are not 5 to 50 characters long."


def test_more_gaps_than_usual() -> None:
    table = clean()
    table.loc[:999, "seats"] = None
    breach = only(checked(table))
    assert (breach.rule, breach.whole) == ("nulls", True)
    assert "at most 12.0%" in breach.what
    table["seats"] = None
    assert only(checked(table)).rows == ROWS


def test_an_open_list_takes_as_many_unseen_values_as_were_to_be_expected() -> None:
    opened = replace(CONTRACT.columns[0], closed=False, unseen=0.001)
    contract = replace(CONTRACT, columns=(opened, *CONTRACT.columns[1:]))
    assert check(contract, Frame.of(planted("carrier", "ZZ"))).breaches == ()
    breach = only(check(contract, Frame.of(planted("carrier", "ZZ", slice(0, 100)))))
    assert (breach.rule, breach.severity, breach.rows) == ("category", "warning", 100)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_no_row_and_of_one(rows: int) -> None:
    found = checked(clean().head(rows))
    assert found.breaches == ()
    assert len(found.bad_rows) == 0
    assert len(checked(clean().head(rows).drop(columns="temp")).breaches) == 1


def test_all_null_is_said_for_each_column() -> None:
    table = pd.DataFrame({name: [None] * 50 for name in clean()})
    found = checked(table)
    assert {item.rule for item in found.breaches} == {"nulls"}
    assert len(found.breaches) == 9
    assert found.bad == 50
    assert found.bad_rows["reason"].iloc[0].endswith("and 3 more")


def test_names_that_repeat_and_names_that_are_no_text() -> None:
    contract = Contract(
        "c", (ColumnRule("x", "integer"), ColumnRule("x#1", "string"), ColumnRule("0", "integer"))
    )
    table = pd.DataFrame([[1, "a", 3], ["b", 2, 4]], columns=["x", "x", 0])
    found = check(contract, Frame.of(table))
    assert found.breaches
    good = pd.DataFrame([[1, "a", 3]], columns=["x", "x", 0])
    assert check(contract, Frame.of(good)).breaches == ()
    deep = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
    rules = (ColumnRule("a.1", "integer", minimum=5), ColumnRule("b.2", "integer"))
    found = check(Contract("c", rules), Frame.of(deep))
    assert found.bad == 1
    assert found.bad_rows.shape == (1, 3)


def test_rows_may_come_without_an_optional_column() -> None:
    rules = tuple(replace(rule, optional=rule.name == "temp") for rule in CONTRACT.columns)
    contract = replace(CONTRACT, columns=rules)
    assert Contract.from_json(contract.to_json()) == contract
    assert check(contract, Frame.of(clean().drop(columns="temp"))).breaches == ()
    assert len(check(contract, Frame.of(clean().assign(temp="warm"))).breaches) == 2


def test_a_column_called_reason_keeps_its_name() -> None:
    contract = Contract("c", (ColumnRule("reason", "integer", minimum=5),))
    found = check(contract, Frame.of(pd.DataFrame({"reason": [1, 9]})))
    assert found.bad_rows.columns.tolist() == ["reason", "reason#1"]


def test_the_same_moment_in_another_zone_is_the_same() -> None:
    table = clean()
    table["when"] = table["when"].dt.tz_localize("America/New_York")
    assert checked(table).breaches == ()


def test_odd_types_never_raise() -> None:
    rows = 50
    odd = {
        "carrier": [{"a": 1}, [2], 3, "x", None] * 10,
        "distance": pd.arrays.SparseArray(np.zeros(rows)),
        "temp": pd.array([1, None] * 25, dtype="Int64"),
        "seats": [2**70] * rows,
        "when": pd.period_range("2013-01", periods=rows, freq="M"),
        "day": [datetime(2013, 1, 1)] * rows,  # noqa: DTZ001 - as a user's table has them
        "key": pd.Categorical([f"N{i:05d}" for i in range(rows)]),
        "mail": [b"\xff\xfe"] * rows,
        "late": pd.array([True, None] * 25, dtype="boolean"),
    }
    found = checked(pd.DataFrame(odd))
    assert {item.column for item in found.breaches} >= {"carrier", "seats", "when", "day", "mail", "late"}
    assert not {"key"} & {item.column for item in found.breaches}


def test_five_thousand_columns_take_seconds() -> None:
    names = [f"c{place}" for place in range(5000)]
    rules = tuple(ColumnRule(name, "number", 0.0, -1.0, 2.0) for name in names)
    contract = Contract("wide", rules, rows=200)
    table = pd.DataFrame(np.random.default_rng(0).random((200, 5000)), columns=names)
    assert check(Contract.from_json(contract.to_json()), Frame.of(table)).breaches == ()
    assert len(check(contract, Frame.of(table + 5)).breaches) == 5000
    assert len(check(contract, Frame.of(table.rename(columns=str.upper))).breaches) == 5000
