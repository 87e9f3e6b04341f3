"""How many different values there are: the K smallest hashes of a column.

The K smallest of all different hashes are the same whatever the order and however the rows were cut
into parts, so sketches of parts merge without any loss. Below K different values the count is exact
(64-bit hashes of a million values collide with a probability of 3e-8); above, the K-th smallest hash
tells how densely the hashes lie: Bar-Yossef et al., "Counting distinct elements in a data stream"
(2002), with the unbiased estimate (K - 1) / u of Beyer et al. (2007), relative error 1 / sqrt(K - 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

SIZE: Final = 16_384  # hashes kept: 128 KB a column, 0.8 % of error
_BLOCK: Final = 65_536  # hashes
_WAITING: Final = 2 * SIZE  # hashes that wait to be sorted in


@dataclass(frozen=True, slots=True)
class Distinct:
    """The smallest hashes seen.

    Attributes:
        kept: At most ``SIZE`` different hashes, sorted.
    """

    kept: Hashes

    @classmethod
    def of(cls, hashes: Hashes) -> Distinct:
        """Sketch the hashes of a part's values, in any order, repeated or not."""
        sketch = Sketching()
        for start in range(0, hashes.size, _BLOCK):
            sketch.add(hashes[start : start + _BLOCK])
        return sketch.made()

    def merged(self, other: Distinct) -> Distinct:
        """Sketch the union of two parts."""
        return Distinct(np.union1d(self.kept, other.kept)[:SIZE])

    @property
    def exact(self) -> bool:
        """Whether all different hashes were kept."""
        return self.kept.size < SIZE

    @property
    def count(self) -> int:
        """The number of different values."""
        if self.exact:
            return int(self.kept.size)
        return round((SIZE - 1) / (float(self.kept[-1]) / 2.0**64))

    @property
    def error(self) -> float:
        """The relative standard error of the count."""
        return 0.0 if self.exact else 1 / math.sqrt(SIZE - 2)


class Sketching:
    """A sketch in the making: what is above the bound is passed over, the rest waits to be sorted in."""

    def __init__(self) -> None:
        self._kept: Hashes = np.empty(0, np.uint64)
        self._waiting: list[Hashes] = []
        self._count = 0

    def add(self, hashes: Hashes) -> None:
        """Read a block of hashes."""
        if self._kept.size == SIZE:
            hashes = hashes[hashes < self._kept[-1]]
        self._waiting.append(hashes)
        self._count += hashes.size
        if self._count > _WAITING:
            self._sort()

    def made(self) -> Distinct:
        """Return the sketch of all that was read."""
        self._sort()
        return Distinct(self._kept)

    def _sort(self) -> None:
        ordered = np.sort(np.concatenate([self._kept, *self._waiting]))
        new = np.ones(ordered.size, bool)
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        self._kept = ordered[new][:SIZE]
        self._waiting, self._count = [], 0
