"""How far stretches of time within a reference differ from the rest: what is usual from the start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import ColumnReference, Reference
from mlops_magics.drift.cells import is_listed, is_ordered
from mlops_magics.drift.chance import chi_square, kolmogorov_smirnov, proportion

_SURE: Final = 0.01  # over all stretches of a column, for them to differ by more than chance
_FEWEST: Final = 100  # rows of a stretch


def usual_effects(reference: Reference) -> Mapping[str, Mapping[str, float]]:
    """Say how far each column's stretches differ from the rest, where that is more than chance.

    Args:
        reference: The reference with its stretches.

    Returns:
        By column and test the greatest of these effects, less what chance adds; nothing where there are no
        stretches.
    """
    if reference.periods is None:
        return {}
    held = [period for period in reference.periods.held if period.rows >= _FEWEST]
    found: dict[str, dict[str, float]] = {}
    for column in reference.columns:
        counts = [period.counts[column.name] for period in held if column.name in period.counts]
        if len(counts) > 1 and (told := _of_column(column, np.asarray(counts, np.int64))):
            found[column.name] = told
    return found


def _of_column(column: ColumnReference, counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Compare each stretch with all the others; the last group has no value."""
    told: dict[str, float] = {}
    whole = counts.sum(axis=0)
    values = counts[:, :-1]
    if values.shape[1] > 1 and (is_ordered(column) or is_listed(column)):
        test = "ks" if is_ordered(column) else "chi2"
        pairs = [_apart(test, whole[:-1] - each, each) for each in values]
        told |= _greatest(test, pairs)
    gaps = counts[:, -1]
    rows = counts.sum(axis=1)
    pairs = [
        (
            abs(gap / count - (whole[-1] - gap) / max(rows.sum() - count, 1)),
            proportion(int(whole[-1] - gap), int(rows.sum() - count), int(gap), int(count)),
            1 / math.sqrt(count),
        )
        for gap, count in zip(gaps.tolist(), rows.tolist(), strict=True)
    ]
    return told | _greatest("missing", pairs)


def _apart(test: str, rest: npt.NDArray[np.int64], part: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Compare: the effect, the p-value, and about how far chance alone would move it."""
    noise = 0.5 / math.sqrt(max(1, int(part.sum())))
    if test == "ks":
        return *kolmogorov_smirnov(rest, part), noise
    found = chi_square(rest, part)
    return found.effect, found.p, noise


def _greatest(test: str, pairs: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    moved = [max(0.0, effect - noise) for effect, p, noise in pairs if p * len(pairs) < _SURE]
    return {test: round(float(max(moved)), 6)} if moved and max(moved) > 0 else {}
