"""The share of rows without a value."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.chance import proportion
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Missing:
    name: str = "missing"
    weight: float = 1.0
    floor: float = 0.01

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        gaps, rows = window.missing + window.absent, window.rows
        then = reference.missing / reference.rows if reference.rows else 0.0
        now = gaps / rows if rows else then
        p = proportion(reference.missing, reference.rows, gaps, rows)
        words = f"The share of rows without a value went from {then:.1%} to {now:.1%}."
        if window.absent:
            words = f"{window.absent:,} of {rows:,} rows came without the column."
        return Score(self.name, reference.name, now - then, abs(now - then), p, words)


TEST = _Missing()
