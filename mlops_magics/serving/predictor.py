"""From a request's bytes to an answer, without any network: what every transport would share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_magics.artifact.foreign import Pyfunc
from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.artifact.order import Limits
from mlops_magics.serving.codec import Batch, Codec
from mlops_magics.serving.engines import (
    Computes,
    Engine,
    PipelineEngine,
    PlannedEngine,
    PyfuncEngine,
    SpreadEngine,
)
from mlops_magics.serving.example import stored_columns
from mlops_magics.serving.rows import Columns, together

_THREADS = 4  # on which a request is computed at most: more of them wait for each other
_WARM_RUNS = 2  # the first call pays for imports and caches, the second shows that they are paid


class Predictor:
    """One model, ready to answer.

    Args:
        loaded: The model.
        limits: What one request may cost.
        engine: What computes; the estimator itself unless something else is given.

    Attributes:
        methods: What can be asked, the default first.
        engine: What computes, as :meth:`compile` found; "" before it was asked.
        together: Whether rows of several requests may be answered at once.
    """

    def __init__(
        self, loaded: LoadedModel, *, limits: Limits | None = None, engine: Engine | None = None
    ) -> None:
        known: tuple[Method, ...] = ("predict", "predict_proba")
        default = loaded.predict_fn
        others = [name for name in known if name != default and hasattr(loaded.estimator, name)]
        self.methods: tuple[Method, ...] = (default, *others)
        self._loaded = loaded
        self._engine = engine or (PyfuncEngine if loaded.foreign else PipelineEngine)(loaded)
        self.engine = ""
        self._pyfunc: Pyfunc | None = loaded.estimator if loaded.foreign else None
        self.together = self._pyfunc is None  # until it is tried
        names = getattr(loaded.estimator, "feature_names_in_", None)
        self._codec = Codec(
            loaded.schema,
            methods=self.methods,
            names=None if names is None else [str(name) for name in names],
            limits=limits,
        )

    @property
    def loaded(self) -> LoadedModel:
        """The model."""
        return self._loaded

    @property
    def codec(self) -> Codec:
        """What reads requests."""
        return self._codec

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The columns of the answers, of a model that answers with a table; they are known once it did."""
        return None if self._pyfunc is None else self._pyfunc.fields

    def compile(self, *, threads: int = 1) -> None:
        """Answer from a plan from now on, if one can be made and answers as the estimator does.

        ``engine`` is then "plan"; "plan: " and why parts of the estimator are asked themselves; or
        "pipeline: " and why there is none. Of a model that MLflow loaded no plan is made: it is "pyfunc: "
        and whether requests are answered together, as was tried.

        Args:
            threads: How many may compute one request of many rows; at most four do, and only where a plan
                knows all of the estimator: what is asked itself might look at rows together.
        """
        if self._pyfunc is not None:
            from mlops_magics.serving.apart import reason

            why = reason(self._engine, self._loaded)
            self.together = not why
            self.engine = f"pyfunc: each request alone, {why}" if why else "pyfunc: requests together"
            return
        from mlops_magics.serving.plan.parity import compiled

        pipeline = self._engine
        made = compiled(self._loaded, pipeline, self.methods)
        if made.plan is None:
            self.engine = f"pipeline: {made.why}"
        else:
            ways: list[Computes] = [pipeline]
            if threads > 1 and not made.why:
                ways += [SpreadEngine(way, min(threads, _THREADS)) for way in (made.plan, pipeline)]
            self._engine = PlannedEngine(made.plan, *ways, quick_rows=made.quick_rows)
            self.engine = f"plan: {made.why}" if made.why else "plan"

    def quick(self, rows: int) -> bool:
        """Tell whether so many rows are answered in less time than it takes to wake another thread."""
        return self._engine.quick(rows)

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
        if self._pyfunc is None:
            return self._codec.encode(found)
        return self._codec.encode(found, self._pyfunc.fields)

    def warm(self) -> None:
        """Answer the stored example, so that the first request finds everything loaded."""
        example = self._loaded.example
        if example is None:
            return
        columns = stored_columns(self._loaded) or {
            str(name): example[name].to_numpy() for name in example.columns
        }
        for method in self.methods * _WARM_RUNS:
            self.predict(dict(columns), len(example), method)


def joined(batches: Sequence[Batch]) -> Columns:
    """Put the rows of several requests for one method below each other.

    Args:
        batches: The requests, all read by one codec.

    Returns:
        The columns of all of them, in the order of the requests.

    Raises:
        ValueError: They brought other columns, or in another order, to a model that takes what comes.
    """
    if len(batches) == 1:
        return batches[0].columns
    typed = together([batch.held for batch in batches])
    if typed is not None:
        return typed
    names = list(batches[0].columns)
    if any(list(batch.columns) != names for batch in batches):
        raise ValueError("The requests have other columns.")
    return {name: np.concatenate([batch.columns[name] for batch in batches]) for name in batches[0].columns}
