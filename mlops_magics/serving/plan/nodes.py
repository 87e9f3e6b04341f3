"""All nodes of an ensemble as flat arrays, and what both ways through them need to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops_magics.serving.plan.base import Array, Floats

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of an ensemble. A row goes left where its value is at most the threshold.

    Attributes:
        feature: The column that a node asks for.
        threshold: What its value is compared with.
        left: The node for small values; of a leaf anything.
        right: The node for large ones.
        leaf: Whether a node is a leaf.
        gaps_left: Whether a missing value goes left.
        value: What a leaf answers, one or several numbers.
        roots: The first node of each tree.
        sets: For nodes that ask for a category: the codes that go left. A code that no set of the
            column's nodes was made from goes where a missing value goes.
        codes: For each column of categories, how many codes are known.
        single: Whether values are rounded to 32 bits before they are compared.
        grown: scikit-learn's own trees, in the order of the roots; empty where others are meant.
    """

    feature: Places
    threshold: Floats
    left: Places
    right: Places
    leaf: npt.NDArray[np.bool_]
    gaps_left: npt.NDArray[np.bool_]
    value: Array
    roots: Places
    sets: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict)
    codes: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict)
    single: bool = False
    grown: Sequence[Any] = ()


class Kernel(Protocol):
    """Finds leaves, by places of its own."""

    @property
    def nodes(self) -> Places:
        """The node of each place."""
        ...

    def one(self, row: Sequence[float]) -> Places:
        """Find the place of the leaf of each tree for one row."""
        ...

    def many(self, columns: Floats) -> Places:
        """Find the place of the leaf of each tree for each row: rows first."""
        ...


def levels(trees: Trees) -> Iterator[Places]:
    """Go down all trees at once: a level's nodes, two children side by side."""
    level = trees.roots
    while len(level):
        yield level
        inner = level[~trees.leaf[level]]
        level = np.column_stack((trees.left[inner], trees.right[inner])).ravel()


def leaves_below(trees: Trees, by_level: Sequence[Places]) -> Places:
    """Count the leaves below each node."""
    counts = trees.leaf.astype(np.intp)
    for level in reversed(by_level):
        inner = level[~trees.leaf[level]]
        counts[inner] = counts[trees.left[inner]] + counts[trees.right[inner]]
    return counts
