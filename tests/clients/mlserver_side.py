"""Asks an endpoint with MLServer's own types and codecs, in an environment that holds nothing of ours.

stdin: {"url", "model", "token", "columns": {name: [datatype, cells]}}; stdout: what it was answered, as JSON.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from mlserver.codecs import (
    Base64Codec,
    DatetimeCodec,
    NumpyCodec,
    NumpyRequestCodec,
    PandasCodec,
    StringCodec,
)
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    RequestOutput,
)

_KINDS = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "INT32": np.int32, "BOOL": np.bool_}


def _exchange(told: dict[str, Any], path: str, body: str | None = None) -> bytes:
    heads = {"Authorization": f"Bearer {told['token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(told["url"] + path, body and body.encode(), heads)  # noqa: S310 - http
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - same
        content: bytes = answer.read()
    return content


def _asked(told: dict[str, Any], request: InferenceRequest) -> InferenceResponse:
    text = request.model_dump_json(exclude_none=True)
    return InferenceResponse.model_validate_json(_exchange(told, f"/v2/models/{told['model']}/infer", text))


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(cells, dtype=_KINDS.get(datatype, object))
            for name, (datatype, cells) in columns.items()
        }
    )


def _by_codecs(told: dict[str, Any]) -> InferenceRequest:
    """Write each column by the codec that is meant for it."""
    inputs = []
    for name, (datatype, cells) in told["columns"].items():
        if name == "departs":
            inputs.append(DatetimeCodec.encode_input(name, [datetime.fromisoformat(cell) for cell in cells]))
        elif name == "blob":
            made = Base64Codec.encode_input(name, [cell.encode() for cell in cells])
            inputs.append(made.model_copy(update={"data": cells}))  # they are base64 already
        elif datatype == "BYTES":
            inputs.append(StringCodec.encode_input(name, cells, use_bytes=False))
        else:
            inputs.append(NumpyCodec.encode_input(name, np.array(cells, dtype=_KINDS[datatype])))
    return InferenceRequest(inputs=inputs)


def _told(told: dict[str, Any]) -> dict[str, Any]:
    frame = PandasCodec.encode_request(_frame(told["columns"]), use_bytes=False)
    both = [RequestOutput(name="predict"), RequestOutput(name="predict_proba")]
    answer = _asked(told, frame.model_copy(update={"id": "my id", "outputs": both}))
    found: dict[str, Any] = {
        "id": answer.id,
        "model": answer.model_name,
        "version": answer.model_version,
        "predict": PandasCodec.decode_response(_asked(told, frame))["predict"].tolist(),
        "labels": StringCodec.decode_output(answer.outputs[0]),
        "probabilities": NumpyCodec.decode_output(answer.outputs[1]).tolist(),
        "codecs": StringCodec.decode_output(_asked(told, _by_codecs(told)).outputs[0]),
    }
    described = MetadataModelResponse.model_validate_json(_exchange(told, f"/v2/models/{told['model']}"))
    found["inputs"] = {one.name: [one.datatype, one.shape] for one in described.inputs or ()}
    found["server"] = MetadataServerResponse.model_validate_json(_exchange(told, "/v2")).name
    try:
        _asked(told, NumpyRequestCodec.encode_request(np.ones((2, 3))))
    except urllib.error.HTTPError as error:
        found["matrix"] = [error.code, json.load(error)["error"]]
    return found


if __name__ == "__main__":
    json.dump(_told(json.load(sys.stdin)), sys.stdout)
