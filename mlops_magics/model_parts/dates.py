"""Dates as the numbers that a model can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

Array = npt.NDArray[Any]

# Whole numbers since 1970 in each unit are numpy's own; the calendar's months and years are exact in them.


def _count(dates: Array, unit: str) -> Array:
    return np.asarray(dates.astype(f"datetime64[{unit}]").astype(np.int64))


def _year(dates: Array) -> Array:
    return _count(dates, "Y") + 1970


def _month(dates: Array) -> Array:
    return _count(dates, "M") % 12 + 1


def _day(dates: Array) -> Array:
    first = dates.astype("datetime64[M]").astype("datetime64[D]")
    return _count(dates, "D") - _count(first, "D") + 1


def _weekday(dates: Array) -> Array:
    return (_count(dates, "D") + 3) % 7  # 1 January 1970 was a Thursday


def _hour(dates: Array) -> Array:
    return _count(dates, "h") % 24


def _minute(dates: Array) -> Array:
    return _count(dates, "m") % 60


PARTS: Final[dict[str, Callable[[Array], Array]]] = {
    "year": _year,
    "month": _month,
    "day": _day,
    "weekday": _weekday,
    "hour": _hour,
    "minute": _minute,
}
"""What can be taken from a date; Monday is weekday 0."""


class DateParts(TransformerMixin, BaseEstimator):
    """Turns columns of dates into columns of numbers; a missing date gives NaN in all of them.

    Args:
        parts: For each column, what to take from it: some of ``PARTS``.
    """

    def __init__(self, parts: list[list[str]]) -> None:
        self.parts = parts

    def fit(self, X: Any, y: Any = None) -> DateParts:  # noqa: ANN401, N803 - scikit-learn's own names
        """Learn the columns' names.

        Raises:
            ValueError: There are more or fewer columns than lists of parts, or a part is not known.
        """
        del y
        if X.shape[1] != len(self.parts):
            raise ValueError(f"{X.shape[1]} columns of dates, but parts for {len(self.parts)}")
        if unknown := {part for some in self.parts for part in some} - PARTS.keys():
            raise ValueError(f"a date has no part {min(unknown)!r}")
        self.feature_names_in_ = np.array([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401, N803 - a pandas frame
        """Return the parts of each column side by side."""
        made: list[Array] = []
        for place, parts in enumerate(self.parts):
            dates = X.iloc[:, place].to_numpy().astype("datetime64[us]")
            gaps = np.isnat(dates)
            for part in parts:
                values = PARTS[part](dates).astype(np.float64)
                values[gaps] = np.nan
                made.append(values)
        return np.column_stack(made) if made else np.empty((len(X), 0))

    def get_feature_names_out(self, input_features: Any = None) -> Array:  # noqa: ANN401 - its name
        """Name the numbers: ``sched_dep_month``."""
        names = self.feature_names_in_ if input_features is None else input_features
        pairs = zip(names, self.parts, strict=True)
        return np.array([f"{name}_{part}" for name, parts in pairs for part in parts], dtype=object)
