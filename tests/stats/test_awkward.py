"""Awkward tables: none raises, each is reported truthfully."""

from __future__ import annotations

import datetime as dt
import decimal
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.stats.engine import survey
from mlops_magics.stats.summary import ColumnSummary

ROWS = 60


class Hostile:
    """An object whose every question raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    __hash__ = None  # type: ignore[assignment]


def only(data: Any) -> ColumnSummary:
    (column,) = survey(data).table.columns
    return column


def frame(values: Any, **options: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, **options)})


INF, NAN = np.inf, np.nan
# What is in the column, and what is known of it: missing, infinite, distinct, minimum, maximum.
KNOWN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "no rows": (frame([], dtype=float), (0, 0, 0, None, None)),
    "one row": (frame([3]), (0, 0, 1, 3, 3)),
    "all null": (frame([None] * 5), (5, 0, 0, None, None)),
    "all NaN": (frame([NAN] * 5), (5, 0, 0, None, None)),
    "only infinite": (frame([INF, -INF, INF]), (0, 3, 0, None, None)),
    "mixed with infinite": (frame([INF, -INF, NAN, 1.0, 1.0]), (1, 2, 1, 1.0, 1.0)),
    "minus zero": (frame([-0.0, 0.0, 1.0]), (0, 0, 2, 0.0, 1.0)),
    "int8, whole range": (frame(np.arange(-128, 128), dtype="int8"), (0, 0, 256, -128, 127)),
    "beyond 2^53": (frame([2**53, 2**53 + 1, 2**63 - 1]), (0, 0, 3, 2**53, 2**63 - 1)),
    "beyond 2^63": (frame([1, 2**64 - 1], dtype="uint64"), (0, 0, 2, 1, 2**64 - 1)),
    "beyond 2^64": (frame([1, 2**70, None], dtype=object), (1, 0, 2, None, None)),
    "the whole range of doubles": (frame([-1.7e308, 0.0, 1.7e308]), (0, 0, 3, -1.7e308, 1.7e308)),
    "subnormals": (frame([5e-324, 1e-310, 0.0]), (0, 0, 3, 0.0, 1e-310)),
    "float16": (frame([1.5, 2.5, NAN], dtype="float16"), (1, 0, 2, 1.5, 2.5)),
    "float32": (
        frame([0.1, NAN], dtype="float32"),
        (1, 0, 1, float(np.float32(0.1)), float(np.float32(0.1))),
    ),
    "big-endian": (pd.DataFrame({"x": np.array([1, 2, 300], ">i4")}), (0, 0, 3, 1, 300)),
    "reversed": (pd.DataFrame({"x": np.arange(5.0)[::-1]}), (0, 0, 5, 0.0, 4.0)),
    "nullable integers": (frame([1, None, 3], dtype="Int64"), (1, 0, 2, 1, 3)),
    "nullable floats": (frame([1.0, None, 3.0], dtype="Float64"), (1, 0, 2, 1.0, 3.0)),
    "nullable booleans": (frame([True, None, False], dtype="boolean"), (1, 0, 2, False, True)),
    "NaN beside null": (pl.DataFrame({"x": [1.0, NAN, None]}), (2, 0, 1, 1.0, 1.0)),
    "arrow integers": (frame([1, None], dtype="int64[pyarrow]"), (1, 0, 1, 1, 1)),
    "decimals": (frame([decimal.Decimal("1.10"), None]), (1, 0, 1, 1.1, 1.1)),
    "long decimals": (
        pa.table({"x": pa.array([decimal.Decimal("1.5"), None], pa.decimal256(50, 2))}),
        (1, 0, 1, 1.5, 1.5),
    ),
    "long decimals in pandas": (
        frame(pa.array([decimal.Decimal("1.5"), None], pa.decimal256(50, 2)).to_pylist()).astype(
            pd.ArrowDtype(pa.decimal256(50, 2))
        ),
        (1, 0, 1, 1.5, 1.5),
    ),
    "no long decimals": (pa.table({"x": pa.nulls(2, pa.decimal256(50, 2))}), (2, 0, 0, None, None)),
    "sparse": (frame(pd.arrays.SparseArray([0.0, 0.0, 1.0, NAN])), (1, 0, 2, 0.0, 1.0)),
    "sparse integers": (frame(pd.arrays.SparseArray([0, 0, 3])), (0, 0, 2, 0, 3)),
    "dates": (frame(pd.to_datetime(["2024-02-29", None])), (1, 0, 1, "2024-02-29", "2024-02-29")),
    "dates in seconds": (
        frame(np.array(["2024-02-29T01:00", "NaT"], "datetime64[s]")),
        (1, 0, 1, "2024-02-29T01:00:00", "2024-02-29T01:00:00"),
    ),
    "dates in nanoseconds": (
        frame(np.array(["2024-02-29T01:00", "2024-03-01"], "datetime64[ns]")),
        (0, 0, 2, "2024-02-29T01:00:00", "2024-03-01"),
    ),
    "dates with a zone": (
        frame(pd.to_datetime(["2024-01-01 01:00"]).tz_localize("Europe/Oslo")),
        (0, 0, 1, "2024-01-01", "2024-01-01"),
    ),
    "python dates": (frame([dt.date(2024, 1, 2), None]), (1, 0, 1, "2024-01-02", "2024-01-02")),
    "far dates": (
        pl.DataFrame({"x": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)]}),  # noqa: DTZ001
        (0, 0, 2, "0001-01-01", "9999-12-31"),
    ),
    "durations": (frame(pd.to_timedelta(["1D", "36h"])), (0, 0, 2, "1 day, 0:00:00", "1 day, 12:00:00")),
    "texts": (frame(["a", None, "b", "a"]), (1, 0, 2, None, None)),
    "empty texts": (frame(["", "", "a"]), (0, 0, 2, None, None)),
    "categories with unused levels": (
        frame(pd.Categorical(["a", "b", None], categories=["a", "b", "c"])),
        (1, 0, 2, None, None),
    ),
    "enum": (
        pl.DataFrame({"x": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b", "c"]))}),
        (0, 0, 2, None, None),
    ),
    "128-bit integers": (pl.DataFrame({"x": pl.Series([1, 2], dtype=pl.Int128)}), (0, 0, 2, 1.0, 2.0)),
    "polars nulls": (pl.DataFrame({"x": [None, None]}), (2, 0, 0, None, None)),
    "arrow dictionary": (
        pa.table({"x": pa.array(["a", "b", "a"]).dictionary_encode()}),
        (0, 0, 2, None, None),
    ),
    "empty chunks": (pa.table({"x": pa.chunked_array([[], [1], [], [2]], pa.int64())}), (0, 0, 2, 1, 2)),
}


@pytest.mark.parametrize("what", KNOWN)
def test_what_is_known_of_it_is_true(what: str) -> None:
    data, (missing, infinite, distinct, minimum, maximum) = KNOWN[what]
    column = only(data)
    assert (column.missing, column.infinite, column.distinct) == (missing, infinite, distinct)
    assert (column.minimum, column.maximum) == (minimum, maximum)
    assert column.distinct_error == 0


# These have no order that could be told: that nothing raises, and that gaps and values are counted.
ODD: dict[str, tuple[Callable[[], Any], int, int]] = {
    "mixed": (lambda: frame([1, "a", None, 2.5, b"x"]), 1, 4),
    "complex": (lambda: frame([1 + 2j, 3j, 1 + 2j]), 0, 2),
    "bytes": (lambda: frame([b"\xff\xfe", b"a", None]), 1, 2),
    "lone surrogates": (lambda: frame(["a\ud800", "b"], dtype=object), 0, 2),
    "lists": (lambda: frame([[1, 2], [1, 2], None]), 1, 1),
    "dicts": (lambda: frame([{"a": 1}, {"b": [2]}]), 0, 2),
    "sets": (lambda: frame([{1}, {1}]), 0, 1),
    "arrays": (lambda: frame([np.arange(3), np.arange(3)]), 0, 1),
    "periods": (lambda: frame(pd.PeriodIndex(["2024-02", None, "2024-03"], freq="M")), 1, 2),
    "far periods": (lambda: frame(pd.PeriodIndex.from_ordinals([10**6, 10**7], freq="M")), 0, 2),
    "no periods": (lambda: frame(pd.PeriodIndex([None, None], freq="M")), 2, 0),
    "long lists": (lambda: pl.DataFrame({"x": [[*range(9), n, *range(9)] for n in range(5)]}), 0, 5),
    "fixed lists": (lambda: pl.DataFrame({"x": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int8, 2))}), 1, 1),
    "intervals": (lambda: frame(pd.IntervalIndex.from_breaks([0, 1, 2])), 0, 2),
    "times": (lambda: frame([dt.time(1, 2), dt.time(3, 4), None]), 1, 2),
    "mixed zones": (
        lambda: frame(
            [pd.Timestamp("2024-01-01", tz="Europe/Oslo"), pd.Timestamp("2024-01-01", tz="Asia/Tokyo")],
            dtype=object,
        ),
        0,
        2,
    ),
    "hostile objects": (lambda: frame([Hostile(), 1], dtype=object), 0, 2),
    "classes": (lambda: frame([int, str], dtype=object), 0, 2),
    "structs": (lambda: pl.DataFrame({"x": [{"a": 1}, {"a": 2}]}), 0, 2),
    "polars lists": (lambda: pl.DataFrame({"x": [[1], [2], None]}), 1, 2),
    "polars objects": (lambda: pl.DataFrame({"x": pl.Series([object, int], dtype=pl.Object)}), 0, 2),
    "polars times": (lambda: pl.DataFrame({"x": [dt.time(1), dt.time(2)]}), 0, 2),
    "arrow maps": (
        lambda: pa.table({"x": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))}),
        1,
        1,
    ),
    "nested long decimals": (
        lambda: pa.table({"x": pa.array([[decimal.Decimal(1)], None], pa.list_(pa.decimal256(50, 1)))}),
        1,
        1,
    ),
    "arrow run ends": (lambda: pa.table({"x": pa.RunEndEncodedArray.from_arrays([2, 3], [1, 2])}), 0, 2),
    "arrow views": (lambda: pa.table({"x": pa.array(["a", "b", None], pa.string_view())}), 1, 2),
}


@pytest.mark.filterwarnings(
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*:UserWarning"
)
@pytest.mark.parametrize("what", ODD)
def test_nothing_raises(what: str) -> None:
    make, missing, distinct = ODD[what]
    column = only(make())
    assert (column.missing, column.distinct) == (missing, distinct)


NAMES: dict[str, list[Any]] = {
    "repeated": ["x", "x", "x"],
    "repeated as made": ["x", "x#1", "x"],
    "no texts": [0, None, NAN],
    "tuples": [("a", 1), ("a", 2), "a.1"],
    "odd": ["", "count", "*"],
    "patterns": ["^x.*$", "literal", "len"],
    "markup": ["<script>alert(1)</script>", "{{7*7}}", '"><img onerror=x>'],
    "far": ["x" * 10_000, "\u05e9\u05dc\u05d5\u05dd", "\U0001f600"],
    "broken": ["a\ud800", "a\\ud800", "b"],
    "dunder": ["__class__", "${HOME}", "a\nb"],
}


def test_a_text_form_says_what_the_value_is() -> None:
    for data, first in (
        (frame(pd.PeriodIndex(["2024-02", "2024-02"], freq="M")), "Period('2024-02', 'M')"),
        (pl.DataFrame({"x": [[1, 2], [1, 2]]}), "[1, 2]"),
        (frame([b"\xff", b"\xff"]), "b'\\xff'"),
    ):
        assert only(data).top[0].value == first


def test_broken_text_becomes_whole() -> None:
    data = frame(["a\ud800", "b", "b"], dtype=object)
    data.columns = pd.Index(["\udc00"], dtype=object)
    table = survey(data).table
    assert table.columns[0].name == "\\udc00"
    assert str(table).encode()
    assert table.head[0] == ("a\\ud800",)


@pytest.mark.parametrize("what", NAMES)
def test_any_names_will_do(what: str) -> None:
    names = NAMES[what]
    data = pd.DataFrame(np.arange(3 * ROWS).reshape(ROWS, 3) % 7)
    data.columns = pd.Index(names, dtype=object)
    table = survey(data).table
    labels = [column.name for column in table.columns]
    assert len(set(labels)) == 3
    assert table.columns[0].distinct == 7
    target = survey(data, target=labels[2]).table.target
    assert target is not None
    assert target.name == labels[2]


@pytest.mark.parametrize("scale", [1e-300, 1e150, 1e200, 1e308])
@pytest.mark.parametrize("target", ["x", "y", "z"])
def test_numbers_of_any_size_will_do(scale: float, target: str) -> None:
    random = np.random.default_rng(0)
    data = pd.DataFrame(
        {"x": random.random(300) * scale, "y": random.random(300), "z": random.choice(["a", "b"], 300)}
    )
    table = survey(data, target=target).table
    assert table.columns[0].maximum == data["x"].max()
    assert table.target is not None
    assert np.isfinite(table.target.value)


def test_a_multi_index_will_do() -> None:
    data = pd.DataFrame(
        np.eye(4),
        columns=pd.MultiIndex.from_product([["a", "b"], [1, 2]]),
        index=pd.MultiIndex.from_product([[1, 2]] * 2),
    )
    assert [column.name for column in survey(data).table.columns] == ["a.1", "a.2", "b.1", "b.2"]


def test_no_columns_will_do() -> None:
    for data in (pd.DataFrame(), pd.DataFrame(index=range(5)), pl.DataFrame(), pa.table({})):
        assert survey(data).table.columns == ()


@pytest.mark.parametrize(("wide", "most"), [(1_000, 1e8), pytest.param(5_000, 1.5e9, marks=pytest.mark.slow)])
def test_thousands_of_columns_take_bounded_time_and_memory(wide: int, most: float) -> None:
    random = np.random.default_rng(0)
    data = pd.DataFrame(random.normal(size=(200, wide)), columns=[f"c{i}" for i in range(wide)])
    data["y"] = random.random(200) < 0.5
    begun = time.monotonic()
    tracemalloc.start()
    table = survey(data, target="y").table
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table.columns) == wide + 1
    assert len(table.associations.pairs) <= 1_000
    assert time.monotonic() - begun < 90  # of 5,000: 8 s on a quiet machine without tracing
    assert peak < most
