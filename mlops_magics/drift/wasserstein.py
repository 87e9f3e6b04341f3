"""Numbers: how far they were carried, in standard deviations. It only describes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.cells import bins_of, is_measured
from mlops_magics.drift.chance import shares
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Wasserstein:
    name: str = "wasserstein"
    weight: float = 0.0
    floor: float = 0.1

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        bins = reference.bins
        if not is_measured(reference) or bins is None:
            return None
        then, now = bins_of(reference, window)
        if not now.sum() or not bins.std or not math.isfinite(bins.std):
            return nothing(self.name, reference.name, "numbers", p=None)
        ends = np.asarray((bins.minimum, *bins.edges, bins.maximum)) / bins.std
        middles = ends[:-1] / 2 + ends[1:] / 2
        apart = np.abs(np.cumsum(shares(then)) - np.cumsum(shares(now)))[:-1]
        distance = float((apart * np.diff(middles)).sum())
        words = (
            f"Within the range of before, rows were carried {distance:.3f} standard deviations on average."
        )
        return Score(self.name, reference.name, distance, distance / (1 + distance), None, words)


TEST = _Wasserstein()
