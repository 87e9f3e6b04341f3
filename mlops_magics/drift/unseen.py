"""Levels that the model has hardly seen, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlops_magics.artifact.reference import TAIL, ColumnReference
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import levels_of
from mlops_magics.drift.chance import at_least
from mlops_magics.stats.windows import ColumnWindow

_TIMES: Final = 10  # as often as before: then it was hardly seen
_SURE: Final = 0.05  # chance, over all buckets, up to which a bucket counts as newly filled


@dataclass(frozen=True, slots=True)
class _Unseen:
    name: str = "unseen"
    weight: float = 1.0
    floor: float = 0.005

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        levels = reference.levels
        if levels is None or not levels.tail:
            return None
        then, now = levels_of(reference, window)
        rows, now_rows = int(then.sum()), int(now.sum())
        before, after = then[-TAIL:], now[-TAIL:]
        if not rows or not now_rows:
            return Score(self.name, reference.name, 0.0, 0.0, 1.0, "There are no values to compare.")
        share = now_rows / (rows + now_rows)
        more = np.flatnonzero(after * rows > _TIMES * before * now_rows)
        chances = {
            int(place): TAIL * at_least(int(after[place]), int(after[place] + before[place]), share)
            for place in more
        }
        new = sum(int(after[place]) for place, chance in chances.items() if chance < _SURE)
        p = min(1.0, min(chances.values(), default=1.0))
        return Score(self.name, reference.name, new, new / now_rows, p, _words(window, new, now_rows))


def _words(window: ColumnWindow, new: int, rows: int) -> str:
    if not new:
        return "No value is new."
    told = f"{new / rows:.1%} of the rows hold values that were hardly there before, or not at all"
    names = ", ".join(f"'{name}' ({count:,})" for name, count in list(window.fresh.items())[:3])
    return f"{told}. The most frequent without a name of before: {names}." if names else f"{told}."


TEST = _Unseen()
