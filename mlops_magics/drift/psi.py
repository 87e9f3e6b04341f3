"""The population stability index, over ten groups of bins or over levels. It only describes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.cells import few_cells_of
from mlops_magics.drift.chance import shares
from mlops_magics.stats.windows import ColumnWindow

_LEAST: Final = 1e-4  # the share that an empty cell is taken for, as is the custom


@dataclass(frozen=True, slots=True)
class _PopulationStability:
    name: str = "psi"
    weight: float = 0.0
    floor: float = 0.1

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        cells = few_cells_of(reference, window)
        if cells is None:
            return None
        then, now = cells
        if not then.sum() or not now.sum():
            return nothing(self.name, reference.name, p=None)
        before, after = np.maximum(shares(then), _LEAST), np.maximum(shares(now), _LEAST)
        index = float(((after - before) * np.log(after / before)).sum())
        words = f"The population stability index is {index:.3f}."
        return Score(self.name, reference.name, index, 1 - math.exp(-index), None, words)


TEST = _PopulationStability()
