from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.frames import Frame, kind_of

DATA = {"a": [1, 2, 3], "b": ["x", None, "z"], "c": [1.5, float("nan"), 2.5]}
MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


@pytest.fixture(params=MAKERS)
def table(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param](DATA)


def test_each_library_is_seen_alike(table: Any) -> None:
    frame = Frame.of(table, "train")
    assert (frame.names, frame.rows, frame.source) == (("a", "b", "c"), 3, "train")
    assert frame.data is table
    assert Frame.of(frame) is frame
    assert list(frame.column(0).to_pylist() if frame.kind == "arrow" else frame.column(0)) == [1, 2, 3]
    assert frame.select([2, 0]).names == ("c", "a")
    assert frame.without("b").names == ("a", "c")
    assert frame.head(2).rows == 2
    assert frame.select([]).names == ()


def test_null_and_nan_are_gaps_in_each_library(table: Any) -> None:
    assert Frame.of(table).gaps() == [False, True, True]
    assert Frame.of(table).head(1).gaps() == [False, False, False]


def test_each_becomes_the_same_pandas_table(table: Any) -> None:
    found = Frame.of(table).to_pandas()
    assert found["a"].tolist() == [1, 2, 3]
    assert found["b"].isna().tolist() == [False, True, False]


def test_a_missing_column_is_suggested(table: Any) -> None:
    frame = Frame.of(table.rename({"a": "late"}) if kind_of(table) == "polars" else pa.table({"late": [1]}))
    with pytest.raises(NotFoundError, match="no column 'lat'") as caught:
        frame.position("lat")
    assert caught.value.remedy == "Did you mean 'late'?"
    with pytest.raises(NotFoundError) as caught:
        frame.select([]).position("late")
    assert caught.value.remedy == "It has none."


def test_names_may_repeat_and_be_anything() -> None:
    names = ["x", "x", 0, ("t", 1), "", None, "<script>", "😀", "n" * 10_000]
    frame = Frame.of(pd.DataFrame([range(len(names))], columns=pd.Index(names, dtype=object)))
    assert frame.names == tuple(names)
    assert [int(frame.column(i).iloc[0]) for i in range(len(names))] == list(range(len(names)))
    with pytest.raises(UsageError, match="2 columns named 'x'"):
        frame.position("x")
    assert frame.position("0") == 2  # a line of text can say no number
    assert frame.position("") == 4
    assert len(frame.without("").names) == len(names) - 1


def test_text_is_preferred_to_a_number_that_is_written_alike() -> None:
    assert Frame.of(pd.DataFrame([[1, 2]], columns=pd.Index([0, "0"], dtype=object))).position("0") == 1


def test_the_levels_of_a_multiindex_are_tuples() -> None:
    columns = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    assert Frame.of(pd.DataFrame([[1, 2, 3, 4]], columns=columns)).names[1] == ("a", 2)


@pytest.mark.parametrize(("name", "write"), [("t.csv", "to_csv"), ("t.PARQUET", "to_parquet")])
def test_a_file_is_read(project: Path, name: str, write: str) -> None:
    getattr(pd.DataFrame({"a": [1, 2]}), write)(project / name, index=False)
    for path in (name, project / name):
        frame = Frame.of(path)
        assert (frame.names, frame.rows, frame.source) == (("a",), 2, name)


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (3, UsageError, "data is an int, not a table"),
        (None, UsageError, "data is a NoneType, not a table"),
        (pd.Series([1]), UsageError, "a Series, not a table"),
        ("trian", UsageError, "'trian' is neither the name of a table"),
        ("gone.csv", NotFoundError, "There is no file gone.csv"),
        ("nul\0.csv", NotFoundError, "There is no file"),
        ("empty.csv", UsageError, "empty.csv cannot be read"),
        ("torn.parquet", UsageError, "torn.parquet cannot be read"),
    ],
)
def test_what_is_no_table_is_said(project: Path, data: object, error: type[Exception], told: str) -> None:
    (project / "empty.csv").touch()
    (project / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(error, match=told):
        Frame.of(data)
