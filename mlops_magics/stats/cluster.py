"""Ray: parts of a table read by the tasks of a cluster, for files that one machine would read for hours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation import cluster
from mlops_magics.stats.pieces import Hashes, Piece, Range, hashed_rows, piece
from mlops_magics.stats.sources import Source

_TOGETHER: Final = 4  # columns of a range that one task reads: a task costs about a millisecond


@contextlib.contextmanager
def joined() -> Iterator[RayCluster]:
    """Be connected to Ray for the length of a ``with`` block.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: There is no cluster at the address, or it does not take us.
    """
    with cluster.joined() as ray:
        yield RayCluster(ray)


class RayCluster:
    """Reads parts of a table in Ray's tasks.

    Args:
        ray: The library, connected.
    """

    def __init__(self, ray: Any) -> None:  # noqa: ANN401 - Ray is optional
        self._ray = ray

    def pieces(
        self, source: Source, spans: Sequence[Sequence[Range]], rows: npt.NDArray[np.int64]
    ) -> Callable[[int, Range], Piece]:
        """Begin to read ranges of columns; return what waits for one of them."""
        task = self._ray.remote(_pieces)
        table, sampled = self._ray.put(source), self._ray.put(rows)
        asked: dict[Range, list[int]] = {}
        for position, ranges in enumerate(spans):
            for span in ranges:
                asked.setdefault(span, []).append(position)
        waiting: dict[tuple[int, Range], tuple[Any, int]] = {}
        for span, positions in asked.items():
            for start in range(0, len(positions), _TOGETHER):
                group = positions[start : start + _TOGETHER]
                future = task.remote(table, group, span, sampled)
                waiting |= {(position, span): (future, place) for place, position in enumerate(group)}

        def wait(position: int, span: Range) -> Piece:
            future, place = waiting.pop((position, span))
            found: list[Piece] = self._ray.get(future)
            return found[place]

        return wait

    def rows(self, source: Source, chosen: Sequence[int], spans: Sequence[Range]) -> Iterator[Hashes]:
        """Hash the rows of ranges over some columns, in order."""
        task = self._ray.remote(_hashes)
        table = self._ray.put(source)
        for future in [task.remote(table, list(chosen), span) for span in spans]:
            yield self._ray.get(future)


def _pieces(source: Source, positions: list[int], span: Range, rows: npt.NDArray[np.int64]) -> list[Piece]:
    return [piece(source, position, span, rows) for position in positions]


def _hashes(source: Source, chosen: list[int], span: Range) -> Hashes:
    with ThreadPoolExecutor(1) as pool:
        return hashed_rows(source, chosen, span, pool)
