"""Asks an endpoint with KServe's own client, in an environment that holds KServe and nothing of ours.

stdin: {"url", "model", "token", "columns": {name: [datatype, cells]}}; stdout: what it was answered, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

_KINDS = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "INT32": np.int32, "BOOL": np.bool_}


def _inputs(columns: dict[str, Any], *, binary: bool) -> list[InferInput]:
    found = []
    for name, (datatype, cells) in columns.items():
        made = InferInput(name, [len(cells)], datatype)
        made.set_data_from_numpy(np.array(cells, dtype=_KINDS.get(datatype, object)), binary_data=binary)
        found.append(made)
    return found


def _listed(answer: Any) -> dict[str, Any]:
    outputs = {}
    for one in answer.outputs:
        cells = one.as_numpy().tolist()
        outputs[one.name] = [cell.decode() if isinstance(cell, bytes) else cell for cell in cells]
    return {"id": answer.id, "model": answer.model_name, "outputs": outputs}  # its version it does not read


async def _asked(told: dict[str, Any]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    url, model, columns = told["url"], told["model"], told["columns"]
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
    }

    def heads() -> dict[str, str]:
        return {"Authorization": f"Bearer {told['token']}"}  # the client writes into what it is given

    found["model ready"] = await client.is_model_ready(url, model, headers=heads())
    for binary in (False, True):
        for binary_answer in (False, True):
            wanted = [
                RequestedOutput(name, {"binary_data": binary_answer}) for name in ("predict", "predict_proba")
            ]
            request = InferRequest(
                model, _inputs(columns, binary=binary), request_id="my id", request_outputs=wanted
            )
            answer = await client.infer(url, request, model_name=model, headers=heads())
            found[f"binary {binary} {binary_answer}"] = _listed(answer)
    plain = InferRequest(model, _inputs(columns, binary=False))
    found["plain"] = _listed(await client.infer(url, plain, model_name=model, headers=heads()))
    for name, request, given in (
        ("no token", plain, {}),
        ("no column", InferRequest(model, plain.inputs[:1]), heads()),
    ):
        try:
            await client.infer(url, request, model_name=model, headers=given)
        except httpx.HTTPStatusError as error:
            found[name] = [error.response.status_code, str(error)]
    return found


if __name__ == "__main__":
    json.dump(asyncio.run(_asked(json.load(sys.stdin))), sys.stdout)
