"""What may be behind a drift: a suspicion, drawn from the numbers alone and said as one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import numpy as np

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.base import Score
from mlops_magics.drift.cells import held, levels_of
from mlops_magics.drift.chance import chi_square, shares
from mlops_magics.drift.unseen import new_names
from mlops_magics.stats.units import conversion_of
from mlops_magics.stats.windows import ColumnWindow

Cause = Literal["", "pipeline fault", "unit change", "new category", "season", "range", "shift"]

_GAPS: Final = 0.2  # more missing than before, from which on values were rather lost than not there
_ALL: Final = 0.98  # rows that hold one value, of a column that held many
_NEW: Final = 0.5  # of the rows that went elsewhere, those that are new
_BEYOND: Final = 0.05  # rows outside the range
_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_TIMES_NEARER: Final = 3.0  # that hours come to those of before once they are moved, to blame the clock

Suspicion = tuple[Cause, str]


def guess(
    reference: ColumnReference | None,
    window: ColumnWindow | None,
    scores: Sequence[Score],
    *,
    best: Score,
    alarm: Alarm,
    began: datetime | None,
    swapped: str = "",
) -> Suspicion:
    """Suspect a cause.

    Args:
        reference: The column as it was; None for the model's answers.
        window: The column now.
        scores: All scores.
        best: The one that decided.
        alarm: Its floors tell which hours and days usually differ.
        began: When the window began.
        swapped: The column that it seems to have changed places with; "" for none.

    Returns:
        The cause and why it is suspected; of a change of unit first by what.
    """
    if reference is None or window is None:
        return "shift", "The model answers otherwise than it did; the columns say what moved it."
    if swapped:
        told = f"Its values look like those of '{swapped}', and those of '{swapped}' like its own"
        return "pipeline fault", f"{told}: the two may be swapped."
    by_test = {score.test: score for score in scores}
    for suspect in (_fault, _unit, _category, _range):
        found = suspect(reference, window, best, by_test)
        if found is not None:
            return found
    return (
        _clock(reference, window, best)
        or _season(best, alarm, began)
        or (
            "shift",
            "Values moved within their range; no single cause stands out.",
        )
    )


def _fault(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    gaps = by_test.get("missing")
    signs = (
        (bool(window.absent), "Rows come without the column: a join or a rename may have lost it."),
        (best.test == "kinds", f"Values arrive in another kind than {reference.kind}: see what writes them."),
        (
            gaps is not None and gaps.statistic > _GAPS,
            "So many gaps at once are rarely the world's doing: a source may be gone.",
        ),
        (
            _holds_one(window) and not _constant(_reference_counts(reference)),
            "Nearly all rows hold one and the same value: a default may stand in for it.",
        ),
        (
            best.test == "outside" and window.infinite > window.below + window.above,
            "Infinite numbers: a division by zero may be behind them.",
        ),
        (
            best.test == "dates" and bool(window.below),
            "Dates went back before the first one known: a default date may stand in.",
        ),
    )
    return next((("pipeline fault", words) for so, words in signs if so), None)


def _holds_one(window: ColumnWindow) -> bool:
    """Tell whether nearly all rows hold one value; numbers in one bin may be many, which quantiles tell."""
    if window.quantiles:
        return window.quantiles[0] == window.quantiles[-1]
    if window.below + window.above:  # beyond the bins all numbers look alike
        return False
    return _constant(window.counts or (*window.named.values(), *window.tail))


def _reference_counts(reference: ColumnReference) -> tuple[int, ...]:
    if reference.bins is not None:
        return reference.bins.counts
    levels = reference.levels
    return () if levels is None else (*levels.named.values(), *levels.tail)


def _constant(counts: tuple[int, ...]) -> bool:
    return bool(counts) and sum(counts) > 0 and max(counts) >= _ALL * sum(counts)


def _unit(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    bins = reference.bins
    if bins is None or reference.kind == "date" or not window.quantiles:
        return None
    del best, by_test
    whole = reference.kind in {"integer", "boolean"}
    change = conversion_of(bins, window.quantiles, max(sum(window.counts), 1), whole=whole)
    if change is None:
        return None
    by = [f"{_TIMES}{change.factor:.6g}"] if change.factor != 1 else []
    by += [f"{change.offset:+.6g}"] if change.offset else []
    return "unit change", f"{' '.join(by)}: {change.words}."


def _category(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    new = by_test.get("unseen")
    if new is None or not new.effect:
        return None
    then, now = levels_of(reference, window)
    moved = float(np.abs(shares(then) - shares(now)).sum()) / 2
    if best.test not in {"unseen", "chi2"} or new.effect < _NEW * moved:
        return None
    names = ", ".join(f"'{name}'" for name in list(new_names(reference, window))[:3])
    told = "Values that were hardly there before make up the difference"
    return "new category", f"{told}, most of all {names}." if names else f"{told}."


def _range(
    reference: ColumnReference, window: ColumnWindow, best: Score, by_test: dict[str, Score]
) -> Suspicion | None:
    del by_test
    if reference.kind == "date":  # they go on by nature
        return None
    beyond = (window.below + window.above) / max(held(window), 1)
    if reference.bins is None or (best.test != "outside" and beyond < _BEYOND):
        return None
    side = "below" if window.below > window.above else "above"
    end = reference.bins.minimum if side == "below" else reference.bins.maximum
    return "range", f"{beyond:.1%} of the rows lie beyond what the model has seen, mostly {side} {end:g}."


def _clock(reference: ColumnReference, window: ColumnWindow, best: Score) -> Suspicion | None:
    """Tell whether dates lie on the hours of before, all of them later or earlier by as many."""
    if best.test != "dates" or not reference.hours or len(window.hours) != len(reference.hours):
        return None
    before = chi_square(reference.hours, window.hours).effect
    found = {by: chi_square(np.roll(reference.hours, by), window.hours).effect for by in range(-11, 13) if by}
    by = min(found, key=lambda each: (found[each], abs(each)))
    if found[by] >= before / _TIMES_NEARER:
        return None
    told = f"The hours are those of before, {abs(by)} {'later' if by > 0 else 'earlier'}"
    if abs(by) == 1:
        return "season", f"{told}: summer time began or ended, where dates are not written in local time."
    return "pipeline fault", f"{told}: dates may be written in another time zone."


def _season(best: Score, alarm: Alarm, began: datetime | None) -> Suspicion | None:
    floors = alarm.floors_at(began)
    usual = floors.get(best.column, {}).get(best.test, 0.0)
    general = alarm.floors.get(best.column, {}).get(best.test, 0.0)
    if alarm.season and usual > general and best.effect < 2 * usual:
        return "season", f"At this time of the {alarm.season} it usually lies up to {usual:.3f} away."
    return None
