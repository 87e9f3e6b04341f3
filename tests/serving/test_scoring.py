"""MLflow's route as others speak it: packed bodies, Arrow streams, MLflow's own client."""

from __future__ import annotations

import functools
import gzip
import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from endpoint import (
    BASE,
    BEARER,
    ROWS,
    SCHEMA,
    SECRET,
    TENSORS,
    Caller,
    application,
    loaded,
    question,
    served,
)
from sklearn.linear_model import LinearRegression

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Column
from mlops_magics.serving.arrays import array
from mlops_magics.serving.arrow import STREAM
from mlops_magics.serving.cells import CellError, decoder

ASK = "/invocations"
BODY = {
    "dataframe_split": {
        "columns": list(ROWS),
        "data": [list(row) for row in zip(*ROWS.values(), strict=True)],
    }
}
TYPES = {
    "distance": pa.float64(),
    "delay": pa.float64(),
    "load": pa.float32(),
    "stops": pa.int64(),
    "rank": pa.int64(),
    "gate": pa.int32(),
    "night": pa.bool_(),
    "carrier": pa.string(),
    "note": pa.string(),
    "departs": pa.timestamp("us"),
    "blob": pa.binary(),
}

packed_ = functools.partial(gzip.compress, mtime=0)  # the same bytes in each process that collects the tests


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with Caller(application(limits=Limits(rows=5, body_bytes=20_000))) as made:
        yield made


def labels() -> list[str]:
    table = pd.DataFrame(ROWS)
    table["delay"] = table["delay"].astype(float)
    return list(loaded().estimator.predict(table))


def table(**others: Any) -> pa.Table:
    """The good rows as Arrow has them; columns that are given stand in the place of its own."""
    made = {}
    for name, cells in ROWS.items():
        if name == "departs":
            made[name] = pa.array([pd.Timestamp(cell).to_pydatetime() for cell in cells], TYPES[name])
        elif name == "blob":
            made[name] = pa.array([b"hi", b"", b"\x00\xff"])
        else:
            made[name] = pa.array(cells, TYPES[name])
    return pa.table({**made, **others})


def stream(content: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(content, max_chunksize=2)
    return bytes(sink.getvalue())


def test_a_packed_body_is_answered(caller: Caller) -> None:
    plain = orjson.dumps(BODY)
    half = len(plain) // 2
    for packed in (packed_(plain), packed_(plain[:half]) + packed_(plain[half:])):
        for name in ("gzip", "x-gzip", "GZIP"):
            assert caller.post(ASK, packed, content_encoding=name).json() == {"predictions": labels()}
    assert caller.post(ASK, plain, content_encoding="identity").status_code == 200
    csv = pd.DataFrame({**ROWS, "blob": ["aGk="] * 3}).to_csv(index=False).encode()
    answer = caller.post(ASK, packed_(csv), content_encoding="gzip", content_type="text/csv")
    assert answer.json() == {"predictions": labels()}
    tensors = packed_(orjson.dumps(question()))
    assert caller.post(f"{BASE}/infer", tensors, content_encoding="gzip").status_code == 200


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (packed_(b" " * 20_001), "gzip", 413),
        (packed_(b" " * 10_000) * 3, "gzip", 413),
        (packed_(b"\0" * 50_000_000), "gzip", 413),
        (packed_(b"") * 17, "gzip", 400),
        (packed_(orjson.dumps(BODY))[:-1], "gzip", 400),
        (packed_(orjson.dumps(BODY))[:10], "gzip", 400),
        (packed_(orjson.dumps(BODY)) + b"more", "gzip", 400),
        (orjson.dumps(BODY), "gzip", 400),
        (b"", "gzip", 400),
        (packed_(packed_(orjson.dumps(BODY))), "gzip", 400),
        (packed_(packed_(orjson.dumps(BODY))), "gzip, gzip", 415),
        (orjson.dumps(BODY), "br", 415),
        (orjson.dumps(BODY), "deflate", 415),
    ],
)
def test_a_body_that_unpacks_to_too_much_or_to_nothing_is_refused(
    body: bytes, coding: str, status: int, caller: Caller
) -> None:
    answer = caller.post(
        ASK, body[:20_000] if len(body) > 20_000 and status == 400 else body, content_encoding=coding
    )
    assert answer.status_code == status
    if status == 415:
        assert answer.headers["accept-encoding"] == "gzip"
    assert caller.post(ASK, BODY).status_code == 200


def test_only_a_large_answer_is_packed_and_only_when_asked() -> None:
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1 / 3])
    with Caller(application(LoadedModel(fitted, None, None, None, "predict"))) as caller:
        many = {"inputs": [[row / 7] for row in range(20_000)]}
        for accepted, packed in (
            ("gzip", True),
            ("br, gzip;q=0.5", True),
            ("gzip;q=0", False),
            ("br", False),
            ("", False),
        ):
            answer = caller.post(ASK, many, accept_encoding=accepted)
            assert (answer.headers.get("content-encoding") == "gzip") == packed
            assert len(answer.json()["predictions"]) == 20_000
            assert (int(answer.headers["content-length"]) < 300_000) == packed
        assert "content-encoding" not in caller.post(ASK, {"inputs": [[1.0]]}, accept_encoding="gzip").headers


def test_an_arrow_stream_is_answered_as_json_is(caller: Caller) -> None:
    def answered(content: pa.Table, **headers: str) -> Any:
        answer = caller.post(ASK, stream(content), content_type=STREAM, **headers)
        assert answer.status_code == 200, answer.text
        return answer

    assert answered(table()).json() == {"predictions": labels()}
    assert answered(table(extra=pa.array([SECRET] * 3))).json() == {"predictions": labels()}
    assert answered(table().select(list(reversed(ROWS)))).json() == {"predictions": labels()}
    assert answered(table().drop_columns(["note", "rank"])).json() == {"predictions": labels()}
    dense = table(carrier=pa.array(ROWS["carrier"]).dictionary_encode(), note=pa.nulls(3))
    assert answered(dense).json() == {"predictions": labels()}
    wanted = table().replace_schema_metadata({"method": "predict_proba"})
    expected = caller.post(ASK, {**BODY, "params": {"method": "predict_proba"}}).json()["predictions"]
    assert answered(wanted).json() == {"predictions": expected}
    back = pa.ipc.open_stream(answered(wanted, accept=STREAM).content).read_all()
    assert back.column_names == ["predictions"]
    assert back["predictions"].to_pylist() == expected
    back = pa.ipc.open_stream(answered(table(), accept=f"{STREAM}, */*").content).read_all()
    assert back["predictions"].to_pylist() == labels()
    assert caller.post(ASK, BODY, accept=STREAM).headers["content-type"] == STREAM


GAPS = {name: next(column.required for column in SCHEMA.columns if column.name == name) for name in ROWS}
CASTS: list[tuple[str, Any, list[Any] | int | str]] = [
    ("distance", pa.array([1, 2, 3]), [1.0, 2.0, 3.0]),
    ("distance", pa.array([1, 2, 3], pa.uint8()), [1.0, 2.0, 3.0]),
    ("distance", pa.array([0.5, 1, 2], pa.float16()), [0.5, 1.0, 2.0]),
    ("distance", pa.array([1, 2, 3]).dictionary_encode(), [1.0, 2.0, 3.0]),
    ("distance", pa.array([1, 2**53 + 1, 3]), 1),
    ("distance", pa.array([1.0, None, 3.0]), 1),
    ("distance", pa.array([1.0, 2.0, float("nan")]), 2),
    ("distance", pa.array([float("inf"), 2.0, 1.0]), 0),
    ("distance", pa.array(["1", "2", "3"]), "whole"),
    ("distance", pa.array([True, False, True]), "whole"),
    ("distance", pa.array([Decimal(1)] * 3), "whole"),
    ("distance", pa.array([[1.0]] * 3), "whole"),
    ("delay", pa.array([None, 3, 0], pa.int8()), [None, 3.0, 0.0]),
    ("delay", pa.array([float("nan"), 3.5, 0.0]), [None, 3.5, 0.0]),
    ("delay", pa.nulls(3), [None] * 3),
    ("load", pa.array([0.5, 0.25, 1.0], pa.float64()), [0.5, 0.25, 1.0]),
    ("load", pa.array([0.5, 0.1, 1.0], pa.float64()), 1),
    ("load", pa.array([0.5, 0.5, 1e300], pa.float64()), 2),
    ("load", pa.array([1, 2**24 + 1, 3]), 1),
    ("stops", pa.array([1, 2, 3], pa.uint64()), [1, 2, 3]),
    ("stops", pa.array([1.0, 2.0, 3.0]), [1, 2, 3]),
    ("stops", pa.array([1.0, 2.5, 3.0]), 1),
    ("stops", pa.array([1, 2**63, 3], pa.uint64()), 1),
    ("stops", pa.array([1.0, 1e300, 3.0]), 1),
    ("stops", pa.array([None, 2, 3]), 0),
    ("rank", pa.array([1.0, float("nan"), 3.0]), [1.0, None, 3.0]),
    ("rank", pa.array([1, None, 2**53 + 1]), 2),
    ("gate", pa.array([1, 2, 3], pa.int64()), [1, 2, 3]),
    ("gate", pa.array([1, 2, 2**31], pa.int64()), 2),
    ("night", pa.array([1, 0, 1]), "whole"),
    ("night", pa.array([True, None, True]), 1),
    ("carrier", pa.array(["a", "ä", ""], pa.large_string()), ["a", "ä", ""]),
    ("carrier", pa.array(["a", None, "b"]).dictionary_encode(), 1),
    ("carrier", pa.array(["a", "b", "c"], pa.string_view()), "whole"),
    ("carrier", pa.array([b"a", b"b", b"c"]), "whole"),
    ("carrier", pa.array([1, 2, 3]), "whole"),
    ("note", pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    ("departs", pa.array([0, 1, 2], pa.date32()), "whole dates"),
    ("departs", pa.array([0, 1, 2], pa.timestamp("s", "Europe/Paris")), "seconds"),
    ("departs", pa.array([0, 1, 2**60], pa.timestamp("s")), "whole"),
    ("departs", pa.array(["2026-01-01"] * 3), "whole"),
    ("blob", pa.array([b"a", b"b", b"c"], pa.binary(1)), [b"a", b"b", b"c"]),
    ("blob", pa.array(["a", "b", "c"]), "whole"),
]


@pytest.mark.parametrize(("name", "cells", "expected"), CASTS)
def test_a_column_is_cast_only_where_nothing_is_lost(
    name: str, cells: Any, expected: Any, caller: Caller
) -> None:
    column = next(one for one in SCHEMA.columns if one.name == name)
    answer = caller.post(ASK, stream(table(**{name: cells})), content_type=STREAM)
    if expected == "whole" or isinstance(expected, int):
        assert (answer.status_code, answer.json()["error_code"]) == (422, "INVALID_CELL")
        told = answer.json()
        assert (told["column"], told["row"]) == (name, None if expected == "whole" else expected)
        return
    assert answer.status_code == 200, answer.text
    made = array(column, pa.chunked_array([cells]))
    texts = {
        "whole dates": ["1970-01-01", "1970-01-02", "1970-01-03"],
        "seconds": [f"1970-01-01T00:00:0{s}" for s in range(3)],
    }
    if isinstance(expected, str):
        same = decoder(column)(texts[expected])
    elif name == "blob":
        same = np.array(expected, dtype=object)
    else:
        same = decoder(column)(expected)
    assert made.dtype == same.dtype
    np.testing.assert_array_equal(made, same)


def test_an_optional_truth_has_gaps() -> None:
    column = Column("yes", "boolean", required=False)
    made = array(column, pa.chunked_array([[True, None, False]]))
    assert made.tolist() == [True, None, False]
    with pytest.raises(CellError):
        array(Column("yes", "boolean"), pa.chunked_array([[True, None]]))


def bomb() -> bytes:
    return stream(table(note=pa.array(["\0" * 1_000_000] * 3)), compression="zstd")


def shared_text() -> bytes:
    """Rows that all show one text: few bytes, many characters."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3, pa.int8()), pa.array(["x" * 3000]))
    return stream(table(note=texts))


def astray() -> bytes:
    """Texts that begin and end outside of their buffer."""
    good = stream(table(note=pa.array(["a" * 70, "b", "cc"])))
    places = struct.pack("<iii", 0, 70, 71)
    assert places in good
    return good.replace(places, struct.pack("<iii", 0, 100_000, 2_000_000_000))


def no_such_text() -> bytes:
    """A dictionary's text that it does not have."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1, 100], pa.int8()), pa.array(["a", "b"]), safe=False)
    return stream(table(note=texts))


def no_text() -> bytes:
    """Bytes that are no text in UTF-8."""
    raw = pa.array([b"\xff"] * 3)
    return stream(table(note=pa.StringArray.from_buffers(3, *raw.buffers()[1:])))


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (bomb, 400),
        (lambda: stream(table(note=pa.array(["a", "b", "a"]).dictionary_encode()), compression="zstd"), 400),
        (shared_text, 200),
        (lambda: stream(pa.concat_tables([table()] * 2)), 413),
        (lambda: stream(table().slice(0, 0)), 400),
        (lambda: stream(table().drop_columns(["stops"])), 400),
        (lambda: stream(pa.table([pa.array([1]), pa.array([2])], names=["stops", "stops"])), 400),
        (lambda: stream(table().replace_schema_metadata({"method": SECRET})), 400),
        (lambda: stream(table())[:-100], 400),
        (astray, 400),
        (no_such_text, 400),
        (no_text, 400),
        (lambda: b"", 400),
        (lambda: b"ARROW1\0\0", 400),
        (lambda: orjson.dumps(BODY), 400),
        (lambda: b"\xff\xff\xff\xff" + struct.pack("<i", 2**31 - 1), 400),
        (lambda: b"\0" * 20_001, 413),
    ],
)
def test_a_stream_that_lies_or_is_too_large_is_refused(
    make: Callable[[], bytes], status: int, caller: Caller
) -> None:
    answer = caller.post(ASK, make(), content_type=STREAM)
    assert answer.status_code == status, answer.text
    assert SECRET not in answer.text
    assert caller.post(ASK, stream(table()), content_type=STREAM).status_code == 200


def test_a_model_without_schema_takes_an_arrow_stream() -> None:
    fitted = LinearRegression().fit(pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}), [1.0, 3.0])
    with Caller(application(LoadedModel(fitted, None, None, None, "predict"))) as caller:
        rows = pa.table({"b": [1, 0], "a": [0.5, 2.0], "c": [[1], [2]]})
        answer = caller.post(ASK, stream(rows), content_type=STREAM, accept=STREAM)
        found = pa.ipc.open_stream(answer.content).read_all()["predictions"].to_pylist()
        np.testing.assert_allclose(found, fitted.predict(pd.DataFrame({"a": [0.5, 2.0], "b": [1, 0]})))
        odd = pa.table({"a": [[1.0], [2.0]], "b": [1, 0]})
        assert caller.post(ASK, stream(odd), content_type=STREAM).status_code == 422


@pytest.mark.filterwarnings("ignore:.*Any type hint")  # of its own import
def test_mlflow_s_own_client_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    send = requests.Session.request
    monkeypatch.setattr(
        requests.Session, "request", lambda self, *args, **rest: send(self, *args, **_signed(rest))
    )
    rows = pd.DataFrame(ROWS).astype({"delay": float})
    with served(application()) as (host, port):
        client = ScoringServerClient(host, port)
        client.ping()
        assert "mlops-magics" in client.get_version()
        assert client.invoke(rows).get_predictions()[0].tolist() == labels()
        found = client.invoke(rows, params={"method": "predict_proba"}).get_predictions()
        assert found.shape == (3, 2)


def _signed(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "headers": {**(options.get("headers") or {}), **BEARER}}


def test_whatever_comes_is_refused_and_the_next_request_is_answered(caller: Caller) -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    seeds = [
        (ASK, "application/json", orjson.dumps(BODY)),
        (ASK, "text/csv", pd.DataFrame(ROWS).to_csv(index=False).encode()),
        (ASK, STREAM, stream(table())),
        (ASK, STREAM, stream(table(note=pa.array(["a", "b", "a"]).dictionary_encode()))),
        (f"{BASE}/infer", "application/json", orjson.dumps(question())),
    ]
    statuses = set()
    for path, kind, good in seeds:
        for _ in range(80):
            body = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                place = chance.randrange(len(body))
                match chance.randrange(4):
                    case 0:
                        body[place] = chance.randrange(256)
                    case 1:
                        del body[place : place + chance.randint(1, 40)]
                    case 2:
                        body[place:place] = chance.randbytes(chance.randint(1, 8))
                    case _:
                        body[place : place + 4] = struct.pack("<i", chance.choice([-1, 2**31 - 1, 0, 7]))
            coding = {"content_encoding": "gzip"} if chance.random() < 0.1 else {}
            answer = caller.post(path, bytes(body), content_type=kind, **coding)
            assert answer.status_code in {200, 400, 413, 415, 422}, (kind, answer.status_code, bytes(body))
            statuses.add(answer.status_code)
    for _ in range(100):
        wild: Any = _shape(chance, 3)
        answer = caller.post(chance.choice([ASK, f"{BASE}/infer"]), wild if wild is not None else b"null")
        assert answer.status_code in {400, 422}, wild
    assert {200, 400, 422} <= statuses
    assert caller.post(ASK, BODY).json() == {"predictions": labels()}


def _shape(chance: random.Random, depth: int) -> Any:
    keys = [
        *BODY,
        "inputs",
        "instances",
        "params",
        "outputs",
        "columns",
        "data",
        "name",
        "shape",
        "datatype",
        *TENSORS,
    ]
    match chance.randrange(7) if depth else chance.randrange(4):
        case 0:
            return chance.choice([None, True, -1, 1e308, 2**63])
        case 1:
            return chance.choice(["", "FP64", "stops", "\u0000", "🜁" * 3])
        case 2:
            return []
        case 3:
            return {}
        case 4:
            return [_shape(chance, depth - 1) for _ in range(chance.randint(1, 3))]
        case _:
            return {chance.choice(keys): _shape(chance, depth - 1) for _ in range(chance.randint(1, 4))}
