"""A number a row that depends on its values alone: the same in each process, library and release.

Polars' own hash is faster, and another one in its next release: a split drawn from it could not be drawn
again.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.hashes import MISSING, Hashes, mixed, of_numbers, of_text
from mlops_magics.stats.columns import Column
from mlops_magics.stats.sources import FrameSource


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
    found = np.full(column.rows, MISSING, np.uint64)
    numbers = column.numbers if column.unit == 1.0 else column.numbers * column.unit  # type: ignore[operator]
    hashes = of_numbers(np.asarray(numbers))
    if column.valid is None:
        return hashes
    found[column.valid] = hashes
    return found


def _texts(texts: pl.Series) -> Hashes:
    """Hash each different text once."""
    known = texts.drop_nulls().unique()
    if not len(known):
        return np.full(len(texts), MISSING, np.uint64)
    hashes = pl.Series("", [of_text(item) for item in known], dtype=pl.UInt64)
    found = texts.replace_strict(known, hashes, default=None, return_dtype=pl.UInt64)
    return np.asarray(found.fill_null(MISSING).to_numpy(), np.uint64)


def seeded(values: Hashes, seed: int) -> Hashes:
    """Draw another order from the same hashes for each seed."""
    return mixed(values ^ np.uint64(mixed(np.array([seed % 2**64], np.uint64))[0]))
