"""An ensemble of trees that adds up what its leaves say, in numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.serving.plan.base import Array, Floats, UnsupportedError
from mlops_magics.serving.plan.bits import Tables
from mlops_magics.serving.plan.nodes import Kernel, Places, Trees, leaves_below, levels
from mlops_magics.serving.plan.walk import Walk

_MANY: Final = 16  # rows from which scikit-learn's own trees are quicker than a walk
_LEAVES: Final = 64  # bits of the largest word
_ROWS: Final = 256  # rows at once: more would leave the processor's cache
_TABLE: Final = 64 * 1024 * 1024  # bytes of all tables of an ensemble
_NODES: Final = 4_000_000  # of an ensemble that walks: about 100 MB


@dataclass(frozen=True, slots=True)
class Grown:
    """scikit-learn's own trees: deep ones find many rows' leaves more quickly than a walk over arrays.

    Attributes:
        trees: The trees.
        roots: The place of each one's first value.
        value: What the leaves say.
    """

    trees: Sequence[Any]
    roots: Places
    value: Array

    def sums(self, columns: Floats, start: Array) -> Array:
        """Do what `Ensemble.sums` does."""
        rows = np.ascontiguousarray(columns.T, dtype=np.float32)
        found = np.tile(start, (len(rows), 1))
        turns = len(start) if self.value.shape[1] == 1 else 1
        for place, (tree, root) in enumerate(zip(self.trees, self.roots.tolist(), strict=True)):
            found[:, place % turns :: turns] += self.value.take(tree.apply(rows) + root, axis=0)
        return found


class Ensemble:
    """Answers with the values of the leaves that rows fall into.

    Args:
        trees: The trees.

    Raises:
        UnsupportedError: They take too much memory in every form that is known here.
    """

    def __init__(self, trees: Trees) -> None:
        self._single = trees.single
        self._kernel = _kernel(trees)
        self._value = trees.value.take(self._kernel.nodes, axis=0)
        self.width = len(trees.roots)
        deep = isinstance(self._kernel, Walk) and trees.grown
        self._grown = Grown(trees.grown, trees.roots, trees.value) if deep else None

    def values(self, columns: Floats) -> Iterator[Array]:
        """Find what each tree answers.

        Args:
            columns: The rows, columns first.

        Yields:
            The values of all trees for the next rows: rows x trees x values, an array of its own.
        """
        if self._single:
            columns = columns.astype(np.float32).astype(np.float64)
        rows = columns.shape[1]
        if rows == 1:
            found = self._kernel.one(columns[:, 0].tolist())
            yield self._value.take(found, axis=0)[None]
            return
        for start in range(0, rows, _ROWS):
            part = columns[:, start : start + _ROWS]
            yield self._value.take(self._kernel.many(part), axis=0)

    def sums(self, columns: Floats, start: Array) -> Array:
        """Add the trees' values up one after the other, as their own libraries do.

        Args:
            columns: The rows, columns first.
            start: What each row begins with, one number a sum; its type is that of the sums. Trees take
                turns: with three sums, the first tree adds to the first one and the fourth again. Where
                a leaf has several numbers there are as many sums, and each tree adds to all.

        Returns:
            The sums: rows x sums.
        """
        if self._grown and columns.shape[1] >= _MANY:
            return self._grown.sums(columns, start)
        found = [np.empty((0, len(start)), dtype=start.dtype)]
        for values in self.values(columns):
            rounds = values.reshape(len(values), -1, len(start)).astype(start.dtype, copy=False)
            rounds[:, 0] += start
            found.append(np.add.accumulate(rounds, axis=1)[:, -1])
        return found[1] if len(found) == 2 else np.concatenate(found)  # noqa: PLR2004 - one part, mostly


def _kernel(trees: Trees) -> Kernel:
    by_level = list(levels(trees))
    counts = leaves_below(trees, by_level)
    if counts[trees.roots].max() <= _LEAVES:
        made = Tables(trees, by_level, counts)
        if made.bytes <= _TABLE:
            return made
    if trees.sets:
        raise UnsupportedError("trees with categories of their own have more than 64 leaves")
    if len(trees.feature) > _NODES:
        raise UnsupportedError(f"the trees have more than {_NODES:,} nodes")
    return Walk(trees, by_level)
