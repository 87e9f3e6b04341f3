"""What the notebook's names held when last looked at, and which of them a cell changed."""

from __future__ import annotations

import bisect
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlops_magics.lineage import lore
from mlops_magics.lineage.walk import Seen, walk

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_COPIES = 3  # the first pandas in which each table is its own
_MARGIN = 1.5  # an object that did not fit is tried again in this much more time


@dataclass(frozen=True, slots=True)
class Change:
    """What a second look found.

    Attributes:
        touched: Names whose objects are others inside, or may be.
        opaque: Those among them that could not be compared.
        calls: What functions within reach of the cell call.
        patched: Names whose attributes those functions store.
        roots: Top-level packages within reach.
    """

    touched: frozenset[str]
    opaque: frozenset[str]
    calls: frozenset[str]
    patched: frozenset[str]
    roots: frozenset[str]


class Gaze:
    """Keeps digests and ids by name; no object."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, Seen]] = {}
        self._tried: dict[str, float] = {}
        self._candidates: dict[str, Seen] = {}
        self._reads: frozenset[str] = frozenset()

    def look(
        self, space: Mapping[str, object], reads: frozenset[str], names: Iterable[str], *, until: float
    ) -> frozenset[str]:
        """Look at what a cell may reach, and at what shares parts with it.

        Args:
            space: The notebook's names.
            reads: Names that it reads.
            names: All names that are the user's.
            until: When to give up, by ``time.perf_counter``.

        Returns:
            The names that it may read, with those that functions within reach read.
        """
        self._reads = self.reach(space, reads, names, until=until)
        held = {name: seen for name in names if (seen := self._of(space, name, until)) is not None}
        self._candidates = _sharing(held, self._reads)
        return self._reads

    def reach(
        self, space: Mapping[str, object], reads: frozenset[str], names: Iterable[str], *, until: float
    ) -> frozenset[str]:
        """Add to names those that functions within their reach read.

        Args:
            space: The notebook's names.
            reads: The names to begin with.
            names: All names that are the user's.
            until: When to give up, by ``time.perf_counter``.
        """
        open_, reached = list(reads), set(reads)
        while open_:
            name = open_.pop()
            seen = self._of(space, name, until)
            if seen is None:
                continue
            # What was not walked to its end, and what executes text, may use any name.
            limited = seen.complete and not lore.within_may_do_anything(seen.calls)
            more = seen.names if limited else set(names)
            open_ += more - reached
            reached |= more
        return frozenset(reached)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what was seen before the cell, so that ``again`` can be asked once more."""
        candidates = dict(self._candidates)
        yield
        self._candidates = candidates

    def again(self, space: Mapping[str, object], fresh: frozenset[str], *, until: float) -> Change:
        """Look a second time, after the cell.

        Args:
            space: The notebook's names.
            fresh: Names that it bound.
            until: When to give up, by ``time.perf_counter``.
        """
        before, self._candidates = self._candidates, {}
        touched, opaque = set(), set()
        for name in fresh:
            self._forget(name)
        for name, old in sorted(before.items(), key=lambda item: item[1].seconds):
            if name not in space or name in fresh:
                continue
            self._seen.pop(name, None)
            new = self._of(space, name, until)
            if new is None or old.opaque or new.opaque:
                opaque.add(name)
            if new is None or old.opaque or new.opaque or new.digest != old.digest:
                touched.add(name)
        if touched:  # what was not walked to its end may hold any of it
            unknown = {name for name, (_, seen) in self._seen.items() if not seen.complete}
            opaque |= unknown - fresh
            touched |= unknown - fresh
        for name in fresh:
            if name in space:
                self._of(space, name, until)
        within = [seen for name, seen in before.items() if name in self._reads]
        within += [entry[1] for name in fresh if (entry := self._seen.get(name)) is not None]
        return Change(
            frozenset(touched),
            frozenset(opaque),
            frozenset().union(*(seen.calls for seen in within)),
            frozenset().union(*(seen.patched for seen in within)),
            frozenset().union(*(seen.roots for seen in within)),
        )

    def shared(
        self, space: Mapping[str, object], names: Iterable[str], others: Iterable[str]
    ) -> tuple[str, str] | None:
        """Find two names with a mutable part or memory in common; names of one object have nothing else.

        Args:
            space: The notebook's names.
            names: The names of which one must be part of it.
            others: All names that are the user's.
        """
        held = {
            name: walk(space[name], space, tables=not _copied_on_write())
            for name in others
            if not isinstance(space[name], _PLAIN)
        }
        for name in names:
            for other in _sharing(held, [name]).keys() - {name}:
                return name, other
        return None

    def _forget(self, name: str) -> None:
        self._seen.pop(name, None)
        self._tried.pop(name, None)

    def _of(self, space: Mapping[str, object], name: str, until: float) -> Seen | None:
        """Return what a name holds; None for what cannot change."""
        value = space.get(name)
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return None
        entry = self._seen.get(name)
        left = until - time.perf_counter()
        known = entry[1] if entry is not None and entry[0] == id(value) else None
        if known is not None and (known.complete or left < self._tried.get(name, 0.0) * _MARGIN):
            return known
        seen = walk(value, space, until=until)
        if not seen.complete:
            self._tried[name] = max(left, 0.0)
        self._seen[name] = (id(value), seen)
        return seen


def _copied_on_write() -> bool:
    """Tell whether no table of pandas shows what is written into another one."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and (
        int(pandas.__version__.partition(".")[0]) >= _COPIES or pandas.options.mode.copy_on_write is True
    )


def _sharing(held: Mapping[str, Seen], reached: Iterable[str]) -> dict[str, Seen]:
    """Choose the names within reach and those that share a mutable part or memory with them."""
    chosen = {name: held[name] for name in reached if name in held}
    ids: set[int] = set().union(*(seen.ids for seen in chosen.values()))
    spans = _merged(span for seen in chosen.values() for span in seen.buffers)
    starts = [first for first, _ in spans]
    for name, seen in held.items():
        if name in chosen:
            continue
        if not ids.isdisjoint(seen.ids) or any(_meets(spans, starts, span) for span in seen.buffers):
            chosen[name] = seen
    return chosen


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _meets(spans: list[tuple[int, int]], starts: list[int], span: tuple[int, int]) -> bool:
    place = bisect.bisect_left(starts, span[1]) - 1  # the last that begins before this one ends
    return place >= 0 and spans[place][1] > span[0]
