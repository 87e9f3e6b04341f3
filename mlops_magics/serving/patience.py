"""A deadline for what nearly always ends at once, with one timer for all.

A timer of its own for each request costs more than the reading of its headers.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, cast

Task = asyncio.Task[Any]


class Patience:
    """Cuts off what takes too long; a block is entered as ``with patience:`` by a task.

    The block raises TimeoutError once its time is up. A task is in one such block at a time.

    Args:
        seconds: How long a block may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: dict[Task, float] = {}  # the oldest first
        self._late: set[Task] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        """Begin."""
        self._loop = loop = asyncio.get_running_loop()
        self._begun[self._task()] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; raises TimeoutError where the time was up."""
        task = self._task()
        self._begun.pop(task, None)
        if task in self._late:
            self._late.discard(task)
            if task.uncancel() == 0 and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _task(self) -> Task:
        return cast("Task", asyncio.current_task(self._loop))  # to look for the loop would cost a system call

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut off those whose time is up, and come again when that of the next one is."""
        self._timer = None
        now = loop.time()
        for task, begun in list(self._begun.items()):
            if begun + self._seconds > now:
                self._timer = loop.call_at(begun + self._seconds, self._look, loop)
                return
            del self._begun[task]
            self._late.add(task)
            task.cancel()
