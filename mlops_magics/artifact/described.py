"""A model folder read as plain data: what its MLmodel file says, and which of its files it may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError, UnavailableError

AGAIN: Final = "Log the model again with %mlops_track; a folder that was altered by hand is not loaded."
_DESCRIPTION_BYTES: Final = 4 * 1024 * 1024  # an MLmodel file is a few kilobytes


def description(folder: Path) -> Mapping[str, Any]:
    """Read the MLmodel file as plain data.

    Args:
        folder: The model folder.

    Raises:
        NotFoundError: There is none.
        MLOpsError: It describes no model.
    """
    import yaml

    text = content(folder / "MLmodel", _DESCRIPTION_BYTES)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise MLOpsError("The MLmodel file cannot be read as YAML.", AGAIN) from error
    if not isinstance(found, dict):
        raise MLOpsError("The MLmodel file does not describe a model.", AGAIN)
    return found


def content(path: Path, most: int) -> bytes:
    """Read a file of a model folder.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        RefusedError: It is larger.
        NotFoundError: It is not there.
        UnavailableError: It cannot be read.
    """
    try:
        if path.stat().st_size > most:
            raise RefusedError(f"{path.name} is larger than {most:,} bytes.", AGAIN)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"The model folder has no {path.name}.", AGAIN) from error
    except OSError as error:
        raise UnavailableError(
            f"{path.name} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error


def member(folder: Path, name: object, what: str) -> Path:
    """Find a file that the folder names, inside of the folder only.

    Args:
        folder: The model folder.
        name: What the MLmodel file says.
        what: What it is, for the message.

    Raises:
        MLOpsError: Nothing is named.
        RefusedError: It is outside of the folder.
        NotFoundError: It is not there.
    """
    if not isinstance(name, str) or not name:
        raise MLOpsError(f"The MLmodel file names no {what}.", AGAIN)
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    inside = not absolute and ".." not in parts and "\0" not in name
    if not inside or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise RefusedError(f"The {what} {name[:80]!r} is outside of the model folder.", AGAIN)
    if not (folder / name).is_file():
        raise NotFoundError(f"The {what} {name[:80]!r} is missing.", AGAIN)
    return folder / name
