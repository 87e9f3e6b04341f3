"""Trees of any depth: all of them take a step at the same time.

Children lie side by side, and a leaf is its own child, so that a step is three looks and a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlops_magics.serving.plan.base import Floats
from mlops_magics.serving.plan.nodes import Places, Trees

_LOOK: Final = 8  # steps between two looks at whether all rows have come to a leaf


class Walk:
    """Walks down all trees at once.

    Args:
        trees: The trees.
        by_level: Their nodes by level, two children side by side.

    Attributes:
        nodes: The node of each place that is found.
    """

    def __init__(self, trees: Trees, by_level: Sequence[Places]) -> None:
        order = np.concatenate(by_level)
        leaf = trees.leaf[order]
        self.nodes = order
        self._feature = np.where(leaf, 0, trees.feature[order])
        self._threshold = np.where(leaf, np.inf, trees.threshold[order])
        child = np.arange(len(order))
        inner = np.flatnonzero(~leaf)
        child[inner] = len(by_level[0]) + 2 * np.arange(len(inner))  # in the order in which levels list them
        self._child = child
        self._gaps_right = ~trees.gaps_left[order] & ~leaf
        self._roots = np.arange(len(trees.roots))
        self._steps = len(by_level) - 1

    def one(self, row: Sequence[float]) -> Places:
        """Find the place of the leaf of each tree for one row."""
        return self._down(np.asarray(row), self._roots, None)

    def many(self, columns: Floats) -> Places:
        """Find the place of the leaf of each tree for each row."""
        wide, rows = columns.shape
        flat = np.ascontiguousarray(columns.T).ravel()
        starts = np.repeat(np.arange(rows) * wide, len(self._roots))
        return self._down(flat, np.tile(self._roots, rows), starts).reshape(rows, -1)

    def _down(self, values: Floats, node: Places, starts: Places | None) -> Places:
        """Take steps until all are at a leaf; ``starts`` says where each one's row begins."""
        gaps = bool(np.isnan(values).any())
        for step in range(self._steps):
            asked = self._feature.take(node)
            if starts is not None:
                asked += starts
            value = values.take(asked)
            away = value > self._threshold.take(node)
            if gaps:
                away |= np.isnan(value) & self._gaps_right.take(node)
            following = self._child.take(node)
            following += away
            if step % _LOOK == _LOOK - 1 and np.array_equal(following, node):
                break
            node = following
        return node
