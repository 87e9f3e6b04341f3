"""Which rows a model was fitted on, as hashes beside it: test rows that are among them are recognised.

The file holds no value of any row. Whoever has it and a row can tell whether that row was trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt
import orjson

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.foundation.hashes import MISSING, Hashes, mixed, of_numbers, of_text

NAME: Final = "training_rows.bin"

_FORMAT = 1
_KEPT = 1_000_000  # rows; of a longer table, those whose hash lies in a part of its range
_MOST_BYTES = 32_000_000
_AT_ONCE = 200_000  # rows that are hashed at a time, which bounds what it takes
_RANGE = 2.0**64


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many rows of a table were trained on.

    Attributes:
        rows: The rows that were looked at: all of them, or those in the part of the range that was kept.
        hits: How many of these were trained on.
        distinct: How many different rows were looked at.
        by_nature: The share that fresh rows of the same kind would have in common with the training rows.
        complete: Whether all rows were looked at.
    """

    rows: int
    hits: int
    distinct: int
    by_nature: float
    complete: bool

    @property
    def share(self) -> float:
        """The share of the table's rows that were trained on; an estimate where not all were looked at."""
        return self.hits / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class RowSample:
    """The rows of a table as hashes over its columns.

    Attributes:
        hashes: The hashes of the different rows, sorted.
        share: The part of the hashes' range that was kept, from its lower end: 1 for all rows.
        rows: How many rows the table has.
        recurring: The share of rows that are there more than once. It is also how likely a fresh row is to
            be one that is there (Good, "The population frequencies of species", Biometrika 40, 1953).
        columns: The columns' names, sorted; None where the rows had none, and the places count.
        width: How many columns there are.
    """

    hashes: Hashes
    share: float
    rows: int
    recurring: float
    columns: tuple[str, ...] | None
    width: int

    @classmethod
    def of(cls, data: object) -> RowSample | None:
        """Hash the rows of a table or a two-dimensional array.

        Returns:
            The sample; None where these are no rows, or two columns share a name.
        """
        frame, named = _frame(data)
        if frame is None or not frame.rows or not frame.names:
            return None
        columns = tuple(sorted(map(str, frame.names))) if named else None
        if columns is not None and len(set(columns)) < len(columns):
            return None
        share = min(1.0, _KEPT / frame.rows)
        kept = _hashed(frame, _order(frame, columns), share)
        hashes, counts = np.unique(kept, return_counts=True)
        once = int((counts == 1).sum())
        return cls(hashes, share, frame.rows, 1 - once / max(1, len(kept)), columns, len(frame.names))

    def overlap(self, data: object) -> Overlap | None:
        """Count the rows of another table that are among these.

        Args:
            data: The table, with the same columns in any order and others beside them; where the columns
                had no names, with as many columns.

        Returns:
            What was found; None where its columns are others.
        """
        frame, _ = _frame(data)
        if frame is None:
            return None
        names = list(map(str, frame.names))
        there = (
            len(names) == self.width
            if self.columns is None
            else all(names.count(name) == 1 for name in self.columns)
        )
        if not there:
            return None
        found = _hashed(frame, _order(frame, self.columns), self.share)
        place = np.minimum(np.searchsorted(self.hashes, found), max(0, len(self.hashes) - 1))
        hits = int((self.hashes[place] == found).sum()) if len(self.hashes) else 0
        return Overlap(len(found), hits, len(np.unique(found)), self.recurring, self.share >= 1)


def write(folder: Path, data: object) -> None:
    """Write the hashes of the rows that a model was fitted on beside it.

    Rows that cannot be hashed are left out: a model is not lost for that.

    Args:
        folder: The model's folder.
        data: What it was fitted on, features only.
    """
    try:
        sample = RowSample.of(data)
    except Exception:  # noqa: BLE001 - a stranger's objects in a column
        return
    if sample is None:
        return
    told = {
        "format": _FORMAT,
        "share": sample.share,
        "rows": sample.rows,
        "recurring": sample.recurring,
        "columns": sample.columns,
        "width": sample.width,
    }
    body = sample.hashes.astype("<u8", copy=False).tobytes()
    (folder / NAME).write_bytes(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE) + body)


def read(folder: Path) -> RowSample | None:
    """Read the hashes beside a model; None where there are none.

    Raises:
        RefusedError: The file is not as :func:`write` leaves it.
    """
    file = folder / NAME
    if not file.is_file():
        return None
    try:
        return _parsed(file.read_bytes()) if file.stat().st_size <= _MOST_BYTES else _no_rows(file)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise RefusedError(
            f"The file {NAME} beside the model is damaged.",
            "Log the model again from its cell, or register it again from its run.",
        ) from error


def _parsed(content: bytes) -> RowSample | None:
    head, _, body = content.partition(b"\n")
    told = orjson.loads(head)
    if told["format"] != _FORMAT:
        return None  # another release's: then it is not known
    hashes = np.frombuffer(body, dtype="<u8").astype(np.uint64, copy=False)
    columns, share, recurring = told["columns"], float(told["share"]), float(told["recurring"])
    if not ((hashes[1:] > hashes[:-1]).all() and 0 < share <= 1 and 0 <= recurring <= 1):
        return _no_rows(NAME)
    names = None if columns is None else tuple(map(str, columns))
    return RowSample(hashes, share, int(told["rows"]), recurring, names, int(told["width"]))


def _no_rows(what: object) -> NoReturn:
    raise ValueError(f"{what} does not hold rows")


def _frame(data: object) -> tuple[Frame | None, bool]:
    """Take rows as a table; tell whether its columns have names of their own."""
    if isinstance(data, Frame) or kind_of(data) is not None:
        return Frame.of(data), True
    if isinstance(data, np.ndarray) and data.ndim == 2:  # noqa: PLR2004 - rows and columns
        import pandas as pd

        return Frame(pd.DataFrame(data), "pandas"), False
    return None, False


def _order(frame: Frame, columns: tuple[str, ...] | None) -> list[int]:
    if columns is None:
        return list(range(len(frame.names)))
    place = {str(name): i for i, name in enumerate(frame.names)}
    return [place[name] for name in columns]


def _hashed(frame: Frame, order: list[int], share: float) -> Hashes:
    """Hash each row over columns in that order; keep those in the lower part of the range."""
    top = None if share >= 1 else np.uint64(math.floor(share * _RANGE))
    parts = []
    for start in range(0, frame.rows, _AT_ONCE):
        stop = min(start + _AT_ONCE, frame.rows)
        total = np.zeros(stop - start, np.uint64)
        for place in order:
            total *= np.uint64(0x100000001B3)
            total += _column(_part(frame, place, start, stop))
        total = mixed(total)
        parts.append(total if top is None else total[total < top])
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _part(frame: Frame, place: int, start: int, stop: int) -> Any:  # noqa: ANN401 - a pandas column
    """Take some rows of a column as a pandas column: all libraries' tables are then hashed alike."""
    column = frame.column(place)
    if frame.kind == "pandas":
        return column.iloc[start:stop]
    part = column.slice(start, stop - start)
    return part.to_pandas() if frame.kind == "arrow" else part.to_arrow().to_pandas()


def _column(column: Any) -> Hashes:  # noqa: ANN401 - a pandas column
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return of_numbers(column.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        return _taken(_column(pd.Series(dtype.categories)), column.cat.codes.to_numpy())
    if isinstance(dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert(None)
    if column.dtype.kind in "mM":
        return _moments(column)
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in "biuf":
        return _nullable(column)
    return _objects(column)


def _moments(column: Any) -> Hashes:  # noqa: ANN401 - a pandas column
    """Hash moments and durations in microseconds: the unit that is stored hangs on the library."""
    values = column.to_numpy()
    hashes = of_numbers(values.astype(f"{values.dtype.kind}8[us]").view(np.int64))
    hashes[np.isnat(values)] = MISSING
    return hashes


def _nullable(column: Any) -> Hashes:  # noqa: ANN401 - a pandas column
    gaps = column.isna().to_numpy()
    whole = column.dtype.kind in "iu"
    values = column.to_numpy(dtype=np.dtype(f"{column.dtype.kind}8") if whole else np.float64, na_value=0)
    hashes = of_numbers(values)
    hashes[gaps] = MISSING
    return hashes


def _objects(column: Any) -> Hashes:  # noqa: ANN401 - a pandas column
    """Hash each different value once."""
    import pandas as pd

    try:
        codes, known = pd.factorize(column)
    except TypeError:  # lists and other values that have no hash
        codes, known = pd.factorize(column.map(repr))
    return _taken(np.fromiter(map(_value, known), np.uint64, len(known)), codes)


def _taken(hashes: Hashes, codes: npt.NDArray[Any]) -> Hashes:
    """Give each row the hash of its value; a code below zero is a gap."""
    found: Hashes = np.append(hashes, np.uint64(MISSING))[codes]
    return found


def _value(value: object) -> int:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return int(of_numbers(np.array([value]))[0])
    return of_text(value if isinstance(value, str) else str(value))
