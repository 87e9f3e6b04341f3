"""Columns that have changed places: each holds what the other held, as a join by position makes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.stats.units import off_bins
from mlops_magics.stats.windows import ColumnWindow

_MOST: Final = 60  # columns among which pairs are looked for
_ALIKE: Final = 0.03  # how far apart distributions may be, to be taken for the same
_LIKELY: Final = 1.6  # times the error of chance that they may be apart besides
_BETTER: Final = 3.0  # times nearer to the other column than to its own

Pair = tuple[ColumnReference, ColumnWindow]


def swapped(pairs: Sequence[Pair]) -> Mapping[str, str]:
    """Find columns of which each now looks as another one did.

    Args:
        pairs: The columns that have drifted, each as it was and as it is.

    Returns:
        By column the other one; none of those for which there are several.
    """
    found: dict[str, list[str]] = {}
    for one, other in combinations(pairs[:_MOST], 2):
        if _took(one, other) and _took(other, one):
            found.setdefault(one[0].name, []).append(other[0].name)
            found.setdefault(other[0].name, []).append(one[0].name)
    return {name: others[0] for name, others in found.items() if len(others) == 1}


def _took(one: Pair, other: Pair) -> bool:
    """Tell whether a column now holds what another one held."""
    (known, now), (wanted, _) = one, other
    if known.kind == "date" or wanted.kind == "date":
        return False
    if known.bins is not None and wanted.bins is not None:
        return _numbers(known, wanted, now)
    if known.levels is not None and wanted.levels is not None:
        return _levels(known, wanted, now)
    return False


def _numbers(known: ColumnReference, wanted: ColumnReference, now: ColumnWindow) -> bool:
    if not now.quantiles or known.bins is None or wanted.bins is None:
        return False
    rows = min(sum(known.bins.counts), sum(wanted.bins.counts))
    chance = math.sqrt(1 / max(rows, 1) + 1 / max(sum(now.counts), 1))
    there, here = (off_bins(each.bins, now.quantiles) for each in (wanted, known) if each.bins is not None)
    return there < min(max(_ALIKE, _LIKELY * chance), here / _BETTER)


def _levels(known: ColumnReference, wanted: ColumnReference, now: ColumnWindow) -> bool:
    """Compare the shares of values that have a name; of new ones a window keeps the most frequent."""
    held = {**now.named, **now.fresh}
    rows = sum(now.named.values()) + sum(now.tail)
    if wanted.levels is None or known.levels is None or not rows:
        return False
    then = wanted.levels.named
    before = sum(then.values()) + sum(wanted.levels.tail)
    overlap = sum(min(count / before, held.get(name, 0) / rows) for name, count in then.items())
    own = sum(known.levels.named.values()) + sum(known.levels.tail)
    stayed = sum(min(count / own, held.get(name, 0) / rows) for name, count in known.levels.named.items())
    named = sum(then.values()) / before
    return named > 1 / 2 and overlap > (1 - 2 * _ALIKE) * named - 1 / math.sqrt(rows) and stayed < overlap / 2
