"""Has a model's world moved: which columns, how far, how surely, since when, and what may be behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.answers import answer_pairs
from mlops_magics.drift.base import Score
from mlops_magics.drift.causes import Cause, guess
from mlops_magics.drift.scoring import Found, deciding, scored
from mlops_magics.drift.swaps import swapped
from mlops_magics.drift.together import FLOOR, TOGETHER, Rows, together
from mlops_magics.foundation.errors import UsageError
from mlops_magics.stats.windows import ColumnWindow, Window

Level = Literal["none", "slight", "strong"]
Drifted = dict[int, frozenset[str]]

_STRONG: Final = 0.1  # an effect from which on a drift is called strong
_ALONE: Final = "Columns together were not compared: where one has moved by itself, rows differ by that."
_APART: Final = "Each column alone is as it was; how they go together is not."
_FAR_BACK: Final = 1_000  # windows that are looked at to say since when


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How one column, or the model's answers, moved.

    Attributes:
        name: The column; "prediction" or "probability of CLASS" for answers.
        test: The test that decided.
        effect: How far, 0 to 1; whatever the number of rows.
        p: How likely chance alone moves it so far, by all tests of this column.
        adjusted: The same over all columns, by which is decided.
        importance: How much the model uses the column, as a share of 1; None where it does not say.
        alarmed: Whether it is an alarm: drifted now, and in as many windows in a row as the alarm asks for.
        level: "none", or how strong.
        cause: What is suspected behind it: "pipeline fault", "unit change", "new category", "season",
            "range", "shift", or "" without drift. It is a suspicion, drawn from the numbers.
        words: What was seen.
        suspicion: Why this cause is suspected; of a change of unit by what, and from which to which.
        since: When the first window of those in a row began; None without drift, or where no time is known.
        windows: How many windows in a row it has drifted, this one included.
        scores: What every test said.
    """

    name: str
    test: str
    effect: float
    p: float
    adjusted: float
    importance: float | None
    alarmed: bool
    level: Level
    cause: Cause
    words: str
    suspicion: str
    since: datetime | None
    windows: int
    scores: tuple[Score, ...]

    @property
    def suspected(self) -> str:
        """The cause and why it is suspected, as one phrase; "" without drift."""
        if not self.suspicion:
            return self.cause
        return f"{self.cause}{' ' if self.cause == 'unit change' else ': '}{self.suspicion}"


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether a window still looks as the rows that the model was fitted on.

    Attributes:
        rows: The rows of the window.
        columns: The columns, the one that matters most first: by effect times importance.
        answers: The model's answers, likewise.
        together: All columns together; None where they were not compared so.
        judged: Whether there were enough rows to judge by.
        notes: What could not be looked at, and why.
        began: When the window began.
        ended: When it ended.
    """

    rows: int
    columns: tuple[ColumnDrift, ...]
    answers: tuple[ColumnDrift, ...] = ()
    together: ColumnDrift | None = None
    judged: bool = True
    notes: tuple[str, ...] = ()
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def every(self) -> tuple[ColumnDrift, ...]:
        """The columns, the answers, and all columns together where they were compared so."""
        return (*self.columns, *self.answers, *(() if self.together is None else (self.together,)))

    @property
    def alarmed(self) -> bool:
        """Whether any of them is an alarm."""
        return any(each.alarmed for each in self.every)

    @property
    def alarms(self) -> tuple[ColumnDrift, ...]:
        """What is an alarm, the one that matters most first."""
        return tuple(each for each in self.every if each.alarmed)

    @property
    def weighted(self) -> float:
        """The effects of all columns that drifted, weighted by importance: 0 to 1."""
        drifted = [each for each in self.columns if each.level != "none"]
        known = [each for each in self.columns if each.importance is not None]
        if not known:
            return sum(each.effect for each in drifted) / max(len(self.columns), 1)
        return sum(each.effect * (each.importance or 0.0) for each in drifted)


def judge(
    reference: Reference,
    window: Window,
    *,
    alarm: Alarm | None = None,
    before: Sequence[Window] = (),
    rows: Rows | None = None,
    drifted: Drifted | None = None,
) -> Drift:
    """Compare the rows of a window with those that the model was fitted on.

    Args:
        reference: The rows that it was fitted on, as they were.
        window: The rows now, counted in the reference's bins.
        alarm: How sure and how far a drift must be to be an alarm; by default one window in a hundred may be
            a false alarm, and floors are those of the tests.
        before: The windows before this one, in order: they tell since when, and whether it persists.
        rows: Some rows of either side. Where no column is an alarm by itself, and the alarm has a part for
            it, they tell whether columns go together as they did.
        drifted: Which columns had drifted in windows that were judged before, by each window's identity. It
            is added to: whoever judges a history by one alarm judges no window twice.

    Raises:
        UsageError: A window was counted in the bins of another reference.
    """
    alarm = Alarm() if alarm is None else alarm
    _fitting(reference, (window, *before))
    notes: list[str] = []
    if window.rows < alarm.minimum:
        few = f"{window.rows:,} rows are too few to judge by: {alarm.minimum:,} are asked for."
        return Drift(window.rows, (), (), judged=False, notes=(few,), began=window.began, ended=window.ended)
    found, said, why = _scored(reference, window, alarm, before, everything=True)
    notes += [why] if why else []
    past = _Past(reference, alarm, tuple(before[-_FAR_BACK:]), {} if drifted is None else drifted)
    past.drifted[id(window)] = _moved((*found, *said), alarm)
    now = window.by_name
    swaps = _swaps(reference, alarm, now, found)
    columns = tuple(
        _drift(each, now.get(each.name), window.began, past, swaps.get(each.name, "")) for each in found
    )
    answers = tuple(_drift(each, None, window.began, past) for each in said)
    alone = any(each.alarmed for each in (*columns, *answers))
    joint = None if rows is None or alone else _jointly(rows, alarm, window.began)
    if rows is not None and alone:
        notes.append(_ALONE)
    if reference.left_out:
        notes.append(f"{reference.left_out:,} columns are not in the reference and were not looked at.")
    return Drift(
        rows=window.rows,
        columns=tuple(sorted(columns, key=_matters)),
        answers=tuple(sorted(answers, key=_matters)),
        together=joint,
        notes=tuple(notes),
        began=window.began,
        ended=window.ended,
    )


def _fitting(reference: Reference, windows: Sequence[Window]) -> None:
    digest = reference.digest
    if any(each.reference != digest for each in windows):
        raise UsageError(
            "The window was counted in the bins of another reference.",
            "Count its rows against the reference of the version that is judged.",
        )


def _scored(
    reference: Reference, window: Window, alarm: Alarm, before: Sequence[Window], *, everything: bool
) -> tuple[list[Found], list[Found], str]:
    now = window.by_name
    pairs = [
        (column, now[column.name])
        for column in reference.columns
        if column.name in now and now[column.name].rows
    ]
    said, why = answer_pairs(reference, window, alarm.answers, before)
    parts = None if everything else deciding()
    found = scored([*pairs, *said], alarm.floors_at(window.began), parts)
    return list(found[: len(pairs)]), list(found[len(pairs) :]), why


class _Past:
    """The windows before, looked at from the last one backwards, and only as far as somebody asks."""

    def __init__(
        self, reference: Reference, alarm: Alarm, before: Sequence[Window], drifted: Drifted
    ) -> None:
        self.reference, self.alarm, self._before, self.drifted = reference, alarm, before, drifted

    def run(self, name: str) -> tuple[int, datetime | None]:
        """Return how many windows in a row a column had drifted, and when the first of them began."""
        count, since = 0, None
        while count < len(self._before) and name in self._at(count):
            count += 1
            since = self._before[-count].began
        return count, since

    def _at(self, back: int) -> frozenset[str]:
        place = len(self._before) - 1 - back
        window = self._before[place]
        if window.rows < self.alarm.minimum:
            return frozenset()
        if id(window) not in self.drifted:
            found, said, _ = _scored(
                self.reference, window, self.alarm, self._before[:place], everything=False
            )
            self.drifted[id(window)] = _moved((*found, *said), self.alarm)
        return self.drifted[id(window)]


def _moved(found: Sequence[Found], alarm: Alarm) -> frozenset[str]:
    """Name what drifted in a window."""
    return frozenset(each.name for each in found if each.best is not None and each.adjusted < alarm.alpha)


def _jointly(rows: Rows, alarm: Alarm, began: datetime | None) -> ColumnDrift | None:
    """Judge all columns together, without those that vary by themselves, and in this window alone."""
    if not alarm.together or alarm.persistence > 1:
        return None
    score = together(rows.then.without(alarm.varying), rows.now)
    if score is None or score.p is None:
        return None
    drifted = score.p < alarm.together and score.effect > FLOOR
    return ColumnDrift(
        name=TOGETHER,
        test=score.test,
        effect=score.effect,
        p=score.p,
        adjusted=score.p,
        importance=None,
        alarmed=drifted,
        level=_level(score.effect) if drifted else "none",
        cause="shift" if drifted else "",
        words=score.words,
        suspicion=_APART if drifted else "",
        since=began if drifted else None,
        windows=int(drifted),
        scores=(score,),
    )


def _level(effect: float) -> Level:
    return "strong" if effect >= _STRONG else "slight"


def _swaps(
    reference: Reference, alarm: Alarm, now: Mapping[str, ColumnWindow], found: Sequence[Found]
) -> Mapping[str, str]:
    """Find columns that changed places among those that drifted."""
    known, moved = reference.by_name, _moved(found, alarm)
    return swapped([(known[each.name], now[each.name]) for each in found if each.name in moved])


def _drift(
    found: Found, now: ColumnWindow | None, began: datetime | None, past: _Past, swap: str = ""
) -> ColumnDrift:
    reference, alarm = past.reference, past.alarm
    drifted = found.best is not None and found.adjusted < alarm.alpha
    effect = 0.0 if found.best is None else found.best.effect
    count, since = past.run(found.name) if drifted else (0, None)
    known = reference.by_name.get(found.name) if now is not None else None
    cause: Cause = ""
    suspicion = ""
    if drifted and found.best is not None:
        cause, suspicion = guess(
            known, now, found.scores, best=found.best, alarm=alarm, began=began, swapped=swap
        )
    return ColumnDrift(
        name=found.name,
        test="" if found.best is None else found.best.test,
        effect=effect,
        p=found.p,
        adjusted=found.adjusted,
        importance=reference.importance.get(found.name, 0.0 if known else None)
        if reference.importance
        else None,
        alarmed=drifted and count + 1 >= alarm.persistence,
        level=_level(effect) if drifted else "none",
        cause=cause,
        words="There is nothing to compare." if found.best is None else found.best.words,
        suspicion=suspicion,
        since=(since or began) if drifted else None,
        windows=count + 1 if drifted else 0,
        scores=found.scores,
    )


def _matters(drift: ColumnDrift) -> tuple[bool, float, float, str]:
    weight = 1.0 if drift.importance is None else drift.importance
    return drift.level == "none", -drift.effect * weight, -drift.effect, drift.name
