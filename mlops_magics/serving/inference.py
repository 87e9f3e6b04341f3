"""The Open Inference Protocol, version 2, over HTTP: health, metadata, and predictions by tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import orjson

from mlops_magics.artifact.loading import Method
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.forms import parsed
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Heads, Route, hears, says
from mlops_magics.serving.tensors import (
    DATATYPES,
    datatype_of,
    listed,
    packed,
    parameters,
    tensors,
    written,
)

_HEADER: Final = b"inference-header-content-length"
_BINARY: Final = "application/octet-stream"
_LONGEST: Final = 256  # characters of a request's id
_DIGITS: Final = 18  # of a length; Python refuses to read thousands of them


def speaks(path: str) -> bool:
    """Tell whether a path is one of this protocol's, there or not."""
    return path == "/v2" or path.startswith("/v2/")


def refusal(error: RequestError, request_id: str) -> bytes:
    """Write an error as this protocol has it: one sentence."""
    del request_id  # it is in the answer's headers
    where = [] if error.column is None else [f"column {error.column!r}"]
    where += [] if error.row is None else [f"row {error.row}"]
    return orjson.dumps({"error": f"{error.message[:-1]} ({', '.join(where)})." if where else error.message})


class OpenInference:
    """The protocol's routes for one model.

    Args:
        predictor: The model.
        model: Its registered name.
        version: Its version.
        others: Further versions that can be asked by their paths.
    """

    def __init__(self, predictor: Predictor, model: str, version: str, others: Sequence[str] = ()) -> None:
        self._predictor = predictor
        self._model = model
        self._version = version
        self._others = others
        schema = predictor.loaded.schema
        self._columns = {column.name: column for column in schema.columns} if schema else {}
        names = predictor.codec.names
        self._names = None if names is None else frozenset(names)
        self._datatypes = {method: _promised(predictor, method) for method in predictor.methods}

    def routes(self) -> Mapping[str, Route]:
        """The routes by path; those of the model with and without its version."""
        found = {
            "/v2": _told({"name": "mlops-magics", "version": VERSION, "extensions": ["binary_tensor_data"]}),
            "/v2/health/live": _told({"live": True}),
            "/v2/health/ready": _told({"ready": True}),  # nothing listens before the model is warm
        }
        for base in (f"/v2/models/{self._model}", f"/v2/models/{self._model}/versions/{self._version}"):
            found[base] = _told(self._metadata())
            found[f"{base}/ready"] = _told({"name": self._model, "ready": True})
            found[f"{base}/infer"] = hears(self.hear)
        return found

    def _metadata(self) -> dict[str, Any]:
        inputs = [
            {"name": name, "datatype": DATATYPES[column.type], "shape": [-1]}
            for name, column in self._columns.items()
        ]
        outputs = [
            {"name": method, "datatype": self._datatypes[method], "shape": _shape(self._predictor, method)}
            for method in self._predictor.methods
        ]
        return {
            "name": self._model,
            "versions": [self._version, *self._others],
            "platform": "mlflow" if self._predictor.loaded.foreign else "sklearn",
            "inputs": inputs,
            "outputs": outputs,
        }

    def hear(self, body: bytes, heads: Heads) -> Batch:
        """Read a request.

        Args:
            body: Its body, unpacked.
            heads: Its headers.

        Raises:
            RequestError: It is malformed or does not fit the model.
        """
        codec = self._predictor.codec
        if len(body) > codec.limits.body_bytes:
            raise RequestError(
                413, "BODY_TOO_LARGE", f"The body has more than {codec.limits.body_bytes} bytes."
            )
        size = _json_size(heads, len(body))
        content = parsed(body[:size])
        given = content.get("id")
        if given is not None and (not isinstance(given, str) or len(given) > _LONGEST):
            _bad(f"id must be a text of at most {_LONGEST} characters.")
        params = parameters(content)
        methods, binary = self._outputs(content.get("outputs"), params)
        found = tensors(content.get("inputs"), body[size:])
        codec.count(found[0].rows)
        cells = {
            tensor.name: tensor.cells(self._columns.get(tensor.name))
            for tensor in found
            if self._names is None or tensor.name in self._names
        }
        batch = codec.typed(cells, found[0].rows, methods[0])
        promised = tuple((method, self._datatypes[method]) for method in methods)
        reply = TensorReply(self._model, self._version, given, promised, binary)
        return Batch(batch.columns, batch.rows, batch.method, reply)

    def _outputs(self, told: object, params: Mapping[str, Any]) -> tuple[list[Method], frozenset[str]]:
        """Read which methods are asked, and which of them in binary."""
        everywhere = params.get("binary_data_output") is True
        if not told:
            wanted = {"method": params["method"]} if "method" in params else None
            method = self._predictor.codec.method(wanted)
            return [method], frozenset({method} if everywhere else ())
        if not isinstance(told, list):
            _bad("outputs must be a list.")
        methods: list[Method] = []
        binary = set()
        for one in told:
            known = [method for method in self._predictor.methods if _named(one, method)]
            if not known or known[0] in methods:
                _bad(f"Each of outputs must be named {' or '.join(self._predictor.methods)}, and once.")
            methods += known
            if parameters(one).get("binary_data", everywhere) is True:
                binary.add(known[0])
        return methods, frozenset(binary)


@dataclass(frozen=True, slots=True)
class TensorReply:
    """Writes an answer as tensors.

    Attributes:
        model: The model's name.
        version: Its version.
        given: The request's id; None where it has none.
        promised: The methods that are asked for, in order, and the datatype of each.
        binary: The methods whose cells go behind the JSON.
    """

    model: str
    version: str
    given: str | None
    promised: Sequence[tuple[Method, str]]
    binary: frozenset[str]

    @property
    def also(self) -> Sequence[Method]:
        """The methods after the first."""
        return [method for method, _ in self.promised[1:]]

    def write(self, found: Sequence[np.ndarray[Any, Any]]) -> Answer:
        """Write the answer."""
        outputs, behind = [], []
        for (method, datatype), values in zip(self.promised, found, strict=True):
            tensor, flat = written(method, values, datatype)
            if method in self.binary:
                behind.append(packed(flat))
                tensor["parameters"] = {"binary_data_size": len(behind[-1])}
            else:
                tensor["data"] = listed(flat)
            outputs.append(tensor)
        said = {"model_name": self.model, "model_version": self.version, "outputs": outputs}
        if self.given is not None:
            said["id"] = self.given
        text = orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)
        if not behind:
            return Answer(text)
        return Answer(text + b"".join(behind), _BINARY, headers=((_HEADER, b"%d" % len(text)),))


def _told(content: dict[str, Any]) -> Route:
    answer = Answer(orjson.dumps(content))
    return says(lambda: answer)


def _named(told: object, method: str) -> bool:
    return isinstance(told, dict) and told.get("name") == method


def _json_size(heads: Heads, size: int) -> int:
    """Read how much of a body is JSON, and whether it may be."""
    told = heads.get(_HEADER)
    kind = heads.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind not in ({b"application/json"} if told is None else {b"application/json", _BINARY.encode()}):
        raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", "Send application/json.")
    if told is None:
        return size
    if not told.isdigit() or len(told) > _DIGITS or int(told) > size:
        _bad("Inference-Header-Content-Length is not the length of the JSON.")
    return int(told)


def _promised(predictor: Predictor, method: Method) -> str:
    """Name the datatype of a method's answers."""
    model = predictor.loaded
    if method == model.predict_fn and model.outputs is not None:
        kinds = {DATATYPES[column.type] for column in model.outputs.columns}
        return kinds.pop() if len(kinds) == 1 else "BYTES"  # cells of several types are written as texts
    classes = getattr(model.estimator, "classes_", None)
    if method == "predict" and isinstance(classes, np.ndarray):
        return datatype_of(classes.dtype)
    return "FP64"


def _shape(predictor: Predictor, method: Method) -> list[int]:
    """Tell the shape of a method's answers, -1 for what is not known beforehand."""
    if method == "predict":
        outputs = predictor.loaded.outputs
        width = len(outputs.columns) if outputs and predictor.loaded.predict_fn == "predict" else 1
        return [-1] if width == 1 else [-1, width]
    classes = getattr(predictor.loaded.estimator, "classes_", None)
    return [-1, len(classes) if isinstance(classes, np.ndarray) else -1]


def _bad(message: str) -> NoReturn:
    raise RequestError(400, "BAD_REQUEST", message)
