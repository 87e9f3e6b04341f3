"""The endpoint's description of itself as an OpenAPI 3.1 document, with the model's own columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

from mlops_magics.artifact.schema import Column
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving import sample
from mlops_magics.serving.access import OPEN
from mlops_magics.serving.arrow import STREAM
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.routes import Route
from mlops_magics.serving.tensors import DATATYPES, DATATYPES_TAKEN

Json = dict[str, Any]

_CELLS: Final[Mapping[str, Json]] = {
    "double": {"type": "number"},
    "float": {"type": "number", "format": "float"},
    "long": {"type": "integer", "format": "int64"},
    "integer": {"type": "integer", "format": "int32"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "description": "ISO 8601; without a zone it is read as it stands."},
    "binary": {"type": "string", "contentEncoding": "base64"},
}
_BINARY: Final = "application/octet-stream"  # JSON, and behind it cells in bytes
REFUSALS: Final[Mapping[int, str]] = {
    400: "The request is malformed, or lacks a column.",
    401: "The token is missing or wrong.",
    403: "The token does not open the route, or the host or origin is a foreign one.",
    404: "The version that X-Model-Version names does not answer here.",
    408: "The body did not come in time.",
    413: "The body or its rows are too many.",
    415: "The media type or the encoding of the body is not known.",
    422: "A cell is not of its column's type; column and row are named.",
    429: "Too many requests wait.",
    500: "The model or the server failed; the log names the request's id.",
    503: "The server is stopping.",
    504: "The answer took too long.",
}
"""What a prediction may be refused with."""
_READS: Final = (401, 403, 405)
_TOLD: Final[Mapping[str, str]] = {
    "/ping": "Whether the endpoint answers",
    "/health": "Whether the endpoint answers, as JSON",
    "/version": "Which model and version answers",
    "/metrics": "Counters in Prometheus' text form",
    "/openapi.json": "This document",
    "/docs": "This document as a page",
    "/invocations": "Predict, in MLflow's scoring protocol",
    "/v2": "The server, in the Open Inference Protocol",
    "/v2/health/live": "Whether the server lives",
    "/v2/health/ready": "Whether the server is ready",
    "": "The model's inputs and outputs as tensors",
    "/ready": "Whether the model is ready",
    "/infer": "Predict, in the Open Inference Protocol",
}


def summary(path: str) -> str:
    """Say in a few words what a route is for."""
    return (
        _TOLD.get(path) or _TOLD["" if not path.endswith(("/ready", "/infer")) else path[path.rindex("/") :]]
    )


def document(
    predictor: Predictor, model: str, version: str, routes: Mapping[str, Route], private: Collection[str] = ()
) -> Json:
    """Describe an endpoint.

    Args:
        predictor: What answers.
        model: The registered model's name.
        version: Its version.
        routes: The endpoint's routes.
        private: Columns that are known to be personal.

    Returns:
        An OpenAPI 3.1 document. Its example holds no text, date or number that may be about a person.
    """
    loaded = predictor.loaded
    columns = loaded.schema.columns if loaded.schema else ()
    example = sample.row(loaded, private)
    paths = {
        quote(path): _post(path, example, columns) if route.hear else _get(path)
        for path, route in routes.items()  # as a client asks it: braces would be a parameter's
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model,
            "version": version,
            "description": f"Version {version} of the registered model {model}.",
            "x-server": f"mlops-magics/{VERSION}",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(predictor, columns),
        },
    }


def _get(path: str) -> Json:
    shows = (
        "text/html"
        if path == "/docs"
        else "text/plain"
        if path in {"/ping", "/metrics"}
        else "application/json"
    )
    told: Json = {
        "summary": summary(path),
        "responses": {"200": {"description": "The answer.", "content": {shows: {}}}, **_errors(path, _READS)},
    }
    if path in OPEN:
        told["security"] = []
    return {"get": told}


def _post(path: str, example: Json | None, columns: tuple[Column, ...]) -> Json:
    make: Callable[..., Json] = _scoring if path == "/invocations" else _tensors
    told = make(example, columns)
    said = {"description": "The answer.", "headers": _HEADERS, "content": told["answer"]}
    return {
        "post": {
            "summary": summary(path),
            "parameters": [
                {"name": name, "in": "header", "schema": {"type": "string"}, "description": told}
                for name, told in _ASKED.items()
            ],
            "requestBody": {"required": True, "content": told["question"]},
            "responses": {"200": said, **_errors(path, (*REFUSALS, 405))},
        }
    }


_ASKED: Final = {
    "X-Model-Version": "Which version shall answer, where there are two.",
    "X-Sticky-Key": "A user's id, say: requests with the same one always go to the same version.",
    "X-Request-Id": "An id of letters, digits, '.', '_' and '-', 64 at most; another one is replaced.",
}
_HEADERS: Final = {
    "X-Request-Id": {"description": "The answer's id.", "schema": {"type": "string"}},
    "X-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}},
}


def _scoring(example: Json | None, columns: tuple[Column, ...]) -> Json:
    del columns
    question: Json = {"schema": _ref("Question")}
    if example is not None:
        question["example"] = {
            "dataframe_split": {"columns": list(example), "data": [list(example.values())]}
        }
    return {
        "question": {"application/json": question, "text/csv": {"schema": {"type": "string"}}, STREAM: {}},
        "answer": {"application/json": {"schema": _ref("Predictions")}, STREAM: {}},
    }


def _tensors(example: Json | None, columns: tuple[Column, ...]) -> Json:
    question: Json = {"schema": _ref("TensorQuestion")}
    if example is not None:
        question["example"] = {
            "inputs": [
                {
                    "name": each.name,
                    "datatype": DATATYPES[each.type],
                    "shape": [1],
                    "data": [example[each.name]],
                }
                for each in columns
            ]
        }
    return {
        "question": {"application/json": question, _BINARY: {}},
        "answer": {"application/json": {"schema": _ref("TensorAnswer")}, _BINARY: {}},
    }


def _errors(path: str, statuses: tuple[int, ...]) -> Json:
    error = _ref("TensorError" if path.startswith("/v2") else "Error")
    return {
        str(status): {
            "description": REFUSALS.get(status, "The route has no such method."),
            "content": {"application/json": {"schema": error}},
        }
        for status in statuses
    }


def _schemas(predictor: Predictor, columns: tuple[Column, ...]) -> Json:
    row: Json = {
        "type": "object",
        "description": "One row; columns that the model does not take are ignored.",
    }
    if columns:
        row["properties"] = {column.name: _cell(column) for column in columns}
        row["required"] = [column.name for column in columns if column.required]
    method = {"type": "string", "enum": list(predictor.methods)}
    params = {"type": "object", "properties": {"method": method}, "additionalProperties": False}
    questions = [
        {
            "type": "object",
            "required": [name],
            "properties": {name: form, "params": params},
            "additionalProperties": False,
        }
        for name, form in _forms(columns).items()
    ]
    return {
        "Row": row,
        "Question": {"oneOf": questions},
        "Predictions": {
            "type": "object",
            "required": ["predictions"],
            "properties": {"predictions": {"type": "array", "description": "One entry a row."}},
        },
        "Error": _error("error_code", "message", "request_id"),
        **_tensor_schemas(method),
    }


def _forms(columns: tuple[Column, ...]) -> Json:
    """Describe the four forms in which MLflow's protocol brings rows."""
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": _list({"type": "string"}),
            "data": _some({"type": "array"}),
            "index": {"type": "array"},
        },
        "additionalProperties": False,
    }
    by_column: Json = {
        "type": "object",
        "properties": {column.name: _some(_cell(column)) for column in columns},
    }
    rows = [_some(_ref("Row")), _some({"type": "array"})]
    return {
        "dataframe_split": split,
        "dataframe_records": rows[0],
        "inputs": {"anyOf": [*rows, _ref("Row"), by_column]},
        "instances": {"anyOf": rows},
    }


def _tensor_schemas(method: Json) -> Json:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "enum": list(DATATYPES_TAKEN)},
            "shape": _some({"type": "integer", "minimum": 0}),
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
    }
    output = {"type": "object", "required": ["name"], "properties": {"name": method}}
    return {
        "Tensor": tensor,
        "TensorQuestion": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": {**_some(_ref("Tensor")), "description": "One tensor a column, of one length."},
                "outputs": _list(output),
                "parameters": {"type": "object"},
            },
        },
        "TensorAnswer": {
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "outputs": _list(_ref("Tensor")),
            },
        },
        "TensorError": _error("error"),
    }


def _error(*words: str) -> Json:
    places: Json = (
        {"column": {"type": ["string", "null"]}, "row": {"type": ["integer", "null"]}}
        if len(words) > 1
        else {}
    )
    properties = {**{word: {"type": "string"} for word in words}, **places}
    return {"type": "object", "required": list(properties), "properties": properties}


def _cell(column: Column) -> Json:
    cell = dict(_CELLS[column.type])
    if not column.required:
        cell["type"] = [cell["type"], "null"]
    return cell


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _some(items: Json) -> Json:
    """Describe a list that may not be empty."""
    return {**_list(items), "minItems": 1}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
