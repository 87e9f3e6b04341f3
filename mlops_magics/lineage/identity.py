"""The identity of a cell: equal keys mean the same code on the same values.

A key is made of the cell's syntax tree (so comments and formatting do not count), of the values of the
names that it reads before it binds them, and of the user's own modules that it imports. Values, not the
cells that made them: whatever changed them, one changed value gives another key, and a new kernel, a file
read again or another place gives the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import xxhash

from mlops_magics.lineage import sources
from mlops_magics.lineage.values import Fingerprints

_VERSION = "1"  # another way of making keys makes other keys
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Key:
    """A cell's identity.

    Attributes:
        digest: 32 hexadecimal digits.
        opaque: The names whose values have no digest; they are in the key by their type only.
        reads: The digests of the values that it reads, by name. Texts are left out: a short one could be
            guessed from its digest.
    """

    digest: str
    opaque: tuple[str, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)


def key(
    source: str,
    namespace: Mapping[str, object],
    *,
    asked: Iterable[object] = (),
    told: Mapping[int, str] | None = None,
) -> Key:
    """Make the key of a cell that is about to be executed.

    Args:
        source: Python source, magics already transformed.
        namespace: The notebook's names.
        asked: What else makes it another run: the options it was given.
        told: The digests of tables and arrays that are known already, by the objects' ids.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Key(_hashed([_VERSION, source]))
    prints = Fingerprints(told or {})
    own = sources.digest(
        sources.imports(tree)
    )  # of modules that the cell itself imports, so that no name holds
    parts = [_VERSION, normalised(tree), *map(repr, asked), *([f"imports={own}"] if own else [])]
    held = sorted(name for name in exposed(tree) if name in namespace)
    values = {name: prints.of(namespace[name], name) for name in held}
    parts += [f"{name}={value}" for name, value in values.items()]
    told_apart = {
        name: _hashed([value])
        for name, value in values.items()
        if not isinstance(namespace[name], str | bytes) and name not in prints.opaque
    }
    return Key(_hashed(parts), tuple(sorted(prints.opaque)), told_apart)


def normalised(tree: ast.Module) -> str:
    """Write a cell's syntax without what does not matter: layout, comments, docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def exposed(tree: ast.Module) -> frozenset[str]:
    """List the names that a cell reads before it binds them.

    A binding anywhere above counts, whether its branch is taken or not: a key that hung on whether
    the cell ran before would be another one the second time.
    """
    found: set[str] = set()
    known: set[str] = set()
    inner: set[str] = set()
    for statement in tree.body:
        _read(statement, known, found, inner)
    return frozenset(found | (inner - known))


def _read(node: ast.AST, known: set[str], found: set[str], inner: set[str]) -> None:
    """Walk a node in the order of execution: values before the targets that they are bound to."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            found.update({name} - known)
        case ast.Name(id=name):
            known.add(name)
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            _read(value, known, found, inner)
            found.update({name} - known)
            known.add(name)
        case ast.alias(name=name, asname=other):
            known.add(other or name.partition(".")[0])
        case _ if isinstance(node, _SCOPES):
            _read_scope(node, known, found, inner)
        case _:
            inside = known
            if isinstance(node, _COMPREHENSIONS):
                inside = known | {name.id for part in node.generators for name in _names(part.target)}
            for child in _ordered(node):
                _read(child, inside, found, inner)


def _read_scope(node: Any, known: set[str], found: set[str], inner: set[str]) -> None:  # noqa: ANN401 - four kinds
    """Read what is done where a function or a class is defined; its body reads names when it is called."""
    for outside in (*getattr(node, "decorator_list", ()), *getattr(node, "bases", ()), *_defaults(node)):
        _read(outside, known, found, inner)
    body = node.body if isinstance(node.body, list) else [node.body]
    bound = {name.id for part in body for name in _names(part) if not isinstance(name.ctx, ast.Load)}
    bound |= {item.arg for item in ast.walk(getattr(node, "args", ast.Pass())) if isinstance(item, ast.arg)}
    used = {name.id for part in body for name in _names(part) if isinstance(name.ctx, ast.Load)}
    inner |= used - bound
    if not isinstance(node, ast.Lambda):
        known.add(node.name)


def _defaults(node: Any) -> Iterator[ast.AST]:  # noqa: ANN401 - a node with arguments or none
    arguments = getattr(node, "args", None)
    if isinstance(arguments, ast.arguments):
        yield from arguments.defaults
        yield from (item for item in arguments.kw_defaults if item is not None)


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (item for item in ast.walk(node) if isinstance(item, ast.Name))


def _ordered(node: ast.AST) -> list[ast.AST]:
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        children.reverse()  # the value comes first
    if isinstance(node, ast.For | ast.AsyncFor):
        children[0], children[1] = children[1], children[0]  # what is iterated comes before the target
    return children


def _hashed(parts: Iterable[str]) -> str:
    total = xxhash.xxh3_128()
    for part in parts:
        encoded = part.encode(errors="backslashreplace")
        total.update(len(encoded).to_bytes(8, "little"))
        total.update(encoded)
    return str(total.hexdigest())
