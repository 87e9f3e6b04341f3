"""What may be behind a drift: a suspicion, drawn from the numbers alone and said as one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import numpy as np

from mlops_magics.artifact.reference import Bins, ColumnReference
from mlops_magics.artifact.rules import PROBABILITIES
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import held
from mlops_magics.stats.units import conversion
from mlops_magics.stats.windows import ColumnWindow

Cause = Literal["", "pipeline fault", "unit change", "new category", "season", "range", "shift"]

_GAPS: Final = 0.2  # more missing than before, from which on values were rather lost than not there
_ALL: Final = 0.98  # rows that hold one value, of a column that held many
_NEW: Final = 0.5  # of the effect that new values explain
_BEYOND: Final = 0.05  # rows outside the range

Suspicion = tuple[Cause, str]


def guess(
    reference: ColumnReference | None,
    window: ColumnWindow | None,
    best: Score,
    scores: Sequence[Score],
    alarm: Alarm,
    began: datetime | None,
) -> Suspicion:
    """Suspect a cause.

    Args:
        reference: The column as it was; None for the model's answers.
        window: The column now.
        best: The score that decided.
        scores: All scores.
        alarm: Its floors tell which hours and days usually differ.
        began: When the window began.

    Returns:
        The cause and why it is suspected.
    """
    if reference is None or window is None:
        return "shift", "The model answers otherwise than it did; the columns say what moved it."
    by_test = {score.test: score for score in scores}
    for suspect in (_fault, _unit, _category, _range):
        found = suspect(reference, window, best, by_test)
        if found is not None:
            return found
    return _season(best, alarm, began) or ("shift", "Values moved within their range; no single cause stands out.")


def _fault(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    if window.absent:
        return "pipeline fault", "Rows come without the column: a join or a rename may have lost it."
    if best.test == "kinds":
        return "pipeline fault", f"Values arrive in another kind than {reference.kind}: look at what writes them."
    gaps = by_test.get("missing")
    if gaps is not None and gaps.statistic > _GAPS:
        return "pipeline fault", f"{gaps.words} So many gaps at once are rarely the world's doing."
    counts = window.counts or (*window.named.values(), *window.tail)
    known = _kinds_of(reference)
    if counts and known > 1 and max(counts) >= _ALL * max(sum(counts), 1) and not _constant(reference):
        return "pipeline fault", "Nearly all rows hold one and the same value: a default may stand in for it."
    if best.test == "outside" and window.infinite:
        return "pipeline fault", "Infinite numbers: a division by zero may be behind them."
    if best.test == "dates" and window.below:
        return "pipeline fault", "Dates went back before the first one known: a default date may stand in."
    return None


def _kinds_of(reference: ColumnReference) -> int:
    if reference.bins is not None:
        return len(reference.bins.counts)
    return 0 if reference.levels is None else reference.levels.distinct


def _constant(reference: ColumnReference) -> bool:
    counts = ()
    if reference.bins is not None:
        counts = reference.bins.counts
    elif reference.levels is not None:
        counts = (*reference.levels.named.values(), *reference.levels.tail)
    return bool(counts) and max(counts) >= _ALL * max(sum(counts), 1)


def _unit(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    bins = reference.bins
    if bins is None or reference.kind == "date" or not window.quantiles:
        return None
    del best, by_test
    rows = sum(bins.counts)
    change = conversion(
        quantiles_of(bins), rows, window.quantiles, max(sum(window.counts), 1), coarse=window.coarse
    )
    if change is None:
        return None
    by = f"times {change.factor:g}" if change.factor != 1 else f"plus {change.offset:g}"
    if change.factor != 1 and change.offset:
        by += f" plus {change.offset:g}"
    return "unit change", f"The values are those of before {by}: {change.words}."


def quantiles_of(bins: Bins) -> tuple[float, ...]:
    """Read quantiles at ``PROBABILITIES`` from counts in bins."""
    ends = np.asarray((bins.minimum, *bins.edges, bins.maximum))
    reached = np.concatenate([[0.0], np.cumsum(bins.counts)]) / max(sum(bins.counts), 1)
    return tuple(np.interp(PROBABILITIES, reached, ends).tolist())


def _category(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    new = by_test.get("unseen")
    if new is None or not new.effect or (best.test != "unseen" and new.effect < _NEW * best.effect):
        return None
    if reference.personal or not window.fresh:
        return "new category", "Values that were hardly there before make up the difference."
    names = ", ".join(f"'{name}'" for name in list(window.fresh)[:3])
    return "new category", f"Values without a place in the reference make up the difference, most of all {names}."


def _range(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    del by_test
    beyond = (window.below + window.above) / max(held(window), 1)
    if reference.bins is None or (best.test != "outside" and beyond < _BEYOND):
        return None
    side = "below" if window.below > window.above else "above"
    end = reference.bins.minimum if side == "below" else reference.bins.maximum
    return "range", f"{beyond:.1%} of the rows lie beyond what the model has seen, mostly {side} {end:g}."


def _season(best: Score, alarm: Alarm, began: datetime | None) -> Suspicion | None:
    floors = alarm.floors_at(began)
    usual = floors.get(best.column, {}).get(best.test, 0.0)
    general = alarm.floors.get(best.column, {}).get(best.test, 0.0)
    if alarm.season and usual > general and best.effect < 2 * usual:
        return "season", f"At this time of the {alarm.season} it usually lies up to {usual:.3f} away."
    return None
