"""Levels that the model has hardly seen, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlops_magics.artifact.reference import TAIL, ColumnReference, bucket
from mlops_magics.drift.base import Score, nothing
from mlops_magics.drift.cells import Counts, levels_of
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
        now_rows = int(now.sum())
        if not then.sum() or not now_rows:
            return nothing(self.name, reference.name)
        chances = _chances(then, now)
        new = sum(int(now[-TAIL:][place]) for place, chance in chances.items() if chance < _SURE)
        p = min(1.0, min(chances.values(), default=1.0))
        words = _words(new_names(reference, window), new, now_rows)
        return Score(self.name, reference.name, new, new / now_rows, p, words)


def _chances(then: Counts, now: Counts) -> dict[int, float]:
    """Say of each bucket that fills many times as fast as before how likely that is, over all buckets."""
    rows, now_rows = int(then.sum()), int(now.sum())
    before, after = then[-TAIL:], now[-TAIL:]
    share = now_rows / (rows + now_rows)
    more = np.flatnonzero(after * rows > _TIMES * before * now_rows)
    return {
        int(place): TAIL * at_least(int(after[place]), int(after[place] + before[place]), share)
        for place in more
    }


def new_names(reference: ColumnReference, window: ColumnWindow) -> Mapping[str, int]:
    """Name the values that fill such buckets, with their counts: the most frequent first."""
    levels = reference.levels
    if levels is None or not levels.tail or not sum(window.tail) or reference.personal:
        return {}
    then, now = levels_of(reference, window)
    sure = {place for place, chance in _chances(then, now).items() if chance < _SURE}
    least = max(window.fresh.values(), default=0) / _TIMES  # a rare value that shares the bucket is not meant
    return {name: count for name, count in window.fresh.items() if bucket(name) in sure and count >= least}


def _words(names: Mapping[str, int], new: int, rows: int) -> str:
    if not new:
        return "No value is new."
    told = f"{new / rows:.1%} of the rows hold values that were hardly there before, or not at all"
    some = ", ".join(f"'{name}' ({count:,})" for name, count in list(names.items())[:3])
    return f"{told}: {some}." if some else f"{told}."


TEST = _Unseen()
