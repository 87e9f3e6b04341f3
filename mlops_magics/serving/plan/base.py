"""What a plan is made of: steps that compute on columns, made from fitted estimators by their class.

Between two steps flows either a list with one array a column, or a matrix of floats whose first axis is
the column. Both give a column by its index, and a column lies in one piece of memory in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.loading import Method

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Kind = Literal["number", "text", "moment", "sparse"]
Value = Any
"""A list with one array a column, a matrix of floats (columns first), or a sparse matrix (rows first)."""


class UnsupportedError(Exception):
    """An estimator, or a setting of one, that no plan can be made of; its text says which."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of the columns between two steps when a plan is made.

    Attributes:
        kinds: What each column holds: floats, texts (None for a gap) or datetimes; a sparse matrix has
            "sparse" for each of its columns.
        names: Their names; None where only positions count.
    """

    kinds: tuple[Kind, ...]
    names: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.kinds)

    def only(self, *kinds: Kind, what: object) -> None:
        """Demand columns of some kinds.

        Args:
            kinds: The kinds that are allowed.
            what: The estimator that demands it.

        Raises:
            UnsupportedError: A column is of another kind.
        """
        if others := set(self.kinds) - set(kinds):
            raise UnsupportedError(f"{type(what).__name__} gets columns of {'and '.join(sorted(others))}")

    def take(self, places: Iterable[int]) -> Shape:
        """Choose columns."""
        chosen = list(places)
        names = None if self.names is None else tuple(self.names[place] for place in chosen)
        return Shape(tuple(self.kinds[place] for place in chosen), names)


def same_kind(kind: Kind, width: int) -> Shape:
    """Describe columns of one kind."""
    kinds: tuple[Kind, ...] = (kind,) * width
    return Shape(kinds)


def numbers(width: int) -> Shape:
    """Describe a matrix of floats."""
    return same_kind("number", width)


Step = Callable[[Value], Value]
"""Computes what one fitted transformer would."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a plan.

    Attributes:
        step: What it computes.
        shape: What comes out.
        itself: Why fitted transformers themselves are asked in it, one reason for each.
    """

    step: Step
    shape: Shape
    itself: tuple[str, ...] = ()


class Head(Protocol):
    """Computes what a fitted predictor would answer."""

    def __call__(self, value: Value, method: Method) -> Array:
        """Answer each row.

        Args:
            value: What the last transformer gave.
            method: "predict" or "predict_proba"; a predictor without probabilities is never asked for them.
        """
        ...


MakeStep = Callable[[Any, Shape], Piece]
"""Makes a part from a fitted transformer and the columns that it will get."""
MakeHead = Callable[[Any, Shape], Head]
"""Makes the end of a plan from a fitted predictor and the columns that it will get."""


def matrix(value: Value) -> Floats:
    """Bring columns of numbers to a matrix of floats, columns first."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list):
        return np.array(value, dtype=np.float64)
    return cast("Floats", value.toarray().T)


def finite(value: Value) -> Floats:
    """Bring columns to a matrix of floats, and refuse what scikit-learn refuses: gaps and infinities.

    Raises:
        ValueError: A number is missing or infinite.
    """
    found = matrix(value)
    if not np.isfinite(found).all():
        raise ValueError("a number is missing or infinite, which this estimator does not take")
    return found


def no_infinity(value: Value) -> Floats:
    """Bring columns to a matrix of floats, and refuse infinities only.

    Raises:
        ValueError: A number is infinite.
    """
    found = matrix(value)
    if np.isinf(found).any():
        raise ValueError("a number is infinite, which this estimator does not take")
    return found


def column(values: object) -> Floats:
    """Stand a fitted vector up beside a matrix whose first axis is the column."""
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def attribute(estimator: object, name: str) -> Any:  # noqa: ANN401 - whatever was learned
    """Read what an estimator has learned, or a setting of it.

    Raises:
        UnsupportedError: It has none of that name, as in a version of its library that is not known here.
    """
    try:
        return getattr(estimator, name)
    except AttributeError:
        raise UnsupportedError(f"{type(estimator).__name__} has no {name}") from None
