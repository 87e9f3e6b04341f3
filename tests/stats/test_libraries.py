"""A table in whichever form of whichever library: the same summary. And random tables are right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import differences

from mlops_magics.stats.engine import survey
from mlops_magics.stats.summary import TableSummary

ROWS = 400


def plain() -> dict[str, list[Any]]:
    random = np.random.default_rng(5)
    held: dict[str, list[Any]] = {
        "whole": random.integers(-500, 500, ROWS).tolist(),
        "part": random.normal(0, 3, ROWS).tolist(),
        "rising": np.cumsum(random.random(ROWS)).tolist(),
        "flag": (random.random(ROWS) < 0.3).tolist(),
        "town": random.choice(["Oslo", "Bergen", "Troms\u00f8", "\u6771\u4eac"], ROWS).tolist(),
        "code": [f"row {n}" for n in range(ROWS)],
        "moment": [
            dt.datetime(2020, 1, 1) + dt.timedelta(seconds=int(n))  # noqa: DTZ001 - without a zone
            for n in random.integers(0, 10**8, ROWS)
        ],
    }
    for name in ("part", "town", "moment", "rising"):
        held[name] = [None if n % 9 == 0 else value for n, value in enumerate(held[name])]
    return held


def _arrow() -> pa.Table:
    return pa.table(plain())


def _pandas() -> pd.DataFrame:
    return pd.DataFrame(plain())


def _files(folder: Path) -> Path:
    (folder / "parts").mkdir()
    frame = pl.DataFrame(plain())
    for place, start in enumerate(range(0, ROWS, 130)):
        frame[start : start + 130].write_parquet(folder / "parts" / f"{place}.parquet")
    return folder / "parts"


def _csvs(folder: Path) -> str:
    frame = pl.DataFrame(plain())
    for place, start in enumerate(range(0, ROWS, 130)):
        frame[start : start + 130].write_csv(folder / f"{place}.csv")
    return str(folder / "*.csv")


MAKERS: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda _: _pandas(),
    "pandas, nullable": lambda _: _pandas().convert_dtypes(dtype_backend="numpy_nullable"),
    "pandas, Arrow": lambda _: _pandas().convert_dtypes(dtype_backend="pyarrow"),
    "pandas, objects": lambda _: _pandas().astype({"town": object, "code": object, "flag": object}),
    "pandas, categories": lambda _: _pandas().astype({"town": "category"}),
    "Polars, categories": lambda _: pl.DataFrame(plain()).with_columns(pl.col("town").cast(pl.Categorical)),
    "Arrow, in chunks": lambda _: pa.concat_tables([_arrow().slice(0, 33), _arrow().slice(33)]),
    "Arrow, dictionaries": lambda _: _arrow().set_column(
        4, "town", _arrow().column("town").dictionary_encode()
    ),
    "several CSV files": _csvs,
    "a folder": _files,
}


def alike(table: TableSummary) -> TableSummary:
    """Leave out what each library has of its own: type names, bytes, digests, whether a gap is NaN."""
    columns = tuple(replace(column, dtype="", memory=0, mixed={}, nan=0) for column in table.columns)
    return replace(table, columns=columns, source="", digest="", memory=0, head=())


@pytest.mark.parametrize("maker", MAKERS)
def test_a_table_is_the_same_in_any_form(maker: str, tmp_path: Path) -> None:
    expected = alike(survey(pl.DataFrame(plain()), target="flag").table)
    data = MAKERS[maker](tmp_path)
    found = survey(data, target="flag", part_rows=150).table
    whole = alike(found)
    assert [column.name for column in whole.columns] == [*plain()]
    for column, other in zip(whole.columns, expected.columns, strict=True):
        assert replace(column, numbers=None) == replace(other, numbers=None)
        assert column.numbers == other.numbers
    assert whole == expected
    assert len(found.head) == 10
    assert differences(found, _pandas()) == []


def test_what_a_library_calls_things_is_kept() -> None:
    kept = {
        "pandas": survey(_pandas()).table,
        "Polars": survey(pl.DataFrame(plain())).table,
        "Arrow": survey(_arrow()).table,
    }
    assert {name: table.columns[0].dtype for name, table in kept.items()} == {
        "pandas": "int64",
        "Polars": "Int64",
        "Arrow": "int64",
    }
    assert all(column.memory > 0 for table in kept.values() for column in table.columns)
    assert len({table.digest for table in kept.values()}) == 3
    assert survey(_pandas()).table == kept["pandas"]


def test_nan_and_null_are_told_apart_where_the_library_does() -> None:
    values = [1.0, None, float("nan"), 2.0]
    for data in (pl.DataFrame({"x": values}), pa.table({"x": values})):
        (column,) = survey(data).table.columns
        assert (column.missing, column.nan, column.distinct) == (2, 1, 2)


PLAIN = settings(derandomize=True, database=None, deadline=None, max_examples=40)
SIZES = st.integers(0, 30)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int8": st.integers(-128, 127),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint8": st.integers(0, 255),
    "float16": st.floats(-1000, 1000, width=16),
    "float32": st.floats(-1e6, 1e6, width=32),
    "float64": st.one_of(st.floats(-1e9, 1e9), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0])),
    "bool": st.booleans(),
    "Int64": st.one_of(st.none(), st.integers(-(2**50), 2**50)),
    "boolean": st.one_of(st.none(), st.booleans()),
    "Float64": st.one_of(st.none(), st.floats(-1e9, 1e9)),
    "str": st.one_of(st.none(), st.text(max_size=5)),
    "category": st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
    "datetime64[us]": st.one_of(
        st.none(),
        st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),  # noqa: DTZ001 - without a zone
    ),
    "timedelta64[us]": st.timedeltas(dt.timedelta(days=-999), dt.timedelta(days=999)),
    "object": st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["x", "y"])),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(SIZES)
    names = draw(st.lists(st.sampled_from([*VALUES]), min_size=1, max_size=5))
    made = [
        pd.Series(draw(st.lists(VALUES[name], min_size=rows, max_size=rows)), dtype=name) for name in names
    ]
    return pd.concat(made, axis=1) if made else pd.DataFrame()


@PLAIN
@given(frame=frames(), part_rows=st.sampled_from([1, 7, 1_000]))
def test_random_tables_are_as_the_libraries_say(frame: pd.DataFrame, part_rows: int) -> None:
    assert differences(survey(frame, part_rows=part_rows, workers=1).table, frame) == []
