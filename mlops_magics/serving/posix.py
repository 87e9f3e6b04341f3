"""What the server processes ask of the system: to leave a process tree, to die with a parent, a port."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
from pathlib import Path

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.names import near

_LOG_BYTES = 1024 * 1024  # a log beyond this is set aside when a supervisor starts
_BACKLOG = 2048
_CONNECTIONS = 4096  # of one process
_OWN = 128  # files that it needs for itself
_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def detach() -> None:
    """Carry on as a child of init, in a session of its own; the process that was started ends.

    So a kernel that starts a server has no child to reap, and neither its interrupts nor its end reach
    the server.
    """
    if os.fork():
        os._exit(0)
    os.setsid()


def can_fork() -> bool:
    """Tell whether this process may fork workers: on Linux, while no second thread can hold a lock."""
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1


def die_with(parent: int) -> None:
    """Let Linux end this process when its parent ends, however that happens.

    Args:
        parent: The parent's process number as it was before the fork.
    """
    if sys.platform != "linux":
        return  # the pipe to the parent tells
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def log_to(path: Path) -> None:
    """Send what this process and its children write to a log file, and read nothing any more.

    Args:
        path: The file (0600); one beyond a megabyte is kept as ``<name>.1``.
    """
    private_folder(path.parent)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)


def guarded(host: str, *, tls: bool) -> None:
    """Refuse to listen beyond this machine without TLS: a token would cross the network for all to read.

    Raises:
        RefusedError: It shall.
    """
    if not (tls or near(host)):
        raise RefusedError(
            f"{host} is an address beyond this machine, and without TLS a token can be read on its way.",
            "Add --certificate FILE --private-key FILE, or leave --host out.",
        )


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Args:
        host: The address to bind.
        port: The port to bind; 0 lets the system choose.

    Raises:
        UnavailableError: The port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        opened.bind((host, port))
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise UnavailableError(
                f"Port {port} of {host} is taken by another program.",
                "Choose another port, or none: a free one is then found.",
            ) from error
        raise UnavailableError(
            f"Port {port} of {host} cannot be bound: {error.strerror}.",
            "Choose a port from 1024 to 65535, or none: a free one is then found.",
        ) from error
    opened.setblocking(False)  # noqa: FBT003 - positional only
    return opened


def room() -> int:
    """Tell how many connections this process may hold, and ask the system for as many files.

    A process that can open no file any more accepts nobody, and writes no journal.

    Returns:
        The most connections.
    """
    try:
        import resource
    except ImportError:  # Windows has no such bound
        return _CONNECTIONS
    wanted = _CONNECTIONS + _OWN
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or files >= wanted:
        return _CONNECTIONS
    asked = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    with contextlib.suppress(OSError, ValueError):  # as it is, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked, most))
        files = asked
    return max(files - _OWN, files // 2)
