"""Levels: Pearson's chi-square over the frequent ones by name and all others by bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import Counts, is_listed, levels_of
from mlops_magics.drift.chance import chi_square, shares
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _ChiSquare:
    name: str = "chi2"
    weight: float = 8.0
    floor: float = 0.02

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        if not is_listed(reference):
            return None
        then, now = levels_of(reference, window)
        found = chi_square(then, now)
        words = _words(reference, then, now)
        return Score(self.name, reference.name, found.statistic, found.effect, found.p, words)


def _words(reference: ColumnReference, then: Counts, now: Counts) -> str:
    before, after = shares(then), shares(now)
    if not now.sum() or not then.sum():
        return "There are no values to compare."
    place = int(np.argmax(np.abs(after - before)))
    named = () if reference.levels is None else tuple(reference.levels.named)
    what = f"'{named[place]}'" if place < len(named) else "rare values together"
    if reference.bins is not None:
        what = _bin(reference.bins.edges, place)
    return f"The share of {what} went from {before[place]:.1%} to {after[place]:.1%}."


def _bin(edges: tuple[float, ...], place: int) -> str:
    if not edges:
        return "all numbers"
    if place == 0:
        return f"numbers below {edges[0]:g}"
    if place == len(edges):
        return f"numbers from {edges[-1]:g}"
    return f"numbers from {edges[place - 1]:g} to below {edges[place]:g}"


TEST = _ChiSquare()
