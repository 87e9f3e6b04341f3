"""What exactly is in a model folder: a digest that changes when one byte of it does."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError
from mlops_magics.foundation.files import write_atomic

NAME: Final = "manifest.json"
BESIDE: Final = "mlops/kept"
"""A folder of the model's folder that the list leaves out: what is told about versions, never loaded.

One model may be several versions, registered one after the other; each file in it has its own digest
on the version that it belongs to.
"""

_FORMAT = 1
_AGAIN = "Register the model again from its run; do not edit the files of a version."


def write(folder: Path) -> str:
    """Write the list of a folder's files into it, replacing an earlier one.

    Args:
        folder: The model folder.

    Returns:
        ``"sha256:"`` and the digest of the manifest, which stands for the whole folder.

    Raises:
        RefusedError: The folder holds a link or something that is no plain file.
        UnavailableError: A file cannot be read or the manifest cannot be written.
    """
    content = _content(folder)
    write_atomic(folder / NAME, content)
    return _digest(content)


def digest(folder: Path) -> str:
    """Return what `write` would, and write nothing: the folder may be a store's own.

    Args:
        folder: The model folder.

    Raises:
        RefusedError: The folder holds a link or something that is no plain file.
        UnavailableError: A file cannot be read.
    """
    return _digest(_content(folder))


def sizes(folder: Path) -> dict[str, int]:
    """List the files of a folder with their bytes, as the manifest that `write` has just put there does."""
    listed = orjson.loads((folder / NAME).read_bytes())["files"]
    return {entry["path"]: entry["size"] for entry in listed}


def verify(folder: Path, digest: str) -> None:
    """Compare a folder with the digest that `write` returned.

    Args:
        folder: The model folder.
        digest: ``"sha256:..."``.

    Raises:
        RefusedError: The manifest or a file differs, is missing, or was added; the message names it.
        NotFoundError: There is no manifest.
    """
    try:
        content = (folder / NAME).read_bytes()
    except OSError as error:
        raise NotFoundError(f"The model folder has no {NAME}.", _AGAIN) from error
    if _digest(content) != digest:
        raise RefusedError(f"The model was changed after registration: {NAME} differs.", _AGAIN)
    listed = {entry["path"]: entry for entry in orjson.loads(content)["files"]}
    found = {entry["path"]: entry for entry in _files(folder)}
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            raise RefusedError(f"The model was changed after registration: {name} is missing.", _AGAIN)
        if name not in listed:
            raise RefusedError(f"The model was changed after registration: {name} was added.", _AGAIN)
        if listed[name] != found[name]:
            raise RefusedError(f"The model was changed after registration: {name} differs.", _AGAIN)


def _content(folder: Path) -> bytes:
    return orjson.dumps(
        {"format": _FORMAT, "files": _files(folder)}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _files(folder: Path) -> list[dict[str, Any]]:
    """Describe each file of a folder, in the order of their names."""
    entries = []
    for place, folders, names in os.walk(folder, onerror=_raise):
        if Path(place) == folder / BESIDE:
            folders.clear()
            continue
        for name in (*folders, *names):
            path = Path(place, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise RefusedError(
                    f"{path.relative_to(folder).as_posix()} in the model folder is no plain file.", _AGAIN
                )
        entries += [_entry(folder, Path(place, name)) for name in names]
    return sorted((entry for entry in entries if entry["path"] != NAME), key=lambda entry: str(entry["path"]))


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        _raise(error)
    return {"path": path.relative_to(folder).as_posix(), "size": size, "sha256": digest}


def _raise(error: OSError) -> NoReturn:
    raise UnavailableError(
        f"The model folder cannot be read: {error.strerror} ({error.filename}).", "Check its permissions."
    ) from error
