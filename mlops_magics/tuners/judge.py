"""A worker on a cluster: an actor that fits a fold of a trial when it is asked to."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_magics.tuners.base import Answer
from mlops_magics.tuners.task import Task, reason


class Judge:
    """Holds a task, and fits.

    Args:
        content: The task, packed.
        places: Where the process that leads finds its modules; those that are here too are looked at.
        threads: How many threads the numerics may use.
    """

    def __init__(self, content: bytes, places: Sequence[str], threads: int) -> None:
        sys.path += [place for place in places if place not in sys.path and Path(place).exists()]
        self._task: Task = pickle.loads(content)  # noqa: S301 - who leads wrote it
        self._threads = threads

    def ready(self) -> Answer:
        """Answer once the task is read."""
        return ("ready",)

    def judged(self, number: int, name: str, params: Mapping[str, Any], fold: int) -> Answer:
        """Fit and judge one fold of a trial.

        Args:
            number: The trial.
            name: The candidate.
            params: Its parameters.
            fold: The fold that is held out.
        """
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(self._threads):
                score, seconds = self._task.judged(name, params, fold)
        except Exception as error:  # noqa: BLE001 - an estimator raises what it likes
            return ("failed", number, reason(error))
        return ("fold", number, fold, score, seconds)
