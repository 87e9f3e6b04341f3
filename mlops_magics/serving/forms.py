"""The forms in which MLflow's protocol brings rows, four of JSON and CSV, brought to raw cells by column.

Whether a cell is of its column's type is not looked at here, except where all of few rows are at once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import orjson

from mlops_magics.artifact.schema import Column
from mlops_magics.serving.cells import parser
from mlops_magics.serving.errors import RequestError, bad
from mlops_magics.serving.rows import Layout, Rows

Found = dict[str, Sequence[Any]] | Rows
"""The raw cells of each column, or rows that are sound."""

FORMS: Final = ("dataframe_split", "dataframe_records", "inputs", "instances")

_FEW = 16  # rows of a request; more are typed column by column at once
_SPLIT_KEYS = frozenset({"columns", "data", "index"})


class Forms:
    """Reads the rows of requests for one model.

    Args:
        columns: The model's columns; none where it has no plain table as signature.
        names: The names of its columns, in its order; None takes what a request brings.
        count: What refuses a request without rows, or with too many.
    """

    def __init__(
        self, columns: Sequence[Column], names: Sequence[str] | None, count: Callable[[int], None]
    ) -> None:
        self._columns = columns
        self._names = names
        self._count = count
        self._parsers = {column.name: parser(column.type) for column in columns}
        self._last: tuple[list[Any], list[tuple[str, int]], Layout | None] = ([], [], None)

    def read(self, form: str, content: Any) -> tuple[Found, int]:  # noqa: ANN401 - JSON
        """Bring one of the forms of JSON to columns of raw cells.

        Args:
            form: Which one: one of FORMS.
            content: What stands under it.

        Returns:
            The cells, and how many rows there are.

        Raises:
            RequestError: It is malformed.
        """
        if form == "dataframe_split":
            return self._split(content)
        if form == "inputs" and isinstance(content, dict):
            if content and not any(type(cells) in {list, dict} for cells in content.values()):
                return self._records(form, [content])  # one row, as MLflow takes it
            return self._arrays(content)
        if not isinstance(content, list):
            bad(f"{form} must be a list.")
        self._count(len(content))
        if form == "dataframe_records" or isinstance(content[0], dict):
            return self._records(form, content)
        width = len(content[0]) if isinstance(content[0], list) else 0
        names = self._names or [str(place) for place in range(width)]
        return self._rows(list(names), content)

    def _split(self, content: Any) -> tuple[Found, int]:  # noqa: ANN401 - JSON
        if not isinstance(content, dict) or not content.keys() <= _SPLIT_KEYS:
            bad("dataframe_split must be an object with columns and data.")
        names, data = content.get("columns"), content.get("data")
        if not (names is None or isinstance(names, list)) or not isinstance(data, list):
            bad("dataframe_split must have the lists columns and data.")
        self._count(len(data))
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
                bad(f"Each row must be a list of {width} cells.", row=place)
        last, places, layout = self._last
        if names != last or not places:
            places = self._places(names)
            layout = Layout.of(self._columns, dict(places), width)
            self._last = (names, places, layout)
        return places, layout

    def _places(self, names: list[Any]) -> list[tuple[str, int]]:
        if not all(type(name) is str or type(name) is int for name in names):
            bad("Column names must be texts.")
        where = {str(name): place for place, name in enumerate(names)}
        if len(where) != len(names):
            bad("A column is named twice.")
        return [
            (name, where[name]) for name in (where if self._names is None else self._names) if name in where
        ]

    def _records(self, form: str, records: list[Any]) -> tuple[dict[str, Sequence[Any]], int]:
        for place, record in enumerate(records):
            if type(record) is not dict:
                bad(f"Each of {form} must be an object.", row=place)
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
                bad("Each column of inputs must be a list.", column=name)
        sizes = {len(values) for values in found.values()}
        if len(sizes) > 1:
            bad("The columns of inputs differ in length.")
        rows = sizes.pop() if sizes else len(next((v for v in content.values() if type(v) is list), [None]))
        self._count(rows)
        return cast("dict[str, Sequence[Any]]", found), rows

    def csv(self, body: bytes) -> tuple[dict[str, Sequence[Any]], int]:
        """Bring CSV to columns of raw cells.

        Args:
            body: The text, with a header.

        Returns:
            The cells, and how many rows there are.

        Raises:
            RequestError: It is malformed.
        """
        try:
            lines = [line for line in csv.reader(io.StringIO(body.decode()), strict=True) if line]
        except (UnicodeDecodeError, csv.Error):
            bad("The body is not valid CSV in UTF-8.")
        if not lines:
            bad("The CSV has no header.")
        self._count(len(lines) - 1)
        names, data, guess = list(lines[0]), lines[1:], parser(None)
        found = _across(self._laid(names, data)[0], data)
        return {name: list(map(self._parsers.get(name, guess), found[name])) for name in found}, len(data)


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
        bad(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).")
    if not isinstance(content, dict):
        bad("The body must be a JSON object.")
    return content


_MEDIA = {"application/json": "application/json", "text/csv": "text/csv"}
_CHARSET = re.compile(r"""charset\s*=\s*"?utf-?8"?""", re.IGNORECASE)


def media(content_type: str | None) -> str:
    """Read a Content-Type.

    Args:
        content_type: The header, or None.

    Returns:
        application/json or text/csv.

    Raises:
        RequestError: It is another one, or names another charset.
    """
    return _MEDIA.get(content_type or "") or _written_otherwise(content_type)


def _written_otherwise(content_type: str | None) -> str:
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
