"""Which files, folders, processes and hosts a cell touched, told by Python's audit events.

An audit hook can never be removed, so there is one for the process, which does nothing while no
recorder listens. It sees what goes through Python; readers written in C or Rust are known by the
names of their calls (``lore``).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR
_SYSTEM = ("/usr", "/proc", "/dev", "/sys", "/etc", "/lib", "/bin", "/var/lib", "/System", "/Library")
_MADE = {"os.mkdir"}
_REMOVED = {"os.remove", "os.rmdir", "shutil.rmtree", "os.truncate", "os.utime", "os.chmod"}
_MOVED = {"os.rename", "os.link", "os.symlink", "shutil.move"}
_COPIED = {"shutil.copyfile", "shutil.copytree"}
_LISTED = {"os.listdir", "os.scandir", "glob.glob"}
_FINDERS = ("<frozen importlib", str(Path(importlib.__file__).parent), pkgutil.__file__)
_BACKPORTS = (f"{os.sep}importlib_metadata{os.sep}", f"{os.sep}pkg_resources{os.sep}")
_COMPILED = f"{os.sep}__pycache__"
_PROCESSES = {"subprocess.Popen", "os.system", "os.fork", "os.posix_spawn", "os.exec", "os.spawn"}
_NETWORK = {"socket.connect", "urllib.Request"}
_OURS = {"mlops-lease", "mlops-verify"}  # threads of the tracker's own that go on while a cell runs


@dataclass(frozen=True, slots=True)
class Files:
    """What a cell did outside the process.

    Attributes:
        read: Files that it read.
        written: Files and folders that it wrote, moved or removed.
        made: Folders that it made.
        listed: Folders whose contents it asked for.
        process: Whether it started a process.
        network: Whether it talked to a host.
        unknown_read: Whether it may have read files that nothing told of.
        unknown_write: Whether it may have written such files.
    """

    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    process: bool = False
    network: bool = False
    unknown_read: bool = False
    unknown_write: bool = False


@dataclass(slots=True)
class Listener:
    """Collects events while a cell runs.

    Attributes:
        ignored: Folders and files whose events are none of the notebook's: the tracker's own store.
        deaf: Whether it is told nothing now.
    """

    ignored: tuple[str, ...] = ()
    _events: set[tuple[str, str]] = field(default_factory=set)
    deaf: bool = False

    @contextlib.contextmanager
    def hearing(self, *, on: bool) -> Iterator[None]:
        """Hear events, or none, while the block runs."""
        before, self.deaf = self.deaf, not on
        try:
            yield
        finally:
            self.deaf = before

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Keep what one audit event tells."""
        if event == "open":
            self._opened(*arguments)
        elif event in _MADE:
            self._path("made", arguments[0])
        elif event in _REMOVED:
            self._path("written", arguments[0])
        elif event in _COPIED:
            self._path("read", arguments[0])
            self._path("written", arguments[1])
        elif event in _MOVED:
            self._path("read", arguments[0])
            self._path("written", arguments[0])
            self._path("written", arguments[1])
        elif event in _LISTED:
            self._path("listed", arguments[0] if arguments[0] is not None else ".")
        elif event == "sqlite3.connect":
            self._path("read", arguments[0])
            self._path("written", arguments[0])
        elif event in _PROCESSES:
            self._events.add(("process", ""))
        elif event in _NETWORK:
            self._events.add(("network", ""))

    def _opened(self, path: object, mode: str | None, flags: int | None) -> None:
        writes = set(mode) & set("wax+") if mode else (flags or 0) & _WRITES
        self._path("written" if writes else "read", path)
        if writes and mode and set(mode) & set("a+"):
            self._path("read", path)

    def _path(self, kind: str, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):  # a descriptor: its file was opened before
            return
        full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - this runs at each open, and asks no disk
        if full.endswith((".pyc", ".pyi")) or _COMPILED in full or within(full, (*_OUTSIDE, *self.ignored)):
            return
        if kind == "made" and os.path.isdir(full):  # noqa: PTH112 - as above: what is there is not made again
            return
        self._events.add((kind, full))

    def files(self) -> Files:
        """Sum up what was collected."""

        def of(kind: str) -> frozenset[str]:
            return frozenset(path for what, path in self._events if what == kind)

        return Files(
            of("read"),
            of("written"),
            of("made"),
            of("listed"),
            process=("process", "") in self._events,
            network=("network", "") in self._events,
        )


def within(path: str, folders: Iterable[str]) -> bool:
    """Tell whether a path is one of the folders or lies in one."""
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def installed(path: str) -> bool:
    """Tell whether a file belongs to Python or an installed package."""
    return within(path, _PACKAGES)


_PACKAGES = tuple(
    {
        str(Path(path))
        for path in (sys.prefix, sys.base_prefix, Path(os.__file__).parent, Path(__file__).parents[1])
        if path != "/"
    }
)
# What a library keeps for itself when it is imported is no effect of the cell that imports it.
_CACHES = tuple(
    os.environ.get("MPLCONFIGDIR") or str(Path(os.path.expanduser(folder), "matplotlib"))  # noqa: PTH111 - no home, no error
    for folder in ("~/.cache", "~/.config")
)
_OUTSIDE = tuple({*_PACKAGES, *_SYSTEM, *_CACHES})
_HEARD = {
    *_MADE, *_REMOVED, *_MOVED, *_COPIED, *_LISTED, *_PROCESSES, *_NETWORK, "open", "sqlite3.connect",
}  # fmt: skip
_LISTENERS: list[Listener] = []
_HOOKED: list[bool] = []


def listen(listener: Listener) -> None:
    """Hand audit events to a listener from now on."""
    if not _HOOKED:
        sys.addaudithook(_hook)
        _HOOKED.append(True)
    _LISTENERS.append(listener)


def ignore(listener: Listener) -> None:
    """Hand it none from now on."""
    if listener in _LISTENERS:
        _LISTENERS.remove(listener)


def _finds_modules(file: str) -> bool:
    return file.startswith(_FINDERS) or any(part in file for part in _BACKPORTS)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _LISTENERS or event not in _HEARD:
        return
    # To find a module Python lists the folders of its path: what else lies there does not count.
    if event in _LISTED and _finds_modules(sys._getframe(1).f_code.co_filename):  # noqa: SLF001
        return
    # Whatever a hook raises would fail the user's own call.
    with contextlib.suppress(Exception):
        if threading.current_thread().name in _OURS:
            return
        for listener in tuple(_LISTENERS):
            if not listener.deaf:
                listener.note(event, arguments)
