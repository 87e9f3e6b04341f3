"""A number a row that depends on its values alone: the same in each process, library and release.

Polars' own hash is faster, and another one in its next release: a split drawn from it could not be drawn
again.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.columns import Column
from mlops_magics.stats.sources import FrameSource

Hashes = npt.NDArray[np.uint64]

_MISSING: Final = 0x9E3779B97F4A7C15
_EXACT: Final = 2.0**53  # beyond it a float skips integers


def rows_of(frame: Frame) -> Hashes:
    """Hash each row of a table over all its columns.

    Args:
        frame: The table. The order of its columns counts, that of its rows does not.
    """
    total = np.full(frame.rows, frame.rows and len(frame.names), np.uint64)
    for place in range(len(frame.names)):
        total = mixed(total * np.uint64(0x100000001B3) ^ values_of(decoded(frame, place)))
    return total


def decoded(frame: Frame, place: int) -> Column:
    """Decode a column of a table in memory.

    Args:
        frame: The table.
        place: The column's place.
    """
    return FrameSource(frame).column(place, 0, frame.rows)


def values_of(column: Column) -> Hashes:
    """Hash each value of a column; gaps of every kind alike, 1 like 1.0, minus zero like zero."""
    if column.texts is not None:
        return _texts(column.texts)
    found = np.full(column.rows, _MISSING, np.uint64)
    numbers = column.numbers if column.unit == 1.0 else column.numbers * column.unit  # type: ignore[operator]
    hashes = _numbers(np.asarray(numbers))
    if column.valid is None:
        return hashes
    found[column.valid] = hashes
    return found


def _numbers(numbers: npt.NDArray[Any]) -> Hashes:
    floats = numbers.astype(np.float64) + 0.0  # minus zero becomes zero
    hashes = mixed(floats.view(np.uint64))
    if numbers.dtype.kind == "f":
        hashes[np.isnan(floats)] = _MISSING
    else:  # large integers that share a float keep their own bits
        large = np.abs(floats) >= _EXACT
        if large.any():
            hashes[large] = mixed(numbers[large].astype(np.uint64))
    return hashes


def _texts(texts: pl.Series) -> Hashes:
    """Hash each different text once."""
    known = texts.drop_nulls().unique()
    if not len(known):
        return np.full(len(texts), _MISSING, np.uint64)
    hashes = pl.Series("", [xxhash.xxh3_64_intdigest(item.encode()) for item in known], dtype=pl.UInt64)
    found = texts.replace_strict(known, hashes, default=None, return_dtype=pl.UInt64)
    return np.asarray(found.fill_null(_MISSING).to_numpy(), np.uint64)


def mixed(values: Hashes) -> Hashes:
    """Spread bits so that equal values stay equal and near ones fall apart (splitmix64)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def seeded(values: Hashes, seed: int) -> Hashes:
    """Draw another order from the same hashes for each seed."""
    return mixed(values ^ np.uint64(mixed(np.array([seed % 2**64], np.uint64))[0]))
