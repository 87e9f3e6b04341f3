"""The files behind an import, found without importing: what the user's own modules are, with all they import.

A module may be imported after its cell's key is made, or have been before: the key is the same, since it
hangs on the files alone.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from mlops_magics.lineage.files import installed

_FILES: Final = 100  # of one import; what lies behind those is not looked at


@dataclass(frozen=True, slots=True)
class _Source:
    """A module's file: the digest of what it says, and the names that it imports."""

    digest: str
    imports: tuple[str, ...]


def imports(tree: ast.AST, package: str = "") -> tuple[str, ...]:
    """List the full names of what a source imports; each may be a module, or something within one.

    Args:
        tree: The source.
        package: The package that relative imports begin from.
    """
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                module = ".".join([*above, *([module] if module else [])])
            found |= dict.fromkeys((module, *(f"{module}.{item.name}" for item in node.names)))
    return tuple(name for name in found if name)


def digest(names: Iterable[str]) -> str:
    """Digest the files of the user's own modules that an import reads; "" where it reads none.

    Args:
        names: The full names that are imported.
    """
    found = {name: source.digest for name, (_, source) in _behind(names).items()}
    if not found:
        return ""
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def files(names: Iterable[str]) -> set[str]:
    """Find the files of the user's own modules that an import reads.

    Args:
        names: The full names that are imported.
    """
    return {os.fspath(path) for path, _ in _behind(names).values()}


def _behind(names: Iterable[str]) -> dict[str, tuple[Path, _Source]]:
    found: dict[str, tuple[Path, _Source]] = {}
    open_ = list(names)
    while open_ and len(found) < _FILES:
        for name, path in _files(open_.pop()):
            if name not in found and (source := _of(name, path)) is not None:
                found[name] = path, source
                open_ += source.imports
    return found


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """Find the files of a module and of the packages that it is in, as far as they are the user's own."""
    known, *rest = name.split(".")
    file, folder = _top(known)
    if file is not None:
        yield known, file
    for part in rest:
        if folder is None:  # what follows stands in the module
            return
        file, folder = _within(folder, part)
        known = f"{known}.{part}"
        if file is not None:
            yield known, file


def _top(name: str) -> tuple[Path | None, Path | None]:
    """Find a module's file and, where it is a package, its folder."""
    if name in sys.stdlib_module_names or name in {"__main__", "mlops_magics"}:
        return None, None
    origin = getattr(sys.modules.get(name), "__file__", None)
    folders: list[str] = []
    if origin is None:
        try:
            spec = PathFinder.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None, None
        if spec is not None:
            origin, folders = spec.origin, list(spec.submodule_search_locations or ())
    if not isinstance(origin, str):  # a package without a file of its own
        own = [folder for folder in folders if not installed(folder)]
        return None, Path(own[0]) if own else None
    if not origin.endswith(".py") or installed(origin):
        return None, None
    file = Path(origin)
    return file, file.parent if file.name == "__init__.py" else None


def _within(folder: Path, part: str) -> tuple[Path | None, Path | None]:
    inner = folder / part
    if (file := inner / "__init__.py").is_file():
        return file, inner
    if (file := folder / f"{part}.py").is_file():
        return file, None
    return None, inner if inner.is_dir() else None


def _of(name: str, path: Path) -> _Source | None:
    try:
        state = path.stat()
        return _read(name, os.fspath(path), state.st_mtime_ns, state.st_size)
    except OSError:
        return None


@functools.lru_cache(maxsize=10 * _FILES)
def _read(name: str, file: str, changed: int, size: int) -> _Source:
    """Read a file, once for each of its states."""
    del changed, size  # they are part of what is remembered
    content = Path(file).read_bytes()
    package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
    try:
        found = imports(ast.parse(content), package)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = ()
    return _Source(hashlib.sha256(content).hexdigest(), found)
