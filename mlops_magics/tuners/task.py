"""What a worker is given once: the rows, the truth, how they are divided, and what may be fitted."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.tuners.folds import Folds, Mask
from mlops_magics.tuners.metrics import scorer_of

_CHARACTERS: Final = 500  # of what an estimator raised


@dataclass(frozen=True, slots=True)
class Task:
    """A question to parameters: how good is the estimator with them, on rows that it has not seen.

    Attributes:
        estimators: The estimators by the candidate's name.
        rows: What is fitted on: a table of any library, or an array.
        truth: What is predicted, a value a row.
        held_out: How rows are held out.
        metric: What is computed.
        positive: The positive one of two classes.
    """

    estimators: Mapping[str, Any]
    rows: Any
    truth: Any
    held_out: Folds
    metric: str
    positive: Any = None

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return self.held_out.count

    def judged(self, name: str, params: Mapping[str, Any], fold: int) -> tuple[float, float]:
        """Fit a candidate on what a fold leaves to be fitted on, and judge it on the fold.

        Args:
            name: The candidate.
            params: Its parameters.
            fold: The fold that is held out.

        Returns:
            The metric, and the seconds that fitting took.

        Raises:
            ValueError: The metric is not a number. An estimator raises what it likes.
        """
        out = self.held_out.judged(fold)
        began = time.monotonic()
        model = self._fitted(name, params, self.held_out.fitted(fold))
        seconds = time.monotonic() - began
        score = scorer_of(self.metric, self.positive)(model, taken(self.rows, out), self.truth[out])
        if score != score:  # noqa: PLR0124 - NaN
            raise ValueError(f"{self.metric} is not a number")
        return score, seconds

    def refitted(self, name: str, params: Mapping[str, Any], threads: int) -> Any:  # noqa: ANN401
        """Fit a candidate on all rows.

        It uses as many threads as a worker did, so that it takes as long as the fits of the folds let expect:
        on a machine that others use too, one thread more can make a fit ten times slower.

        Args:
            name: The candidate.
            params: Its parameters.
            threads: How many threads its numerics may use.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(threads):
            return self._fitted(name, params, None)

    def _fitted(self, name: str, params: Mapping[str, Any], mask: Mask | None) -> Any:  # noqa: ANN401 - same
        from sklearn.base import clone

        model = clone(self.estimators[name]).set_params(**params)
        rows, truth = (self.rows, self.truth) if mask is None else (taken(self.rows, mask), self.truth[mask])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a search goes through corners that nobody will use
            return model.fit(rows, truth)


def reason(error: Exception) -> str:
    """Say in a line what an estimator raised."""
    return f"{type(error).__name__}: {error}"[:_CHARACTERS]


def packed(task: Task) -> bytes:
    """Write a task for other processes; what a notebook defines goes along, for they have no notebook.

    Raises:
        UsageError: It cannot be sent to another process.
    """
    import cloudpickle

    try:
        return cloudpickle.dumps(task)  # type: ignore[no-any-return]
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The pipeline cannot be sent to another process: {error}.",
            "Leave out of it what cannot be pickled: open files, connections, locks.",
        ) from error


def taken(rows: Any, mask: Mask) -> Any:  # noqa: ANN401 - a table or an array
    """Take the rows that a truth value each picks."""
    return Frame.of(rows).where(mask).data if kind_of(rows) is not None else rows[mask]
