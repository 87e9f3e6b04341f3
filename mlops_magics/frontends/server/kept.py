"""A small memory: what was read stays true as long as the stamp of its place does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
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
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamp: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever was made
        """Return what is kept under a key, or make it.

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
        made = make()  # not under the lock: others may read meanwhile
        with self._lock:
            self._held[key] = stamp, made
            self._held.move_to_end(key)
            while len(self._held) > _MOST:
                self._held.popitem(last=False)
        return made

    def forget(self) -> None:
        """Forget all: something was changed here."""
        with self._lock:
            self._held.clear()
