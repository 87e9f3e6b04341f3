"""Transformers of numbers: gaps filled, scaled, chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Piece,
    Shape,
    UnsupportedError,
    Value,
    attribute,
    column,
    finite,
    matrix,
    no_infinity,
    numbers,
)


@dataclass(frozen=True, slots=True)
class _Filled:
    """Fills gaps in numbers, and says where they were."""

    fill: Floats
    kept: Array | None
    marked: Array | None

    def __call__(self, value: Value) -> Floats:
        columns = no_infinity(value)
        gaps = np.isnan(columns)
        kept = columns if self.kept is None else columns[self.kept]
        if gaps.any():
            kept = np.where(gaps if self.kept is None else gaps[self.kept], self.fill, kept)
        return kept if self.marked is None else np.concatenate((kept, gaps[self.marked]))


@dataclass(frozen=True, slots=True)
class _FilledCells:
    """Fills gaps in texts."""

    fill: tuple[Any, ...]

    def __call__(self, value: Value) -> list[Array]:
        return [_without_gaps(cells, fill) for cells, fill in zip(value, self.fill, strict=True)]


def _without_gaps(cells: Array, fill: object) -> Array:
    gaps = [row for row, cell in enumerate(cells.tolist()) if cell is None]
    if not gaps:
        return cells
    found = cells.copy()
    for row in gaps:
        found[row] = fill
    return found


def imputer(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a SimpleImputer."""
    missing, learned = made.missing_values, np.asarray(attribute(made, "statistics_"))
    gap = missing is None or (isinstance(missing, float) and np.isnan(missing))
    if not gap:
        raise UnsupportedError(f"SimpleImputer fills {missing!r}")
    marks = getattr(made, "indicator_", None)
    if set(shape.kinds) == {"text"}:
        if marks is not None or any(each != each for each in learned.tolist()):  # noqa: PLR0124 - NaN
            raise UnsupportedError("SimpleImputer marks gaps in texts, or found nothing to fill them with")
        return Piece(_FilledCells(tuple(learned.tolist())), Shape(shape.kinds))
    shape.only("number", what=made)
    fill = learned.astype(np.float64)
    empty = np.isnan(fill)
    kept = None if made.keep_empty_features or not empty.any() else np.flatnonzero(~empty)
    marked = None if marks is None else np.asarray(attribute(marks, "features_"))
    width = (shape.width if kept is None else len(kept)) + (0 if marked is None else len(marked))
    return Piece(_Filled(column(fill if kept is None else fill[kept]), kept, marked), numbers(width))


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Shifts and divides, or multiplies and shifts."""

    minus: Floats | None = None
    over: Floats | None = None
    times: Floats | None = None
    plus: Floats | None = None
    within: tuple[float, float] | None = None

    def __call__(self, value: Value) -> Floats:
        found = no_infinity(value)
        if self.minus is not None:
            found = found - self.minus
        if self.over is not None:
            found = found / self.over
        if self.times is not None:
            found = found * self.times
        if self.plus is not None:
            found = found + self.plus
        return found if self.within is None else np.clip(found, *self.within)


def standard_scaler(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a StandardScaler."""
    shape.only("number", what=made)
    minus = column(made.mean_) if made.with_mean else None
    over = column(made.scale_) if made.with_std else None
    return Piece(_Scaled(minus=minus, over=over), numbers(shape.width))


def robust_scaler(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a RobustScaler."""
    shape.only("number", what=made)
    minus = column(made.center_) if made.with_centering else None
    over = column(made.scale_) if made.with_scaling else None
    return Piece(_Scaled(minus=minus, over=over), numbers(shape.width))


def range_scaler(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a MinMaxScaler."""
    shape.only("number", what=made)
    within = tuple(made.feature_range) if made.clip else None
    return Piece(
        _Scaled(times=column(made.scale_), plus=column(made.min_), within=within), numbers(shape.width)
    )


def largest_scaler(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a MaxAbsScaler."""
    shape.only("number", what=made)
    if getattr(made, "clip", False):
        raise UnsupportedError("MaxAbsScaler clips")
    return Piece(_Scaled(over=column(made.scale_)), numbers(shape.width))


@dataclass(frozen=True, slots=True)
class Chosen:
    """Takes some columns.

    Attributes:
        places: Which, in their new order.
    """

    places: tuple[int, ...]

    def __call__(self, value: Value) -> Value:
        """Take them."""
        if isinstance(value, np.ndarray):
            return value[list(self.places)]
        if isinstance(value, list):
            return [value[place] for place in self.places]
        return value[:, list(self.places)]


def selector(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a transformer that keeps some columns as they are."""
    places = tuple(np.flatnonzero(made.get_support()).tolist())
    return Piece(Chosen(places), shape.take(places))


@dataclass(frozen=True, slots=True)
class _Applied:
    """Applies one function of numpy to each number."""

    function: Any

    def __call__(self, value: Value) -> Floats:
        found: Floats = self.function(matrix(value))
        return found


def function(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a FunctionTransformer without a function, or with one of numpy's for one number."""
    if made.func is None:
        return Piece(unchanged, shape)
    one_to_one = isinstance(made.func, np.ufunc) and made.func.nin == made.func.nout == 1
    if not one_to_one or made.kw_args or made.validate:
        raise UnsupportedError("FunctionTransformer has a function of its author")
    shape.only("number", what=made)
    return Piece(_Applied(made.func), numbers(shape.width))


def unchanged(value: Value) -> Value:
    """Pass columns on."""
    return value


@dataclass(frozen=True, slots=True)
class _Products:
    """Multiplies columns with each other."""

    factors: tuple[tuple[int, ...], ...]

    def __call__(self, value: Value) -> Floats:
        columns = finite(value)
        found = np.ones((len(self.factors), columns.shape[1]))
        for row, factors in enumerate(self.factors):
            for place in factors:
                found[row] *= columns[place]
        return found


def polynomial(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from PolynomialFeatures."""
    shape.only("number", what=made)
    factors = tuple(
        tuple(place for place, power in enumerate(powers) for _ in range(power))
        for powers in made.powers_.tolist()
    )
    return Piece(_Products(factors), numbers(len(factors)))
