"""How long texts are: the greatest distance of the running shares of lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.cells import is_listed
from mlops_magics.drift.chance import kolmogorov_smirnov
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Lengths:
    name: str = "lengths"
    weight: float = 2.0
    floor: float = 0.05

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        known = reference.lengths
        if known is None or is_listed(reference):  # of levels, the levels themselves are compared
            return None
        now = np.asarray(window.lengths, np.int64)
        if now.size != len(known.counts) or not now.sum():
            return nothing(self.name, reference.name, "texts")
        distance, p = kolmogorov_smirnov(known.counts, now)
        words = f"The shares of texts up to a length differ by up to {distance:.3f}."
        return Score(self.name, reference.name, distance, distance, p, words)


TEST = _Lengths()
