"""Write a slice down as a Python script and as a notebook that make the target again."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import orjson
import xxhash

from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.execution import Executed

_SHELL = (
    "import sys\n\n"
    "from IPython.core.interactiveshell import InteractiveShell\n\n"
    "InteractiveShell.instance(user_module=sys.modules['__main__'], user_ns=globals())\n"
)
_DISPLAY = "from IPython.display import display\n"
_INSTALLS = re.compile(
    r"^get_ipython\(\)\.(?:run_line_magic\('(?:pip|conda|mamba|uv)'|system\('\s*(?:pip|conda|uv)\b)"
)
_TRACKS = re.compile(r"^get_ipython\(\)\.run_line_magic\('mlops_track'")


def script(found: Slice, *, transform: Callable[[str], str] | None = None) -> str:
    """Write a slice as a script.

    Magics are written as the calls that they stand for, in a shell without a notebook. Lines that
    install packages or turn tracking on are comments: the script makes the target, nothing else.

    Args:
        found: The slice.
        transform: Turns the source of a tracked cell's body into Python; none where None.

    Returns:
        Python source.
    """
    cells = [_cell(item, transform) for item in found.executions]
    futures = sorted({line for _, lines in cells for line in lines})
    bodies = [body for body, _ in cells]
    whole = "\n".join(bodies)
    head = [f'"""Makes {", ".join(found.targets)}: {len(cells)} of the {found.of} cells that had run."""\n']
    head += ["\n".join(futures) + "\n"] if futures else []
    if re.search(r"^(?!\s*#).*get_ipython\(\)", whole, re.MULTILINE):
        head.append(_SHELL)
    if re.search(r"\bdisplay\(", whole):
        head.append(_DISPLAY)
    return "\n".join([*head, *bodies])


def notebook(found: Slice) -> str:
    """Write a slice as a notebook, in format 4.5: the cells as the user wrote them.

    A cell that failed half way is marked so that a run goes on after it.

    Args:
        found: The slice.

    Returns:
        JSON.
    """
    cells = [
        {
            "cell_type": "code",
            "id": str(xxhash.xxh3_64_hexdigest(f"{item.number};{item.source}".encode(errors="replace"))),
            "metadata": {} if item.ok else {"tags": ["raises-exception"]},
            "execution_count": None,
            "outputs": [],
            "source": item.source.splitlines(keepends=True),
        }
        for item in found.executions
    ]
    page = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return orjson.dumps(page, option=orjson.OPT_INDENT_2).decode() + "\n"


def awaits(found: Slice) -> bool:
    """Tell whether a kept cell awaits at its top level, which only a notebook can."""
    return any(_awaits(item.code) for item in found.executions)


def _awaits(code: str) -> bool:
    try:
        compile(code, "<cell>", "exec")
    except SyntaxError:
        try:
            compile(code, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError:
            return False
        return True
    return False


def _cell(item: Executed, transform: Callable[[str], str] | None) -> tuple[str, list[str]]:
    """Write a cell; return it and its imports from ``__future__``, which must stand first."""
    body, futures = python(item, transform)
    if not body:  # it did nothing but fail
        return "", []
    if not item.ok:
        body = _swallowed(body)
    return f"# %% [{item.number + 1}]\n{body}\n", futures


def python(item: Executed, transform: Callable[[str], str] | None) -> tuple[str, list[str]]:
    """Write a cell as Python, without the lines that install packages or turn tracking on.

    Args:
        item: The cell.
        transform: Turns the source of a tracked cell's body into Python; none where None.

    Returns:
        The code, "" where it is none, and the imports from ``__future__`` that were taken out of it.
    """
    code = _untracked(item.code, transform)
    tree = _parsed(code)
    if tree is None:
        return "", []
    if _plain(item, code):
        code = item.source
    lines = code.splitlines()
    futures = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            futures.append(ast.unparse(node))
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
    commented = _commented(tree)
    lines = [f"# {line}" if place + 1 in commented else line for place, line in enumerate(lines)]
    return "\n".join(lines).rstrip(), futures


def _parsed(code: str) -> ast.Module | None:
    try:  # a cell that awaits at its top level parses as any other
        return ast.parse(code)
    except (SyntaxError, ValueError):
        return None


def _plain(item: Executed, code: str) -> bool:
    """Tell whether what the user wrote is Python as it stands."""
    if code != item.code:
        return False
    try:
        return ast.dump(ast.parse(item.source)) == ast.dump(ast.parse(item.code))
    except (SyntaxError, ValueError):
        return False


def _untracked(code: str, transform: Callable[[str], str] | None) -> str:
    """Open a tracked cell: its body is what made the target."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return code
    match tree.body:
        case [ast.Expr(value=ast.Call(func=ast.Attribute(attr="run_cell_magic"), args=[name, _, body]))]:
            pass
        case _:
            return code
    if isinstance(name, ast.Constant) and isinstance(body, ast.Constant) and name.value == "mlops_track":
        text = str(body.value)
        return transform(text) if transform is not None else text
    return code


def _commented(tree: ast.Module) -> set[int]:
    found: set[int] = set()
    for node in tree.body:
        text = ast.unparse(node)
        if _INSTALLS.match(text) or _TRACKS.match(text):
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _swallowed(body: str) -> str:
    """Write a cell that failed so that the script goes on after it, as the notebook did."""
    tree = ast.parse(body)
    if not tree.body:
        return body
    caught = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [ast.Pass()])
    whole = ast.Module([ast.Try(tree.body, [caught], [], [])], [])
    return "# It failed when it ran; what it did before that counts.\n" + ast.unparse(
        ast.fix_missing_locations(whole)
    )
