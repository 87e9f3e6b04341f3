"""Numbers beyond the least and the greatest that the model has seen, and infinities."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import held, is_measured
from mlops_magics.drift.chance import proportion
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Outside:
    name: str = "outside"
    weight: float = 1.0
    floor: float = 0.005

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        if not is_measured(reference):
            return None
        rows = sum(window.counts)
        seen = reference.rows - reference.missing
        # Each row is equally likely the greatest: that the k greatest are all new has this chance.
        share = rows / max(rows + seen, 1)
        p = 3 * min(
            share**window.below,
            share**window.above,
            proportion(reference.infinite, seen, window.infinite, held(window)),
        )
        beyond = window.below + window.above
        before = reference.infinite / max(seen, 1)
        more = max(0.0, window.infinite / max(held(window), 1) - before)
        effect = min(1.0, beyond / max(held(window), 1) + more)
        return Score(self.name, reference.name, beyond, effect, min(1.0, p), _words(reference, window))


def _words(reference: ColumnReference, window: ColumnWindow) -> str:
    assert reference.bins is not None  # noqa: S101 - asked of numbers only
    told = []
    if window.below:
        told.append(f"{window.below:,} rows lie below {reference.bins.minimum:g}")
    if window.above:
        told.append(f"{window.above:,} rows lie above {reference.bins.maximum:g}")
    if window.infinite:
        told.append(f"{window.infinite:,} rows are infinite")
    return "; ".join(told) + "." if told else "All numbers lie in the range of before."


TEST = _Outside()
