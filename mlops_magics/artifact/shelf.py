"""Where a project's contracts lie: one JSON file each, below ``.mlops/contracts`` at its root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UnavailableError, nearest
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.names import checked_name

_FOLDER = Path(".mlops") / "contracts"
_ROWS = ".rows"
_MOST_BYTES = 64 * 1024 * 1024  # a contract of 5,000 columns has about one


def put(root: Path, contract: Contract) -> tuple[str, Contract | None]:
    """Keep a contract under its name.

    Args:
        root: The project's root.
        contract: The contract.

    Returns:
        The file, from the root, and the contract that lay there before, if one could be read.

    Raises:
        UsageError: The name is not allowed.
        UnavailableError: The file cannot be written.
    """
    path = _path(root, contract.name)
    try:
        before: Contract | None = take(root, contract.name)
    except MLOpsError:
        before = None  # none was there, or it was damaged: either way the new one is whole
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"The folder {path.parent} cannot be made: {error.strerror}.",
            "Make the project's folder writable.",
        ) from error
    write_atomic(path, contract.to_json() + "\n")
    return path.relative_to(root).as_posix(), before


def take(root: Path, name: str) -> Contract:
    """Read a contract.

    Args:
        root: The project's root.
        name: Its name.

    Raises:
        UsageError: The name is not allowed.
        NotFoundError: There is none of that name; the nearest one is named.
        MLOpsError: Its file is damaged.
    """
    path = _path(root, name)
    shown = path.relative_to(root).as_posix()
    if not path.is_file():
        raise NotFoundError(
            f"There is no contract '{name}'.",
            nearest(name, names(root)) or "Make one with %mlops_prepare DATA --contract NAME.",
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MLOpsError(f"{shown} is larger than any contract.", "Make it again with %mlops_prepare.")
        content = path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"{shown} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    return Contract.from_json(content, shown)


def note(root: Path, name: str, parts: Mapping[str, Mapping[str, str]]) -> None:
    """Write down which rows a contract was made from, beside it.

    Args:
        root: The project's root.
        name: The contract's name.
        parts: The digest of each column, by part: the whole table, "train", ...

    Raises:
        UnavailableError: The file cannot be written.
    """
    write_atomic(_path(root, name).with_suffix(_ROWS), orjson.dumps(parts))


def of_rows(root: Path, columns: Mapping[str, str]) -> tuple[Contract, str] | None:
    """Find the contract of rows by their content.

    Args:
        root: The project's root.
        columns: The digest of each column; the rows may have fewer columns than the table had.

    Returns:
        The contract and the part of its table that these rows are; None where no contract knows them.
    """
    if not columns:
        return None
    for name in names(root):
        try:
            parts = orjson.loads(_path(root, name).with_suffix(_ROWS).read_bytes())
            for part, known in parts.items():
                if columns.items() <= known.items():
                    return take(root, name), str(part)
        except (OSError, ValueError, TypeError, AttributeError, MLOpsError):
            continue  # it was made by an earlier release, or damaged: then it knows no rows
    return None


def names(root: Path) -> tuple[str, ...]:
    """List the contracts of a project by name.

    Args:
        root: The project's root.
    """
    return tuple(sorted(path.stem for path in (root / _FOLDER).glob("*.json")))


def _path(root: Path, name: str) -> Path:
    return root / _FOLDER / f"{checked_name(name, 'contract')}.json"
