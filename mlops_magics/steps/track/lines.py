"""The runs as lines over parallel axes: what a page draws, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.blocks import shown
from mlops_magics.steps.track.query import Value, number
from mlops_magics.steps.track.table import METRIC, PARAM, RunTable, View
from mlops_magics.steps.track.view import plain

MOST: Final = 500  # lines of one drawing; of more runs every so manieth is drawn
AXES: Final = 12
_MINUS = "\u2212"
_LEVELS = 24  # texts of one axis; names and paths beyond it are no axis
_WIDE = 50.0  # the greatest over the least, from which an axis is logarithmic
_ENOUGH = 10  # runs, for which it is said how two axes go together; of fewer it is chance

Json = dict[str, Any]
Numbers = npt.NDArray[np.float64]


def lines(table: RunTable, view: View, colour: str | None) -> Json:
    """Answer with the runs that the filter leaves, a value an axis; the brush hides none of them.

    Args:
        table: The runs.
        view: What is looked at; its columns are the axes.
        colour: The metric by which lines are coloured; the first one of the columns by default.

    Raises:
        UsageError: The filter is not complete.
        NotFoundError: The filter or a column names nothing that a run has.
    """
    places = table.select(View(view.filter, "", view.sort, view.up))
    drawn = places if len(places) <= MOST else [places[at * len(places) // MOST] for at in range(MOST)]
    metrics = [key for key in view.columns if key.startswith(METRIC)]
    by = colour if colour in metrics else next(iter(metrics), None)
    hues = None if by is None else _sizes([table.column(by)[at] for at in places])
    # A metric is what came of the parameters, so it stands to the right of them.
    axes, left_out = [], []
    for key in [*(key for key in view.columns if key.startswith(PARAM)), *metrics][:AXES]:
        values = table.column(key)
        held = [values[at] for at in places]
        sizes = _sizes(held)
        made = _axis(key, held, sizes, [values[at] for at in drawn])
        if made is None:
            left_out.append(key.removeprefix(PARAM).removeprefix(METRIC))
            continue
        if hues is not None and key != by:
            made["goes"] = _goes(sizes, hues)
        axes.append(made)
    return {
        "axes": axes,
        "colour": by,
        "colours": metrics,
        "runs": [[table.runs.heads[at].run_id, shown(table.runs.heads[at].name[:200])] for at in drawn],
        "count": len(places),
        "left_out": left_out,
        "words": _words(axes, by, len(places), len(drawn)),
    }


def _axis(key: str, every: Sequence[Value], sizes: Numbers, drawn: Sequence[Value]) -> Json | None:
    """Make an axis; None where it would say nothing: no value, or too many texts."""
    held = [value for value in every if value is not None]
    if not held:
        return None
    title = key.removeprefix(PARAM).removeprefix(METRIC)
    finite = sizes[~np.isnan(sizes)]
    if len(finite) == len(held):
        low, high = float(finite.min()), float(finite.max())
        wide = key.startswith(PARAM) and low > 0 and high / low >= _WIDE
        return {
            "key": key,
            "title": title,
            "low": low,
            "high": high,
            "log": wide,
            "levels": None,
            "values": [number(value) for value in drawn],
        }
    levels = sorted({str(value) for value in held}, key=_natural)
    if len(levels) > _LEVELS:
        return None
    places = {level: at for at, level in enumerate(levels)}
    return {
        "key": key,
        "title": title,
        "low": 0,
        "high": len(levels) - 1,
        "log": False,
        "levels": [[level, plain(level)] for level in levels],
        "values": [None if value is None else places[str(value)] for value in drawn],
    }


def _natural(level: str) -> tuple[int, float, str]:
    size = number(level)
    return (1, 0.0, level.lower()) if size is None else (0, size, level)


def _sizes(values: Sequence[Value]) -> Numbers:
    """Read values as numbers; NaN where a run has none, or a text."""
    return np.array([number(value) for value in values], dtype=float)


def _goes(left: Numbers, right: Numbers) -> float | None:
    """Spearman's rank correlation of the runs that have both; None for texts and for a handful."""
    both = ~(np.isnan(left) | np.isnan(right))
    if both.sum() < _ENOUGH:
        return None
    ours, theirs = _ranks(left[both]), _ranks(right[both])
    spread = float(ours.std() * theirs.std())
    if spread == 0:
        return None
    return round(float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / spread, 2)


def _ranks(values: Numbers) -> Numbers:
    """Rank values; equals share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Numbers = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _words(axes: Sequence[Json], by: str | None, count: int, drawn: int) -> str:
    """Say what the drawing shows, for those who do not see it."""
    runs = f"{count:,} runs" if count != 1 else "1 run"
    part = "" if drawn == count else f", {drawn:,} of them drawn"
    over = ", ".join(axis["title"] for axis in axes) or "no axis"
    said = [f"Parallel coordinates of {runs}{part}, over {over}."]
    going = [axis for axis in axes if axis.get("goes") is not None and axis["key"].startswith(PARAM)]
    if by is not None and going:
        going = sorted(going, key=lambda axis: -abs(axis["goes"]))[:3]
        listed = ", ".join(f"{axis['title']} {_signed(axis['goes'])}" for axis in going)
        said.append(f"Rank correlation with {by.removeprefix(METRIC)}: {listed}.")
    return " ".join(said)


def _signed(value: float) -> str:
    return f"{_MINUS if value < 0 else ''}{abs(value):.2f}"
