"""What a model of any kind answers, brought to one form: one entry, or one row of entries, for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_NUMBERS = "bif"  # what JSON and Arrow write as it is, up to eight bytes
_BYTES = 8
_FLAT, _WIDE = 1, 2  # dimensions of an answer


class AnswerError(ValueError):
    """A model answered with something that has no entry for each row."""


def taken(found: Any, rows: int) -> tuple[np.ndarray[Any, Any], tuple[str, ...] | None]:  # noqa: ANN401 - whatever a model answers
    """Bring an answer to an array of its own.

    Args:
        found: An array of one or two dimensions, a list of numbers, texts or rows of these, a Series or a
            DataFrame.
        rows: How many rows were asked about.

    Returns:
        The array: numbers as they are, everything else as objects that JSON knows. And the names of its
        columns, of a DataFrame; one of a single column is an array of one dimension.

    Raises:
        AnswerError: It is something else, or not as long as the rows.
    """
    import pandas as pd

    fields = None
    if isinstance(found, pd.DataFrame):
        fields = tuple(map(str, found.columns))
        made = _table(found, fields)
    elif isinstance(found, pd.Series | pd.Index):
        made = _column(found)
    elif isinstance(found, np.ndarray):
        made = _array(found)
    elif isinstance(found, list | tuple):
        made = _listed(found)
    else:
        raise AnswerError(
            f"It answers with {type(found).__name__}, where an array, a list or a table has an entry a row."
        )
    if made.ndim not in {_FLAT, _WIDE} or len(made) != rows:
        shape = " x ".join(map(str, made.shape)) or "one value"
        raise AnswerError(f"It answers {rows} rows with an array of {shape}.")
    return made, fields


def _table(found: Any, fields: tuple[str, ...]) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a pandas frame
    if not fields or len(set(fields)) < len(fields):
        raise AnswerError("It answers with a table that has no columns, or two of one name.")
    columns = [_column(found.iloc[:, place]) for place in range(len(fields))]
    if len(columns) == 1:
        return columns[0]
    if len({column.dtype for column in columns}) == 1:
        return np.stack(columns, axis=1)
    made = np.empty((len(found), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        made[:, place] = column.tolist()
    return made


def _column(found: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a pandas column
    native = isinstance(found.dtype, np.dtype) and found.dtype.kind in "biufM"
    return _array(found.to_numpy()) if native else _objects(found.astype(object).tolist())


def _array(found: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kind = found.dtype.kind
    if kind in _NUMBERS and found.dtype.itemsize <= _BYTES:
        return found.copy()  # a model may write its next answer into the same memory
    if kind == "u":
        return found.astype(np.int64) if found.dtype.itemsize < _BYTES else _shaped(found)
    if kind == "f":
        return found.astype(np.float64)
    if kind in "MOU":
        return _shaped(found.astype("M8[us]") if kind == "M" else found)
    raise AnswerError(f"It answers with an array of {found.dtype}, which JSON does not know.")


def _shaped(found: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return _objects(found.ravel().tolist()).reshape(found.shape)


def _listed(found: Sequence[Any]) -> np.ndarray[Any, Any]:
    rows = [isinstance(one, list | tuple | np.ndarray) for one in found]
    if not any(rows):
        return _objects(found)
    widths = {len(one) if row else -1 for one, row in zip(found, rows, strict=True)}
    if len(widths) > 1:
        raise AnswerError("It answers with lists of several lengths.")
    cells = [cell for one in found for cell in one]
    return _objects(cells).reshape(len(found), widths.pop())


def _objects(cells: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Make an array of cells: of numbers where all are, else of objects."""
    plain = [_cell(cell) for cell in cells]
    kinds = set(map(type, plain))
    if kinds and (kinds <= {int, float} or kinds == {bool}):
        made = np.array(plain)
        if made.dtype.kind in _NUMBERS and (made.dtype.kind != "f" or float in kinds):
            return made  # integers beyond 64 bits are objects: numpy would round them
    held = np.empty(len(plain), dtype=object)
    held[:] = [None if cell != cell else cell for cell in plain]  # noqa: PLR0124 - what NaN is known by
    return held


def _cell(cell: Any) -> str | float | bool | None:  # noqa: ANN401 - a cell of any type
    import pandas as pd

    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    if isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, float):
        return cell
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat())
    raise AnswerError(f"It answers with a {type(cell).__name__} for a row; a number or a text is asked for.")
