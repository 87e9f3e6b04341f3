"""What models of any kind answer, brought to one entry, or one row of entries, for each row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.artifact.answered import AnswerError, taken
from mlops_magics.artifact.foreign import records

DAY = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - pandas' are without a zone

GOOD: dict[str, tuple[Any, list[Any], str]] = {
    "numbers": (np.array([1.5, 2.0]), [1.5, 2.0], "f"),
    "narrow numbers": (np.array([1.5, 2.0], dtype=np.float32), [1.5, 2.0], "f"),
    "wide numbers": (np.array([1.5, 2.0], dtype=np.longdouble), [1.5, 2.0], "f"),
    "numbers without a sign": (np.array([1, 2], dtype=np.uint16), [1, 2], "i"),
    "the largest number": (np.array([1, 2**64 - 1], dtype=np.uint64), [1, 2**64 - 1], "O"),
    "truth values": (np.array([True, False]), [True, False], "b"),
    "texts": (np.array(["a", "ü"]), ["a", "ü"], "O"),
    "days": (np.array([DAY, "NaT"], dtype="M8[ns]"), ["2026-01-02T03:04:05", None], "O"),
    "rows": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], "i"),
    "rows of texts": (np.array([["a", "b"], ["c", "d"]]), [["a", "b"], ["c", "d"]], "O"),
    "a list": ([1, 2.5], [1.0, 2.5], "f"),
    "a list of numpy's": ([np.float32(1.5), np.int64(2)], [1.5, 2.0], "f"),
    "a tuple of texts": (("a", None), ["a", None], "O"),
    "a list with a gap": ([1.5, None], [1.5, None], "O"),
    "a mixed list": ([1, "a"], [1, "a"], "O"),
    "lists": ([[1, 2], [3, 4]], [[1, 2], [3, 4]], "i"),
    "arrays in a list": ([np.array([1.0]), np.array([2.0])], [[1.0], [2.0]], "f"),
    "a Series": (pd.Series([1, 2], index=[7, 8]), [1, 2], "i"),
    "a Series of texts": (pd.Series(["a", None]), ["a", None], "O"),
    "a Series of categories": (pd.Series(["a", "b"], dtype="category"), ["a", "b"], "O"),
    "a Series with pandas' gap": (pd.Series([1, None], dtype="Int64"), [1, None], "O"),
}


@pytest.mark.parametrize("case", GOOD)
def test_whatever_has_an_entry_a_row_is_taken(case: str) -> None:
    answer, expected, kind = GOOD[case]
    found, fields = taken(answer, 2)
    assert (found.tolist(), found.dtype.kind, fields) == (expected, kind, None)


def test_numbers_that_are_none_stay_numbers() -> None:
    found, _ = taken([1.5, float("nan")], 2)
    assert found.dtype == np.float64
    assert taken(pd.Series(["a", np.nan], dtype=object), 2)[0].tolist() == ["a", None]


def test_a_table_keeps_its_columns_and_their_types() -> None:
    table = pd.DataFrame({"label": ["a", "b"], "share": [0.25, 1.0], "rank": [1, 2]}, index=[3, 1])
    found, fields = taken(table, 2)
    assert fields == ("label", "share", "rank")
    assert records(found, fields) == table.to_dict(orient="records")
    assert [type(cell) for cell in found[0].tolist()] == [str, float, int]
    one, named = taken(table[["share"]], 2)
    assert (one.tolist(), one.dtype.kind, named) == ([0.25, 1.0], "f", ("share",))
    assert records(one, named) == [{"share": 0.25}, {"share": 1.0}]
    even, numbers = taken(table[["share"]].assign(other=[2.5, 3.5]), 2)
    assert (even.dtype.kind, numbers) == ("f", ("share", "other"))
    assert records(even, None) == [[0.25, 2.5], [1.0, 3.5]]


def test_an_answer_is_not_the_models_own_memory() -> None:
    own = np.zeros(2)
    found, _ = taken(own, 2)
    own[:] = 9
    assert found.tolist() == [0.0, 0.0]


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (None, "answers with NoneType"),
    "a text": ("ab", "answers with str"),
    "an object": ({"a": [1, 2]}, "answers with dict"),
    "a number": (1.5, "answers with float"),
    "an array of one value": (np.array(1.5), "an array of one value"),
    "a generator": ((x for x in "ab"), "answers with generator"),
    "too few": ([1], "answers 2 rows with an array of 1"),
    "too many": (np.zeros(3), "answers 2 rows with an array of 3"),
    "a cube": (np.zeros((2, 2, 2)), "an array of 2 x 2 x 2"),
    "ragged lists": ([[1], [1, 2]], "lists of several lengths"),
    "a row and none": ([[1], 2], "lists of several lengths"),
    "objects": ([{"a": 1}, {"a": 2}], "answers with a dict for a row"),
    "lists in lists": ([[[1]], [[2]]], "answers with a list for a row"),
    "decimals": ([Decimal(1), Decimal(2)], "answers with a Decimal for a row"),
    "complex numbers": (np.array([1j, 2j]), "an array of complex128"),
    "bytes": (np.array([b"a", b"b"]), "an array of "),
    "two columns of one name": (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "two of one name"),
    "no column": (pd.DataFrame(index=[0, 1]), "no columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_has_none_is_named(case: str) -> None:
    answer, words = BAD[case]
    with pytest.raises(AnswerError, match=words):
        taken(answer, 2)
