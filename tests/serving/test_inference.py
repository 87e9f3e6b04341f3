"""The Open Inference Protocol through the application's own door, and with Triton's client."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from endpoint import (
    BASE,
    BEARER,
    MODEL,
    ROWS,
    SECRET,
    TENSORS,
    VERSION,
    Caller,
    application,
    loaded,
    served,
    tensor,
)
from endpoint import question as asked
from sklearn.linear_model import LinearRegression

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import JournalOrder, Limits
from mlops_magics.serving.journal import Journal, files

INFER = f"{BASE}/infer"


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with Caller(application(limits=Limits(rows=5, body_bytes=20_000))) as made:
        yield made


def frame() -> pd.DataFrame:
    table = pd.DataFrame(ROWS)
    table["delay"] = table["delay"].astype(float)
    return table


def probabilities() -> np.ndarray[Any, Any]:
    return np.asarray(loaded().estimator.predict_proba(frame()))


def test_health_is_open_and_says_yes(caller: Caller) -> None:
    for word in ("live", "ready"):
        answer = caller.ask("GET", f"/v2/health/{word}", authorization="")
        assert (answer.status_code, answer.json()) == (200, {word: True})


def test_the_server_and_the_model_describe_themselves(caller: Caller) -> None:
    assert caller.get("/v2").json()["name"] == "mlops-magics"
    told = caller.get(BASE).json()
    assert told == caller.get(f"{BASE}/versions/{VERSION}").json()
    assert (told["name"], told["versions"]) == (MODEL, [VERSION])
    assert {one["name"]: one["datatype"] for one in told["inputs"]} == TENSORS
    assert all(one["shape"] == [-1] for one in told["inputs"])
    assert told["outputs"] == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert caller.get(f"{BASE}/ready").json() == {"name": MODEL, "ready": True}


def test_another_model_or_version_is_not_there(caller: Caller) -> None:
    for path in ("/v2/models/other", f"{BASE}/versions/4/infer", "/v2/models"):
        answer = caller.post(path, asked())
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_columns_as_tensors_are_answered(caller: Caller) -> None:
    for path in (INFER, f"{BASE}/versions/{VERSION}/infer"):
        answer = caller.post(path, asked(id="my id"))
        assert answer.status_code == 200
        labels = loaded().estimator.predict(frame()).tolist()
        assert answer.json() == {
            "model_name": MODEL,
            "model_version": VERSION,
            "id": "my id",
            "outputs": [{"name": "predict", "datatype": "BYTES", "shape": [3], "data": labels}],
        }
        assert answer.headers["server-timing"].startswith("decode;dur=")


def test_probabilities_come_when_they_are_asked_for(caller: Caller) -> None:
    both = {"outputs": [{"name": "predict_proba"}, {"name": "predict"}]}
    found = caller.post(INFER, asked(**both)).json()["outputs"]
    assert [one["name"] for one in found] == ["predict_proba", "predict"]
    assert (found[0]["datatype"], found[0]["shape"]) == ("FP64", [3, 2])
    np.testing.assert_array_equal(np.reshape(found[0]["data"], (3, 2)), probabilities())
    by_parameter = caller.post(INFER, asked(parameters={"method": "predict_proba"})).json()["outputs"]
    assert by_parameter == found[:1]


def test_other_shapes_orders_and_columns_mean_the_same(caller: Caller) -> None:
    usual = caller.post(INFER, asked()).json()
    standing = [tensor(name, shape=[3, 1], data=[[cell] for cell in ROWS[name]]) for name in ROWS]
    flat = [tensor(name, shape=[3, 1]) for name in reversed(ROWS)]
    extra = {"name": SECRET, "datatype": "BYTES", "shape": [3], "data": ["a", "b", "c"]}
    pandas = [tensor(name, parameters={"content_type": "str"}) for name in ("carrier", "note")]
    pandas.append(tensor("blob", parameters={"content_type": "base64"}))
    optional = [tensor(name) for name in ROWS if name != "rank"]
    for body in (
        asked(*standing),
        {"inputs": flat},
        asked(extra),
        asked(*pandas, parameters={"content_type": "pd"}, id=None, outputs=None),
        {"inputs": optional},
        asked(outputs=[]),
        asked(tensor("distance", datatype="FP32"), tensor("gate", datatype="INT64")),
        asked(tensor("load", datatype="UINT8", data=[1, 0, 1])),
    ):
        answer = caller.post(INFER, body)
        assert answer.json() == usual


BAD: list[tuple[str, Any, int, str]] = [
    ("not JSON", b"{", 400, "not valid JSON"),
    ("a list", b"[]", 400, "JSON object"),
    ("no inputs", {}, 400, "list of tensors"),
    ("inputs is an object", {"inputs": {}}, 400, "list of tensors"),
    ("a tensor is a text", {"inputs": [SECRET]}, 400, "must be an object"),
    ("no name", {"inputs": [{}]}, 400, "must have a name"),
    ("no datatype", asked({"name": "stops"}), 400, "datatype must be one of"),
    ("a datatype that is none", asked(tensor("stops", datatype=SECRET)), 400, "datatype must be one of"),
    ("a datatype that is a list", asked(tensor("stops", datatype=[])), 400, "datatype must be one of"),
    ("no shape", asked(tensor("stops", shape=None)), 400, "shape must be"),
    ("a matrix", asked(tensor("stops", shape=[1, 3])), 400, "shape must be"),
    ("three dimensions", asked(tensor("stops", shape=[3, 1, 1])), 400, "shape must be"),
    ("a shape of texts", asked(tensor("stops", shape=["3"])), 400, "shape must be"),
    ("a negative shape", asked(tensor("stops", shape=[-1])), 400, "shape must be"),
    ("another length", asked(tensor("stops", shape=[2])), 400, "another length"),
    ("lengths that differ", asked(tensor("stops", shape=[1], data=[1])), 400, "differ in length"),
    ("ragged data", asked(tensor("stops", data=[[1], [1, 2], [3]])), 400, "one cell"),
    ("data is a text", asked(tensor("stops", data=SECRET)), 400, "must be a list"),
    ("twice", {"inputs": [tensor("stops"), tensor("stops")]}, 400, "named twice"),
    ("no column", {"inputs": [tensor("stops")]}, 400, "missing (column 'distance')"),
    ("texts for numbers", asked(tensor("stops", datatype="BYTES")), 400, "datatype INT64 (column 'stops')"),
    ("numbers for texts", asked(tensor("carrier", datatype="INT64")), 400, "datatype BYTES"),
    ("a text among numbers", asked(tensor("stops", data=[1, SECRET, 2])), 422, "(column 'stops', row 1)"),
    ("a fraction in INT64", asked(tensor("distance", datatype="INT64")), 422, "(column 'distance', row 0)"),
    ("a fraction in a whole column", asked(tensor("stops", datatype="FP64", data=[1, 1.5, 2])), 422, "row 1"),
    ("beyond 32 bits", asked(tensor("gate", data=[1, 2, 2**31])), 422, "(column 'gate', row 2)"),
    ("a gap where none may be", asked(tensor("distance", data=[1, None, 2])), 422, "row 1"),
    ("no date", asked(tensor("departs", data=[SECRET] * 3)), 422, "(column 'departs', row 0)"),
    ("no base64", asked(tensor("blob", data=["!", "", ""])), 422, "(column 'blob', row 0)"),
    ("no rows", {"inputs": [tensor(name, shape=[0], data=[]) for name in ROWS]}, 400, "no rows"),
    ("too many rows", {"inputs": [tensor(n, shape=[6], data=ROWS[n] * 2) for n in ROWS]}, 413, "5 rows"),
    ("an unknown output", asked(outputs=[{"name": SECRET}]), 400, "predict or predict_proba"),
    ("an output twice", asked(outputs=[{"name": "predict"}] * 2), 400, "once"),
    ("outputs is an object", asked(outputs={"name": "predict"}), 400, "outputs must be a list"),
    ("an unknown method", asked(parameters={"method": SECRET}), 400, "predict, predict_proba"),
    ("parameters is a list", asked(parameters=[1]), 400, "must be an object"),
    ("a content type that is none", asked(parameters={"content_type": SECRET}), 400, "content_type"),
    ("a base64 tensor", asked(tensor("carrier", parameters={"content_type": "base64"})), 400, "content_type"),
    ("an id that is a number", asked(id=3), 400, "id must be a text"),
    (
        "a size without bytes",
        asked(tensor("stops", parameters={"binary_data_size": 24})),
        400,
        "does not fit",
    ),
    ("a negative size", asked(tensor("note", parameters={"binary_data_size": -1})), 400, "does not fit"),
]


@pytest.mark.parametrize(
    ("body", "status", "words"), [each[1:] for each in BAD], ids=[each[0] for each in BAD]
)
def test_what_does_not_fit_is_named_by_place_and_never_by_value(
    body: Any, status: int, words: str, caller: Caller
) -> None:
    answer = caller.post(INFER, body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]
    assert SECRET not in answer.text
    assert caller.post(INFER, asked()).status_code == 200


def test_another_content_type_or_method_is_refused(caller: Caller) -> None:
    for kind in ("text/csv", "application/octet-stream"):
        assert caller.post(INFER, asked(), content_type=kind).status_code == 415
    assert caller.ask("GET", INFER).status_code == 405
    assert caller.post(INFER, b" " * 20_001).status_code == 413
    assert caller.post(INFER, asked(), authorization="Bearer x").json().keys() == {"error"}


def behind(name: str) -> tuple[dict[str, Any], bytes]:
    """The column with its cells behind the JSON."""
    cells = ROWS[name]
    if TENSORS[name] == "BYTES":
        texts = [base64.b64decode(cell) if name == "blob" else (cell or "").encode() for cell in cells]
        data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    else:
        kinds = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "BOOL": "?"}
        gaps = [np.nan if TENSORS[name] == "FP64" and cell is None else cell or 0 for cell in cells]
        data = np.array(gaps, dtype=kinds[TENSORS[name]]).tobytes()
    told = tensor(name, parameters={"binary_data_size": len(data)})
    del told["data"]
    return told, data


def binary(caller: Caller, content: dict[str, Any], data: bytes, size: int | str | None = None) -> Any:
    text = json.dumps(content).encode()
    length = str(len(text) if size is None else size)
    return caller.post(
        INFER, text + data, content_type="application/octet-stream", inference_header_content_length=length
    )


def test_cells_behind_the_json_mean_the_same(caller: Caller) -> None:
    parts = [behind(name) for name in ROWS]
    content = {"inputs": [told for told, _ in parts], "outputs": [{"name": "predict_proba"}]}
    data = b"".join(data for _, data in parts)
    plain = caller.post(INFER, asked(outputs=[{"name": "predict_proba"}])).json()
    assert binary(caller, content, data).json() == plain
    content["outputs"] = [
        {"name": name, "parameters": {"binary_data": True}} for name in ("predict_proba", "predict")
    ]
    answer = binary(caller, content, data)
    size = int(answer.headers["inference-header-content-length"])
    told = json.loads(answer.content[:size])["outputs"]
    assert [one["parameters"]["binary_data_size"] for one in told] == [48, len(answer.content) - size - 48]
    np.testing.assert_array_equal(
        np.frombuffer(answer.content[size : size + 48]).reshape(3, 2), probabilities()
    )
    assert answer.content[size + 48 :][:11] == b"\x07\0\0\0on time"


def test_bytes_behind_the_json_that_do_not_fit_are_refused(caller: Caller) -> None:
    distance, eight = behind("distance")
    carrier, texts = behind("carrier")
    infinite = np.array([1, np.inf, 2]).tobytes()
    broken = struct.pack("<I", 1) + b"\xff" + texts[6:]
    for content, data, size, status in (
        (asked(distance), eight[:-1], None, 400),
        (asked(distance), eight + b"x", None, 400),
        (asked(distance), eight, 10**9, 400),
        (asked(distance), eight, "9" * 5000, 400),
        (asked(distance), infinite, None, 422),
        (asked(carrier), texts[:-1], None, 400),
        (asked({**carrier, "parameters": {"binary_data_size": 5}}), texts[:5], None, 400),
        (asked({**carrier, "parameters": {"binary_data_size": len(broken)}}), broken, None, 422),
        (asked({**carrier, "shape": [2]}), texts, None, 400),
    ):
        assert binary(caller, content, data, size).status_code == status
    assert binary(caller, asked(), b"").status_code == 200


def test_a_regression_and_a_model_without_schema_speak_it_too() -> None:
    fitted = LinearRegression().fit(pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}), [1.0, 3.0])
    with Caller(application(LoadedModel(fitted, None, None, None, "predict"))) as caller:
        told = caller.get(BASE).json()
        assert (told["inputs"], told["outputs"]) == (
            [],
            [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
        )
        inputs = [{"name": name, "datatype": "FP64", "shape": [2], "data": [0.0, 1.0]} for name in "ab"]
        found = caller.post(INFER, {"inputs": inputs}).json()["outputs"][0]
        np.testing.assert_allclose(
            found["data"], fitted.predict(pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, 1.0]}))
        )
        assert caller.post(INFER, {"inputs": inputs[:1]}).json() == {
            "error": "A required column is missing (column 'b')."
        }


def test_both_answers_are_in_the_journal_beside_each_other(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    with Caller(application(journal=journal)) as caller:
        body = asked(outputs=[{"name": "predict"}, {"name": "predict_proba"}])
        assert caller.post(INFER, body, x_request_id="one").status_code == 200
        assert caller.post(INFER, {}).status_code == 400
    journal.start()
    journal.close()
    table = pl.read_parquet([*files.paths(tmp_path)])
    noted = table.filter(pl.col("request_id") == "one").sort("method", "row")
    assert noted["method"].to_list() == ["predict"] * 3 + ["predict_proba"] * 3
    assert noted["row"].to_list() == [0, 1, 2] * 2
    assert noted["input.distance"].to_list() == ROWS["distance"] * 2
    np.testing.assert_array_equal(noted["probabilities"].to_list()[3:], probabilities())
    assert table.filter(pl.col("status") == 400)["error"].to_list() == ["BAD_REQUEST"]


@pytest.fixture(scope="module")
def triton() -> Iterator[Any]:
    import tritonclient.http as client

    with served(application()) as (host, port):
        made = client.InferenceServerClient(f"{host}:{port}")
        yield client, made
        made.close()


def test_triton_s_client_finds_it_alive_and_described(triton: Any) -> None:
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL, headers=BEARER)
    assert client.is_model_ready(MODEL, VERSION, headers=BEARER)
    assert client.get_server_metadata(headers=BEARER)["extensions"] == ["binary_tensor_data"]
    assert [one["name"] for one in client.get_model_metadata(MODEL, headers=BEARER)["inputs"]] == list(ROWS)
    assert not client.is_model_ready("other", headers=BEARER)


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip"])
def test_triton_s_client_is_answered(triton: Any, is_binary: bool, packed: str | None) -> None:  # noqa: FBT001 - a parameter
    module, client = triton
    kinds = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "INT32": np.int32, "BOOL": np.bool_}
    inputs = []
    for name, datatype in TENSORS.items():
        if name == "rank":
            continue  # a gap, which INT64 has none for
        cells = ROWS[name] if name == "blob" else [0.0 if cell is None else cell for cell in ROWS[name]]
        if name == "note":
            cells = ["", "x", ""]
        if name == "blob" and is_binary:
            cells = [base64.b64decode(cell) for cell in cells]
        made = module.InferInput(name, [3], datatype)
        made.set_data_from_numpy(np.array(cells, dtype=kinds.get(datatype, object)), binary_data=is_binary)
        inputs.append(made)
    outputs = [
        module.InferRequestedOutput(name, binary_data=is_binary) for name in ("predict", "predict_proba")
    ]
    for asked_for in (outputs, None):  # the client writes into the headers that it is given
        answer = client.infer(
            MODEL, inputs, outputs=asked_for, request_id="7", headers=dict(BEARER),
            request_compression_algorithm=packed, response_compression_algorithm=packed,
        )  # fmt: skip
        filled = frame().fillna({"delay": 0.0})
        labels = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("predict")]
        assert labels == loaded().estimator.predict(filled).tolist()
        assert answer.get_response()["id"] == "7"
        if asked_for:
            expected = loaded().estimator.predict_proba(filled)
            np.testing.assert_array_equal(answer.as_numpy("predict_proba"), expected)


def test_triton_s_client_is_told_what_is_wrong(triton: Any) -> None:
    from tritonclient.utils import InferenceServerException

    module, client = triton
    made = module.InferInput("stops", [1], "INT64")
    made.set_data_from_numpy(np.array([1]))
    with pytest.raises(InferenceServerException, match="missing"):
        client.infer(MODEL, [made], headers=dict(BEARER))
    with pytest.raises(InferenceServerException, match="token"):
        client.infer(MODEL, [made])
