"""Encoders of categories, and of dates and texts.

What an encoder makes of a category is not computed anew here: it is asked once for all that it has
learned, for a gap and for a value that it has not seen. The answers become a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Piece,
    Shape,
    UnsupportedError,
    Value,
    attribute,
    matrix,
    numbers,
    same_kind,
)

UNSEEN: Final = "\x00 unseen"
"""A text that no training data hold."""

_UNSEEN_NUMBER: Final = -7.3e250
_CELLS: Final = 4_000_000  # of all tables of an encoder: 32 MB
_REFUSED: Final = -1  # the row of a table for what the encoder does not take


@dataclass(frozen=True, slots=True)
class _Known:
    """What an encoder makes of one column.

    Attributes:
        rows: For each category its row in the table; None stands for a gap.
        gap: The row for a gap in a column of numbers.
        other: The row for what is not known.
        table: What comes out, a row a category.
        start: Where it goes in what the encoder gives.
        stop: Where it ends.
    """

    rows: dict[Any, int]
    gap: int
    other: int
    table: Floats
    start: int
    stop: int

    def codes(self, cells: Array) -> list[int]:
        """Find the row of each cell."""
        rows, other, listed = self.rows, self.other, cells.tolist()
        if cells.dtype == object:
            return [rows.get(cell, other) for cell in listed]
        gap = self.gap
        return [rows.get(cell, other) if cell == cell else gap for cell in listed]  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Looks every cell up."""

    columns: tuple[_Known, ...]
    width: int
    refuses: bool

    def __call__(self, value: Value) -> Floats:
        found = np.empty((self.width, len(value[0])))
        for known, cells in zip(self.columns, value, strict=True):
            codes = known.codes(cells)
            if self.refuses and _REFUSED in codes:
                raise ValueError("a category is not known to the encoder")
            found[known.start : known.stop] = known.table.take(codes, axis=0).T
        return found


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Looks every cell up, where each column becomes one number."""

    columns: tuple[tuple[dict[Any, float], float, float], ...]

    def __call__(self, value: Value) -> Floats:
        found = []
        for (known, gap, other), cells in zip(self.columns, value, strict=True):
            listed = cells.tolist()
            if cells.dtype == object:
                found.append([known.get(cell, other) for cell in listed])
            else:
                found.append([known.get(cell, other) if cell == cell else gap for cell in listed])  # noqa: PLR0124 - NaN
        return np.array(found)


def encoder(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted encoder
    """Make a part from a OneHotEncoder, an OrdinalEncoder or a TargetEncoder."""
    shape.only("number", "text", what=made)
    known = [_learned(each) for each in attribute(made, "categories_")]
    widths = _widths(made, known)
    if sum((len(each) + 2) * width for each, width in zip(known, widths, strict=True)) > _CELLS:
        raise UnsupportedError(f"{type(made).__name__} has too many categories")
    answers = _asked(made, shape, known)
    gap, other = (_alone(made, shape, known, kind) for kind in ("gap", "other"))
    ends = np.cumsum([0, *widths]).tolist()
    columns = tuple(
        _column(each, answers[:, start:stop], (gap[place], other[place]), start)
        for place, (each, start, stop) in enumerate(zip(known, ends[:-1], ends[1:], strict=True))
    )
    refuses = any(_REFUSED in {one.gap, one.other, *one.rows.values()} for one in columns)
    if not refuses and set(widths) == {1}:
        return Piece(_Numbered(tuple(map(_numbered, columns))), numbers(ends[-1]))
    return Piece(_Encoded(columns, ends[-1], refuses), numbers(ends[-1]))


def _numbered(column: _Known) -> tuple[dict[Any, float], float, float]:
    """Read what a table says that has one number a row."""
    told = column.table[:, 0].tolist()
    known = {category: told[row] for category, row in column.rows.items()}
    return known, told[column.gap], told[column.other]


def _learned(categories: Array) -> list[Any]:
    """List a column's categories; a gap among them is None."""
    found = [None if _is_gap(each) else each for each in categories.tolist()]
    if found.count(None) > 1:
        raise UnsupportedError("a column has two kinds of gaps")
    return found


def _is_gap(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def _widths(made: Any, known: Sequence[list[Any]]) -> list[int]:  # noqa: ANN401 - a fitted encoder
    if type(made).__name__ == "OneHotEncoder":
        return [int(width) for width in attribute(made, "_n_features_outs")]
    several = getattr(made, "target_type_", "") == "multiclass"
    return [len(made.classes_) if several else 1] * len(known)


def _asked(made: Any, shape: Shape, known: Sequence[list[Any]]) -> Floats:  # noqa: ANN401 - a fitted encoder
    """Ask for all categories at once: row i has the i-th of each column, or its last one."""
    rows = max(len(each) for each in known)
    cells = [[each[min(row, len(each) - 1)] for row in range(rows)] for each in known]
    return _told(made, shape, cells)


def _alone(made: Any, shape: Shape, known: Sequence[list[Any]], kind: str) -> list[Floats | None]:  # noqa: ANN401 - a fitted encoder
    """Ask for a gap or an unseen value in each column, beside categories that are known.

    Returns:
        What comes out, or None for a column where the encoder refuses.
    """
    found: list[Floats | None] = []
    for place, each in enumerate(known):
        cells = [[one[0]] for one in known]
        unseen = UNSEEN if shape.kinds[place] == "text" else _UNSEEN_NUMBER
        cells[place] = [None if kind == "gap" else unseen]
        if kind == "gap" and None in each:
            found.append(None)
            continue
        try:
            found.append(_told(made, shape, cells)[0])
        except (ValueError, TypeError):
            found.append(None)
    return found


def _told(made: Any, shape: Shape, cells: Sequence[list[Any]]) -> Floats:  # noqa: ANN401 - a fitted encoder
    import warnings

    import pandas as pd

    names = getattr(made, "feature_names_in_", None)
    null = None if any(None in list(each) for each in made.categories_) else np.nan
    columns: dict[Any, Any] = {}
    for place, listed in enumerate(cells):
        name = place if names is None else names[place]
        if shape.kinds[place] == "text" or made.categories_[place].dtype == object:
            columns[name] = pd.Series([null if each is None else each for each in listed], dtype=object)
        else:
            columns[name] = np.array([np.nan if each is None else each for each in listed], dtype=np.float64)
    frame = pd.DataFrame(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unknown categories, which are what is asked for
        found = made.transform(frame if names is not None else frame.to_numpy())
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)


def _column(
    known: list[Any], answers: Floats, odd: tuple[Floats | None, Floats | None], start: int
) -> _Known:
    """Lay the table of one column: its categories, then a gap, then what is not known."""
    rows: dict[Any, int] = {each: row for row, each in enumerate(known)}
    table = [answers[: len(known)]]
    size = len(known)
    stop = start + answers.shape[1]

    def row(found: Floats | None) -> int:
        nonlocal size
        if found is None:
            return _REFUSED
        table.append(found[None, start:stop])
        size += 1
        return size - 1

    at_gap = rows[None] if None in rows else row(odd[0])
    rows[None] = at_gap
    at_other = row(odd[1])
    return _Known(rows, at_gap, at_other, np.concatenate(table), start, stop)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Takes parts of dates."""

    parts: tuple[tuple[int, Any], ...]

    def __call__(self, value: Value) -> Floats:
        found = np.empty((len(self.parts), len(value[0])))
        dates = [each.astype("datetime64[us]") for each in value]
        gaps = [np.isnat(each) for each in dates]
        for row, (place, part) in enumerate(self.parts):
            found[row] = part(dates[place])
            found[row, gaps[place]] = np.nan
        return found


def date_parts(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a DateParts
    """Make a part from our own DateParts."""
    from mlops_magics.model_parts.dates import PARTS

    shape.only("moment", what=made)
    parts = tuple((place, PARTS[name]) for place, names in enumerate(made.parts) for name in names)
    return Piece(_Parts(parts), numbers(len(parts)))


def filled_texts(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a FilledTexts
    """Make a part from our own FilledTexts."""
    shape.only("text", what=made)
    return Piece(_filled, Shape(("text",)))


def _filled(value: Value) -> list[Array]:
    texts = np.empty(len(value[0]), dtype=object)
    texts[:] = [cell if isinstance(cell, str) else "" for cell in value[0].tolist()]
    return [texts]


@dataclass(frozen=True, slots=True)
class _Words:
    """Asks a vectorizer itself: it works on texts, and needs no table around them."""

    vectorizer: Any

    def __call__(self, value: Value) -> Any:  # noqa: ANN401 - a sparse matrix
        return self.vectorizer.transform(value[0].tolist())


def words(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted vectorizer
    """Make a part from a vectorizer of texts."""
    shape.only("text", what=made)
    if shape.width != 1:
        raise UnsupportedError(f"{type(made).__name__} gets {shape.width} columns")
    width = made.n_features if hasattr(made, "n_features") else len(attribute(made, "vocabulary_"))
    return Piece(_Words(made), same_kind("sparse", width))


@dataclass(frozen=True, slots=True)
class _Projected:
    """Projects onto directions, after taking a mean away."""

    directions: Floats
    mean: Floats | None
    scale: Floats | None

    def __call__(self, value: Value) -> Floats:
        if hasattr(value, "toarray"):  # sparse, rows first
            return np.ascontiguousarray(np.asarray(value @ self.directions.T).T)
        found = self.directions @ matrix(value)
        if self.mean is not None:
            found -= self.mean
        return found if self.scale is None else found / self.scale


def projection(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a fitted transformer
    """Make a part from a TruncatedSVD or a PCA."""
    directions = np.asarray(attribute(made, "components_"), dtype=np.float64)
    mean = scale = None
    if type(made).__name__ == "PCA":
        shape.only("number", what=made)
        mean = (directions @ made.mean_).reshape(-1, 1)
        if made.whiten:
            scale = np.sqrt(made.explained_variance_).reshape(-1, 1)
    return Piece(_Projected(directions, mean, scale), numbers(len(directions)))
