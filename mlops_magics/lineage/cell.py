"""What a cell says, read from its source: the names it reads, the names it binds, its constants."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mlops_magics.lineage.identity import exposed

_FITS = frozenset({"fit", "fit_predict", "fit_transform", "partial_fit", "train"})

Constant = bool | int | float | str


@dataclass(frozen=True, slots=True)
class CellFacts:
    """The facts of a cell that its source alone tells.

    Attributes:
        reads: Names loaded anywhere in it, in order of first appearance.
        needs: Those of them that it reads before it binds them: what it takes from other cells.
        binds: Names that it binds anywhere, by whatever statement, in order.
        constants: Names bound once, at the top level, to a literal: what a reader would call parameters.
        results: Names that the top level binds to something computed, from the first line that fits
            a model on (anywhere, where no line says ``.fit``): where a reader would look for metrics.
    """

    reads: tuple[str, ...]
    needs: tuple[str, ...]
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
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: a null byte, before 3.12
        return CellFacts((), (), (), {}, ())
    binds = Counter(_bound(tree))
    constants = {name: value for name, value in _literals(tree).items() if binds[name] == 1}
    reads = tuple(dict.fromkeys(_read(tree)))
    first = exposed(tree)
    needs = tuple(name for name in reads if name in first)
    return CellFacts(reads, needs, tuple(binds), constants, _results(tree, constants))


def _read(tree: ast.Module) -> Iterator[str]:
    for node in _in_order(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in _in_order(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name
            case ast.alias(name="*"):
                pass
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]


def _in_order(tree: ast.Module) -> list[ast.AST]:
    """Return the nodes as they stand in the source (``ast.walk`` goes level by level)."""
    return sorted(
        ast.walk(tree), key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
    )


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
