"""Rows as numbers alone, coded by a reference: of texts only which frequent value, or which bucket, each was.

A few such rows may be kept with a model, so that columns can be compared together. No text is in them, and
nothing of columns that look personal; numbers are in them with six digits: a model that was fitted on numbers
of single precision, and requests in JSON, must not be told apart by the seventh.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.artifact.reference import ColumnReference, Reference, bucket
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.secrecy import secret_name
from mlops_magics.stats.columns import Column
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.naming import labels

NAME: Final = "mlops/reference_rows.npz"
"""Where they lie in a model's folder."""

FEWEST: Final = 200
"""Rows of which one can tell whether columns go together as they did."""
MOST: Final = 10_000
"""More would say the same, later."""

_DIGITS: Final = 6
_OWN: Final = 0.98  # different whole numbers a row: an id tells any two tables apart

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CodedRows:
    """Rows of a table.

    Attributes:
        names: The columns that are in it, as the reference has them.
        table: A row a row, a column a column; NaN where there is no value.
    """

    names: tuple[str, ...]
    table: Floats

    def without(self, names: Collection[str]) -> CodedRows:
        """Leave columns out."""
        held = [place for place, name in enumerate(self.names) if name not in names]
        return CodedRows(tuple(self.names[place] for place in held), self.table[:, held])

    def __add__(self, other: CodedRows) -> CodedRows:
        """Put rows below rows: of the columns that both have."""
        names = tuple(name for name in self.names if name in other.names)
        places = [[each.names.index(name) for name in names] for each in (self, other)]
        return CodedRows(names, np.concatenate([self.table[:, places[0]], other.table[:, places[1]]]))

    def to_bytes(self) -> bytes:
        """Write them as a compressed archive of numpy's, which holds no code."""
        file = io.BytesIO()
        np.savez_compressed(file, names=np.asarray(self.names, np.str_), table=self.table)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> CodedRows:
        """Read them.

        Args:
            content: The archive.

        Raises:
            MLOpsError: It is damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as held:
                names, values = held["names"], held["table"]
        except Exception as error:
            raise MLOpsError(
                f"The rows of the reference are damaged ({type(error).__name__}).",
                "Fit the model again and register it: they are kept anew.",
            ) from error
        return cls(tuple(names.tolist()), np.asarray(values, np.float64))


def checked_count(count: int) -> int:
    """Accept how many rows are asked to be kept; 0 for none.

    Raises:
        UsageError: It is no number of rows that would be of use.
    """
    if count and not FEWEST <= count <= MOST:
        raise UsageError(
            f"--reference-rows cannot be {count:,}.",
            f"From {FEWEST} to {MOST:,} rows are of use; 2000 are usual.",
        )
    return count


def coded(reference: Reference, data: object, most: int) -> CodedRows:
    """Code some rows of a table, from all over it.

    Args:
        reference: Tells which values have a name, and which columns look personal.
        data: The table.
        most: How many rows to take.

    Returns:
        The rows, with all columns that can be compared together: none that look personal or are named as a
        secret is, no dates, no ids and no free texts.
    """
    frame = Frame.of(data)
    if frame.rows > most:
        taken = np.zeros(frame.rows, bool)
        taken[np.linspace(0, frame.rows - 1, most).astype(np.int64)] = True
        frame = frame.where(taken)
    places = {name: place for place, name in reversed(list(enumerate(labels(frame.names))))}
    known = [column for column in reference.columns if _compared(column) and column.name in places]
    values = [_numbers(column, decoded(frame, places[column.name])) for column in known]
    table = np.column_stack(values) if values else np.zeros((frame.rows, 0))
    return CodedRows(tuple(column.name for column in known), table)


def _compared(column: ColumnReference) -> bool:
    if column.personal or column.kind in {"date", "empty"} or secret_name(column.name):
        return False
    if column.bins is not None:
        held = column.rows - column.missing - column.infinite
        return not 0 < _OWN * held <= column.distinct
    return column.levels is not None and bool(column.levels.named or column.levels.tail)


def _numbers(known: ColumnReference, column: Column) -> Floats:
    found = np.full(column.rows, np.nan)
    if known.levels is not None:
        if column.texts is not None:
            return _codes(tuple(known.levels.named), column.texts)
        return found
    if column.numbers is not None:
        here = slice(None) if column.valid is None else column.valid
        found[here] = column.numbers.astype(np.float64) * column.unit
    elif column.texts is not None:
        found = column.texts.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    found[~np.isfinite(found)] = np.nan
    return _six_digits(found)


def _six_digits(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        unit = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.abs(values))))
        rounded = np.round(values * unit) / unit
    return np.where(np.isfinite(rounded), rounded, values)


def _codes(named: Sequence[str], texts: pl.Series) -> Floats:
    """Number a text by its place among the frequent ones, or behind them by its bucket."""
    codes = {text: float(place) for place, text in enumerate(named)}
    for text in texts.drop_nulls().unique().to_list():
        codes.setdefault(text, float(len(named) + bucket(text)))
    told = texts.replace_strict(list(codes), list(codes.values()), default=None, return_dtype=pl.Float64)
    return np.asarray(told.to_numpy(), np.float64)
