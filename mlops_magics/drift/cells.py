"""A column's counts in the same cells for reference and window, whatever the column holds."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.periods import starts
from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.stats.windows import ColumnWindow

_FEW: Final = 30  # bins, up to which numbers are compared as levels: each has a good part of the rows
_OWN: Final = 0.98  # different whole numbers a row: they count or name the rows, and go on by nature

Counts = npt.NDArray[np.int64]


def is_measured(reference: ColumnReference) -> bool:
    """Tell whether a column holds numbers that do not go on by nature, as those of an id do."""
    return (
        reference.bins is not None
        and reference.kind != "date"
        and not (reference.kind == "integer" and 0 < _OWN * _held(reference) <= reference.distinct)
    )


def is_ordered(reference: ColumnReference) -> bool:
    """Tell whether a column holds numbers with so many values that they are compared in order."""
    return is_measured(reference) and reference.bins is not None and len(reference.bins.counts) > _FEW


def is_listed(reference: ColumnReference) -> bool:
    """Tell whether a column is compared level by level: texts that occur again, and numbers of few values."""
    if reference.levels is not None:
        return bool(reference.levels.named or reference.levels.tail)
    return is_measured(reference) and not is_ordered(reference)


def bins_of(reference: ColumnReference, window: ColumnWindow) -> tuple[Counts, Counts]:
    """Return how many numbers each bin held then and holds now."""
    then = np.asarray(() if reference.bins is None else reference.bins.counts, np.int64)
    return then, _like(window.counts, then)


def levels_of(reference: ColumnReference, window: ColumnWindow) -> tuple[Counts, Counts]:
    """Return how often each level, and then each bucket of all others, occurred then and occurs now."""
    levels = reference.levels
    if levels is None:
        return bins_of(reference, window)
    now = [window.named.get(name, 0) for name in levels.named]
    tail = np.asarray(levels.tail, np.int64)
    then = np.concatenate([np.asarray(list(levels.named.values()), np.int64), tail])
    return then, np.concatenate([np.asarray(now, np.int64), _like(window.tail, tail)])


def cells_of(reference: ColumnReference, window: ColumnWindow) -> tuple[Counts, Counts] | None:
    """Return the counts of whichever cells a column has; None of one that is not compared by its values."""
    if is_ordered(reference):
        return bins_of(reference, window)
    return levels_of(reference, window) if is_listed(reference) else None


def few_cells_of(reference: ColumnReference, window: ColumnWindow) -> tuple[Counts, Counts] | None:
    """Return the same, bins in ten groups: over many of them chance alone makes an index or a distance."""
    cells = cells_of(reference, window)
    if cells is None or not is_ordered(reference):
        return cells
    at = list(starts(cells[0].size))
    return np.add.reduceat(cells[0], at), np.add.reduceat(cells[1], at)


def held(window: ColumnWindow) -> int:
    """Return how many rows of a window have a value."""
    return window.rows - window.missing - window.absent


def _held(reference: ColumnReference) -> int:
    return reference.rows - reference.missing - reference.infinite


def _like(found: tuple[int, ...], known: Counts) -> Counts:
    return np.asarray(found, np.int64) if len(found) == known.size else np.zeros(known.size, np.int64)
