"""Numbers: the greatest distance of running shares over bins of equal mass (Kolmogorov-Smirnov)."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import bins_of, is_ordered
from mlops_magics.drift.chance import kolmogorov_smirnov
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _KolmogorovSmirnov:
    name: str = "ks"
    weight: float = 8.0
    floor: float = 0.02

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        if not is_ordered(reference):
            return None
        distance, p = kolmogorov_smirnov(*bins_of(reference, window))
        words = f"The shares of rows up to a value differ by up to {distance:.3f}."
        return Score(self.name, reference.name, distance, distance, p, words)


TEST = _KolmogorovSmirnov()
