"""What computes answers: the estimator itself, or a plan that was made of it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.serving.frames import Frames, filled
from mlops_magics.serving.rows import Columns

_FEW = 64  # rows; up to here a plan is quicker than any pipeline
_TRIALS = 3  # of each way with many rows, before one of them is chosen


class Computes(Protocol):
    """What computes an answer from typed columns."""

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer each row.

        Args:
            columns: One array a column, in the model's order.
            rows: How many rows there are.
            method: Which method of the estimator is asked.

        Returns:
            One entry, or one row of entries, for each row.
        """
        ...


class Engine(Computes, Protocol):
    """What a server asks."""

    def quick(self, rows: int) -> bool:
        """Tell whether so many rows are answered in less time than it takes to wake another thread."""
        ...


class PipelineEngine:
    """The estimator itself, asked with the frame that it knows from its notebook.

    Args:
        loaded: The model. Its ``n_jobs`` are set to 1: a request is one thread's work, and a forest
            that adds up in a fixed order gives the same answer each time.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._estimator = loaded.estimator
        self._null = loaded.null
        self._frames = Frames(loaded.null)
        self._framed = hasattr(loaded.estimator, "feature_names_in_") or (
            loaded.schema is not None
            and not all(
                column.type in {"double", "float", "long", "integer"} for column in loaded.schema.columns
            )
        )
        with contextlib.suppress(
            AttributeError, TypeError, ValueError
        ):  # a class of the user's own may differ
            parameters = loaded.estimator.get_params(deep=True)
            jobs = {name: 1 for name in parameters if name.rpartition("__")[2] == "n_jobs"}
            loaded.estimator.set_params(**jobs)

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer each row with the estimator's own method."""
        table = self.frame(columns, rows) if self._framed else self._matrix(columns, rows)
        found = getattr(self._estimator, method)(table)
        if isinstance(found, list):  # several outputs have one array of probabilities each
            return np.stack(found, axis=1)
        return np.asarray(found)

    def quick(self, rows: int) -> bool:
        """Say no: scikit-learn takes milliseconds even for one row."""
        del rows
        return False

    def frame(self, columns: Columns, rows: int) -> Any:  # noqa: ANN401 - a pandas frame
        """Make the frame that the estimator is asked with.

        Args:
            columns: One array a column.
            rows: How many rows there are.
        """
        return self._frames.of(columns, rows)

    def _matrix(self, columns: Columns, rows: int) -> np.ndarray[Any, Any]:
        """Stack the columns of an estimator that was fitted without names."""
        made = np.empty((rows, len(columns)), dtype=np.result_type(*columns.values()))
        for place, values in enumerate(columns.values()):
            made[:, place] = values
        return filled(made, self._null)


class PyfuncEngine(PipelineEngine):
    """A model that MLflow loaded.

    Args:
        loaded: The model.
    """

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer each row; the codec has typed them, so that MLflow need not look at them again."""
        del method  # there is but one
        found: np.ndarray[Any, Any] = self._estimator.ask(self.frame(columns, rows))
        return found


class SpreadEngine:
    """Some of the rows on each of a few threads: numpy lets others in while it computes.

    Args:
        plan: What computes; it answers each row without looking at the others.
        threads: How many threads compute, at least two; the one that asks is one of them.
    """

    def __init__(self, plan: Computes, threads: int) -> None:
        self._plan = plan
        self._others = ThreadPoolExecutor(threads - 1, thread_name_prefix="mlops-spread")
        self._threads = threads

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer each row."""
        bounds = [rows * each // self._threads for each in range(self._threads + 1)]
        (start, stop), *others = itertools.pairwise(bounds)
        waiting = [self._others.submit(self._part, columns, *other, method) for other in others]
        found = [self._part(columns, start, stop, method)]
        return np.concatenate([*found, *(each.result() for each in waiting)])

    def _part(self, columns: Columns, start: int, stop: int, method: Method) -> np.ndarray[Any, Any]:
        part = {name: values[start:stop] for name, values in columns.items()}
        return self._plan.predict(part, stop - start, method)


class PlannedEngine:
    """A plan for few rows, and for many rows whatever proved quicker.

    Args:
        plan: The plan, which answers as the pipeline does.
        others: What else answers so, the pipeline among them.
        quick_rows: Up to how many rows the plan takes less time than it takes to wake another thread.
    """

    def __init__(self, plan: Computes, *others: Computes, quick_rows: int) -> None:
        self._ways = (plan, *others)
        self._quick_rows = quick_rows
        self._spent: dict[tuple[Method, int], list[list[float]]] = defaultdict(
            lambda: [[] for _ in self._ways]
        )

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer each row."""
        if rows <= _FEW:
            return self._ways[0].predict(columns, rows, method)
        spent = self._spent[method, rows.bit_length()]  # what is best for a hundred need not be for more
        way = min(range(len(spent)), key=lambda one: _best(spent[one]))
        begun = time.perf_counter()
        found = self._ways[way].predict(columns, rows, method)
        if len(spent[way]) < _TRIALS:
            spent[way].append((time.perf_counter() - begun) / rows)
        return found

    def quick(self, rows: int) -> bool:
        """Tell whether so many rows are answered in less time than it takes to wake another thread."""
        return rows <= self._quick_rows


def _best(spent: Sequence[float]) -> float:
    """Tell the least time that a way took; one that was not tried often enough comes first."""
    return min(spent) if len(spent) >= _TRIALS else 0.0
