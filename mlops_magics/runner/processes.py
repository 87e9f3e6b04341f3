"""The processes of one execution, wherever they went: found by a mark in their environment, and ended."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any, Final

from mlops_magics.runner.surroundings import MARK

_AGAIN: Final = 0.05  # seconds between two looks
_PATIENCE: Final = 10.0


def marked(mark: str) -> Iterator[Any]:
    """Find the processes that carry a mark, this one excepted.

    A process group is not enough: a kernel has one of its own, and whoever calls ``setsid`` leaves it. The
    environment is inherited by all, also by one whose parent has died.

    Args:
        mark: The mark.

    Yields:
        psutil's processes.
    """
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield process


def end(mark: str, *, seconds: float = _PATIENCE) -> bool:
    """Kill every process that carries a mark, this one excepted.

    Args:
        mark: The mark.
        seconds: How long to go on for: one may be born while another one dies.

    Returns:
        Whether none is left.
    """
    import psutil

    deadline = time.monotonic() + seconds
    while found := list(marked(mark)):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=_AGAIN)
        if time.monotonic() > deadline:
            return False
    return True


def held(pid: int) -> int:
    """Add up the bytes of memory of the descendants of a process."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += int(process.memory_info().rss)
    return total
