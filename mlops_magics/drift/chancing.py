"""Which p-value keeps chance alone to a rate: solved on drawn windows, whose rows are independent."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.scoring import Floors, deciding, scored
from mlops_magics.drift.simulating import drawn_reference, drawn_window

_SEED: Final = 20
_TAIL: Final = 0.1  # of the draws, by which the rest of the tail is drawn on
_FEWEST: Final = 10  # draws above their floors, of which one can say how p-values go
_KEPT_BACK: Final = 0.9  # levels are named for being frequent in the reference, which no draw shows
_HIGHEST: Final = 0.5  # that the p-value may be


def chance_of(
    reference: Reference,
    rate: float,
    *,
    rows: int,
    floors: Floors,
    persistence: int = 1,
    draws: int = 800,
) -> tuple[float, float]:
    """Solve for the p-value that chance alone goes below at a rate.

    Args:
        reference: The reference, from whose counts windows are drawn.
        rate: False alarms a window.
        rows: Rows of a window.
        floors: Floors that hold besides.
        persistence: How many windows in a row must drift.
        draws: How many references and windows are drawn.

    Returns:
        The p-value, adjusted over all columns, and the rate that is expected with it, which is lower where
        floors keep chance down.
    """
    random = np.random.default_rng(_SEED)
    least = np.sort([_least(reference, rows, floors, persistence, random) for _ in range(max(draws, 1))])
    return _solved(least, rate, persistence)


def _least(
    reference: Reference, rows: int, floors: Floors, persistence: int, random: np.random.Generator
) -> float:
    """Draw a reference and windows in a row: the p-value that makes an alarm of the likeliest column."""
    drawn = [drawn_reference(column, random) for column in reference.columns]
    worst = np.zeros(len(drawn))
    for _ in range(persistence):
        pairs = [
            (then, drawn_window(column, rows, random))
            for then, column in zip(drawn, reference.columns, strict=True)
        ]
        worst = np.maximum(worst, [each.adjusted for each in scored(pairs, floors, deciding())])
    return float(worst.min(initial=1.0))


def _solved(
    least: np.ndarray[tuple[int], np.dtype[np.float64]], rate: float, persistence: int
) -> tuple[float, float]:
    """Read the p-value at the rate from what was drawn; below its tail go on as p-values do.

    The chance of a p-value below t grows as t does; of one below t in several windows in a row as a power
    of t, up to their number where the windows share nothing, which is read from the draws.
    """
    count = least.size
    known = int(np.count_nonzero(least < 1.0))
    if known < _FEWEST:  # floors leave chance little to do
        return rate, min(rate, known / count)
    if rate * count >= known:  # whatever lies above its floor may be an alarm, and is rarer than allowed
        return min(_HIGHEST, max(rate, float(least[known - 1]))), known / count
    place = min(known, max(1, int(count * max(_TAIL, rate))))
    if rate * count >= place:
        return min(_HIGHEST, _KEPT_BACK * float(least[place - 1])), rate
    power = 1.0
    far = min(known, 4 * place) - 1
    if persistence > 1 and least[place - 1] < least[far]:
        power = math.log((far + 1) / place) / math.log(least[far] / least[place - 1])
        power = min(float(persistence), max(1.0, power))
    alpha = _KEPT_BACK * float(least[place - 1]) * (rate * count / place) ** (1 / power)
    return min(_HIGHEST, alpha), rate
