"""May a retraining begin now? Cool-down, budget, and whether what asks for it was answered already."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.moments import Moment
from mlops_magics.steps.retrain.when import length
from mlops_magics.tracking import retrainings
from mlops_magics.tracking.retrainings import Attempt
from mlops_magics.tracking.store import Store

BUSY: Final = "busy"
"""The kind of reason of what is left out because another one is under way."""

_BUDGET: Final = re.compile(r"(\d{1,4})\s*/\s*(hour|day|week|month)")
_SPANS: Final = {"hour": 3_600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_592_000.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a model may be retrained.

    Attributes:
        cooldown: Seconds between the beginnings of two retrainings; 0 for none.
        count: How many there may be in a span; 0 for any number.
        span: That span, in seconds.
        written: The budget as it was written.
    """

    cooldown: float = 0.0
    count: int = 0
    span: float = 0.0
    written: str = ""

    @classmethod
    def of(cls, cooldown: str | None, budget: str | None) -> Limits:
        """Read them as they were written: ``1d`` and ``4/week``.

        Raises:
            UsageError: One of them is not understood.
        """
        pause = 0.0 if cooldown is None else seconds(cooldown, "--cooldown")
        if budget is None:
            return cls(pause)
        read = _BUDGET.fullmatch(budget.strip().lower())
        if read is None or not int(read[1]):
            raise UsageError(f"--budget cannot be '{budget}'.", "Write 4/week, 1/day, 10/month.")
        return cls(pause, int(read[1]), _SPANS[read[2]], budget.strip())


def in_the_way(
    limits: Limits, done: Sequence[Attempt], answers: tuple[str, ...], now: Moment | None = None
) -> str:
    """Say what speaks against a retraining now, or "".

    Args:
        limits: How often there may be one.
        done: The retrainings so far, the newest first.
        answers: The keys of the alerts that ask for it.
        now: The moment that counts; this one by default.
    """
    now = now or Moment.now()
    trained = [one for one in done if one.counts]
    return next(_against(limits, trained, answers, now), "")


def _against(
    limits: Limits, trained: Sequence[Attempt], answers: tuple[str, ...], now: Moment
) -> Iterator[str]:
    ages = [_age(one, now) for one in trained]
    for one, age in zip(trained, ages, strict=True):
        if age < limits.cooldown:
            pause = f"its cool-down of {length(limits.cooldown)} is not over"
            if answers and set(answers) <= set(one.answers):
                yield f"the retraining {one.id} has answered these alerts already, and {pause}"
            if answers and one.outcome == "promoted":
                yield f"what alarms was made by the retraining {one.id} itself, and {pause}"
            yield f"there was the retraining {one.id}, and {pause}"
    if limits.count:
        within = sum(age < limits.span for age in ages)
        if within >= limits.count:
            yield f"the budget of {limits.written} is spent"


def _age(attempt: Attempt, now: Moment) -> float:
    """Return how long ago a retraining began, in seconds.

    One that the clock says is still to come is as old as the first look at it: a clock that was set back,
    here or elsewhere, holds nothing up for longer than the cool-down itself.
    """
    passed = attempt.moment.until(now)
    if passed is None and attempt.seen is not None:
        passed = attempt.seen.until(now)
    return 0.0 if passed is None else passed


WAITING: Final = "waiting"
"""The kind of reason of what is left out because its condition does not hold for long enough yet."""


def waiting(
    seconds_: float, done: Sequence[Attempt], condition: str, now: Moment | None = None
) -> tuple[Moment, str]:
    """Say since when a condition that holds now has held at each look, and that it is too short, or "".

    Only looks count: what it was between two of them nobody knows. A look at which it did not hold, or that
    could not tell, a retraining in between, and a clock that was set back on another machine begin it anew.

    Args:
        seconds_: How long it must hold.
        done: The retrainings so far, those that were left out too, the newest first.
        condition: The condition.
        now: The moment that counts; this one by default.
    """
    now = now or Moment.now()
    since = _held_since(done, condition) or now
    passed = since.until(now)
    if passed is None:
        since, passed = now, 0.0
    if passed >= seconds_:
        return since, ""
    held = f"it holds for {length(passed)}" if passed else "it has just begun to hold"
    return since, f"{held}, and must for {length(seconds_)}"


def _held_since(done: Sequence[Attempt], condition: str) -> Moment | None:
    for one in done:
        if one.counts:
            return None
        # Who found another at work has not looked; other conditions have looks of their own.
        if one.condition == condition and one.kind != BUSY:
            return one.since if one.kind == WAITING else None
    return None


def note_future(store: Store, done: Iterable[Attempt], now: Moment | None = None) -> None:
    """Write down when retrainings were first seen that the clock says are still to come."""
    now = now or Moment.now()
    for one in done:
        if one.counts and one.seen is None and one.moment.until(now) is None:
            retrainings.advance(store, one, seen=json.dumps(asdict(now)))
