"""What puts steps together: pipelines, transformers that choose columns, unions; and our own first steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Piece,
    Shape,
    Step,
    UnsupportedError,
    Value,
    attribute,
    matrix,
    numbers,
)
from mlops_magics.serving.plan.numbers import Chosen, unchanged

Compile = Callable[[Any, Shape], Piece]
"""Makes a part from any fitted transformer that is known."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One step after the other."""

    steps: tuple[Step, ...]

    def __call__(self, value: Value) -> Value:
        """Take them."""
        for step in self.steps:
            value = step(value)
        return value


def chained(steps: Sequence[Any], shape: Shape, compile_: Compile) -> Piece:
    """Make a part from transformers in a row.

    Args:
        steps: The transformers; None and "passthrough" are left out.
        shape: What the first one gets.
        compile_: What makes a part from each.
    """
    made: list[Step] = []
    asked: list[str] = []
    for step in steps:
        if step is None or step == "passthrough":
            continue
        piece = compile_(step, shape)
        shape = piece.shape
        asked += piece.itself
        if piece.step is not unchanged:
            made.append(piece.step)
    return Piece(Chain(tuple(made)), shape, tuple(asked)) if made else Piece(unchanged, shape)


@dataclass(frozen=True, slots=True)
class _Beside:
    """Several steps on the same columns, their numbers below each other."""

    parts: tuple[tuple[Step | None, Step], ...]

    def __call__(self, value: Value) -> Floats:
        found = [matrix(step(value if choose is None else choose(value))) for choose, step in self.parts]
        return found[0] if len(found) == 1 else np.concatenate(found)


@dataclass(frozen=True, slots=True)
class _BesideCells:
    """The same, where some columns stay texts."""

    parts: tuple[tuple[Step | None, Step], ...]

    def __call__(self, value: Value) -> list[Array]:
        return [
            cells for choose, step in self.parts for cells in step(value if choose is None else choose(value))
        ]


def _beside(parts: Sequence[tuple[Step | None, Piece]]) -> Piece:
    kinds = tuple(kind for _, piece in parts for kind in piece.shape.kinds)
    steps = tuple((choose, piece.step) for choose, piece in parts)
    asked = tuple(why for _, piece in parts for why in piece.itself)
    if set(kinds) <= {"number", "sparse"}:
        return Piece(_Beside(steps), numbers(len(kinds)), asked)
    if "sparse" in kinds:
        raise UnsupportedError("words stand beside texts")
    return Piece(_BesideCells(steps), Shape(kinds), asked)


def by_column(made: Any, shape: Shape, compile_: Compile) -> Piece:  # noqa: ANN401 - a fitted ColumnTransformer
    """Make a part from a ColumnTransformer."""
    if made.transformer_weights:
        raise UnsupportedError("ColumnTransformer has weights")
    parts: list[tuple[Step | None, Piece]] = []
    for _, transformer, columns in attribute(made, "transformers_"):
        places = _places(columns, shape)
        if isinstance(transformer, str) and transformer == "drop":
            continue
        if not places:
            continue
        chosen = shape.take(places)
        kept = isinstance(transformer, str)
        piece = Piece(unchanged, chosen) if kept else compile_(transformer, chosen)
        parts.append((None if places == list(range(shape.width)) else Chosen(tuple(places)), piece))
    if not parts:
        raise UnsupportedError("ColumnTransformer keeps no column")
    found = _beside(parts)
    return replace(found, shape=_named(made, found.shape))


def _named(made: Any, shape: Shape) -> Shape:  # noqa: ANN401 - a fitted ColumnTransformer
    """Name what comes out, for a later step that chooses by name."""
    try:
        names = tuple(str(name) for name in made.get_feature_names_out())
    except Exception:  # noqa: BLE001 - a transformer in it cannot name its columns: only positions count
        return shape
    return Shape(shape.kinds, names) if len(names) == shape.width else shape


def _places(columns: Any, shape: Shape) -> list[int]:  # noqa: ANN401 - all that scikit-learn takes
    """Find the positions of columns that are told by name, position, range or mask."""
    if isinstance(columns, slice):
        if not all(bound is None or isinstance(bound, int) for bound in (columns.start, columns.stop)):
            raise UnsupportedError("ColumnTransformer takes a range of names")
        return list(range(*columns.indices(shape.width)))
    listed = [columns] if isinstance(columns, str | int) else list(columns)
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        return [place for place, kept in enumerate(listed) if kept]
    return [_place(one, shape) for one in listed]


def _place(one: Any, shape: Shape) -> int:  # noqa: ANN401 - a name or a position
    if isinstance(one, int | np.integer):
        return int(one) % shape.width
    if shape.names is None or str(one) not in shape.names:
        raise UnsupportedError(f"ColumnTransformer takes the column {one!r}, which nothing before it names")
    return shape.names.index(str(one))


def union(made: Any, shape: Shape, compile_: Compile) -> Piece:  # noqa: ANN401 - a fitted FeatureUnion
    """Make a part from a FeatureUnion."""
    if made.transformer_weights:
        raise UnsupportedError("FeatureUnion has weights")
    parts: list[tuple[Step | None, Piece]] = []
    for _, transformer in made.transformer_list:
        if isinstance(transformer, str):
            if transformer == "passthrough":
                parts.append((None, Piece(unchanged, shape)))
            continue
        parts.append((None, compile_(transformer, shape)))
    if not parts:
        raise UnsupportedError("FeatureUnion keeps no column")
    return _beside(parts)


@dataclass(frozen=True, slots=True)
class _Raw:
    """Brings columns to the exact types of RawColumns."""

    parts: tuple[tuple[int, Callable[[Array], Array]], ...]

    def __call__(self, value: Value) -> Value:
        return [read(value[place]) for place, read in self.parts]


def raw_columns(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a RawColumns
    """Make a part from our own RawColumns."""
    reads: tuple[tuple[Sequence[str], Any, Any], ...] = (
        (made.numbers or (), "number", _floats),
        (made.texts or (), "text", _texts),
        (made.dates or (), "moment", _dates),
    )
    parts, kinds, names = [], [], []
    for wanted, kind, read in reads:
        for name in wanted:
            place = _place(name, shape)
            form = (made.formats or {}).get(name) if kind == "moment" else None
            if kind == "moment" and shape.kinds[place] != ("moment" if form is None else "text"):
                raise UnsupportedError("dates come as texts" if form is None else "dates are no texts here")
            if kind == "number" and shape.kinds[place] != "number":
                raise UnsupportedError("numbers come as texts")
            parts.append((place, read if form is None else _Written(form)))
            kinds.append(kind)
            names.append(name)
    return Piece(_Raw(tuple(parts)), Shape(tuple(kinds), tuple(names)))


def _floats(cells: Array) -> Floats:
    found = cells.astype(np.float64)
    found[np.isinf(found)] = np.nan
    return found


def _texts(cells: Array) -> Array:
    if cells.dtype == object and all(cell is None or type(cell) is str for cell in cells.tolist()):
        return cells
    found = np.empty(len(cells), dtype=object)
    found[:] = [None if cell is None or cell != cell else str(cell) for cell in cells.tolist()]  # noqa: PLR0124 - NaN
    return found


@dataclass(frozen=True, slots=True)
class _Written:
    """Reads dates that are kept as text in one form; what is none is a gap."""

    form: str

    def __call__(self, cells: Array) -> Array:
        import pandas as pd

        found = pd.to_datetime(cells, format=self.form.replace("%.f", ".%f"), errors="coerce")
        if found.tz is not None:
            found = found.tz_convert("UTC").tz_localize(None)
        return np.asarray(found.to_numpy().astype("datetime64[us]"))


def _dates(cells: Array) -> Array:
    return cells.astype("datetime64[us]")


def keep_columns(made: Any, shape: Shape) -> Piece:  # noqa: ANN401 - a KeepColumns
    """Make a part from our own KeepColumns."""
    places = tuple(_place(name, shape) for name in made.columns)
    return Piece(Chosen(places), shape.take(places))
