"""Few rows of JSON cells, checked at once and typed later, together with those of other requests.

An array costs about as much for one cell as for sixty. A request that came with plain columns is only looked
at, by the types of its cells; the arrays are made once for all that are computed together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.schema import Column
from mlops_magics.serving.cells import LIMITS

Columns = dict[str, np.ndarray[Any, Any]]
Row = list[Any]
Kinds = tuple[type, ...]

_NONE: Final = type(None)
_MANY: Final = 512  # ways in which the cells of rows differ in type; more are not remembered
_WIDE: Final = 256  # cells of a row; checking wider ones at once would remember too much
# What a cell may be, by the column's type; whole numbers that come as floats are left to the codec.
_ACCEPTED: Final[dict[str, frozenset[type]]] = {
    "double": frozenset({float, int}),
    "long": frozenset({int}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
    "string": frozenset({str}),
}
_GAPS: Final = frozenset({"double", "boolean", "string"})  # types of columns in which a gap is read here
_MADE: Final[dict[tuple[str, bool], Any]] = {
    ("double", True): np.float64,
    ("double", False): np.float64,
    ("long", True): np.int64,
    ("long", False): np.float64,
    ("integer", True): np.int32,
    ("integer", False): np.float64,
    ("boolean", True): np.bool_,
    ("boolean", False): np.object_,
    ("string", True): np.object_,
    ("string", False): np.object_,
}


class Layout:
    """Where the rows of a request have the model's columns.

    Args:
        columns: The model's columns, all plain ones.
        places: The place of each in a row.

    Attributes:
        blocks: The columns by the type of their arrays: names, places in a row, and the type.
        empty: The columns in the model's order, with nothing in them.
        places: Each column's place in a row, and its type.
    """

    def __init__(self, columns: Sequence[Column], places: Mapping[str, int]) -> None:
        self.empty = dict.fromkeys([column.name for column in columns], np.empty(0))
        self.places = {column.name: (places[column.name], column.type) for column in columns}
        self._accepted = [
            (
                places[column.name],
                _ACCEPTED[column.type]
                | ({_NONE} if not column.required and column.type in _GAPS else frozenset()),
            )
            for column in columns
        ]
        self._whole = [
            (places[column.name], *LIMITS[column.type]) for column in columns if column.type in LIMITS
        ]
        blocks: dict[Any, list[str]] = {}
        for column in columns:
            blocks.setdefault(_MADE[column.type, column.required], []).append(column.name)
        self.blocks = [(names, [places[name] for name in names], dtype) for dtype, names in blocks.items()]
        self._known: dict[Kinds, bool] = {}

    @classmethod
    def of(cls, columns: Sequence[Column], places: Mapping[str, int], width: int) -> Layout | None:
        """Make the layout of rows of so many cells; None where they must be typed column by column."""
        plain = all(column.type in _ACCEPTED and column.name in places for column in columns)
        return cls(columns, places) if columns and plain and width <= _WIDE else None

    def sound(self, rows: Sequence[Row]) -> bool:
        """Tell whether each cell surely is of its column's type; what may not be is the codec's to judge."""
        for row in rows:
            kinds = tuple(map(type, row))
            known = self._known.get(kinds)
            if known is None:
                known = self._learn(kinds)
            if not known:
                return False
            for place, low, high in self._whole:
                if not low <= row[place] <= high:
                    return False
        return True

    def _learn(self, kinds: Kinds) -> bool:
        good = all(kinds[place] in accepted for place, accepted in self._accepted)
        if len(self._known) < _MANY:
            self._known[kinds] = good
        return good

    def typed(self, rows: Sequence[Row]) -> Typed:
        """Make the model's columns of sound rows, in the model's order."""
        across = list(zip(*rows, strict=True))
        return Typed(
            self,
            [np.array([across[place] for place in places], dtype=dtype) for _, places, dtype in self.blocks],
        )


class Typed(Columns):
    """The columns of rows, and the blocks that these are parts of: rows are put below others block by block.

    Args:
        layout: The layout that they were typed by.
        blocks: An array for each of its blocks, a row of it for each column.
    """

    __slots__ = ("blocks", "layout")

    def __init__(self, layout: Layout, blocks: Sequence[np.ndarray[Any, Any]]) -> None:
        super().__init__(layout.empty)
        self.layout = layout
        self.blocks = blocks
        for (names, _, _), block in zip(layout.blocks, blocks, strict=True):
            self.update(zip(names, block, strict=True))

    @classmethod
    def below(cls, several: Sequence[Typed]) -> Typed:
        """Put the rows of some of one layout below each other."""
        across = zip(*[each.blocks for each in several], strict=True)
        return cls(several[0].layout, [np.concatenate(blocks, axis=1) for blocks in across])


@dataclass(slots=True, eq=False)  # a frozen one takes much longer to make
class Rows:
    """Rows that are sound.

    Attributes:
        layout: What types them.
        cells: The rows.
    """

    layout: Layout
    cells: Sequence[Row]

    def typed(self) -> Columns:
        """Make the model's columns of them."""
        return self.layout.typed(self.cells)


def together(several: Sequence[Rows | Columns]) -> Columns | None:
    """Type the rows of several requests as one table; None where they are not all rows of one layout."""
    first = several[0]
    if not isinstance(first, Rows):
        return None
    cells: list[Row] = []
    for each in several:
        if not isinstance(each, Rows) or each.layout is not first.layout:
            return None
        cells += each.cells
    return first.layout.typed(cells)
