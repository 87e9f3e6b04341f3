"""A table in parts for training, validation and test, so that no row tells about a row of another part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats import dates
from mlops_magics.stats.columns import Column
from mlops_magics.stats.fingerprints import decoded, rows_of, seeded, values_of

How = Literal["random", "time", "group"]
Codes = npt.NDArray[np.int8]

PARTS: Final[tuple[str, ...]] = ("train", "validation", "test")
_FEWEST: Final = 3  # rows of a class that are worth spreading over the parts
_CLASSES: Final = 50  # a target with more values is no class


@dataclass(frozen=True, slots=True)
class Split:
    """Which part each row belongs to.

    Attributes:
        how: How it was made.
        by: The column of dates or groups, or None.
        codes: A place in ``PARTS`` for each row.
        notes: What the reader should know.
    """

    how: How
    by: str | None
    codes: Codes
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by part; a part without rows is left out."""
        counts = np.bincount(self.codes, minlength=len(PARTS))
        return {name: int(count) for name, count in zip(PARTS, counts, strict=True) if count}


def split(
    frame: Frame,
    how: How,
    *,
    by: str | None = None,
    target: str | None = None,
    shares: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
) -> Split:
    """Divide a table.

    A row's part hangs on its values and the seed, not on its place in the table, so that the same rows
    in another order are divided alike and rows that are equal always stay together.

    Args:
        frame: The table.
        how: "random" keeps the classes of the target in proportion; "time" takes the latest rows for
            the test; "group" keeps the rows of a group together.
        by: The column of dates or of groups.
        target: The column that is predicted.
        shares: The shares of training, validation and test.
        seed: Another seed draws another division.

    Raises:
        UsageError: The shares, or what is in the column, do not make a division.
        NotFoundError: There is no such column.
    """
    _checked(shares)
    if how == "random":
        if by is not None:
            raise UsageError("A random split has no --by.", "Say --split time or --split group with it.")
        return Split(how, None, _random(frame, target, shares, seed))
    if by is None:
        noun = "dates" if how == "time" else "groups"
        raise UsageError(f"--split {how} needs the column of {noun}.", f"Name it: --split {how} --by COLUMN.")
    if how == "time":
        return _by_time(frame, by, shares)
    column = decoded(frame, frame.position(by))
    groups = values_of(column)
    gone = missing(column)
    if gone.any():  # a row without a group is a group of its own
        groups[gone] = rows_of(frame)[gone]
    codes = _cut(seeded(groups, seed), shares)
    note = (f"{int(gone.sum()):,} rows have no {by}: each is a group of its own.",) if gone.any() else ()
    return Split(how, by, codes, note)


def missing(column: Column) -> npt.NDArray[np.bool_]:
    """Tell which rows of a column have no value.

    Args:
        column: The column.
    """
    if column.texts is not None:
        return np.asarray(column.texts.is_null().to_numpy(), bool)
    gone = np.zeros(column.rows, bool) if column.valid is None else ~column.valid
    if column.numbers is not None and column.numbers.dtype.kind == "f":
        gone[~gone] = np.isnan(column.numbers)
    return gone


def moments(column: Column) -> npt.NDArray[np.float64] | None:
    """Read a column as points in time, in microseconds; NaN for a gap, None where it holds no dates.

    Args:
        column: Dates, texts that are dates, or numbers that rise with time.
    """
    found = np.full(column.rows, np.nan)
    if column.kind == "string" and column.texts is not None:
        held = column.texts.is_not_null().to_numpy()
        form = dates.form_of(column.texts.drop_nulls())
        if form is None:
            return None
        found[held] = dates.written(column.texts.drop_nulls(), form)
        return found
    if column.numbers is None or column.kind == "boolean":
        return None
    found[slice(None) if column.valid is None else column.valid] = column.numbers * column.unit
    return found


def instants(frame: Frame, place: int, by: str) -> npt.NDArray[np.float64]:
    """Read the column that rows are ordered by; NaN for a gap.

    Args:
        frame: The table.
        place: The column's place.
        by: What it is called.

    Raises:
        UsageError: It holds no dates, or no value at all.
    """
    column = decoded(frame, place)
    when = moments(column)
    if when is None or column.kind not in {"date", "string", "integer", "float"}:
        raise UsageError(f"{frame.source}: '{by}' holds no dates.", "Name a column of dates with --by.")
    if np.isnan(when).all():
        raise UsageError(f"{frame.source}: '{by}' has no value.", "Name another column with --by.")
    return when


def _checked(shares: Sequence[float]) -> None:
    if min(shares) < 0 or shares[0] <= 0 or shares[2] <= 0 or sum(shares) > 1 + 1e-9:
        raise UsageError(
            f"Shares of {shares[0]:g}, {shares[1]:g} and {shares[2]:g} do not divide a table.",
            "Say --test and --validation as shares between 0 and 1 that leave something to train on.",
        )


def _random(frame: Frame, target: str | None, shares: Sequence[float], seed: int) -> Codes:
    drawn = seeded(rows_of(frame), seed)
    classes = None if target is None else _classes(decoded(frame, frame.position(target)))
    if classes is None:
        return _cut(drawn, shares)
    codes = np.zeros(frame.rows, np.int8)
    for each in np.unique(classes):
        here = np.flatnonzero(classes == each)
        codes[here] = _cut(drawn[here], shares)
    return codes


def _classes(target: Column) -> npt.NDArray[Any] | None:
    """Number the classes of a target; the rare ones together, None where it has no classes."""
    codes = pl.Series(values_of(target)).rank("dense").cast(pl.Int64).to_numpy()
    counts = np.bincount(codes) if codes.size else np.zeros(1, np.int64)
    if np.count_nonzero(counts) > _CLASSES:
        return None
    return np.where(counts[codes] < _FEWEST, 0, codes)


def _cut(drawn: npt.NDArray[np.uint64], shares: Sequence[float]) -> Codes:
    """Order rows by what was drawn for them and cut there, never between equal draws."""
    order = np.argsort(drawn, kind="stable")
    ranked = drawn[order]
    codes = np.zeros(drawn.size, np.int8)
    for code, begin in enumerate(np.cumsum(shares[:-1]), start=1):
        # The draws are uniform: the first one beyond the cut begins the next part, with all its equals.
        place = round(begin * drawn.size)
        if place < drawn.size:
            codes[order[int(np.searchsorted(ranked, ranked[place], "left")) :]] = code
    return codes


def _by_time(frame: Frame, by: str, shares: Sequence[float]) -> Split:
    when = instants(frame, frame.position(by), by)
    gone = np.isnan(when)
    ranked = np.sort(when[~gone])
    codes = np.zeros(frame.rows, np.int8)
    for code, begin in enumerate(np.cumsum(shares[:-1]), start=1):
        place = round(begin * ranked.size)
        if place < ranked.size:
            codes[when >= ranked[place]] = code
    count = int(gone.sum())
    notes = (f"{count:,} rows without {by} are in the training part.",) if count else ()
    return Split("time", by, codes, notes)
