"""The one module that talks to the operating system: private files, atomic writes, locks, processes."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlops_magics.foundation.errors import UnavailableError

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_PREFIX = 100  # characters of a file's name that its temporary one repeats: both must fit in 255
_START_SLACK = 1.0  # seconds: how exactly a process's start time survives being written down
_PROC = Path("/proc")  # Linux
_BOOT = Path("sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")  # systemd, see machine-id(5)
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of a period, and the period
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_STARTTIME = 19  # the place of `starttime` behind the program's name in /proc/PID/stat, see proc(5)


def from_home(path: Path) -> str:
    """Write a path from the user's home on, where it lies there: ``~/...``."""
    with contextlib.suppress(RuntimeError, ValueError):  # there is no home, or it lies elsewhere
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return str(path)


def private_folder(path: Path) -> Path:
    """Make a folder that only this user may enter.

    Args:
        path: The folder. Parents are made too.

    Returns:
        The same path.

    Raises:
        UnavailableError: The folder cannot be made or made private.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
        if os.name == "posix":
            path.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        raise UnavailableError(
            f"The folder {path} cannot be made: {error.strerror}.",
            "Make it writable, or set MLOPS_STATE to a folder that is.",
        ) from error
    return path


def write_atomic(path: Path, content: bytes | str, *, private: bool = False) -> None:
    """Write a whole file or nothing: a reader never sees half of it, whatever is killed meanwhile.

    Args:
        path: The file to replace or make. Its folder must exist.
        content: The whole new content; text is written as UTF-8.
        private: Whether only this user may read it (0600).

    Raises:
        UnavailableError: The file cannot be written; the previous content stands.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_PREFIX]}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_PRIVATE_FILE if private else 0o666 & ~_umask())
        os.replace(temporary, path)  # noqa: PTH105 - the one call that is atomic on every platform
    except OSError as error:
        raise UnavailableError(
            f"{path} ({len(data)} bytes) cannot be written: {error.strerror}.",
            "Free some space or choose a folder that is writable; nothing was changed.",
        ) from error
    finally:
        if temporary is not None:  # still there after a failure, or an interrupt
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Read the umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def locked(path: Path, *, seconds: float = 20.0) -> Iterator[None]:
    """Hold a lock between processes of this machine for the length of a ``with`` block.

    The kernel frees it when its holder dies, so that a killed process never blocks the others.

    Args:
        path: The lock's file; it is made and left in place.
        seconds: How long to wait for another holder.

    Raises:
        UnavailableError: Another process held the lock the whole time, or its file cannot be opened.
    """
    private_folder(path.parent)
    with _lock_file(path) as file:
        deadline = time.monotonic() + seconds
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Another process has held {path.name} for {seconds:g} seconds.",
                    "Wait for it to finish, or end it; then try again.",
                )
            time.sleep(0.02)
        try:
            yield
        finally:
            _unlock(file.fileno())


def try_lock(path: Path) -> BinaryIO | None:
    """Take a lock between processes of this machine if nobody holds it; closing what is returned frees it.

    Args:
        path: The lock's file; it is made and left in place.

    Returns:
        The open file that holds the lock, or None where another process has it.

    Raises:
        UnavailableError: Its file cannot be opened.
    """
    file = _lock_file(path)
    if _try_lock(file.fileno()):
        return file
    file.close()
    return None


def unlocked(path: Path) -> bool:
    """Tell whether nobody holds a lock.

    Args:
        path: The lock's file.

    Returns:
        Whether it is there and free; False as well where nobody can tell.
    """
    if not path.exists():
        return False
    try:
        file = try_lock(path)
    except UnavailableError:
        return False
    if file is None:
        return False
    file.close()
    return True


def _lock_file(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE), "r+b")
    except OSError as error:
        raise UnavailableError(
            f"The lock {path} cannot be opened: {error.strerror}.",
            "Make it writable, or set MLOPS_STATE to a folder that is.",
        ) from error


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise UnavailableError(
                f"This file system cannot lock files: {error.strerror}.",
                "Set MLOPS_STATE to a folder on a local disk.",
            ) from error
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


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
        return f"{_boot()}:{int(behind[_STARTTIME])}"
    except (OSError, ValueError, IndexError):
        return ""


def machine() -> str:
    """Name this machine."""
    import platform

    return platform.node()


def installation() -> str:
    """Say which installation of a system this is, whatever its name is by now; empty where nobody says so.

    The system's own id is not to be shown to others, so that this is a digest of it.
    """
    try:
        told = _MACHINE.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    if not _MACHINE_ID.fullmatch(told):  # it is not known yet, or a hand has spoilt it
        return ""
    return hashlib.sha256(f"mlops-magics {told}".encode()).hexdigest()[:32]


def boot() -> str:
    """Say which start of which machine this is: another one each time; empty where nobody counts them."""
    try:
        return _boot()
    except (OSError, ValueError):
        return ""


def _boot() -> str:
    return (_PROC / _BOOT).read_text("ascii").strip()


def free_memory() -> int:
    """Return how many bytes processes of this machine can still have without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


def own_memory() -> int:
    """Return how many bytes of memory this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def processors() -> int:
    """Say on how many processors this process may compute: of the machine's those that it was given.

    Returns:
        At least 1. Where a container has a share of time instead of processors, that share is rounded up.
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        share = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max", or a system without such shares
        return given
    return max(min(given, share), 1)


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
