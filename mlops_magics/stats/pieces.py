"""A range of a column's rows, read: the unit of work of a thread, or of a cluster's task."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.stats.columns import Column
from mlops_magics.stats.missing import combined
from mlops_magics.stats.numbers import NumberPart
from mlops_magics.stats.sources import Source
from mlops_magics.stats.texts import TextPart

Range = tuple[int, int]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a column's rows, read.

    Attributes:
        column: How the range was decoded, without its values.
        part: What adds up to the column.
        numbers: The sampled rows' numbers.
        texts: The sampled rows' texts.
    """

    column: Column
    part: NumberPart | TextPart
    numbers: npt.NDArray[np.float64] | None
    texts: pl.Series | None


def hashed_rows(source: Source, chosen: Sequence[int], span: Range, pool: Executor) -> Hashes:
    """Hash the rows of a range over some columns.

    Args:
        source: The table.
        chosen: The columns.
        span: The range: first row, and the row after the last.
        pool: Threads to work on.
    """
    return combined(list(pool.map(lambda position: source.column(position, *span).hashes(), chosen)))


def piece(source: Source, position: int, span: Range, rows: npt.NDArray[np.int64]) -> Piece:
    """Read a range of a column.

    Args:
        source: The table.
        position: The column.
        span: The range: first row, and the row after the last.
        rows: The sampled rows of the whole table.
    """
    start, stop = span
    column = source.column(position, start, stop)
    places = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
    bare = Column(
        column.kind, column.rows, column.nulls, unit=column.unit, mixed=column.mixed, notes=column.notes
    )
    if column.numbers is not None:
        part = NumberPart.of(column.numbers, column.nulls, source.rows)
        return Piece(bare, part, column.sampled(places), None)
    assert column.texts is not None  # noqa: S101 - one of both is there
    texts = column.texts if places.size == column.rows else column.texts.gather(places)
    return Piece(bare, TextPart.of(column.texts, source.rows), None, texts)
