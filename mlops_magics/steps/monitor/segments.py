"""Where most of a shift sits: a value, or a range of numbers, that has become more frequent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.artifact.reference import Bins, ColumnReference
from mlops_magics.foundation.blocks import cut, shown
from mlops_magics.stats.windows import ColumnWindow

_ROOM: Final = 40  # characters of a value
_DATE: Final = "date"


@dataclass(frozen=True, slots=True)
class Segment:
    """A portion of a column.

    Attributes:
        words: What it is, and how frequent it is now and was.
        share: Its share of the rows now.
        before: Its share in the reference.
        missing: Whether it is the rows without a value.
        level: The value, of a column of texts.
        low: The least number of it; None for all down to the least.
        high: Up to which number, not included; None for all up to the greatest.
    """

    words: str
    share: float
    before: float
    missing: bool = False
    level: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def gain(self) -> float:
        """How much of the rows has moved there."""
        return self.share - self.before


def most(reference: ColumnReference, window: ColumnWindow) -> Segment | None:
    """Find the portion of a column that has gained most.

    Args:
        reference: The column as the model was fitted on it.
        window: The column now.

    Returns:
        The portion; None where none has gained anything that can be named.
    """
    rows = window.rows - window.absent
    if rows <= 0 or reference.rows <= 0:
        return None
    found: list[Segment | None] = [_gap(reference, window, rows)]
    if reference.bins is not None and window.counts:
        found.append(_range(reference, reference.bins, window.counts, rows))
    if not reference.personal and (window.named or window.fresh):
        found += _levels(reference, window, rows)
    best = max((one for one in found if one is not None), key=lambda one: one.gain, default=None)
    return best if best is not None and best.gain > 0 else None


def picked(segment: Segment, column: Any) -> Any:  # noqa: ANN401 - a Polars expression in and out
    """Make the condition that rows of a portion fulfil.

    Args:
        segment: The portion.
        column: The column, as a Polars expression.
    """
    import polars as pl

    if segment.missing:
        return column.is_null()
    if segment.level is not None:
        return column.cast(pl.String) == segment.level
    number = column.cast(pl.Float64, strict=False)
    fits = number.is_finite()
    if segment.low is not None:
        fits &= number >= segment.low
    return fits & (number < segment.high) if segment.high is not None else fits


def _gap(reference: ColumnReference, window: ColumnWindow, rows: int) -> Segment:
    share, before = window.missing / rows, reference.missing / reference.rows
    return Segment(f"no value: {_shares(share, before)}", share, before, missing=True)


def _range(reference: ColumnReference, bins: Bins, counts: tuple[int, ...], rows: int) -> Segment | None:
    """Find the run of bins that has gained most: the greatest sum of neighbours (Kadane's way)."""
    gains = [now / rows - was / reference.rows for now, was in zip(counts, bins.counts, strict=True)]
    best, first, last, held, began = 0.0, 0, -1, 0.0, 0
    for place, gain in enumerate(gains):
        if held <= 0:
            held, began = 0.0, place
        held += gain
        if held > best:
            best, first, last = held, began, place
    if last < first or last - first + 1 == len(gains):
        return None
    low = bins.edges[first - 1] if first else None
    high = bins.edges[last] if last < len(bins.edges) else None
    share = sum(counts[first : last + 1]) / rows
    before = sum(bins.counts[first : last + 1]) / reference.rows
    words = f"{_between(reference.kind, low, high)}: {_shares(share, before)}"
    return Segment(words, share, before, low=low, high=high)


def _levels(reference: ColumnReference, window: ColumnWindow, rows: int) -> list[Segment]:
    named = {} if reference.levels is None else reference.levels.named
    found = []
    for level, count in (*window.named.items(), *window.fresh.items()):
        share, before = count / rows, named.get(level, 0) / reference.rows
        words = f"'{cut(level, _ROOM)}': {_shares(share, before)}"
        found.append(Segment(words, share, before, level=level))
    return found


def _between(kind: str, low: float | None, high: float | None) -> str:
    if kind == _DATE:
        return "later" if high is None else "earlier"
    if low is None:
        return f"below {shown(high)}"
    return f"{shown(low)} and more" if high is None else f"{shown(low)} to {shown(high)}"


def _shares(now: float, before: float) -> str:
    return f"{shown(round(now * 100, 1))} % of the rows, {shown(round(before * 100, 1))} % when it was fitted"
