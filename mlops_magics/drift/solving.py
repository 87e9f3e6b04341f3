"""Thresholds for a budget of false alarms, from what chance does and from what was usual so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm, Floors, Season, slot
from mlops_magics.drift.budget import rate_of
from mlops_magics.drift.chancing import chance_of
from mlops_magics.drift.periodic import usual_effects
from mlops_magics.drift.scoring import Found, deciding, scored
from mlops_magics.stats.windows import Answers, Window

_FEWEST: Final = 8  # windows of which one can say what is usual
_A_SLOT: Final = 3  # windows that an hour or a day must have for a floor of its own
_OFTEN: Final = 0.05  # how unlikely so many alarms in the history must be, for rows not to be independent
_SEEN: Final = 5  # alarms in the history, from which on a rate is counted, not drawn on
_UNLIKELY: Final = 0.01  # a p-value that one window in a hundred has by chance
_EDGE: Final = 1e-4  # nearer to 1 effects are not told apart
_OFTEN_SO: Final = 0.8  # of the windows: what the others do beyond it tells how an effect's tail goes
_TOGETHER: Final = 0.2  # of the budget is for all columns together, where they are compared so
_EULER: Final = 0.5772156649
_LEAST: Final = 1e-4  # that a stretched effect varies by

Key = tuple[str, str]
Effects = npt.NDArray[np.float64]


def solve(
    reference: Reference,
    budget: str = "1/100",
    *,
    rows: int,
    seconds: float | None = None,
    history: Sequence[Window] = (),
    persistence: int = 1,
    minimum: int = 200,
    draws: int = 800,
    together: bool = False,
) -> Alarm:
    """Solve for the thresholds that keep false alarms to a budget.

    First chance: windows are drawn from the reference's own counts, rows taken as independent, and a p-value
    is found that they go below at the rate. Where more windows of the history go below it than that rate
    allows, rows are not independent, and effects that were usual in the history become floors: whole windows
    are compared, never single rows, each with those of the same hour or day where the history has several.

    Args:
        reference: The rows that the model was fitted on, as they were.
        budget: How many false alarms somebody bears: ``1/month``, ``1/100`` windows.
        rows: How many rows a window has.
        seconds: How long it is; None for single tables.
        history: Windows so far, in order, that count as usual. Without any the reference's own stretches of
            time are taken, where it has some.
        persistence: How many windows in a row must drift.
        minimum: Rows that a window must have to be judged.
        draws: How many windows are drawn.
        together: Whether columns are also compared together; a fifth of the budget is for that.

    Raises:
        UsageError: The budget cannot be read or kept.
    """
    whole = rate_of(budget, seconds)
    joint = whole * _TOGETHER if together else 0.0
    rate = whole - joint
    usual = [window for window in history if window.rows >= minimum]
    stable = usual_effects(reference) if len(usual) < _FEWEST else {}
    alpha, expected = chance_of(
        reference, rate, rows=rows, floors=stable, persistence=persistence, draws=draws
    )
    alarm = Alarm(
        budget=budget,
        rate=rate,
        alpha=alpha,
        floors=stable,
        minimum=minimum,
        persistence=persistence,
        answers=_answers(usual),
        together=joint,
        basis=_basis(reference, usual, stable),
        expected=expected,
    )
    if len(usual) >= _FEWEST:
        alarm = _from_history(reference, alarm, usual, seconds)
    return replace(alarm, rate=whole, expected=alarm.expected + joint)


def _answers(usual: Sequence[Window]) -> Answers | None:
    found: Answers | None = None
    for window in usual:
        if window.answers is not None:
            found = window.answers if found is None else found + window.answers
    return found


def _basis(reference: Reference, usual: Sequence[Window], stable: Floors) -> str:
    drawn = "Drawn from the reference's counts; rows are taken as independent of each other."
    if len(usual) >= _FEWEST:
        return f"{drawn} {len(usual)} windows of the history alarm no more often than that allows."
    if reference.periods is not None:
        held = len(reference.periods.held)
        many = f"{len(stable)} columns" if len(stable) != 1 else "1 column"
        return (
            f"{drawn} Of {held} stretches of a {reference.periods.unit} in the reference, {many} differ by "
            "more than chance: how far they differ from the rest is the least that counts."
        )
    return f"{drawn} There is no history yet, and no column of the reference tells the time."


def _from_history(
    reference: Reference, alarm: Alarm, usual: Sequence[Window], seconds: float | None
) -> Alarm:
    """Hold the thresholds against the history, and raise floors where it alarms too often."""
    from scipy.special import bdtrc

    table = _Table(reference, usual)
    late = table.persistent(table.adjusted < alarm.alpha, alarm.persistence)
    hits = int(late.any(axis=1).sum())
    if not hits or bdtrc(hits - 1, len(usual), alarm.rate) >= _OFTEN:
        return alarm
    moved = table.moved(alarm.alpha)
    season = _season(usual, seconds)
    slots = [slot(window.began, season) for window in usual]
    effects = _stretched(table.effects[:, moved])
    apart = effects - _centres(effects, slots)
    often = np.quantile(apart, _OFTEN_SO, axis=0)
    # As squares: of a column in which little ever happens, one event must not be many times its scale.
    beyond = np.maximum(apart - often, 0.0)
    spread = np.maximum(np.sqrt((beyond**2).mean(axis=0) / (1 - _OFTEN_SO)), _LEAST)
    most = _most((apart - often) / spread, alarm.persistence)
    # Half of the budget is for what varies, half for chance in all else.
    factor, how = _factor(most, alarm.rate / 2)
    alpha = alarm.alpha * 0.5 ** (1 / alarm.persistence)
    keys = [table.keys[place] for place in moved]
    floors = _floors(keys, np.median(effects, axis=0) + often + factor * spread)
    seasons = {
        each: _floors(keys, _of_slot(effects, slots, each) + often + factor * spread)
        for each in sorted(set(slots))
        if season
    }
    basis = (
        f"{hits} of {len(usual)} windows of the history would have been alarms where "
        f"{alarm.rate * len(usual):.1f} were to be expected: rows of a window are not independent. What was "
        f"usual in the history {_by(season)}is the least that counts, {how}."
    )
    return replace(alarm, alpha=alpha, floors=floors, season=season, seasons=seasons, basis=basis)


def _by(season: Season) -> str:
    return f"by the {season} " if season else ""


class _Table:
    """The effects and p-values of each window of the history, by column and test."""

    def __init__(self, reference: Reference, usual: Sequence[Window]) -> None:
        tests = deciding()
        found = [_scored(reference, window) for window in usual]
        names = [column.name for column in reference.columns]
        self.keys: list[Key] = [(name, test.name) for name in names for test in tests]
        self._names = names
        self._tests = len(tests)
        self.effects: Effects = np.zeros((len(usual), len(self.keys)))
        self.chances: Effects = np.ones((len(usual), len(self.keys)))
        self.adjusted: Effects = np.ones((len(usual), len(names)))
        places = {key: place for place, key in enumerate(self.keys)}
        columns = {name: place for place, name in enumerate(names)}
        for row, each in enumerate(found):
            for column in each:
                self.adjusted[row, columns[column.name]] = column.adjusted
                for score in column.scores:
                    place = places[(column.name, score.test)]
                    self.effects[row, place] = score.effect
                    self.chances[row, place] = 1.0 if score.p is None else score.p

    def persistent(self, late: npt.NDArray[np.bool_], persistence: int) -> npt.NDArray[np.bool_]:
        """Keep what was so in as many windows in a row."""
        found = late.copy()
        for back in range(1, persistence):
            found[back:] &= late[:-back]
            found[:back] = False
        return found

    def moved(self, alpha: float) -> list[int]:
        """Name the columns and tests that are unlikely more often than chance would have it."""
        often: list[float] = (self.chances < _UNLIKELY).mean(axis=0).tolist()
        ever = self.adjusted.min(axis=0, initial=1.0).tolist()
        return [
            place
            for place in range(len(self.keys))
            if often[place] > 2 * _UNLIKELY and ever[place // self._tests] < alpha
        ]


def _scored(reference: Reference, window: Window) -> tuple[Found, ...]:
    now = window.by_name
    pairs = [(column, now[column.name]) for column in reference.columns if now[column.name].rows]
    return scored(pairs, {}, deciding())


def _season(usual: Sequence[Window], seconds: float | None) -> Season:
    """Choose by what windows are compared: the finest of which the history has several of each."""
    if seconds is None or any(window.began is None for window in usual):
        return ""
    likely: list[Season] = ["weekday"] if seconds > 43_200 else ["hour of the week", "hour"]  # noqa: PLR2004 - half a day
    for season in likely if seconds <= 86_400 else []:  # noqa: PLR2004 - a day
        slots = [slot(window.began, season) for window in usual]
        if min(slots.count(each) for each in set(slots)) >= _A_SLOT and len(set(slots)) > 1:
            return season
    return ""


def _centres(effects: Effects, slots: Sequence[str]) -> Effects:
    """Say for each window what is usual at its time: the median of the others."""
    found = np.empty_like(effects)
    named = np.asarray(slots)
    for row in range(len(effects)):
        others = named == named[row]
        others[row] = False
        found[row] = np.median(effects[others], axis=0) if others.any() else effects[row]
    return found


def _of_slot(effects: Effects, slots: Sequence[str], chosen: str) -> Effects:
    return np.asarray(np.median(effects[np.asarray(slots) == chosen], axis=0))


def _most(apart: Effects, persistence: int) -> Effects:
    """Return, for each window, how far the column furthest from usual is, in as many windows in a row."""
    held = apart.copy()
    for back in range(1, persistence):
        held[back:] = np.minimum(held[back:], apart[:-back])
    return np.asarray(held.max(axis=1))


def _factor(most: Effects, rate: float) -> tuple[float, str]:
    """Find how far from usual one window in so many is: counted, or drawn on as maxima go (Gumbel)."""
    if rate * most.size >= _SEEN:
        return float(np.quantile(most, 1 - rate)), "as counted in the history"
    ordered = np.sort(most)
    ranks = np.arange(most.size)
    second = 2 * float((ranks * ordered).sum()) / (most.size * (most.size - 1)) - float(ordered.mean())
    scale = max(second / np.log(2), _LEAST)
    place = float(ordered.mean()) - _EULER * scale
    found = place - scale * float(np.log(-np.log1p(-rate)))
    return found, "drawn on beyond the history, which is too short to hold so rare an alarm"


def _stretched(effects: Effects) -> Effects:
    """Stretch effects so that no floor reaches 1, beyond which nothing would be an alarm; small ones stay."""
    return np.asarray(-np.log1p(-np.clip(effects, 0.0, 1 - _EDGE)))


def _floors(keys: Sequence[Key], stretched: Effects) -> Mapping[str, Mapping[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (column, test), value in zip(keys, (-np.expm1(-stretched)).tolist(), strict=True):
        found.setdefault(column, {})[test] = round(min(1 - _EDGE, max(0.0, value)), 6)
    return found
