"""Files that only this user may read, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from mlops_magics.foundation.errors import UnavailableError

_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_PREFIX = 100  # characters of a file's name that its temporary one repeats: both must fit in 255


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
