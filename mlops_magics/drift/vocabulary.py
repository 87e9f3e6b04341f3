"""Which words texts hold: in how many of them a word of each bucket occurs."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics.artifact.reference import TAIL, ColumnReference
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.chance import proportion
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    name: str = "vocabulary"
    weight: float = 4.0
    floor: float = 0.05

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        if not reference.worded or len(reference.words) != TAIL:
            return None
        if not window.worded or len(window.words) != TAIL:
            return nothing(self.name, reference.name, "texts")
        then, now = reference.worded, window.worded
        pairs = list(zip(reference.words, window.words, strict=True))
        p = min(1.0, TAIL * min(proportion(before, then, after, now) for before, after in pairs))
        effect = max(abs(after / now - before / then) for before, after in pairs)
        words = f"The share of texts that hold certain words differs by up to {effect:.3f}."
        return Score(self.name, reference.name, effect, effect, p, words)


TEST = _Vocabulary()
