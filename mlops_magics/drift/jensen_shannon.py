"""The Jensen-Shannon distance over bins or levels. It only describes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.cells import few_cells_of
from mlops_magics.drift.chance import shares
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _JensenShannon:
    name: str = "jensen_shannon"
    weight: float = 0.0
    floor: float = 0.1

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        cells = few_cells_of(reference, window)
        if cells is None:
            return None
        then, now = cells
        if not then.sum() or not now.sum():
            return nothing(self.name, reference.name, p=None)
        before, after = shares(then), shares(now)
        middle = (before + after) / 2
        distance = math.sqrt(max(0.0, (_bits(before, middle) + _bits(after, middle)) / 2))
        words = f"The Jensen-Shannon distance is {distance:.3f}."
        return Score(self.name, reference.name, distance, min(1.0, distance), None, words)


def _bits(one: npt.NDArray[np.float64], two: npt.NDArray[np.float64]) -> float:
    here = one > 0
    return float((one[here] * np.log2(one[here] / two[here])).sum())


TEST = _JensenShannon()
