"""A predictor that no plan is made of, asked itself with what a plan has prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.base import Array, Shape, UnsupportedError, Value, matrix


@dataclass(frozen=True, slots=True)
class Itself:
    """A fitted predictor.

    Attributes:
        predictor: What is asked.
    """

    predictor: Any

    def __call__(self, value: Value, method: Method) -> Array:
        """Answer each row."""
        rows = np.ascontiguousarray(matrix(value).T)
        found = getattr(self.predictor, method)(rows)
        if isinstance(found, list):  # several outputs have one array of probabilities each
            return np.stack(found, axis=1)
        return np.asarray(found)


def itself(predictor: Any, shape: Shape) -> Itself:  # noqa: ANN401 - any predictor
    """Make a head that asks a predictor itself, where it knows its columns by their places.

    Args:
        predictor: The fitted predictor.
        shape: The columns that it will get.

    Raises:
        UnsupportedError: It takes other columns than numbers, or knows them by their names.
    """
    shape.only("number", what=predictor)
    if hasattr(predictor, "feature_names_in_"):
        raise UnsupportedError(f"{type(predictor).__name__} knows its columns by name")
    return Itself(predictor)
