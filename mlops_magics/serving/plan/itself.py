"""Fitted parts that no plan is made of, asked themselves with what a plan has prepared."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.base import Array, Piece, Shape, UnsupportedError, Value, matrix, numbers

_NAMES: Final = "feature_names_in_"
_OUTPUT: Final = "_sklearn_output_config"  # whether frames come out, with names that nobody asks for


@dataclass(frozen=True, slots=True)
class Itself:
    """A fitted predictor.

    Attributes:
        predictor: What is asked.
    """

    predictor: Any

    def __call__(self, value: Value, method: Method) -> Array:
        """Answer each row."""
        found = getattr(self.predictor, method)(_rows(value))
        if isinstance(found, list):  # several outputs have one array of probabilities each
            return np.stack(found, axis=1)
        return np.asarray(found)


@dataclass(frozen=True, slots=True)
class StepItself:
    """A fitted transformer.

    Attributes:
        transformer: What is asked.
    """

    transformer: Any

    def __call__(self, value: Value) -> Array:
        """Compute what comes out, columns first."""
        found = self.transformer.transform(_rows(value))
        if hasattr(found, "toarray"):
            found = found.toarray()
        return np.ascontiguousarray(np.asarray(found).T)


def itself(predictor: Any, shape: Shape) -> Itself:  # noqa: ANN401 - any predictor
    """Make a head that asks a predictor itself, where it knows its columns by their places.

    Args:
        predictor: The fitted predictor.
        shape: The columns that it will get.

    Raises:
        UnsupportedError: It takes other columns than numbers, or knows them by their names.
    """
    shape.only("number", what=predictor)
    return Itself(_nameless(predictor))


def step_itself(transformer: Any, shape: Shape, why: str) -> Piece:  # noqa: ANN401 - any transformer
    """Make a part that asks a transformer itself, where it takes numbers by their places and gives numbers.

    Args:
        transformer: The fitted transformer.
        shape: The columns that it will get.
        why: Why no part is made of it.

    Raises:
        UnsupportedError: It is not of that kind.
    """
    if set(shape.kinds) != {"number"}:
        raise UnsupportedError(why)
    step = StepItself(_nameless(transformer))
    try:
        found = step(np.zeros((shape.width, 1)))
    except Exception as error:
        raise UnsupportedError(why) from error
    if found.ndim != 2 or found.shape[1] != 1 or found.dtype.kind not in "fiub":  # noqa: PLR2004 - a table
        raise UnsupportedError(why)
    return Piece(step, numbers(len(found)), (why,))


def _rows(value: Value) -> Array:
    return np.ascontiguousarray(matrix(value).T)


def _nameless(part: Any) -> Any:  # noqa: ANN401 - any estimator
    """Let a part of scikit-learn's take columns by their places; of others it is not known what they do.

    Raises:
        UnsupportedError: It is another's, and knows its columns by their names.
    """
    if not hasattr(part, _NAMES):
        return part
    if not type(part).__module__.startswith("sklearn.") or _NAMES not in vars(part):
        raise UnsupportedError(f"{type(part).__name__} knows its columns by name")
    made = copy.copy(part)  # what it has learned is shared, the names are not
    delattr(made, _NAMES)
    vars(made).pop(_OUTPUT, None)  # not by set_output: that would change what both share
    for name, inner in vars(part).items():
        if hasattr(inner, _NAMES):
            setattr(made, name, _nameless(inner))
    return made
