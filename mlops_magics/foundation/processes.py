"""Processes: who one is, what memory it holds, and how it is ended with all that it has started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.machine import boot, machine

_START_SLACK = 1.0  # seconds: how exactly a process's start time survives being written down
_PROC = Path("/proc")  # Linux
_STARTTIME = 19  # the place of `starttime` behind the program's name in /proc/PID/stat, see proc(5)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same number.

    Attributes:
        pid: The number.
        started: When it started, in seconds since the epoch, by the clock of the moment it was asked.
        host: The machine it runs on.
        birth: Which boot it belongs to and its start since then: setting the clock changes neither. Empty
            where the system does not tell, and in what an earlier release has written; then ``started``
            must do.
    """

    pid: int
    started: float
    host: str
    birth: str = ""

    @classmethod
    def current(cls) -> ProcessId:
        """Name the process that asks."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Name a running process by its number.

        Raises:
            UnavailableError: No such process runs.
        """
        import psutil

        try:
            started = float(psutil.Process(pid).create_time())
        except psutil.Error as error:
            raise UnavailableError(f"No process {pid} runs.", "It has ended; start it again.") from error
        return cls(pid, started, machine(), _birth(pid))

    def alive(self) -> bool | None:
        """Tell whether it still runs.

        Returns:
            Whether it runs, or None where it belongs to another machine and nothing can be said.
        """
        import psutil

        if self.host != machine():
            return None
        try:
            process = psutil.Process(self.pid)
            return bool(self._is(process.create_time()) and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def may_have_started(self, pid: int) -> bool:
        """Tell whether another process that runs is young enough to be a child of this one."""
        import psutil

        boot, _, ticks = self.birth.rpartition(":")
        its_boot, _, its_ticks = _birth(pid).rpartition(":")
        try:
            if boot and its_boot:
                return boot == its_boot and int(its_ticks) >= int(ticks)
            return bool(psutil.Process(pid).create_time() >= self.started)
        except (psutil.Error, ValueError):  # it has ended; a hand has spoilt what was written down
            return False

    def _is(self, started: float) -> bool:
        """Tell whether the process that has this number now, and started then, is this one."""
        birth = _birth(self.pid) if self.birth else ""
        if birth:
            return birth == self.birth
        return abs(started - self.started) < _START_SLACK


def _birth(pid: int) -> str:
    """Say in which boot and how many ticks after it a process started; empty where nobody counts them.

    The start in seconds since the epoch is these ticks added to the time of boot, which moves with each
    setting of the clock.
    """
    try:
        # The program's name is in brackets and may hold blanks and brackets itself.
        behind = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        started = int(behind[_STARTTIME])
    except (OSError, ValueError, IndexError):
        return ""
    since = boot()
    return f"{since}:{started}" if since else ""


def own_memory() -> int:
    """Return how many bytes of memory this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def held_memory(pids: Iterable[int]) -> int:
    """Return how many bytes of memory processes hold, what they share counted for each; ended ones hold none.

    Args:
        pids: The processes.
    """
    import psutil

    held = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            held += int(psutil.Process(pid).memory_info().rss)
    return held


def end_tree(pid: int) -> None:
    """End a process and all that it has started, and they in turn; one that has ended is no error.

    Args:
        pid: The process.
    """
    import psutil

    try:
        first = psutil.Process(pid)
        found = [*first.children(recursive=True), first]
    except psutil.Error:
        return
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=5.0)
