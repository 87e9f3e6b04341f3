"""Locks between processes of one machine, which the system frees when their holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder

_PRIVATE = 0o600


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
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE), "r+b")
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
