"""What a user's function does, read from its code: its text, the names it uses and changes."""

from __future__ import annotations

import dis
import functools
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_magics.lineage import lore
from mlops_magics.lineage.files import installed

OF_CLASSES = frozenset(
    {
        "__dict__", "__weakref__", "__doc__", "__module__", "__static_attributes__", "__firstlineno__",
        "__annotations__", "__annotate_func__", "__annotations_cache__", "_abc_impl", "__abstractmethods__",
        "__orig_bases__", "__slotnames__", "__parameters__", "__type_params__",
    }
)  # fmt: skip
_GLOBALS = {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM", "IMPORT_NAME", "STORE_ATTR", "DELETE_ATTR"}
_CHANGES = {"STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR"}


@dataclass(frozen=True, slots=True)
class Code:
    """Facts of a function's code and of the functions within it.

    Attributes:
        text: What it does, without where it stands.
        names: Global names that it loads, stores or deletes.
        attributes: Attributes that it looks up.
        patched: Global names that it may store an attribute or an item of.
    """

    text: str
    names: frozenset[str]
    attributes: frozenset[str]
    patched: frozenset[str]


@functools.lru_cache(maxsize=2_000)
def of_code(code: types.CodeType) -> Code:
    """Read the facts of a function's code."""
    names: set[str] = set()
    attributes: set[str] = set()
    patched: set[str] = set()
    parts = [repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames))]
    parts.append(repr((code.co_flags, code.co_freevars, code.co_exceptiontable)))
    instructions = list(dis.get_instructions(code))
    for item in instructions:
        held = item.argval
        if isinstance(held, types.CodeType):
            inner = of_code(held)
            parts.append(inner.text)
            names |= inner.names
            attributes |= inner.attributes
            patched |= inner.patched
            continue
        if item.opname in _GLOBALS:
            names.add(held)
        elif item.opname in _ATTRIBUTES:
            attributes.add(held)
        parts.append(f"{item.opname}:{_written(held)}")
    if lore.reads_text(attributes):  # ``@name`` in a query, a table's name in SQL
        texts = (item.argval for item in instructions if isinstance(item.argval, str))
        names.update(word for text in texts for word in re.findall(r"[^\W\d]\w*", text))
    patched |= set(_patched(instructions))
    return Code("\n".join(parts), frozenset(names), frozenset(attributes), frozenset(patched))


def _patched(instructions: list[dis.Instruction]) -> Iterator[str]:
    """Find ``NAME.a.b = value`` and ``NAME.a[key] = value`` of global names."""
    for place, item in enumerate(instructions):
        if item.opname not in _CHANGES:
            continue
        back = place - 1 if item.opname.endswith("_ATTR") else place - 2  # an item's key comes last
        while back > 0 and instructions[back].opname in {"LOAD_ATTR", "LOAD_METHOD", "PUSH_NULL"}:
            back -= 1
        if back >= 0 and instructions[back].opname in _GLOBALS:
            yield instructions[back].argval


def _written(held: Any) -> str:  # noqa: ANN401 - an instruction's argument
    value = sorted(map(repr, held)) if isinstance(held, frozenset) else held
    return f"{type(held).__name__}:{value!r}"


def users(function: types.FunctionType, namespace: Mapping[str, object]) -> bool:
    """Tell whether a function is the notebook's or of a file of the user's own."""
    return function.__globals__ is namespace or users_module(function.__module__)


@functools.lru_cache(maxsize=2_000)
def users_module(name: str | None) -> bool:
    """Tell whether a module is the notebook or a file of the user's own, not something installed."""
    if name is None or name == "__main__":
        return True
    if name.partition(".")[0] in sys.stdlib_module_names or name.startswith("mlops_magics"):
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not installed(file)


def behind(item: object) -> tuple[object, ...]:
    """Return what a class's attribute runs: the functions behind properties and bound descriptors."""
    if isinstance(item, staticmethod | classmethod):
        return (item.__func__,)
    if isinstance(item, property):
        return (item.fget, item.fset, item.fdel)
    if isinstance(item, functools.cached_property):
        return (item.func,)
    if isinstance(item, types.MemberDescriptorType | types.GetSetDescriptorType):
        return (item.__name__,)
    return (item,)
