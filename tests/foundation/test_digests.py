import datetime as dt
import decimal
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.foundation.digests import array_digest, digest
from mlops_magics.foundation.frames import Frame

MANY = """
import datetime, numpy as np, pandas as pd, polars as pl, pyarrow as pa
frame = pd.DataFrame({
    "n": range(50), "f": np.linspace(0, 1, 50), "s": [f"ü{i}" for i in range(50)], "b": [True, False] * 25,
    "cat": pd.Categorical(list("ab") * 25), "when": pd.date_range("2020", periods=50, tz="Europe/Berlin"),
    "big": [2**70, "x"] * 25, "sets": [{"a", "b", "c"}, frozenset("xyz")] * 25, "lists": [[1], None] * 25,
    "gaps": pd.array([1, None] * 25, dtype="Int64"), "span": pd.to_timedelta(range(50), unit="s"),
}, index=[f"row{i}" for i in range(50)])
polars = pl.DataFrame({"s": ["b", "a", None], "c": pl.Series(["b", "a", "b"], dtype=pl.Categorical)})
arrow = pa.table({"x": [1, None], "d": pa.array(["a", None]).dictionary_encode()})
"""


def of(table: Any) -> str:
    return digest(Frame.of(table))


def test_the_last_value_of_200000_rows_counts() -> None:
    frame = pd.DataFrame({"a": np.arange(200_000.0), "s": [f"{i}" for i in range(200_000)]})
    same, number, text = frame.copy(), frame.copy(), frame.copy()
    number.iloc[-1, 0] = np.nextafter(number.iloc[-1, 0], np.inf)
    text.iloc[-1, 1] = "199998"
    assert of(frame) == of(same)
    assert len({of(frame), of(number), of(text)}) == 3


BASE = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
CHANGES = {
    "type": BASE.astype({"a": "int32"}),
    "float": BASE.astype({"a": float}),
    "rows' order": BASE[::-1].reset_index(drop=True),
    "columns' order": BASE[["b", "a"]],
    "name": BASE.rename(columns={"a": "A"}),
    "name's type": BASE.rename(columns={"a": 0}),
    "swapped names": BASE.rename(columns={"a": "b", "b": "a"}),
    "index": BASE.set_index(pd.Index([0, 2])),
    "one row less": BASE[:1],
    "one column less": BASE[["a"]],
    "empty": BASE[:0],
    "nothing": pd.DataFrame(),
}


def test_each_change_of_a_table_shows() -> None:
    assert len({of(BASE), *map(of, CHANGES.values())}) == 1 + len(CHANGES)


@pytest.mark.parametrize(
    "values",
    [
        (["a", "b"], ["a", "c"], ["ab", ""], ["", "ab"], ["a", None]),
        ([1.0, 0.0], [1.0, -0.0], [1.0, float("nan")], [1.0, float("inf")]),
        (pd.Categorical(["a", "b"]), pd.Categorical(["b", "a"]), pd.Categorical(["a", "b"], ["b", "a"])),
        (
            pd.Categorical(["a", "b"]),
            pd.Categorical(["a", "b"], ordered=True),
            pd.Series(["a", "b"], dtype=object),
            pd.array(["a", "b"], dtype="string"),
        ),
        tuple(pd.to_datetime(["2020-01-01", day]).tz_localize("UTC") for day in ("2020-01-02", "2020-01-03")),
        tuple(pd.date_range("2020", periods=2, tz=zone) for zone in (None, "UTC", "Europe/Berlin")),
        (
            pd.array([1, None], dtype="Int64"),
            pd.array([1, 0], dtype="Int64"),
            pd.array([None, 1], dtype="Int64"),
            [1.0, float("nan")],
        ),
        ([2**70, 1], [2**70 + 1, 1]),
        ([{1}, "x"], [{2}, "x"], [frozenset({1}), "x"]),
        ([1, "1"], ["1", 1], ["1", "1"]),
        ([b"a", b"b"], [b"a", b"c"], ["a", "b"]),
        ([[1], [2, 3]], [[1, 2], [3]]),
        ([dt.date(2020, 1, 1)], [dt.date(2020, 1, 2)]),
        ([decimal.Decimal("1.10")], [decimal.Decimal("1.2")]),
        (pd.period_range("2020", periods=2, freq="D"), pd.period_range("2021", periods=2, freq="D")),
        ([1 + 2j, 3], [1 + 2j, 4]),
    ],
)
def test_each_value_of_each_type_counts(values: tuple[Any, ...]) -> None:
    digests = [of(pd.DataFrame({"x": column})) for column in values]
    assert len(set(digests)) == len(values)
    assert digests == [of(pd.DataFrame({"x": column})) for column in values]


def test_null_and_nan_differ_where_the_library_tells_them_apart() -> None:
    for make in (pl.DataFrame, lambda data: pa.table({"x": pa.array(data["x"])})):
        tables = [make({"x": [1.5, gap]}) for gap in (None, float("nan"), 0.0)]
        assert len(set(map(of, tables))) == 3
    objects = [pd.DataFrame({"x": pd.Series(["a", gap], dtype=object)}) for gap in (None, float("nan"))]
    assert of(objects[0]) == of(objects[1])  # both are missing, to pandas


def test_how_memory_is_laid_out_does_not_count() -> None:
    whole = pa.table({"s": ["x", "y", None, "w"], "n": [1, 2, None, 4], "b": [True, None, False, True]})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert of(whole) == of(parts)
    assert of(whole.slice(1)) == of(pa.table({name: whole[name].to_pylist()[1:] for name in ("s", "n", "b")}))
    columns = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert of(columns) == of(pd.DataFrame(np.array([[1.0, 3.0], [2.0, 4.0]]), columns=["a", "b"]))


def test_how_a_dictionary_numbers_its_values_does_not_count() -> None:
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()]
    one = pa.table({"c": pa.array(["a", "b", "b", "c"]).dictionary_encode()})
    assert of(pa.table({"c": pa.chunked_array(chunks)})) == of(one)
    assert of(one) != of(pa.table({"c": ["a", "b", "b", "c"]}))


def test_what_lies_under_a_null_does_not_count() -> None:
    validity = pa.py_buffer(b"\x01")
    arrays = [
        pa.Array.from_buffers(pa.int64(), 2, [validity, pa.py_buffer(np.array([1, hidden]).tobytes())])
        for hidden in (5, 6)
    ]
    assert of(pa.table({"x": arrays[0]})) == of(pa.table({"x": arrays[1]}))


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.bool_(), pa.null(), pa.float16(), pa.date32()])
def test_empty_and_all_null_columns_have_a_digest(kind: Any) -> None:
    tables = [pa.table({"x": pa.nulls(rows, kind)}) for rows in (0, 3)]
    assert of(tables[0]) == of(pa.table({"x": pa.chunked_array([], kind)}))
    assert of(tables[0]) != of(tables[1])


def test_one_content_in_two_libraries_has_two_digests() -> None:
    data = {"a": [1, 2]}
    assert len({of(pd.DataFrame(data)), of(pl.DataFrame(data)), of(pa.table(data))}) == 3


def test_names_may_be_anything_and_repeat() -> None:
    names = [["x", "x"], ["x", 0], [("x", 1), None], ["<b>", "\ud800"]]
    tables = [pd.DataFrame([[1, 2]], columns=pd.Index(each, dtype=object)) for each in names]
    assert len(set(map(of, tables))) == len(names)


def test_an_index_of_levels_with_one_name_counts() -> None:
    def indexed(last: int) -> pd.DataFrame:
        return pd.DataFrame(
            {"x": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, 2), (3, last)], names=["k", "k"])
        )

    assert of(indexed(4)) == of(indexed(4)) != of(indexed(5))


def test_equal_tables_are_equal_in_each_process() -> None:
    program = (
        MANY
        + """
from mlops_magics.foundation.digests import digest
from mlops_magics.foundation.frames import Frame
print(*[digest(Frame.of(table)) for table in (frame, polars, arrow)])
"""
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    told = [process.communicate()[0] for process in processes]
    assert told[0] == told[1]
    assert len(set(told[0].split())) == 3


def test_each_value_the_type_and_the_shape_of_an_array_count() -> None:
    base = np.arange(6.0)
    changed = base.copy()
    changed[-1] = 5.5
    arrays = [base, changed, base.reshape(2, 3), base.reshape(3, 2), base.astype("float32"), base[:0]]
    arrays += [np.array(["a", "b"]), np.array(["a", "c"]), np.array([1, None], dtype=object), base[::2]]
    assert len(set(map(array_digest, arrays))) == len(arrays)
    assert array_digest(base[::2]) == array_digest(base[::2].copy())
