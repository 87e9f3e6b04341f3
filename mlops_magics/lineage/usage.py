"""What a cell may read, bind and change, from its source alone.

Whatever is not certain is told on the side that keeps a cell: a name is read unless a straight line
binds it first, and a name that a branch binds is bound perhaps.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlops_magics.lineage.binding import Binder

_HISTORY = re.compile(r"In|Out|_oh|_ih|_dh|_+|_i+|_i?\d+")


@dataclass(frozen=True, slots=True)
class Seed:
    """A call that certainly seeds a generator before the cell may draw from it.

    Attributes:
        call: What is called, as written.
        name: The name whose value is the seed, or "" where a literal is.
    """

    call: str
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The facts of a cell that its source alone tells.

    Attributes:
        reads: Names read before the cell certainly binds them; those that its functions read count
            where the function is used.
        stores: Names that a cell which succeeds binds for certain.
        maybe: Names that it binds perhaps.
        suspects: Names that it may change in place: receivers and arguments of calls, iterated ones,
            those with a stored attribute or item.
        patched: Names with a stored attribute or item.
        imports: Names that imports bind.
        packages: Modules that imports may give a new attribute.
        calls: What it calls, as written, functions' bodies included; one entry a place.
        seeds: The seeds that it certainly sets before it draws.
        seeders: Functions defined here that seed before anything else, and what they call for it.
        star: Whether it imports names that the source does not tell.
        anything: Whether it may read and change any name.
        always: Why every slice must keep it, or "".
        history: Whether it reads IPython's own record of inputs and outputs.
        entropy: Whether it takes randomness that no seed repeats.
    """

    reads: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    suspects: frozenset[str] = frozenset()
    patched: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    calls: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] = ()
    seeders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    star: bool = False
    anything: bool = False
    always: str = ""
    history: bool = False
    entropy: bool = False


def usage(code: str, transform: Callable[[str], str] = str) -> Usage:
    """Read the facts of a cell.

    Args:
        code: Its source, magics already transformed to calls of ``get_ipython()``.
        transform: Transforms magics; used for the bodies of cell magics.

    Returns:
        The facts; empty ones where the source does not parse: such a cell does nothing.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Usage()
    binder = Binder(transform)
    try:
        binder.block(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Usage(anything=True, always="could not be read", calls=("",))
    return Usage(
        reads=frozenset(binder.reads),
        stores=frozenset(binder.stores),
        maybe=frozenset(binder.maybe - binder.stores),
        suspects=frozenset(binder.suspects),
        patched=frozenset(binder.patched),
        imports=frozenset(binder.imports),
        packages=frozenset(binder.packages),
        calls=tuple(binder.calls),
        seeds=tuple(Seed(*pair) for pair in binder.seeds),
        seeders=_seeders(tree),
        star=binder.star,
        anything=binder.anything,
        always=binder.always,
        history=any(_HISTORY.fullmatch(name) for name in binder.reads),
        entropy=binder.entropy,
    )


def _seeders(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    """Find functions that do nothing before they seed: ``def seed_all(n): random.seed(n)``."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            binder = Binder(str)
            try:
                binder.block(node.body)
            except SyntaxError:  # a ``nonlocal`` that makes no sense outside its function
                continue
            given = _numbers(node.args)
            calls = tuple(call for call, name in binder.seeds if not name or name in given)
            if calls:
                found[node.name] = calls
    return found


def _numbers(arguments: ast.arguments) -> set[str]:
    """List the parameters that are not None unless the caller says so."""
    places = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(places) - len(arguments.defaults))
    pairs = [*zip(places, [*defaults, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {item.arg for item, default in pairs if default is None or _is_value(default)}


def _is_value(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is not None
