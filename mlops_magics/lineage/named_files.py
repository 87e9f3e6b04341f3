"""Files that cells need and no audit event tells of: what ``read_parquet`` is given, imported modules."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlops_magics.lineage import lore
from mlops_magics.lineage.functions import users_module

_WORDS = {"path", "source", "paths", "path_or_buf", "filepath", "filename"}


def named_files(code: str, namespace: Mapping[str, object], folder: Path) -> Iterator[Path]:
    """Find the files that calls of such readers are given: a text, a name that holds one, ``FOLDER / "x"``.

    Nothing is evaluated. What is put together in another way is not found.

    Args:
        code: The cell as Python.
        namespace: The notebook's names.
        folder: The folder that relative paths start from.

    Yields:
        Files that are there.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and lore.reads_unseen(_dotted(node.func)):
            given = [*node.args[:1], *(item.value for item in node.keywords if item.arg in _WORDS)]
            for text in filter(None, (_path(item, namespace) for item in given)):
                path = folder / text
                if path.is_file():
                    yield path


def own_modules(codes: Iterable[str]) -> set[str]:
    """Find the files of the user's own modules that cells import, and that these modules use in turn.

    Args:
        codes: The cells as Python.
    """
    open_ = [name for code in codes for name in _imported(code)]
    seen: set[str] = set()
    files: set[str] = set()
    while open_:
        name = open_.pop()
        module = sys.modules.get(name)
        if name in seen or module is None or not users_module(name) or name == "__main__":
            continue
        seen.add(name)
        file = getattr(module, "__file__", None) or ""
        if file.endswith(".py"):
            files.add(file)
        open_ += [name.rpartition(".")[0], *_used(module)]
    return files


def _imported(code: str) -> Iterator[str]:
    """Name the modules of a cell's imports; of ``from a import b``, ``b`` may be one too."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{item.name}" for item in node.names)


def _used(module: types.ModuleType) -> Iterator[str]:
    """Name the modules that a module's names come from."""
    for value in tuple(vars(module).values()):
        name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str):
            yield name


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return ""


def _path(node: ast.expr, namespace: Mapping[str, object]) -> str:
    """Read a path off an expression; "" where it is none that is known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(held := namespace.get(name), str | Path):
            return str(held)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            first, second = _path(left, namespace), _path(right, namespace)
            return str(Path(first) / second) if first and second else ""
        case ast.Call(args=[only]) if _dotted(node.func).endswith("Path"):
            return _path(only, namespace)
    return ""
