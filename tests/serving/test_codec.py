from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pytest

from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.codec import Codec
from mlops_magics.serving.errors import RequestError

COLUMNS = (
    Column("double", "double"),
    Column("gap", "double", required=False),
    Column("float", "float"),
    Column("long", "long"),
    Column("rank", "long", required=False),
    Column("integer", "integer"),
    Column("yes", "boolean"),
    Column("text", "string"),
    Column("word", "string", required=False),
    Column("when", "datetime"),
    Column("blob", "binary"),
)
GOOD: dict[str, Any] = {
    "double": 1.5,
    "gap": None,
    "float": 2,
    "long": 3,
    "rank": 4,
    "integer": -5,
    "yes": True,
    "text": "ä",
    "word": None,
    "when": "2026-01-02T03:04:05Z",
    "blob": "aGk=",
}
SECRET = "s3cr3t-value"  # noqa: S105 - what must never come back in a message


@pytest.fixture
def codec() -> Codec:
    limits = Limits(rows=3, body_bytes=100_000)
    return Codec(Schema(COLUMNS), methods=("predict", "predict_proba"), limits=limits)


def split(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}


def refused(codec: Codec, body: object, kind: str | None = "application/json") -> RequestError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(RequestError) as caught:
        codec.decode(raw, kind)
    assert SECRET not in caught.value.message
    return caught.value


FORMS = {
    "split": split(GOOD),
    "split with index": {"dataframe_split": {**split(GOOD)["dataframe_split"], "index": [0]}},
    "split in another order, with more": split(dict(reversed([*GOOD.items(), ("extra", SECRET)]))),
    "records": {"dataframe_records": [GOOD]},
    "inputs as records": {"inputs": [GOOD]},
    "inputs as one row": {"inputs": GOOD},
    "inputs as columns": {"inputs": {name: [value] for name, value in GOOD.items()}},
    "instances as records": {"instances": [GOOD]},
    "instances as rows": {"instances": [list(GOOD.values())]},
    "no gaps named": {"dataframe_records": [{k: v for k, v in GOOD.items() if k not in {"gap", "word"}}]},
    "empty params": {**split(GOOD), "params": {}},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_typed_columns(form: str, codec: Codec) -> None:
    batch = codec.decode(json.dumps(FORMS[form]).encode(), "application/json")
    assert (batch.rows, batch.method) == (1, "predict")
    assert list(batch.columns) == [column.name for column in COLUMNS]
    kinds = {name: str(values.dtype) for name, values in batch.columns.items()}
    assert kinds == {
        "double": "float64",
        "gap": "float64",
        "float": "float32",
        "long": "int64",
        "rank": "float64",
        "integer": "int32",
        "yes": "bool",
        "text": "object",
        "word": "object",
        "when": "datetime64[ns]",
        "blob": "object",
    }
    found = {name: values[0] for name, values in batch.columns.items()}
    assert np.isnan(found.pop("gap"))
    assert found.pop("when") == np.datetime64("2026-01-02T03:04:05", "ns")
    expected = {name: value for name, value in GOOD.items() if name not in {"gap", "when"}}
    assert found == {**expected, "blob": b"hi"}


def test_csv_gives_the_same_columns(codec: Codec) -> None:
    text = ",".join(GOOD) + '\n1.5,,2,3,4,-5,true,"ä",,2026-01-02T03:04:05Z,aGk=\n'
    batch = codec.decode(text.encode(), "text/csv; charset=UTF-8")
    same = codec.decode(json.dumps(split(GOOD)).encode(), "application/json")
    for name, values in same.columns.items():
        assert batch.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(batch.columns[name], values)


CELLS: list[tuple[str, Any, str]] = [
    ("double", SECRET, "double"),
    ("double", True, "double"),
    ("double", None, "double"),
    ("double", [1], "double"),
    ("gap", SECRET, "double or null"),
    ("float", 1e300, "float within 32 bits"),
    ("long", 1.5, "long"),
    ("long", 2**63, "long"),
    ("long", 1e300, "long"),
    ("long", True, "long"),
    ("long", None, "long"),
    ("long", "3", "long"),
    ("rank", 1.5, "long (a whole number) or null"),
    ("integer", 2**31, "integer"),
    ("yes", 1, "boolean"),
    ("yes", "true", "boolean"),
    ("text", 1, "string"),
    ("text", None, "string"),
    ("text", {"a": SECRET}, "string"),
    ("word", 1.5, "string or null"),
    ("when", SECRET, "datetime"),
    ("when", 1700000000, "datetime"),
    ("when", "9999-01-01", "datetime"),
    ("blob", "not base64!", "binary"),
]


@pytest.mark.parametrize(("column", "value", "expected"), CELLS)
def test_a_bad_cell_is_named_by_place_and_type_only(
    column: str, value: Any, expected: str, codec: Codec
) -> None:
    error = refused(codec, split(GOOD, {**GOOD, column: value}))
    assert (error.status, error.code) == (422, "INVALID_CELL")
    assert (error.column, error.row) == (column, 1)
    assert expected in error.message


BODIES: dict[str, tuple[object, str]] = {
    "empty": (b"", "not valid JSON"),
    "no JSON": (b"{", "not valid JSON"),
    "list": (b"[]", "JSON object"),
    "number": (b"1", "JSON object"),
    "UTF-8": (b'{"inputs": ["\xff"]}', "not valid JSON"),
    "NaN that is cut off": (b'{"inputs": {"double": [NaN, Na]}}', "not valid JSON"),
    "NaN in a text that does not end": (b'{"inputs": {"text": ["NaN]}}', "not valid JSON"),
    "NaN as a key": (b'{"inputs": {NaN: [1]}}', "not valid JSON"),
    "NaN as the body": (b"NaN", "JSON object"),
    "Infinity": (b'{"inputs": {"double": [-Infinity]}}', "not valid JSON"),
    "too big a number": (b'{"inputs": {"double": [1e999]}}', "not valid JSON"),
    "deep": (b"[" * 50_000 + b"]" * 50_000, "not valid JSON"),
    "deep object": (b'{"inputs":' * 5_000 + b"1" + b"}" * 5_000, "not valid JSON"),
    "no key": ({}, "exactly one"),
    "unknown key": ({"data": []}, "exactly one"),
    "two keys": ({**split(GOOD), "inputs": []}, "exactly one"),
    "unknown beside": ({**split(GOOD), SECRET: 1}, "exactly one"),
    "no rows": ({"dataframe_records": []}, "no rows"),
    "no rows in split": ({"dataframe_split": {"columns": ["a"], "data": []}}, "no rows"),
    "no rows in columns": ({"inputs": {"double": []}}, "no rows"),
    "split is a list": ({"dataframe_split": []}, "an object with columns"),
    "split without data": ({"dataframe_split": {"columns": ["a"]}}, "lists columns and data"),
    "split with more": (
        {"dataframe_split": {"columns": [], "data": [], SECRET: 1}},
        "an object with columns",
    ),
    "ragged": ({"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}, "list of 2 cells"),
    "row is a number": ({"dataframe_split": {"columns": ["a"], "data": [1]}}, "list of 1 cells"),
    "column is a list": ({"dataframe_split": {"columns": [[SECRET]], "data": [[1]]}}, "must be texts"),
    "column is true": ({"dataframe_split": {"columns": [True], "data": [[1]]}}, "must be texts"),
    "column twice": ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "named twice"),
    "records of lists": ({"dataframe_records": [[1]]}, "must be an object"),
    "inputs of scalars": ({"inputs": [1]}, "must be a list of 11 cells"),
    "inputs is text": ({"inputs": SECRET}, "inputs must be a list"),
    "column of a scalar": ({"inputs": {"double": 1, "long": [1]}}, "must be a list"),
    "column of an object": ({"inputs": {"double": {"0": 1}}}, "must be a list"),
    "inputs is an empty object": ({"inputs": {}}, "missing"),
    "split without columns": ({"dataframe_split": {"data": [[1, 2]]}}, "missing"),
    "split of scalars without columns": ({"dataframe_split": {"data": [1]}}, "list of 0 cells"),
    "columns of two lengths": ({"inputs": {"double": [1], "long": [1, 2]}}, "differ in length"),
    "params": ({**split(GOOD), "params": {"temperature": 1}}, "nothing but method"),
    "params is a list": ({**split(GOOD), "params": [1]}, "nothing but method"),
    "method": ({**split(GOOD), "params": {"method": "__class__"}}, "predict, predict_proba"),
    "method is a list": ({**split(GOOD), "params": {"method": []}}, "predict, predict_proba"),
    "missing column": (split({k: v for k, v in GOOD.items() if k != "long"}), "missing"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_a_400(name: str, codec: Codec) -> None:
    body, message = BODIES[name]
    error = refused(codec, body)
    assert error.status == 400
    assert message in error.message


def test_nan_is_a_gap_as_python_writes_it(codec: Codec) -> None:
    row = {**GOOD, "gap": float("nan"), "text": 'NaN \\" NaN', "word": "NaN"}
    batch = codec.decode(json.dumps(split(row)).encode(), "application/json")
    assert np.isnan(batch.columns["gap"][0])
    assert (batch.columns["text"][0], batch.columns["word"][0]) == ('NaN \\" NaN', "NaN")
    error = refused(codec, split({**GOOD, "double": float("nan")}))
    assert (error.status, error.column, error.row) == (422, "double", 0)


def test_a_missing_column_is_named_and_a_missing_cell_by_its_row(codec: Codec) -> None:
    less = {name: value for name, value in GOOD.items() if name != "long"}
    assert refused(codec, split(less)).column == "long"
    error = refused(codec, {"dataframe_records": [GOOD, less]})
    assert (error.status, error.column, error.row) == (422, "long", 1)


@pytest.mark.parametrize("text", [b"", b"\xff\n1", b'a\n"open', b"a,b\n1\n", b"double\n"])
def test_malformed_csv_is_a_400(text: bytes, codec: Codec) -> None:
    assert refused(codec, text, "text/csv").status == 400


@pytest.mark.parametrize(
    "cell",
    [
        "nan",
        "inf",
        "1_0",
        "0x1",
        "",
        SECRET,
        "\uff11",
        "1e400",
        "-1e400",
        "1" * 350,
        "9" * 309,
        "1" * 320 + ".5",
    ],
)
def test_csv_cells_are_as_strict_as_json(cell: str, codec: Codec) -> None:
    row = {**GOOD, "double": cell, "gap": "", "word": "", "yes": "true"}
    text = ",".join(row) + "\n" + ",".join(map(str, row.values()))
    error = refused(codec, text.encode(), "text/csv")
    assert (error.status, error.column, error.row) == (422, "double", 0)


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/json; charset=latin-1", "text/csv; charset=utf-16"]
)
def test_another_content_type_is_a_415(kind: str | None, codec: Codec) -> None:
    assert refused(codec, split(GOOD), kind).status == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
def test_utf_8_may_be_named(kind: str, codec: Codec) -> None:
    assert codec.decode(json.dumps(split(GOOD)).encode(), kind).rows == 1


def test_too_much_is_a_413(codec: Codec) -> None:
    assert refused(codec, split(GOOD, GOOD, GOOD, GOOD)).code == "TOO_MANY_ROWS"
    assert refused(codec, b" " * 100_001).code == "BODY_TOO_LARGE"


def test_a_method_may_be_asked_for(codec: Codec) -> None:
    body = {**split(GOOD), "params": {"method": "predict_proba"}}
    assert codec.decode(json.dumps(body).encode(), "application/json").method == "predict_proba"


def test_a_type_does_not_hang_on_the_cells_of_a_request(codec: Codec) -> None:
    whole = codec.decode(json.dumps(split(GOOD)).encode(), "application/json")
    gap = codec.decode(json.dumps(split({**GOOD, "rank": None})).encode(), "application/json")
    assert whole.columns["rank"].dtype == gap.columns["rank"].dtype == np.float64


def test_whole_floats_fit_an_integer_column(codec: Codec) -> None:
    batch = codec.decode(json.dumps(split({**GOOD, "long": 3.0})).encode(), "application/json")
    assert batch.columns["long"].tolist() == [3]


def test_a_model_without_schema_takes_what_comes() -> None:
    codec = Codec(None)
    body = {"dataframe_records": [{"a": 1, "b": 1.5, "c": "x", "d": True}, {"b": None, "a": 2, "d": False}]}
    batch = codec.decode(json.dumps(body).encode(), "application/json")
    kinds = {name: values.dtype.kind for name, values in batch.columns.items()}
    assert kinds == {"a": "i", "b": "f", "c": "O", "d": "b"}
    for body in (b'{"inputs": [[1, 2]]}', b'{"dataframe_split": {"data": [[1, 2]]}}'):
        assert list(codec.decode(body, "application/json").columns) == ["0", "1"]
    assert refused(codec, {"inputs": [[1], ["x"]]}).row == 1
    assert refused(codec, {"inputs": [[[1]]]}).status == 422
    named = Codec(None, names=["b", "a"])
    assert list(named.decode(b'{"inputs": {"a": [1], "b": [2]}}', "application/json").columns) == ["b", "a"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array([0.1, np.nan]), [0.1, None]),
        (np.array([True]), [True]),
        (np.array(["late", "on time"]), ["late", "on time"]),
        (np.array(["late"], dtype=object), ["late"]),
        (np.arange(6.0).reshape(3, 2)[:, ::-1], [[1.0, 0.0], [3.0, 2.0], [5.0, 4.0]]),
        (np.array([dt.datetime(2026, 1, 1)], dtype=object), ["2026-01-01T00:00:00"]),  # noqa: DTZ001 - no zone
    ],
)
def test_answers_of_every_kind_are_json(found: Any, expected: list[Any], codec: Codec) -> None:
    assert json.loads(codec.encode(found)) == {"predictions": expected}


def test_probabilities_come_back_bit_by_bit(codec: Codec) -> None:
    found = np.random.default_rng(0).random((50, 3))
    again = np.array(json.loads(codec.encode(found))["predictions"])
    np.testing.assert_array_equal(again, found)
