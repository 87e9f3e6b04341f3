"""An ensemble of trees that adds up what its leaves say, in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops_magics.serving.plan.base import Array, Floats, UnsupportedError
from mlops_magics.serving.plan.bits import Tables
from mlops_magics.serving.plan.nodes import Kernel, Trees, leaves_below, levels
from mlops_magics.serving.plan.walk import Walk

_LEAVES: Final = 64  # bits of the largest word
_ROWS: Final = 256  # rows at once: more would leave the processor's cache
_TABLE: Final = 64 * 1024 * 1024  # bytes of all tables of an ensemble
_NODES: Final = 4_000_000  # of an ensemble that walks: about 100 MB


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
