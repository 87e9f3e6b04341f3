"""A small memory: what was read stays true as long as the stamp of its place does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Final

_MOST: Final = 128


class Kept:
    """Keeps the answers that were asked for last, each with the stamp under which it was read.

    Attributes:
        tables: Held while a table of runs is read: it grows as it is, and is no thing of two threads.
    """

    def __init__(self) -> None:
        self.tables = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()
        self._making: dict[tuple[Hashable, str], Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamp: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever was made
        """Return what is kept under a key, or make it; who asks while it is made waits for that.

        Args:
            key: What is asked for.
            stamp: How things are now; what was kept under another one is made anew.
            make: Makes it. What it raises is not kept.
        """
        with self._lock:
            held = self._held.get(key)
            if held is not None and held[0] == stamp:
                self._held.move_to_end(key)
                return held[1]
            begun = self._making.get((key, stamp))
            if begun is None:
                mine: Future[Any] = Future()
                self._making[key, stamp] = mine
        return self._made(key, stamp, mine, make) if begun is None else begun.result()

    def _made(self, key: Hashable, stamp: str, mine: Future[Any], make: Callable[[], Any]) -> Any:  # noqa: ANN401 - as above
        try:
            made = make()  # not under the lock: others may read meanwhile
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                self._done(key, stamp, mine)
            raise
        with self._lock:
            if self._done(key, stamp, mine):
                self._held[key] = stamp, made
                self._held.move_to_end(key)
                while len(self._held) > _MOST:
                    self._held.popitem(last=False)
        mine.set_result(made)
        return made

    def _done(self, key: Hashable, stamp: str, mine: Future[Any]) -> bool:
        """Take away that it is being made; False where all was forgotten since it was begun."""
        if self._making.get((key, stamp)) is not mine:
            return False
        del self._making[key, stamp]
        return True

    def forget(self) -> None:
        """Forget all: something was changed here."""
        with self._lock:
            self._held.clear()
            self._making.clear()  # who began before the change is answered, but that is not kept
