"""What a cell says, read from its source: the names it reads, the names it binds, its constants."""

from __future__ import annotations

import ast
from dataclasses import dataclass

_FITS = frozenset({"fit", "fit_predict", "fit_transform", "partial_fit"})

Constant = bool | int | float | str


@dataclass(frozen=True, slots=True)
class CellFacts:
    """The facts of a cell that its source alone tells.

    Attributes:
        reads: Names loaded anywhere in it, in order of first appearance.
        binds: Names that a straight-line assignment, import, def, with or for binds, in order.
        constants: Names bound once, at the top level, to a literal: what a reader would call parameters.
        results: Names that the top level binds to something computed, from the first line that fits
            a model on (anywhere, where no line says ``.fit``): where a reader would look for metrics.
    """

    reads: tuple[str, ...]
    binds: tuple[str, ...]
    constants: dict[str, Constant]
    results: tuple[str, ...]


def cell_facts(source: str) -> CellFacts:
    """Read the facts of a cell.

    Args:
        source: Python source, magics already transformed.

    Returns:
        The facts; empty ones where the source does not parse (executing it will say why).
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return CellFacts((), (), {}, ())
    reads: dict[str, None] = {}
    binds: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                reads.setdefault(node.id)
            elif isinstance(node.ctx, ast.Store):
                binds[node.id] = binds.get(node.id, 0) + 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            binds[node.name] = binds.get(node.name, 0) + 1
        elif isinstance(node, ast.alias):
            name = node.asname or node.name.partition(".")[0]
            binds[name] = binds.get(name, 0) + 1
    constants = {name: value for name, value in _literals(tree).items() if binds.get(name) == 1}
    return CellFacts(tuple(reads), tuple(binds), constants, _results(tree, constants))


def _results(tree: ast.Module, constants: dict[str, Constant]) -> tuple[str, ...]:
    fits = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FITS
    ]
    first = min(fits, default=0)
    names = (
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.lineno >= first
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    )
    return tuple(dict.fromkeys(name for name in names if name not in constants))


def _literals(tree: ast.Module) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError):
            continue
        if isinstance(literal, bool | int | float | str):
            found[name] = literal
    return found
