"""Which names of the notebook a piece of code uses, by Python's own rules of scope."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

Inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Scope:
    """The notebook's names that a definition or an expression with a scope of its own uses.

    Attributes:
        now: Names read when the definition is executed: decorators, defaults, a class's body.
        later: Names that its functions read or change when they are called.
        stores: Those of them that its functions bind (``global``).
    """

    now: frozenset[str]
    later: frozenset[str]
    stores: frozenset[str]


def of_definition(node: Inner) -> Scope:
    """Tell the names that a function or a class uses, now and when called."""
    top = symtable.symtable(ast.unparse(node), "<cell>", "exec")
    now = {item.get_name() for item in top.get_symbols() if item.is_referenced()}
    inner = list(top.get_children())
    if isinstance(node, ast.ClassDef):
        for table in inner:  # a class's body runs at once, and falls back on the notebook's names
            now |= {item.get_name() for item in table.get_symbols() if item.is_referenced()}
    return _scope(now, inner)


def of_expression(node: ast.expr) -> Scope:
    """Tell the names that a lambda or a comprehension uses, whenever its parts run."""
    # Within an async function every expression that IPython allows in a cell is allowed.
    text = f"async def _():\n return {ast.unparse(node)}"
    return _scope(set(), symtable.symtable(text, "<cell>", "exec").get_children())


def _scope(now: set[str], inner: list[symtable.SymbolTable]) -> Scope:
    later: set[str] = set()
    stores: set[str] = set()
    for table in _all(inner):
        for item in table.get_symbols():
            if item.is_global():
                later.add(item.get_name())
                if item.is_assigned() or item.is_imported():
                    stores.add(item.get_name())
    return Scope(frozenset(now), frozenset(later), frozenset(stores))


def _all(tables: list[symtable.SymbolTable]) -> Iterator[symtable.SymbolTable]:
    for table in tables:
        yield table
        yield from _all(table.get_children())
