"""Windows drawn from a reference's own counts, as if rows came one by one and none knew of another."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import Bins, ColumnReference, Levels
from mlops_magics.stats.windows import ColumnWindow

_NOTHING: Final = 1e-12


def drawn_reference(known: ColumnReference, random: np.random.Generator) -> ColumnReference:
    """Draw the reference once more: its rows, too, are a sample, and differ from others by chance."""
    rows = known.rows
    missing = _some(random, rows, known.missing / rows) if rows else 0
    told: dict[str, Any] = {"missing": missing, "infinite": _of(random, known.infinite, rows)}
    values = max(0, rows - missing - told["infinite"])
    if known.bins is not None:
        told["bins"] = _redrawn(random, known.bins, values)
    if known.levels is not None:
        named, tail = _levels(random, known.levels, values)
        told["levels"] = Levels(named, tail, known.levels.distinct)
    if known.lengths is not None:
        told["lengths"] = _redrawn(random, known.lengths, values)
    if known.worded:
        told["words"] = _words(random, known)
    for name in ("hours", "weekdays"):
        if counts := getattr(known, name):
            told[name] = _counts(random, counts, values)
    return replace(known, **told)


def drawn_window(known: ColumnReference, rows: int, random: np.random.Generator) -> ColumnWindow:
    """Draw a window of so many rows that look as the reference does."""
    missing = _some(random, rows, known.missing / known.rows) if known.rows else 0
    infinite = _some(random, rows - missing, known.infinite / max(known.rows - known.missing, 1))
    values = rows - missing - infinite
    told: dict[str, Any] = {"rows": rows, "missing": missing, "infinite": infinite}
    if known.bins is not None:
        told["counts"] = _counts(random, known.bins.counts, values)
        share = values / max(values + sum(known.bins.counts), 1)
        told |= {"below": _beyond(random, share, values), "above": _beyond(random, share, values)}
    if known.levels is not None:
        told["named"], told["tail"] = _levels(random, known.levels, values)
    if known.lengths is not None:
        told["lengths"] = _counts(random, known.lengths.counts, values)
    if known.worded:
        told |= {"worded": known.worded, "words": _words(random, known)}
    for name in ("hours", "weekdays"):
        if counts := getattr(known, name):
            told[name] = _counts(random, counts, values)
    return ColumnWindow(known.name, **told)


def _some(random: np.random.Generator, rows: int, share: float) -> int:
    return int(random.binomial(max(rows, 0), min(max(share, 0.0), 1.0)))


def _of(random: np.random.Generator, count: int, rows: int) -> int:
    return _some(random, rows, count / rows) if rows else 0


def _counts(random: np.random.Generator, counts: tuple[int, ...], rows: int) -> tuple[int, ...]:
    shares = np.asarray(counts, np.float64)
    if not shares.sum():
        return (0,) * len(counts)
    return tuple(random.multinomial(rows, shares / shares.sum()).tolist())


def _redrawn(random: np.random.Generator, bins: Bins, rows: int) -> Bins:
    return replace(bins, counts=_counts(random, bins.counts, rows))


def _levels(random: np.random.Generator, levels: Levels, rows: int) -> tuple[dict[str, int], tuple[int, ...]]:
    if not levels.named and not levels.tail:
        return {}, ()
    found = _counts(random, (*levels.named.values(), *levels.tail), rows)
    return dict(zip(levels.named, found, strict=False)), found[len(levels.named) :]


def _words(random: np.random.Generator, known: ColumnReference) -> tuple[int, ...]:
    shares = np.asarray(known.words, np.float64) / known.worded
    found: npt.NDArray[np.int64] = random.binomial(known.worded, shares)
    return tuple(found.tolist())


def _beyond(random: np.random.Generator, share: float, most: int) -> int:
    """Draw how many of the greatest of all rows are new ones."""
    if share < _NOTHING:
        return 0
    return min(most, int(math.log(1.0 - random.random()) / math.log(min(share, 1 - _NOTHING))))
