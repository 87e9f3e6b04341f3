"""The user's own modules that the process has imported, as texts: an uncommitted helper is never lost."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops_magics.foundation.masking import masked
from mlops_magics.lineage.files import installed

_COUNT: Final = 200
_BYTES: Final = 2_000_000
_FOREIGN: Final = ("site-packages", "dist-packages")  # of another environment than this process's
_UNSAFE: Final = re.compile(r"[^\w./ -]")  # in the address of a file that a store keeps


@dataclass(frozen=True, slots=True)
class Modules:
    """Helper modules.

    Attributes:
        texts: Their source by path, masked.
        missed: How many more there are.
    """

    texts: Mapping[str, bytes]
    missed: int = 0


def imported(root: Path, notebook: str | None = None) -> Modules:
    """Read the imported modules that lie below the project's root or beside the notebook.

    What is installed, of the standard library or of this package is none of them.

    Args:
        root: The project's root.
        notebook: The notebook's path, where it is known.

    Returns:
        At most 200 texts, 2 MB in all, those next to the root first.
    """
    folders = [os.fspath(root.resolve())]
    if notebook is not None:
        folders.append(str(Path(notebook).resolve().parent))
    found = dict(_found(folders))
    texts: dict[str, bytes] = {}
    size = missed = 0
    for path in sorted(found, key=lambda each: (each.count("/"), each)):
        text = _text(*found[path])
        if text is None or len(texts) == _COUNT or size + len(text) > _BYTES:
            missed += 1
            continue
        texts[path] = text
        size += len(text)
    return Modules(texts, missed)


def _found(folders: list[str]) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """Name the modules' files by path below the root, or ``beside/`` the notebook, with their state."""
    starts = tuple({*map(_inside, folders), *map(_inside, _linked(folders))})
    for name, module in sys.modules.copy().items():
        # Some modules import themselves when they are asked for any attribute.
        if not issubclass(type(module), types.ModuleType):  # what is put there may claim to be one
            continue
        file = object.__getattribute__(module, "__dict__").get("__file__")
        if not isinstance(file, str) or not file.startswith(starts) or not file.endswith(".py"):
            continue
        if name == "__main__" or name.partition(".")[0] == "mlops_magics" or installed(file):
            continue
        if any(part in _FOREIGN for part in Path(file).parts):
            continue
        try:
            state = os.stat(file)  # noqa: PTH116 - a Path for each would cost as much again
        except OSError:
            continue
        yield _named(os.path.realpath(file), folders), (file, state.st_mtime_ns, state.st_size)


def _linked(folders: list[str]) -> Iterator[str]:
    """Find the places of Python's path that lead into the folders by a link."""
    for entry in sys.path:
        if isinstance(entry, str) and entry:
            real = os.path.realpath(entry)
            if real != entry and f"{real}{os.sep}".startswith(tuple(map(_inside, folders))):
                yield entry


def _inside(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _named(file: str, folders: list[str]) -> str:
    for place, folder in enumerate(folders):
        if file.startswith(_inside(folder)):
            path = file[len(_inside(folder)) :].replace(os.sep, "/")
            return _UNSAFE.sub("_", masked(f"beside/{path}" if place else path))
    return f"beside/{Path(file).name}"


@functools.lru_cache(maxsize=2 * _COUNT)
def _text(file: str, changed: int, size: int) -> bytes | None:
    """Read a file and mask it, once for each of its states."""
    del changed  # it is part of what is remembered
    if size > _BYTES:
        return None
    try:
        content = Path(file).read_bytes()
    except OSError:
        return None
    try:
        text = importlib.util.decode_source(content)
    except (SyntaxError, UnicodeDecodeError):
        text = content.decode(errors="replace")
    return masked(text).encode(errors="replace")
