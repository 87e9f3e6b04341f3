"""MLflow's scoring protocol, strictly: a request body becomes typed columns, an array becomes an answer.

A codec is built once from the model's schema, so that a request pays only for its own cells. No error
ever repeats a value of a request: it names the column, the row and the type that was expected.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
import orjson

from mlops_magics.artifact.loading import Method
from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Schema
from mlops_magics.serving.cells import CellError, Decoder, decoder, guessed, parser
from mlops_magics.serving.reply import Reply
from mlops_magics.serving.rows import Columns, Layout, Rows

Found = dict[str, Sequence[Any]] | Rows
"""The raw cells of each column, or rows that are sound."""

_FEW = 16  # rows of a request; more are typed column by column at once
_NUMBERS = frozenset({float, int})
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_SPLIT_KEYS = frozenset({"columns", "data", "index"})


class RequestError(Exception):
    """A request that gets no prediction.

    Attributes:
        status: The HTTP status.
        code: A word for programs, such as "BAD_REQUEST".
        message: A sentence for people; it repeats no value of the request.
        column: The column that it is about, or None.
        row: The row that it is about, counted from 0, or None.
    """

    def __init__(
        self, status: int, code: str, message: str, *, column: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.column = column
        self.row = row


@dataclass(slots=True, eq=False)
class Batch:
    """What a request asks for.

    Attributes:
        held: One array a column, in the model's order, or rows of which these can be made.
        rows: How many rows there are.
        method: Which method of the estimator is asked.
        reply: How the answer is written; None for MLflow's JSON.
    """

    held: Columns | Rows
    rows: int
    method: Method
    reply: Reply | None = None

    @property
    def columns(self) -> Columns:
        """One array a column, in the model's order."""
        if isinstance(self.held, Rows):
            self.held = self.held.typed()
        return self.held


class Codec:
    """Reads requests for one model and writes its answers.

    Args:
        schema: The model's columns, or None where it has no plain table as signature.
        methods: The methods that may be asked for, the default first.
        names: The columns of a model without schema, in its order; None takes what the request brings.
        limits: The largest request; may be set anew.
    """

    def __init__(
        self,
        schema: Schema | None,
        *,
        methods: Sequence[Method] = ("predict",),
        names: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._columns = columns = schema.columns if schema else ()
        self._names: tuple[str, ...] | None = schema.names if schema else tuple(names) if names else None
        self._decoders: dict[str, Decoder] = {column.name: decoder(column) for column in columns}
        self._parsers = {column.name: parser(column.type) for column in columns}
        self._optional = frozenset(column.name for column in columns if not column.required)
        self._blocks = tuple(
            (
                tuple(
                    column.name for column in columns if (column.type, column.required) == ("double", must)
                ),
                kinds,
            )
            for must, kinds in ((True, _NUMBERS), (False, _NUMBERS | {type(None)}))
        )
        self._methods = tuple(methods)
        self.limits = limits or Limits()
        self._last: tuple[list[Any], list[tuple[str, int]], Layout | None] = ([], [], None)

    def decode(self, body: bytes, content_type: str | None) -> Batch:
        """Read a request.

        Args:
            body: The request's body.
            content_type: The request's Content-Type header.

        Returns:
            Its typed columns.

        Raises:
            RequestError: The request is malformed or does not fit the model.
        """
        kind = _MEDIA.get(content_type or "") or _media(content_type)
        if len(body) > self.limits.body_bytes:
            raise RequestError(
                413, "BODY_TOO_LARGE", f"The body has more than {self.limits.body_bytes} bytes."
            )
        if kind == "text/csv":
            return self._batch(*self._csv(body), self._methods[0])
        content = parsed(body)
        form = [key for key in content if key in _FORMS]
        if len(form) != 1 or len(content) != 1 + ("params" in content):
            _bad(f"The body must have exactly one of {', '.join(_FORMS)}, and at most params beside it.")
        method = self.method(content["params"]) if "params" in content else self._methods[0]
        return self._batch(*self._read(form[0], content[form[0]]), method)

    def typed(self, found: Mapping[str, Sequence[Any]], rows: int, method: Method) -> Batch:
        """Check and type columns of raw cells, however they came.

        Args:
            found: The cells of each column, as JSON would have brought them; more columns than the model has
                are ignored.
            rows: How many cells each has.
            method: Which method of the estimator is asked.

        Raises:
            RequestError: They do not fit the model.
        """
        self.count(rows)
        return self._batch(dict(found), rows, method)

    def encode(self, found: np.ndarray[Any, Any]) -> bytes:
        """Write an answer.

        Args:
            found: What the estimator answered, one entry or row of entries for each row.

        Returns:
            A JSON object; NaN becomes null.
        """
        native = found.dtype.kind in "bif" and found.dtype.itemsize <= 8  # noqa: PLR2004 - bytes that JSON knows
        values = np.ascontiguousarray(found) if native else found.tolist()
        return orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY, default=str)

    @property
    def names(self) -> Sequence[str] | None:
        """The model's columns in its order; None where it takes what a request brings."""
        return self._names

    def method(self, params: object) -> Method:
        """Read which method is asked.

        Args:
            params: What a request has as ``params``: nothing, or an object with ``method``.

        Raises:
            RequestError: It is anything else.
        """
        if params is None or params == {}:
            return self._methods[0]
        if not isinstance(params, dict) or params.keys() != {"method"}:
            _bad("params may hold nothing but method.")
        if params["method"] not in self._methods:
            _bad(f"params.method must be one of: {', '.join(self._methods)}.")
        return cast("Method", params["method"])

    def _read(self, form: str, content: Any) -> tuple[Found, int]:  # noqa: ANN401 - JSON
        """Bring one of the forms to columns of raw values."""
        if form == "dataframe_split":
            return self._split(content)
        if form == "inputs" and isinstance(content, dict):
            if content and not any(type(cells) in {list, dict} for cells in content.values()):
                return self._records(form, [content])  # one row, as MLflow takes it
            return self._arrays(content)
        if not isinstance(content, list):
            _bad(f"{form} must be a list.")
        self.count(len(content))
        if form == "dataframe_records" or isinstance(content[0], dict):
            return self._records(form, content)
        width = len(content[0]) if isinstance(content[0], list) else 0
        names = self._names or [str(place) for place in range(width)]
        return self._rows(list(names), content)

    def _split(self, content: Any) -> tuple[Found, int]:  # noqa: ANN401 - JSON
        if not isinstance(content, dict) or not content.keys() <= _SPLIT_KEYS:
            _bad("dataframe_split must be an object with columns and data.")
        names, data = content.get("columns"), content.get("data")
        if not (names is None or isinstance(names, list)) or not isinstance(data, list):
            _bad("dataframe_split must have the lists columns and data.")
        self.count(len(data))
        if names is None:  # of a model that knows its columns by their place
            names = [str(place) for place in range(len(data[0]) if isinstance(data[0], list) else 0)]
        return self._rows(names, data)

    def _rows(self, names: list[Any], data: list[Any]) -> tuple[Found, int]:
        """Take few rows as they are, and turn many into columns."""
        places, layout = self._laid(names, data)
        if layout is not None and len(data) <= _FEW and layout.sound(data):
            return Rows(layout, data), len(data)
        return _across(places, data), len(data)

    def _laid(self, names: list[Any], data: list[Any]) -> tuple[list[tuple[str, int]], Layout | None]:
        """Find the places of the model's columns; those of the last request are remembered."""
        width = len(names)
        for place, row in enumerate(data):
            if type(row) is not list or len(row) != width:
                _bad(f"Each row must be a list of {width} cells.", row=place)
        last, places, layout = self._last
        if names != last or not places:
            places = self._places(names)
            layout = Layout.of(self._columns, dict(places), width)
            self._last = (names, places, layout)
        return places, layout

    def _places(self, names: list[Any]) -> list[tuple[str, int]]:
        if not all(type(name) is str or type(name) is int for name in names):
            _bad("Column names must be texts.")
        where = {str(name): place for place, name in enumerate(names)}
        if len(where) != len(names):
            _bad("A column is named twice.")
        return [
            (name, where[name]) for name in (where if self._names is None else self._names) if name in where
        ]

    def _records(self, form: str, records: list[Any]) -> tuple[dict[str, Sequence[Any]], int]:
        for place, record in enumerate(records):
            if type(record) is not dict:
                _bad(f"Each of {form} must be an object.", row=place)
        names: Iterable[str] = self._names or dict.fromkeys(name for record in records for name in record)
        found: dict[str, Sequence[Any]] = {}
        for name in names:
            try:
                found[name] = [record[name] for record in records]
            except KeyError:
                if not any(name in record for record in records):
                    continue  # a missing column, which _batch judges
                found[name] = [record.get(name) for record in records]
        return found, len(records)

    def _arrays(self, content: Mapping[str, Any]) -> tuple[dict[str, Sequence[Any]], int]:
        names = self._names or tuple(content)
        found = {name: content[name] for name in names if name in content}
        for name, values in found.items():
            if type(values) is not list:
                _bad("Each column of inputs must be a list.", column=name)
        sizes = {len(values) for values in found.values()}
        if len(sizes) > 1:
            _bad("The columns of inputs differ in length.")
        rows = sizes.pop() if sizes else len(next((v for v in content.values() if type(v) is list), [None]))
        self.count(rows)
        return cast("dict[str, Sequence[Any]]", found), rows

    def _csv(self, body: bytes) -> tuple[dict[str, Sequence[Any]], int]:
        try:
            lines = [line for line in csv.reader(io.StringIO(body.decode()), strict=True) if line]
        except (UnicodeDecodeError, csv.Error):
            _bad("The body is not valid CSV in UTF-8.")
        if not lines:
            _bad("The CSV has no header.")
        self.count(len(lines) - 1)
        names, data, guess = list(lines[0]), lines[1:], parser(None)
        found = _across(self._laid(names, data)[0], data)
        return {name: list(map(self._parsers.get(name, guess), found[name])) for name in found}, len(data)

    def count(self, rows: int) -> None:
        """Refuse a request without rows, or with too many; raises RequestError."""
        if not rows:
            _bad("The request has no rows.")
        if rows > self.limits.rows:
            raise RequestError(413, "TOO_MANY_ROWS", f"The request has more than {self.limits.rows} rows.")

    def _batch(self, found: Found, rows: int, method: Method) -> Batch:
        """Check and type each column, in the model's order, where that is not left for later."""
        if isinstance(found, Rows):
            return Batch(found, rows, method)
        columns: Columns = {}
        typed = self._doubles(found)
        for name in found if self._names is None else self._names:
            if name in typed:
                columns[name] = typed[name]
                continue
            values = found.get(name)
            if values is None:
                if name not in self._optional:
                    raise RequestError(400, "MISSING_COLUMN", "A required column is missing.", column=name)
                values = (None,) * rows
            try:
                columns[name] = self._decoders.get(name, guessed)(values)
            except CellError as error:
                raise RequestError(
                    422,
                    "INVALID_CELL",
                    f"Expected {error.expected}.",
                    column=name,
                    row=error.row,
                ) from None
        return Batch(columns, rows, method)

    def _doubles(self, found: dict[str, Sequence[Any]]) -> Columns:
        """Type all columns of doubles at once, where each is there and sound; else one by one, to name it."""
        typed: Columns = {}
        for names, kinds in self._blocks:
            try:
                cells = [found[name] for name in names]
            except KeyError:
                continue
            if cells and all(kinds.issuperset(map(type, each)) for each in cells):
                typed.update(zip(names, np.array(cells, dtype=np.float64), strict=True))
        return typed


def _across(places: list[tuple[str, int]], data: list[Any]) -> dict[str, Sequence[Any]]:
    """Turn rows into columns."""
    across = list(zip(*data, strict=True))
    return {name: across[place] for name, place in places}


_NAN = re.compile(rb'"(?:[^"\\]|\\.)*+"|NaN', re.DOTALL)


def parsed(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        body: Its text. MLflow's own client, and pandas in Python's json, write NaN for a gap: where it
            stands outside of a text it is read as null. Infinities are refused, as the standard has it.

    Raises:
        RequestError: It is none.
    """
    try:
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            if b"NaN" not in body:
                raise
            content = orjson.loads(_NAN.sub(lambda found: b"null" if found[0] == b"NaN" else found[0], body))
    except orjson.JSONDecodeError as error:
        _bad(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).")
    if not isinstance(content, dict):
        _bad("The body must be a JSON object.")
    return content


_MEDIA = {"application/json": "application/json", "text/csv": "text/csv"}
_CHARSET = re.compile(r"""charset\s*=\s*"?utf-?8"?""", re.IGNORECASE)


def _media(content_type: str | None) -> str:
    """Read a Content-Type that is written otherwise than most."""
    name, *params = (content_type or "").split(";")
    kind = _MEDIA.get(name.strip().lower())
    charsets = [param.strip() for param in params if param.strip().lower().startswith("charset")]
    if kind is None or not all(_CHARSET.fullmatch(charset) for charset in charsets):
        raise RequestError(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "Send application/json or text/csv, in UTF-8 if a charset is named.",
        )
    return kind


def _bad(message: str, *, column: str | None = None, row: int | None = None) -> NoReturn:
    raise RequestError(400, "BAD_REQUEST", message, column=column, row=row)
