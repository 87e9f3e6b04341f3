"""From a request's bytes to an answer, without any network: what every transport would share."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.artifact.order import Limits
from mlops_magics.serving.codec import Batch, Codec, Columns

_BLOCKS = 6  # beyond it, putting blocks side by side costs more than one column at a time
_GAP: Any = None  # numpy compares objects with it one by one
_WARM_RUNS = 2  # the first call pays for imports and caches, the second shows that they are paid


class Engine(Protocol):
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


class PipelineEngine:
    """The estimator itself, asked with the frame that it knows from its notebook.

    Args:
        loaded: The model. Its ``n_jobs`` are set to 1: a request is one thread's work, and a forest
            that adds up in a fixed order gives the same answer each time.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._estimator = loaded.estimator
        self._null = loaded.null
        self._headings: dict[tuple[str, ...], Any] = {}
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

    def frame(self, columns: Columns, rows: int) -> Any:  # noqa: ANN401 - a pandas frame
        """Put columns side by side as a frame, neighbours of one type as one block.

        Args:
            columns: One array a column.
            rows: How many rows there are.

        Returns:
            The frame. Texts stay objects whatever is in them: pandas would guess a type from the
            cells of each request, and an encoder fails on a gap that looks like a number.
        """
        import pandas as pd

        runs = _runs(columns)
        if len(runs) > _BLOCKS:
            index = pd.RangeIndex(rows)
            made = {
                name: pd.Series(self._gaps(values.copy()), index=index, dtype=object)
                if values.dtype == object
                else values
                for name, values in columns.items()
            }
            return pd.DataFrame(made, index=index, copy=False)
        blocks = []
        for names in runs:
            block = np.array([columns[name] for name in names])
            heading = self._headings.get(names)
            if heading is None:
                heading = self._headings[names] = pd.Index(names, dtype=object)
            dtype = object if block.dtype == object else None
            blocks.append(pd.DataFrame(self._gaps(block).T, columns=heading, dtype=dtype, copy=False))
        return blocks[0] if len(blocks) == 1 else pd.concat(blocks, axis=1)

    def _gaps(self, block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Write a missing text as the estimator learned it; the array is changed in place."""
        if block.dtype == object and self._null is not None:
            block[np.equal(block, _GAP)] = self._null
        return block

    def _matrix(self, columns: Columns, rows: int) -> np.ndarray[Any, Any]:
        """Stack the columns of an estimator that was fitted without names."""
        made = np.empty((rows, len(columns)), dtype=np.result_type(*columns.values()))
        for place, values in enumerate(columns.values()):
            made[:, place] = values
        return self._gaps(made)


def _runs(columns: Columns) -> list[tuple[str, ...]]:
    """Group neighbouring columns of one type, so that their order stays."""
    return [
        tuple(name for name, _ in run)
        for _, run in itertools.groupby(columns.items(), key=lambda item: item[1].dtype)
    ]


class Predictor:
    """One model, ready to answer.

    Args:
        loaded: The model.
        limits: What one request may cost.
        engine: What computes; the estimator itself unless something better is given.
    """

    def __init__(
        self, loaded: LoadedModel, *, limits: Limits | None = None, engine: Engine | None = None
    ) -> None:
        known: tuple[Method, ...] = ("predict", "predict_proba")
        default = loaded.predict_fn
        others = [name for name in known if name != default and hasattr(loaded.estimator, name)]
        self.methods: tuple[Method, ...] = (default, *others)
        self._example = loaded.example
        self._engine = engine or PipelineEngine(loaded)
        names = getattr(loaded.estimator, "feature_names_in_", None)
        self._codec = Codec(
            loaded.schema,
            methods=self.methods,
            names=None if names is None else [str(name) for name in names],
            limits=limits,
        )

    def limit(self, limits: Limits) -> None:
        """Set what one request may cost from now on."""
        self._codec.limits = limits

    def decode(self, body: bytes, content_type: str | None) -> Batch:
        """Read a request.

        Args:
            body: The request's body.
            content_type: The request's Content-Type header.

        Returns:
            Its typed columns and the method that it asks for.

        Raises:
            RequestError: The request is malformed or does not fit the model.
        """
        return self._codec.decode(body, content_type)

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        """Answer typed columns.

        Args:
            columns: One array a column, in the model's order.
            rows: How many rows there are.
            method: One of `methods`.

        Returns:
            One entry, or one row of entries, for each row.
        """
        return self._engine.predict(columns, rows, method)

    def encode(self, found: np.ndarray[Any, Any]) -> bytes:
        """Write an answer as a JSON object."""
        return self._codec.encode(found)

    def warm(self) -> None:
        """Answer the stored example, so that the first request finds everything loaded."""
        if self._example is None:
            return
        columns: Mapping[str, Any] = {
            str(name): self._example[name].to_numpy() for name in self._example.columns
        }
        for method in self.methods * _WARM_RUNS:
            self.predict(dict(columns), len(self._example), method)


def joined(batches: Sequence[Batch]) -> Columns:
    """Put the rows of several requests for one method below each other.

    Args:
        batches: The requests, all read by one codec.

    Returns:
        The columns of all of them, in the order of the requests.
    """
    if len(batches) == 1:
        return batches[0].columns
    return {name: np.concatenate([batch.columns[name] for batch in batches]) for name in batches[0].columns}
