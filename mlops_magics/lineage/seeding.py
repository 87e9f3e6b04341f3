"""With what the global random generators were seeded, where cells say so."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mlops_magics.lineage import chance, lore, magics

_UNSEEDED_TORCH: Final = 67_280_421_310_721  # the seed of a generator that nobody has seeded


def seeds(code: str, namespace: Mapping[str, object]) -> dict[str, str]:
    """Say how each global generator was seeded last: by the cell, or by one before it.

    Only calls that stand in cells are known, not those within functions; what is not known is left out.

    Args:
        code: The cell, as plain Python.
        namespace: The notebook's names, with ``In``, the cells that were executed.

    Returns:
        The call and where it stands, by generator: ``random``, ``numpy``, ``torch``.
    """
    found = {name: f"{call} in an earlier cell" for name, call in _earlier(namespace).items()}
    # The cell itself may stand among those that were executed.
    found |= {name: f"{call} in this cell" for name, call in _calls(code, namespace)}
    if "torch" not in found and (seed := _of_torch()) is not None:
        found["torch"] = str(seed)
    return dict(sorted(found.items()))


def _earlier(namespace: Mapping[str, object]) -> dict[str, str]:
    cells = namespace.get("In")
    found: dict[str, str] = {}
    for cell in list(cells) if isinstance(cells, Sequence) else ():
        if isinstance(cell, str):
            found.update(_calls(cell, namespace))
    return found


def _calls(code: str, namespace: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if "seed" not in code:
        return
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in _executed(tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        if (magic := magics.of_call(node)) is not None:
            yield from _calls(magic.body or "", namespace)
            continue
        call = ast.unparse(node.func)
        root = namespace.get(call.partition(".")[0])
        if (name := lore.seeded_by(chance.full_name(root, call))) is not None:
            yield name, f"{call}({ast.unparse(node.args[0])})"


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a cell without the bodies of functions: whether those are called is not known."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _executed(child)


def _of_torch() -> int | None:
    with contextlib.suppress(Exception):  # half imported, or another module of that name
        seed = sys.modules["torch"].initial_seed()
        return None if seed == _UNSEEDED_TORCH else int(seed)
    return None
