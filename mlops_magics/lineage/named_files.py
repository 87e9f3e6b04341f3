"""Files that cells need and no audit event tells of: what ``read_parquet`` is given, imported modules."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlops_magics.lineage import lore, sources

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
    """Find the files of the user's own modules that cells import, with all that these import in turn.

    Args:
        codes: The cells as Python.
    """
    names: list[str] = []
    for code in codes:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            names += sources.imports(ast.parse(code))
    return sources.files(names)


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
