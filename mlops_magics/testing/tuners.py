"""What every place where a search fits has to keep, as a kit: each rule is a function that a test calls.

    from mlops_magics.testing import tuners

    @pytest.mark.parametrize("rule", tuners.RULES)
    def test_my_crew(rule, tmp_path):
        rule(MyCrew, tmp_path)

A rule that is not kept raises an AssertionError that says what was expected.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.base import Answer, Crew, MakeCrew, Worker
from mlops_magics.tuners.folds import Folds
from mlops_magics.tuners.task import Task

Rule = Callable[[MakeCrew, Path], None]

_PATIENCE: Final = 120.0  # seconds until a worker must have begun, or answered: a cluster starts slowly
_LEAVING: Final = 20.0  # seconds that ending a crew may take
_QUIET: Final = 0.3  # seconds in which nothing must be heard
_LEAST: Final = 100  # of the truth, so that few threads can be told from what is judged


class Probe(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator that shows what is done with it: it answers the mean of what it was fitted on.

    Args:
        add: Added to each answer.
        mode: "threads" answers how many threads its numerics may use; "raise" raises in its fit, "die" kills
            its process there, "beat" writes into the file until its process is ended.
        file: What "beat" writes into.
    """

    def __init__(self, add: float = 0.0, mode: str = "", file: object = "") -> None:
        self.add = add
        self.mode = mode
        self.file = file

    def fit(self, _rows: object, truth: Any) -> Self:  # noqa: ANN401 - an array
        """Do what the mode says."""
        if self.mode == "raise":
            raise ValueError("on purpose")
        if self.mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.mode == "beat":
            with Path(str(self.file)).open("a", encoding="utf-8") as file:
                file.write(".")
            time.sleep(0.02)
        self.mean_ = float(np.mean(truth))
        return self

    def predict(self, rows: Any) -> Any:  # noqa: ANN401 - arrays
        """Answer the same for each row."""
        from threadpoolctl import threadpool_info

        threads = max((each["num_threads"] for each in threadpool_info()), default=1)
        return np.full(len(rows), float(threads) if self.mode == "threads" else self.mean_ + self.add)


def task_of(estimator: object) -> Task:
    """Make a task of 30 rows and three folds, judged by the mean absolute error; its candidate is "probe"."""
    folds = Folds(np.repeat(np.arange(3, dtype=np.int16), 10), 3)
    return Task({"probe": estimator}, np.zeros((30, 1)), np.arange(30.0) + _LEAST, folds, "mae")


def it_judges_as_the_task_does(make: MakeCrew, folder: Path) -> None:  # noqa: ARG001 - a Rule
    """A worker judges fold by fold, goes on only when told to, and survives what an estimator raises."""
    task = task_of(Probe())
    with make(task, workers=5, most=1, threads=1) as crew:
        _held(len(crew.workers) == 1, "no more workers start than have something to do")
        worker = _begun(crew)
        worker.tell((7, "probe", {"add": 1.0}))
        for fold in range(task.folds):
            answer, (expected, _) = _of(crew, worker), task.judged("probe", {"add": 1.0}, fold)
            _held(answer[:3] == ("fold", 7, fold), f"fold {fold} of trial 7 is answered, not {answer[:3]}")
            _held(
                math.isclose(answer[3], expected), f"the score is {expected}, as the task's, not {answer[3]}"
            )
            _held(0 <= answer[4] < _PATIENCE, f"it says how many seconds fitting took, not {answer[4]}")
            _held(fold > 0 or crew.answer(_QUIET) is None, "a worker waits for the word to go on")
            worker.tell(fold + 1 < task.folds)
        worker.tell((8, "probe", {"mode": "threads"}))
        threads = task.truth[:10].mean() - _of(crew, worker)[3]
        _held(math.isclose(threads, 1), f"numerics use one thread where one is allowed, not {threads:g}")
        worker.tell(order=False)
        worker.tell((9, "probe", {"mode": "raise"}))
        failed = _of(crew, worker)
        _held(failed[:2] == ("failed", 9), f"what an estimator raises is a failed trial, not {failed[:2]}")
        _held("ValueError: on purpose" in failed[2], f"it says what was raised, not {failed[2]!r}")
        worker.tell((10, "probe", {}))
        _held(_of(crew, worker)[:3] == ("fold", 10, 0), "a worker goes on after a trial that failed")


def it_tells_who_is_gone(make: MakeCrew, folder: Path) -> None:  # noqa: ARG001 - a Rule
    """A worker whose process dies is told of, with its fate, and another one takes its place."""
    with make(task_of(Probe()), workers=1, most=5, threads=1) as crew:
        _held(len(crew.workers) == 1, "no more workers start than were asked for")
        first = _begun(crew)
        first.tell((0, "probe", {"mode": "die"}))
        who, answer = _heard(crew)
        _held(who is first and answer is None, "the end of a worker is heard")
        crew.workers.remove(first)
        first.end()
        _held(bool(first.fate), "it says how the worker ended")
        crew.add()
        _held(len(crew.workers) == 1 and crew.workers[0] is not first, "another worker can be added")
        second = _begun(crew)
        second.tell((1, "probe", {}))
        _held(_of(crew, second)[:3] == ("fold", 1, 0), "the one that was added fits")


def it_ends_in_the_middle_of_a_fit(make: MakeCrew, folder: Path) -> None:
    """The end of the context ends all workers, in the middle of a fit too, and leaves nothing running."""
    file, before = folder / "beats", set(threading.enumerate())
    with make(task_of(Probe(file=str(file))), workers=1, most=1, threads=1) as crew:
        _begun(crew).tell((0, "probe", {"mode": "beat"}))
        until = time.monotonic() + _PATIENCE
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.02)
        _held(file.exists(), "the fit begins; its folder must be one that workers see")
        began = time.monotonic()
    _held(time.monotonic() - began < _LEAVING, f"it ends within {_LEAVING:g} seconds")
    _held(not crew.workers, "no worker is left")
    time.sleep(_QUIET)
    beats = file.stat().st_size
    time.sleep(_QUIET)
    _held(file.stat().st_size == beats, "no fit goes on after the end")
    left = [each for each in threading.enumerate() if each not in before and not each.daemon]
    _held(not left, f"no thread is left that holds the process: {left}")


def it_refuses_what_cannot_be_sent(make: MakeCrew, folder: Path) -> None:  # noqa: ARG001 - a Rule
    """What no other process can be given is refused before any worker starts."""
    try:
        with make(task_of(Probe(file=threading.Lock())), workers=1, most=1, threads=1):
            pass
    except UsageError:
        return
    _held(holds=False, rule="a task that cannot be pickled is a UsageError")


RULES: tuple[Rule, ...] = (
    it_judges_as_the_task_does,
    it_tells_who_is_gone,
    it_ends_in_the_middle_of_a_fit,
    it_refuses_what_cannot_be_sent,
)


def _held(holds: bool, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise AssertionError(f"This is not so: {rule}.")


def _heard(crew: Crew) -> tuple[Worker, Answer | None]:
    heard = crew.answer(_PATIENCE)
    if heard is None:
        raise AssertionError(f"Nothing was heard for {_PATIENCE:g} seconds.")
    return heard


def _of(crew: Crew, worker: Worker) -> Answer:
    who, answer = _heard(crew)
    if who is not worker or answer is None:
        raise AssertionError(f"A worker is gone: {who.fate}.")
    return answer


def _begun(crew: Crew) -> Worker:
    (worker,) = crew.workers
    _held(_of(crew, worker) == ("ready",), "a worker says that it has read its task")
    return worker
