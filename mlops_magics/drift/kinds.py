"""Values of another kind than the model was fitted on: texts among numbers, numbers among dates."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import held
from mlops_magics.drift.chance import proportion
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Kinds:
    name: str = "kinds"
    weight: float = 0.5
    floor: float = 0.0

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        if reference.kind == "empty":
            return None
        rows = held(window)
        p = proportion(0, reference.rows - reference.missing, window.wrong, rows)
        effect = min(1.0, window.wrong / rows) if rows else 0.0
        words = "All values are of the kind of before."
        if window.wrong:
            words = f"{window.wrong:,} of {rows:,} values are not of kind {reference.kind}."
        return Score(self.name, reference.name, window.wrong, effect, p, words)


TEST = _Kinds()
