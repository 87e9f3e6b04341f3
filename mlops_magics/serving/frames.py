"""From a request's columns to the pandas frame that an estimator knows from its notebook."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlops_magics.serving.rows import Columns, Layout, Typed

_BLOCKS = 6  # beyond it, putting blocks side by side costs more than one column at a time
_KEPT = 64  # orders of columns that are remembered; clients may make many up
_GAP: Any = None  # numpy compares objects with it one by one

_Blocks = list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
"""Arrays, a row of each for a column of the frame, and which columns these are."""


class Frames:
    """Makes frames of columns. Each owns its cells: an estimator may write into them.

    Texts stay objects whatever is in them: pandas would guess a type from the cells of each request, and an
    encoder fails on a gap that looks like a number.

    Args:
        null: What a missing text was where the estimator was fitted; None leaves it as it came.
    """

    def __init__(self, null: Any) -> None:  # noqa: ANN401 - None, NaN or pandas' own
        self._null = null
        self._headings: dict[tuple[str, ...], Any] = {}
        self._places: dict[Layout, tuple[Any, list[np.ndarray[Any, Any]]]] = {}
        self._whole = _from_blocks()

    def of(self, columns: Columns, rows: int) -> Any:  # noqa: ANN401 - a pandas frame
        """Make a frame.

        Args:
            columns: One array a column.
            rows: How many rows there are.
        """
        import pandas as pd

        if self._whole is None:
            return self._side_by_side(columns, rows)
        heading, blocks = self._typed(columns) if isinstance(columns, Typed) else self._gathered(columns)
        return self._whole(blocks, pd.RangeIndex(rows), heading)

    def _typed(self, columns: Typed) -> tuple[Any, _Blocks]:
        """Take the blocks that a request was typed in."""
        layout = columns.layout
        known = self._places.get(layout)
        if known is None:
            order = {name: place for place, name in enumerate(columns)}
            places = [np.array([order[name] for name in names]) for names, _, _ in layout.blocks]
            known = (self._heading(tuple(columns)), places)
            if len(self._places) < _KEPT:
                self._places[layout] = known
        heading, placed = known
        return heading, [
            (self._gaps(block.copy()), place) for block, place in zip(columns.blocks, placed, strict=True)
        ]

    def _gathered(self, columns: Columns) -> tuple[Any, _Blocks]:
        """Put the columns of each type into one block."""
        kinds: dict[np.dtype[Any], list[int]] = {}
        arrays = list(columns.values())
        for place, values in enumerate(arrays):
            kinds.setdefault(values.dtype, []).append(place)
        blocks = [
            (self._gaps(np.array([arrays[place] for place in places])), np.array(places))
            for places in kinds.values()
        ]
        return self._heading(tuple(columns)), blocks

    def _side_by_side(self, columns: Columns, rows: int) -> Any:  # noqa: ANN401 - a pandas frame
        """Make a frame with a pandas that takes no blocks: neighbours of one type are one, and are joined."""
        import pandas as pd

        runs = _runs(columns)
        if len(runs) > _BLOCKS:
            index = pd.RangeIndex(rows)
            made = {
                name: pd.Series(self._gaps(values.copy()), index=index, dtype=object)
                if values.dtype == object
                else values.copy()
                for name, values in columns.items()
            }
            return pd.DataFrame(made, index=index, copy=False)
        blocks = []
        for names in runs:
            block = np.array([columns[name] for name in names])
            dtype = object if block.dtype == object else None
            heading = self._heading(names)
            blocks.append(pd.DataFrame(self._gaps(block).T, columns=heading, dtype=dtype, copy=False))
        return blocks[0] if len(blocks) == 1 else pd.concat(blocks, axis=1)

    def _heading(self, names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a pandas index
        import pandas as pd

        heading = self._headings.get(names)
        if heading is None:
            heading = pd.Index(names, dtype=object)
            if len(self._headings) < _KEPT:
                self._headings[names] = heading
        return heading

    def _gaps(self, block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return filled(block, self._null)


def filled(block: np.ndarray[Any, Any], null: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - None, NaN or pandas' own
    """Write what a missing text was where the estimator was fitted; the array is changed in place.

    Args:
        block: Cells of one type.
        null: What to write; None leaves them as they came.
    """
    if block.dtype == object and null is not None:
        block[np.equal(block, _GAP)] = null
    return block


def _from_blocks() -> Callable[[Any, Any, Any], Any] | None:
    """Find what makes a frame of blocks as they are: from pandas 3 on it is there for other libraries."""
    try:
        from pandas.api.internals import create_dataframe_from_blocks
    except ImportError:
        return None
    makes: Callable[[Any, Any, Any], Any] = create_dataframe_from_blocks
    return makes


def _runs(columns: Columns) -> Sequence[tuple[str, ...]]:
    """Group neighbouring columns of one type, so that their order stays."""
    return [
        tuple(name for name, _ in run)
        for _, run in itertools.groupby(columns.items(), key=lambda item: item[1].dtype)
    ]
