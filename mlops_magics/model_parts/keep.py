"""The first step of a pipeline that was given more columns than it needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin


class KeepColumns(TransformerMixin, BaseEstimator):
    """Keeps some columns of a table, by name and in a fixed order; all others are dropped.

    Args:
        columns: The names of the columns to keep, as texts: of columns with one name the second is
            ``name#1``, and ``("a", 1)`` is ``a.1``.
    """

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns

    def fit(self, X: Any, y: Any = None) -> KeepColumns:  # noqa: ANN401, N803 - scikit-learn's own names
        """Check that the columns are there.

        Raises:
            ValueError: A column is missing, or the rows are no table with named columns.
        """
        del y
        self._places(X)
        self.feature_names_in_ = np.array(_labels(_names(X)), dtype=object)
        self.n_features_in_ = self.feature_names_in_.size
        return self

    def transform(self, X: Any) -> Any:  # noqa: ANN401, N803 - a table of the same library
        """Return the columns, in a table of the library that the rows came in.

        Raises:
            ValueError: A column is missing, or the rows are no table with named columns.
        """
        places = self._places(X)
        if hasattr(X, "iloc"):
            return X.iloc[:, places]
        if hasattr(X, "column_names"):  # Arrow, where names may repeat
            return X.select(places)
        return X.select([_names(X)[place] for place in places])

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401 - its name
        """Name the columns that come out."""
        del input_features
        return np.array(self.columns, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_in_")

    def _places(self, rows: Any) -> list[int]:  # noqa: ANN401 - a table of any library
        places = {name: place for place, name in enumerate(_labels(_names(rows)))}
        if absent := [name for name in self.columns if name not in places]:
            raise ValueError(f"the rows have no column {absent[0]!r}")
        return [places[name] for name in self.columns]


def _names(rows: Any) -> list[Any]:  # noqa: ANN401 - a table of any library
    names = getattr(rows, "column_names", None)  # Arrow's
    if names is None:
        names = getattr(rows, "columns", None)
    if names is None:
        raise ValueError(f"columns are kept by name: rows must be a table, not {type(rows).__name__}")
    return list(names)


def _labels(names: list[Any]) -> list[str]:
    """Make the names texts that differ, as the ranking of the columns did (``stats.naming``)."""
    taken: dict[str, int] = {}
    for name in names:
        text = base = ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
        while text in taken:
            taken[base] += 1
            text = f"{base}#{taken[base]}"
        taken[text] = 0
    return list(taken)
