"""The code of the model that is asked: its modules are there, and no others by the same names.

Two versions of a model mostly bring modules of the same names, and a notebook may have imported one of these
itself. Python keeps one of a name, and a model may import it only when it is asked: it would get the other's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from mlops_magics.artifact.brought import modules


class OwnCode:
    """The modules that one model brings along.

    Args:
        folder: The model folder, from which it is loaded.
    """

    _turn: ClassVar[threading.Condition] = threading.Condition()
    _there: ClassVar[list[OwnCode]] = []
    """Whose modules are there: one model's, once for each thread that asks it."""

    def __init__(self, folder: Path) -> None:
        self._inside = f"{folder}{os.sep}"
        self._names = frozenset(modules(folder))
        self._modules: dict[str, ModuleType] = {}
        self._others: dict[str, ModuleType] = {}
        self._paths: list[str] = []

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """Let its modules be there for the length of a ``with`` block, in which it is loaded or asked.

        Several threads may ask one model; another model with code of its own waits until they are done.
        """
        if not self._names:
            yield
            return
        with self._turn:
            self._turn.wait_for(lambda: not self._there or self._there[0] is self)
            if not self._there:
                self._come()
            self._there.append(self)
        try:
            yield
        finally:
            with self._turn:
                self._there.pop()
                if not self._there:
                    self._go()
                    self._turn.notify_all()

    def _come(self) -> None:
        self._others = self._taken()
        sys.modules.update(self._modules)
        sys.path[:0] = self._paths

    def _go(self) -> None:
        self._modules = self._taken()
        sys.modules.update(self._others)
        self._paths = [path for path in sys.path if f"{path}{os.sep}".startswith(self._inside)]
        sys.path[:] = [path for path in sys.path if path not in self._paths]

    def _taken(self) -> dict[str, ModuleType]:
        """Take what has its names out of the interpreter."""
        names = [name for name in sys.modules if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in names}
