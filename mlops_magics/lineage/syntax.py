"""Small questions about a piece of syntax: names at its head, in it, and the order of its parts."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlops_magics.lineage import magics


def dotted(node: ast.AST) -> str:
    """Write ``a.b.c`` as it stands; ".c" where it hangs on something else than a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def root(node: ast.AST) -> str | None:
    """Name the variable at the head of a chain such as ``a.b[c].d(e).f``."""
    while True:
        match node:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                node = inner
            case ast.Await(value=inner) | ast.Call(func=inner):
                node = inner
            case ast.Name(id=name):
                return name
            case _:
                return None


def inside_out(node: ast.expr) -> Iterator[ast.expr]:
    """Yield expressions in the order in which they are worth something, inner scopes left closed."""
    match node:
        case ast.Call() if magics.of_call(node) is not None:
            yield node
            return
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield node
            return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from inside_out(child)
        elif isinstance(child, ast.keyword):
            yield from inside_out(child.value)
    yield node


def loaded(node: ast.expr) -> set[str]:
    """List the names within an expression."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def patched(node: ast.AST) -> set[str]:
    """List names whose attributes or items a function's body stores."""
    found = (
        root(item)
        for item in ast.walk(node)
        if isinstance(item, ast.Attribute | ast.Subscript) and isinstance(item.ctx, ast.Store | ast.Del)
    )
    return {name for name in found if name is not None}


def parents(module: str) -> Iterator[str]:
    """List the packages above a module."""
    parts = module.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts)))
