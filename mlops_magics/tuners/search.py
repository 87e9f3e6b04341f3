"""The search itself: one process asks Optuna and tells it, workers fit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlops_magics.tuners.base import Answer, Crew, Worker
from mlops_magics.tuners.journal import AS_IT_CAME, ERROR, FAMILY, SECONDS, Attempt, Journal
from mlops_magics.tuners.space import short

if TYPE_CHECKING:
    from optuna.trial import Trial

_DEATHS: Final = 2  # of workers over one trial; after that it is the trial's fault
_SLACK: Final = 1.2  # a refit may take so much longer than its folds let expect
_PATIENCE: Final = 0.5  # seconds between two looks at the clock

Told = Callable[[str], None]


@dataclass(slots=True)
class _Going:
    """A trial that is being judged."""

    trial: Trial
    family: str
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Search:
    """A search that is led from here.

    Attributes:
        journal: The study.
        crew: The workers.
        shares: The share of the rows that each fold of a trial is fitted on.
        trials: How many trials are to have ended.
        until: When everything must have ended, refit and all, on the monotonic clock.
        closing: Seconds to keep for what comes after the refit.
        lower: Whether less is better.
        told: Takes a line that says how far it is.
    """

    journal: Journal
    crew: Crew
    shares: tuple[float, ...]
    trials: int
    until: float
    closing: float
    lower: bool
    told: Told
    going: dict[int, _Going] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    ended: list[Attempt] = field(default_factory=list)

    def run(self) -> bool:
        """Search until enough trials have ended or the time is up.

        Returns:
            Whether the time was up first.
        """
        self.ended = list(self.journal.attempts())
        while len(self.ended) < self.trials:
            left = self._limit() - time.monotonic()
            if left <= 0:
                self._abandon()
                return True
            heard = self.crew.answer(min(left, _PATIENCE))
            if heard is not None:
                self._heard(*heard)
                self.told(self._line())
        return False

    def _limit(self) -> float:
        """Say when to stop, so that the best can be fitted once more on all rows."""
        best = best_of(self.ended, lower=self.lower)
        again = 0.0 if best is None else refit_seconds(best, self.shares)
        return self.until - self.closing - again

    def _heard(self, worker: Worker, answer: Answer | None) -> None:
        if answer is None:
            if worker in self.crew.workers:
                self._lost(worker)
        elif answer[0] == "ready":
            worker.ready = True
            self._next(worker)
        elif answer[0] == "fold":
            self._fold(worker, *answer[1:])
        else:
            self._failed(worker, answer[1], answer[2])

    def _next(self, worker: Worker) -> None:
        """Give a worker the next trial, if one more is wanted."""
        worker.trial = None
        if len(self.ended) + len(self.going) >= self.trials:
            return
        journal = self.journal
        trial = journal.study.ask()
        names = list(journal.candidates)
        family = trial.suggest_categorical(FAMILY, names) if len(names) > 1 else names[0]
        params = journal.candidates[family].space.asked(trial, journal.prefix(family))
        self.going[trial.number] = _Going(trial, family)
        worker.trial = trial.number
        worker.tell((trial.number, family, params))

    def _fold(self, worker: Worker, number: int, fold: int, score: float, seconds: float) -> None:
        going = self.going[number]
        going.scores.append(score)
        going.seconds.append(seconds)
        mean = statistics.fmean(going.scores)
        going.trial.report(mean, fold)
        last = fold + 1 == len(self.shares)
        pruned = not last and going.trial.should_prune()
        worker.tell(not (last or pruned))
        if last or pruned:
            self._end(worker, going, None if pruned else mean)

    def _end(self, worker: Worker, going: _Going, score: float | None) -> None:
        from optuna.trial import TrialState

        going.trial.set_user_attr(SECONDS, round(statistics.fmean(going.seconds), 6))
        state = TrialState.PRUNED if score is None else TrialState.COMPLETE
        self.journal.study.tell(going.trial, score, state=state)
        self._ended(going)
        self._next(worker)

    def _failed(self, worker: Worker, number: int, why: str) -> None:
        self._blame(self.going[number], why)
        self._next(worker)

    def _blame(self, going: _Going, why: str) -> None:
        from optuna.trial import TrialState

        going.trial.set_user_attr(ERROR, why)
        self.journal.study.tell(going.trial, state=TrialState.FAIL)
        self._ended(going)

    def _ended(self, going: _Going) -> None:
        del self.going[going.trial.number]
        self.ended = list(self.journal.attempts())

    def _lost(self, worker: Worker) -> None:
        """Do a trial again whose worker was killed; one that kills worker after worker is to blame itself."""
        self.crew.workers.remove(worker)
        worker.end()
        if worker.trial is not None and worker.trial in self.going:
            going = self.going[worker.trial]
            key = repr(sorted(going.trial.params.items(), key=str))
            self.deaths[key] = self.deaths.get(key, 0) + 1
            if self.deaths[key] >= _DEATHS:
                self._blame(going, f"its process died ({worker.fate}): is there memory enough?")
            else:
                self._put_back(going)
        elif not worker.ready:
            self.deaths[""] = self.deaths.get("", 0) + 1
            if self.deaths[""] > len(self.crew.workers) + _DEATHS:
                raise ChildProcessError(worker.fate)
        self.crew.add()

    def _put_back(self, going: _Going) -> None:
        from optuna.trial import TrialState

        study, params = self.journal.study, going.trial.params
        kept = {key: value for key, value in going.trial.user_attrs.items() if key == AS_IT_CAME}
        study.tell(going.trial, state=TrialState.FAIL)
        study.enqueue_trial(params, user_attrs=kept)
        del self.going[going.trial.number]

    def _abandon(self) -> None:
        """Leave the trials that the time did not suffice for to the next search."""
        for going in list(self.going.values()):
            self._put_back(going)

    def _line(self) -> str:
        best = best_of(self.ended, lower=self.lower)
        said = f"{len(self.ended)} of {self.trials} trials"
        if best is None:
            return said
        chosen = ", ".join(f"{short(name)}={_brief(value)}" for name, value in list(best.params.items())[:4])
        return f"{said} · best {best.score:.4g} · {chosen}"


def best_of(attempts: list[Attempt] | tuple[Attempt, ...], *, lower: bool) -> Attempt | None:
    """Find the best of the complete trials; of equals, the first."""
    found = [each for each in attempts if each.state == "complete" and each.score is not None]
    sign = 1 if lower else -1
    return min(found, key=lambda each: (sign * (each.score or 0.0), each.number), default=None)


def refit_seconds(attempt: Attempt, shares: Sequence[float]) -> float:
    """Say how long a fit on all rows may take: as if its time grew with the square of the rows.

    Where time grows more slowly, that is more than it takes, however different the folds are.

    Args:
        attempt: The trial, with the mean of what fitting its folds took.
        shares: The share of the rows that each fold is fitted on.
    """
    fitted = shares[: attempt.folds] or shares
    return _SLACK * attempt.seconds / statistics.fmean(share**2 for share in fitted)


def _brief(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
