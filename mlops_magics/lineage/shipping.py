"""The user's own classes and functions that a model needs, written as one module that stands alone.

Their sources are taken from the cells and files that defined them. What they name is followed: imports are
written as imports, constants as constants, other definitions of the user as definitions. Whatever else they
read (a table, an open file) cannot go along and is named.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import symtable
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from mlops_magics.artifact.shipped import Shipped
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.masking import masked, masked_value
from mlops_magics.lineage.functions import users_module

_HEAD: Final = '"""What a model needs of its notebook; imported only where that was agreed to."""\n'
_PLAIN: Final = (bool, int, float, str, bytes, tuple, list, dict, set)
_LONG: Final = 10_000  # characters of a constant
_DEFINITIONS: Final = (ast.FunctionDef, ast.ClassDef)


def shipped(wanted: Iterable[str], namespace: Mapping[str, Any]) -> Shipped:
    """Write the definitions of a user as a module.

    Args:
        wanted: Their full names, such as ``__main__.Doubled`` and ``helpers.scale``.
        namespace: The notebook's names.

    Returns:
        The module.

    Raises:
        RefusedError: One of them is not the user's own, has no source, or reads what cannot go along.
    """
    module = _Module(namespace)
    moved = {}
    for full in wanted:
        home, _, name = full.rpartition(".")
        if not users_module(home):
            _refuse(f"{full} is not on the trust list, and no code of your own.")
        names = module.names(home)
        if not isinstance(names.get(name), type | types.FunctionType):
            _refuse(f"{full} is no class and no function at the top of your notebook or module.")
        module.define(name, names[name], names)
        moved[full] = name
    return Shipped.of(module.text(), moved)


def _refuse(what: str) -> NoReturn:
    raise RefusedError(
        f"Your code cannot go along with the model: {what}",
        "Write it as a def or a class that takes what it needs as arguments, or say --allow-pickle.",
    )


@dataclass
class _Module:
    """A module while it is written.

    Attributes:
        namespace: The notebook's names.
        held: What each name of the module stands for.
        imports: Its imports.
        body: Its constants and definitions, in order.
    """

    namespace: Mapping[str, Any]
    held: dict[str, Any] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    body: list[str] = field(default_factory=list)

    def names(self, home: str) -> Mapping[str, Any]:
        """Return the names of the notebook or of a module."""
        return self.namespace if home == "__main__" else vars(sys.modules[home])

    def text(self) -> str:
        """Write the whole module."""
        imports = "".join(f"{line}\n" for line in sorted(self.imports))
        return "\n".join(filter(None, (_HEAD, imports, "\n\n".join(self.body) + "\n")))

    def define(self, name: str, item: Any, names: Mapping[str, Any]) -> None:  # noqa: ANN401 - any object
        """Add a class or a function, after what it needs."""
        if not self._new(name, item):
            return
        if getattr(item, "__closure__", None):
            _refuse(f"{name} holds values of the function that it was made in.")
        source = _source(item, name)
        if masked(source) != source:
            _refuse(f"a secret stands in {name}.")
        for used in _globals(source):
            if used in names and used != name:
                self._need(used, names[used], name, names)
        self.body.append(source)
        if item.__name__ != name:
            self.body.append(f"{name} = {item.__name__}")

    def _new(self, name: str, item: Any) -> bool:  # noqa: ANN401 - same
        if name in self.held and self.held[name] is not item:
            _refuse(f"two different things are called {name}.")
        fresh = name not in self.held
        self.held[name] = item
        return fresh

    def _need(self, name: str, item: Any, by: str, names: Mapping[str, Any]) -> None:  # noqa: ANN401 - same
        """Add what a definition reads."""
        if getattr(builtins, name, None) is item:
            return
        if isinstance(item, types.ModuleType):
            self._module(name, item, by)
        elif isinstance(item, type | types.FunctionType) and users_module(item.__module__):
            home = self.names(item.__module__) if item.__module__ in {"__main__", *sys.modules} else names
            self.define(name, item, home)
        elif (line := _import(name, item)) is not None:
            self._new(name, item)
            self.imports.add(line)
        elif _constant(item):
            if masked_value(name, str(item)) != str(item):
                _refuse(f"{by} reads {name}, which looks like a secret.")
            if self._new(name, item):
                self.body.append(f"{name} = {item!r}")
        else:
            _refuse(f"{by} reads {name}, {type(item).__name__} of the notebook.")

    def _module(self, name: str, item: types.ModuleType, by: str) -> None:
        if users_module(item.__name__):
            _refuse(f"{by} reads your module {name} as a whole: write from {item.__name__} import ...")
        self._new(name, item)
        self.imports.add(f"import {item.__name__}" + ("" if item.__name__ == name else f" as {name}"))


def _import(name: str, item: Any) -> str | None:  # noqa: ANN401 - any object
    """Write the import of what a package defines."""
    home, own = getattr(item, "__module__", None), getattr(item, "__name__", None)
    if not isinstance(home, str) or not isinstance(own, str) or users_module(home):
        return None
    if getattr(sys.modules.get(home), own, None) is not item:
        return None
    return f"from {home} import {own}" + ("" if own == name else f" as {name}")


def _constant(item: Any) -> bool:  # noqa: ANN401 - any object
    written = repr(item) if item is None or isinstance(item, _PLAIN) else ""
    if not written or len(written) > _LONG:
        return False
    try:
        return bool(ast.literal_eval(written) == item)
    except (ValueError, SyntaxError):
        return False


def _globals(source: str) -> set[str]:
    """Name the globals that a definition reads."""
    return set(_read(symtable.symtable(source, "shipped", "exec"), top=True))


def _read(table: symtable.SymbolTable, *, top: bool) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _read(child, top=False)


def _source(item: Any, name: str) -> str:  # noqa: ANN401 - a class or a function
    """Find the lines that defined a class or a function."""
    own = item.__name__
    for file in _files(item):
        lines = linecache.getlines(file)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        found = [node for node in tree.body if isinstance(node, _DEFINITIONS) and node.name == own]
        if found:
            node = found[-1]
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "".join(lines[first - 1 : node.end_lineno]).rstrip("\n") + "\n"
    _refuse(f"the source of {name} is not known: it is no def and no class at the top of a cell.")


def _files(item: Any) -> Iterator[str]:  # noqa: ANN401 - a class or a function
    """Name the files and cells that may have defined something, the likeliest first."""
    parts = (item, *vars(item).values()) if isinstance(item, type) else (item,)
    for part in parts:
        code = getattr(getattr(part, "__func__", part), "__code__", None)
        if code is not None:
            yield code.co_filename
    if item.__module__ != "__main__":
        yield str(getattr(sys.modules.get(item.__module__), "__file__", ""))
    elif isinstance(item, type):  # one without a method of its own: the newest cell that defines it
        yield from reversed([file for file in linecache.cache if "site-packages" not in file])
