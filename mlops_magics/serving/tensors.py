"""Tensors of the Open Inference Protocol: one a column coming in, one an answer going out."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

import numpy as np

from mlops_magics.artifact.schema import Column, Kind
from mlops_magics.serving.errors import RequestError

_NONE = type(None)
_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_REAL = frozenset({"FP16", "FP32", "FP64"})
_CELLS: Final[Mapping[str, frozenset[type]]] = {
    **dict.fromkeys(_WHOLE, frozenset({int, _NONE})),
    **dict.fromkeys(_REAL, frozenset({float, int, _NONE})),
    "BOOL": frozenset({bool, _NONE}),
    "BYTES": frozenset({str, _NONE}),
}
_FITS: Final[Mapping[Kind, frozenset[str]]] = {
    **dict.fromkeys(("double", "float", "long", "integer"), _WHOLE | _REAL),
    **dict.fromkeys(("string", "datetime", "binary"), frozenset({"BYTES"})),
    "boolean": frozenset({"BOOL"}),
}
_CONTENT: Final = frozenset({"pd", "np", "str", "datetime"})  # of MLServer, as far as they change nothing
_BASE64: Final = "base64"  # changes nothing either where a column is binary, and only there
DATATYPES: Final[Mapping[Kind, str]] = {
    "double": "FP64",
    "float": "FP32",
    "long": "INT64",
    "integer": "INT32",
    "boolean": "BOOL",
    "string": "BYTES",
    "datetime": "BYTES",
    "binary": "BYTES",
}
"""The datatype of each type of column."""
DATATYPES_TAKEN: Final = tuple(_CELLS)
"""The datatypes that a tensor may have."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a request.

    Attributes:
        name: Its name.
        datatype: Its datatype.
        rows: How many cells it has.
        data: Its cells; bytes where they lie behind the JSON.
        content: What its cells are written in, where it says so.
    """

    name: str
    datatype: str
    rows: int
    data: list[Any] | bytes
    content: str = ""

    def cells(self, column: Column | None) -> list[Any]:
        """Give its cells as JSON would bring them.

        Args:
            column: The column that it is for; None where the model has no schema.

        Raises:
            RequestError: Its datatype is not one of the column, or a cell is not of its datatype.
        """
        if column is not None and self.datatype not in _FITS[column.type]:
            _bad(f"Expected the datatype {DATATYPES[column.type]}.", self.name)
        if self.content == _BASE64 and (column is None or column.type != "binary"):
            _bad(f"parameters.content_type may be {', '.join(sorted(_CONTENT))} here.", self.name)
        if isinstance(self.data, bytes):
            return self._binary(self.data, column)
        accepted = _CELLS[self.datatype]
        if not accepted.issuperset(map(type, self.data)):
            row = next(row for row, cell in enumerate(self.data) if type(cell) not in accepted)
            _bad(f"Expected a cell of the datatype {self.datatype}.", self.name, row, status=422)
        return self.data

    def _binary(self, data: bytes, column: Column | None) -> list[Any]:
        if self.datatype != "BYTES":
            values = np.frombuffer(data, dtype=_DTYPES[self.datatype])
            if self.datatype not in _REAL:
                return cast("list[Any]", values.tolist())
            if np.isinf(values).any():
                row = int(np.isinf(values).argmax())
                _bad("Expected a finite number.", self.name, row, status=422)
            return [None if cell != cell else cell for cell in values.tolist()]  # noqa: PLR0124 - what NaN is known by
        texts = list(_texts(data, self.name))
        if len(texts) != self.rows:
            _bad(f"The binary data have not {self.rows} texts.", self.name)
        if column is not None and column.type == "binary":
            return [base64.b64encode(text).decode() for text in texts]
        found = []
        for row, text in enumerate(texts):
            try:
                found.append(text.decode())
            except UnicodeDecodeError:
                _bad("Expected a text in UTF-8.", self.name, row, status=422)
        return found


_DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}


def tensors(told: object, behind: bytes) -> list[Tensor]:
    """Read the inputs of a request.

    Args:
        told: What its JSON has as ``inputs``.
        behind: The bytes behind its JSON, where the binary extension is used.

    Raises:
        RequestError: They are malformed, or differ in length.
    """
    if not isinstance(told, list) or not told:
        _bad("inputs must be a list of tensors.")
    found, rest = [], memoryview(behind)
    for one in told:
        tensor, size = _tensor(one, rest)
        rest = rest[size:]
        found.append(tensor)
    if rest:
        _bad("There are more bytes behind the JSON than its tensors have.")
    if len({tensor.name for tensor in found}) != len(found):
        _bad("A tensor is named twice.")
    if len({tensor.rows for tensor in found}) > 1:
        _bad("The tensors differ in length.")
    return found


def _tensor(told: object, behind: memoryview) -> tuple[Tensor, int]:
    """Read one tensor; also say how many bytes behind the JSON are its."""
    if not isinstance(told, dict):
        _bad("Each tensor must be an object.")
    name, datatype, shape = told.get("name"), told.get("datatype"), told.get("shape")
    if not isinstance(name, str):
        _bad("Each tensor must have a name.")
    if not isinstance(datatype, str) or datatype not in _CELLS:
        _bad(f"The datatype must be one of {', '.join(_CELLS)}.", name)
    if (
        not isinstance(shape, list)
        or not all(type(length) is int and length >= 0 for length in shape)
        or len(shape) not in {1, 2}
        or shape[1:] not in ([], [1])
    ):
        _bad("The shape must be [rows] or [rows, 1]: one tensor a column.", name)
    said = parameters(told, _CONTENT | {_BASE64})
    size, content = said.get("binary_data_size"), said.get("content_type") or ""
    if size is not None:
        return Tensor(name, datatype, shape[0], _cut(size, datatype, shape[0], behind, name), content), size
    data = told.get("data")
    if not isinstance(data, list):
        _bad("The data must be a list.", name)
    if data and type(data[0]) is list:
        if not all(type(row) is list and len(row) == 1 for row in data):
            _bad("Each row of the data must have one cell.", name)
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        _bad("The data have another length than the shape says.", name)
    return Tensor(name, datatype, shape[0], data, content), 0


def parameters(told: Mapping[str, Any], content: frozenset[str] = _CONTENT) -> Mapping[str, Any]:
    """Read the parameters of a request or a tensor; what is not known among them is ignored.

    Args:
        told: The request or tensor.
        content: What the data may be written in.

    Raises:
        RequestError: They are no object, or say that the data mean something else.
    """
    found = told.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        _bad("parameters must be an object.")
    kind = found.get("content_type")
    if kind is not None and (not isinstance(kind, str) or kind not in content):
        _bad(f"parameters.content_type may be {', '.join(sorted(content))}.")
    return found


def _cut(size: object, datatype: str, rows: int, behind: memoryview, name: str) -> bytes:
    wanted = size if datatype == "BYTES" else rows * _DTYPES[datatype].itemsize
    if type(size) is not int or not 0 <= size <= len(behind) or size != wanted:
        _bad("binary_data_size does not fit the shape, or the bytes behind the JSON.", name)
    return bytes(behind[:size])


def _texts(data: bytes, name: str) -> Iterable[bytes]:
    place = 0
    while place < len(data):
        if place + 4 > len(data):
            _bad("The binary data end within a length.", name)
        (size,) = struct.unpack_from("<I", data, place)
        place += 4
        if place + size > len(data):
            _bad("The binary data end within a text.", name)
        yield data[place : place + size]
        place += size


def written(
    name: str, found: np.ndarray[Any, Any], datatype: str
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Describe an answer as a tensor.

    Args:
        name: Its name.
        found: What the model answered.
        datatype: The datatype that the model's metadata promise; kept where nothing is lost.

    Returns:
        The tensor without data, and its flat cells: numbers, or texts as objects.
    """
    promised = _DTYPES.get(datatype)
    if promised is not None and found.dtype != promised and np.can_cast(found.dtype, promised, "safe"):
        found = found.astype(promised)
    known = datatype_of(found.dtype)
    flat = np.ascontiguousarray(found).ravel()
    if known == "BYTES" and flat.size:
        flat = np.array([str(cell) for cell in flat.tolist()], dtype=object)
    return {"name": name, "datatype": known, "shape": list(found.shape)}, flat


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Name the datatype of an array; what is no number or truth value is text."""
    return next((name for name, known in _DTYPES.items() if known == dtype), "BYTES")


def packed(flat: np.ndarray[Any, Any]) -> bytes:
    """Write flat cells as bytes behind the JSON."""
    if flat.dtype != object:
        return flat.tobytes()
    texts = [text.encode() for text in flat.tolist()]
    return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))


def listed(flat: np.ndarray[Any, Any]) -> Sequence[Any] | np.ndarray[Any, Any]:
    """Give flat cells in a form that orjson writes; NaN becomes null."""
    return flat.tolist() if flat.dtype == object or flat.dtype.itemsize > 8 else flat  # noqa: PLR2004 - bytes that JSON knows


def _bad(message: str, column: str | None = None, row: int | None = None, *, status: int = 400) -> NoReturn:
    code = "BAD_REQUEST" if status == 400 else "INVALID_CELL"  # noqa: PLR2004 - HTTP's own numbers
    raise RequestError(status, code, message, column=column, row=row)
