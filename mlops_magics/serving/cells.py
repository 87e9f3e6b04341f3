"""One column of raw JSON or CSV cells becomes one typed numpy array, or an error that names the row."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mlops_magics.artifact.schema import Column

Array = np.ndarray[Any, Any]
Cells = Sequence[Any]
Decoder = Callable[[Cells], Array]

_NONE = type(None)
_INT = frozenset({int})
_EXACT = 2**53  # beyond it a float skips integers
LIMITS = {"long": (-(2**63), 2**63 - 1), "integer": (-(2**31), 2**31 - 1)}
_FLOAT_MOST = float(np.finfo(np.float32).max)
_YEARS = range(1678, 2262)  # what nanoseconds in 64 bits can hold


class CellError(ValueError):
    """A cell that is not of its column's type.

    Attributes:
        row: Its row, counted from 0.
        expected: What it should have been; never what it was.
    """

    def __init__(self, row: int, expected: str) -> None:
        super().__init__(row, expected)
        self.row = row
        self.expected = expected


def decoder(column: Column) -> Decoder:
    """Make the function that types one column.

    Args:
        column: The column, as the model's signature has it.

    Returns:
        A function from raw cells to an array. Strings stay objects with None for a gap; numbers with
        gaps are floats, as in the frame that the model was trained on.
    """
    return _DECODERS[column.type](column.required)


def _floats(dtype: type[np.floating[Any]], word: str) -> Callable[[bool], Decoder]:
    narrow = dtype is np.float32

    def make(required: bool) -> Decoder:  # noqa: FBT001 - called by the table below only
        accepted = {float, int} if required else {float, int, _NONE}
        expected = word if required else f"{word} or null"

        def decode(cells: Cells) -> Array:
            if not accepted.issuperset(map(type, cells)):
                raise CellError(_first(cells, lambda cell: type(cell) in accepted), expected)
            if narrow and any(cell is not None and abs(cell) > _FLOAT_MOST for cell in cells):
                row = _first(cells, lambda cell: cell is None or abs(cell) <= _FLOAT_MOST)
                raise CellError(row, f"{expected} within 32 bits")
            return np.array(cells, dtype=dtype)

        return decode

    return make


def _integers(dtype: type[np.integer[Any]], word: str) -> Callable[[bool], Decoder]:
    low, high = LIMITS[word]

    def make(required: bool) -> Decoder:  # noqa: FBT001 - called by the table below only
        expected = f"{word} (a whole number)" if required else f"{word} (a whole number) or null"
        # Always floats where gaps are possible: what one request gets must not hang on another's gaps.
        made = dtype if required else np.float64

        def good(cell: object) -> bool:
            if type(cell) is int:
                return low <= cell <= high
            if type(cell) is float:  # pandas writes whole numbers this way once a column had a gap
                return cell.is_integer() and abs(cell) <= _EXACT and low <= cell <= high
            return cell is None and not required

        def decode(cells: Cells) -> Array:
            if _INT.issuperset(map(type, cells)) and low <= min(cells) and max(cells) <= high:
                return np.array(cells, dtype=made)
            if not all(map(good, cells)):
                raise CellError(_first(cells, good), expected)
            return np.array(cells, dtype=made)

        return decode

    return make


def _booleans(required: bool) -> Decoder:  # noqa: FBT001 - called by the table below only
    accepted = {bool} if required else {bool, _NONE}
    expected = "boolean" if required else "boolean or null"

    def decode(cells: Cells) -> Array:
        if not accepted.issuperset(map(type, cells)):
            raise CellError(_first(cells, lambda cell: type(cell) in accepted), expected)
        return np.array(cells, dtype=np.bool_) if required else _objects(cells)

    return decode


def _strings(required: bool) -> Decoder:  # noqa: FBT001 - called by the table below only
    accepted = {str} if required else {str, _NONE}
    expected = "string" if required else "string or null"

    def decode(cells: Cells) -> Array:
        if not accepted.issuperset(map(type, cells)):
            raise CellError(_first(cells, lambda cell: type(cell) in accepted), expected)
        return _objects(cells)

    return decode


def _parsed(
    read: Callable[[Any], Any], word: str, build: Callable[[Cells], Array]
) -> Callable[[bool], Decoder]:
    """Columns whose cells are texts that must be read one by one."""

    def make(required: bool) -> Decoder:  # noqa: FBT001 - called by the table below only
        expected = word if required else f"{word} or null"

        def decode(cells: Cells) -> Array:
            made: list[Any] = []
            for row, cell in enumerate(cells):
                if cell is None and not required:
                    made.append(None)
                    continue
                try:
                    made.append(read(cell))
                except (TypeError, ValueError, OverflowError):
                    raise CellError(row, expected) from None
            return build(made)

        return decode

    return make


def _moment(cell: object) -> np.datetime64:
    if type(cell) is not str:
        raise TypeError
    moment = datetime.fromisoformat(cell)
    if moment.tzinfo is not None:  # training frames have no zone: times with one are read as UTC
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    if moment.year not in _YEARS:
        raise ValueError
    return np.datetime64(moment, "ns")


def _bytes(cell: object) -> bytes:
    if type(cell) is not str:
        raise TypeError
    try:
        return base64.b64decode(cell, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _moments(cells: Cells) -> Array:
    return np.array([np.datetime64("NaT") if cell is None else cell for cell in cells], dtype="M8[ns]")


def _objects(cells: Cells) -> Array:
    made = np.empty(len(cells), dtype=object)
    made[:] = cells
    return made


def _first(cells: Cells, good: Callable[[Any], bool]) -> int:
    """Find the first bad row; only called when there is one."""
    return next(row for row, cell in enumerate(cells) if not good(cell))


_DECODERS: dict[str, Callable[[bool], Decoder]] = {
    "double": _floats(np.float64, "double"),
    "float": _floats(np.float32, "float"),
    "long": _integers(np.int64, "long"),
    "integer": _integers(np.int32, "integer"),
    "boolean": _booleans,
    "string": _strings,
    "datetime": _parsed(_moment, "datetime (ISO 8601)", _moments),
    "binary": _parsed(_bytes, "binary (base64)", _objects),
}


def guessed(cells: Cells) -> Array:
    """Type a column of a model that has no schema, by what is in it.

    Args:
        cells: Raw cells.

    Returns:
        Whole numbers, floats (gaps are NaN), booleans, or objects for texts.

    Raises:
        CellError: A cell is a list or an object, or the cells are of several kinds.
    """
    kinds = set(map(type, cells))
    if kinds == {int} and all(abs(cell) < 2**63 for cell in cells):
        return np.array(cells, dtype=np.int64)
    if kinds == {bool}:
        return np.array(cells, dtype=np.bool_)
    for accepted in ({float, int, _NONE}, {str, _NONE}, {bool, _NONE}):
        if kinds <= accepted and kinds != {_NONE}:
            return np.array(cells, dtype=np.float64) if float in accepted else _objects(cells)
    if kinds == {_NONE}:
        return _objects(cells)
    kind = next(type(cell) for cell in cells if cell is not None)
    row = _first(cells, lambda cell: cell is None or (type(cell) is kind and kind not in {list, dict}))
    raise CellError(row, "a number, a text or a boolean, the same in the whole column")


_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TRUTH = {"true": True, "false": False}
_MOST = float(np.finfo(np.float64).max)
_LONGEST = 400  # characters of a number; longer texts are not worth reading


def parser(kind: str | None) -> Callable[[str], object]:
    """Make the function that reads one CSV cell as JSON would have brought it.

    Args:
        kind: The column's type, or None to guess.

    Returns:
        A function from the cell's text to a raw cell; an empty cell is None. What cannot be read stays
        text, which the column's decoder then refuses.
    """
    if kind in {"string", "datetime", "binary"}:
        return lambda text: text or None
    truth = _TRUTH if kind in {"boolean", None} else {}
    numbers = kind != "boolean"

    def read(text: str) -> object:
        if not text:
            return None
        if numbers and len(text) < _LONGEST:
            number = int(text) if _WHOLE.fullmatch(text) else float(text) if _NUMBER.fullmatch(text) else None
            if number is not None and -_MOST <= number <= _MOST:  # JSON has no number beyond it, either
                return number
        return truth.get(text.lower(), text)

    return read
