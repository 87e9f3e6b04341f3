"""The digest of any value of a notebook: equal values, equal digests, in every kernel.

Pickle bytes are no digest: they hang on who shares what with whom. Values are walked instead: tables and
arrays by every value in them, functions by their code and the globals that it names, modules by the
version of what ships them (the user's own by their file), other objects by what they would be pickled
from. What cannot be walked is opaque: it is known by its type, and said to be so.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import inspect
import math
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xxhash

from mlops_magics.foundation.digests import array_digest, digest
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.lineage import sources
from mlops_magics.tracking.provenance import pins

_DEPTH = 60
_NODES = 200_000  # values of one name; what is larger is opaque rather than slow
_FLAGS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


class _OpaqueError(Exception):
    """A value that cannot be walked."""


class Fingerprints:
    """Digests of values, and the names of those that have none.

    Args:
        told: The digests of tables and arrays that are known already, by the objects' ids.

    Attributes:
        opaque: The names of the values that have no digest.
    """

    def __init__(self, told: Mapping[int, str] | None = None) -> None:
        self.opaque: set[str] = set()
        self._told = told or {}
        self._nodes = 0
        self._open: dict[int, int] = {}

    def of(self, value: object, name: str) -> str:
        """Digest a value.

        Args:
            value: What a name holds.
            name: The name, to be told where it is opaque.
        """
        self._nodes = 0
        self._open.clear()
        try:
            return self._walked(value)
        except (_OpaqueError, RecursionError):
            self.opaque.add(name)
            return f"opaque:{_named(type(value))}"

    def _walked(self, value: Any) -> str:  # noqa: ANN401 - any value of a notebook
        self._nodes += 1
        if self._nodes > _NODES or len(self._open) > _DEPTH:
            raise _OpaqueError
        if isinstance(value, _PLAIN):
            return f"{type(value).__name__}:{value!r}" if type(value) in _PLAIN else self._reduced(value)
        if id(value) in self._open:  # a circle: told by how far up it closes
            return f"circle:{self._open[id(value)]}"
        self._open[id(value)] = len(self._open)
        try:
            return self._walked_inside(value)
        finally:
            del self._open[id(value)]

    def _walked_inside(self, value: Any) -> str:  # noqa: ANN401 - as above
        match value:
            case types.ModuleType():
                return f"module:{_of_module(value)}"
            case types.FunctionType():
                return self._of_function(value)
            case type():
                return self._of_class(value)
            case types.BuiltinFunctionType() if " at 0x" not in repr(value):
                return f"builtin:{value!r}"
        if kind_of(value) is not None:
            return f"table:{self._told.get(id(value)) or digest(Frame.of(value, 'value'))}"
        return (
            f"array:{self._told.get(id(value)) or array_digest(value)}"
            if _is_array(value)
            else self._of_container(value)
        )

    def _of_container(self, value: Any) -> str:  # noqa: ANN401 - as above
        kind = type(value)
        if kind in {list, tuple}:
            return _joined(kind.__name__, map(self._walked, value))
        if kind is dict:
            return _joined(
                "dict", (f"{self._walked(key)}={self._walked(item)}" for key, item in value.items())
            )
        if kind in {set, frozenset}:
            return _joined(kind.__name__, sorted(map(self._walked, value)))
        return self._reduced(value)

    def _of_function(self, function: types.FunctionType) -> str:
        if not _users(function.__module__):
            return f"function:{function.__module__}.{function.__qualname__};{_owner(function.__module__)}"
        parts = [self._of_code(function.__code__), self._walked(function.__defaults__)]
        parts.append(self._walked(function.__kwdefaults__))
        parts += [self._walked(_content(cell)) for cell in function.__closure__ or ()]
        held = function.__globals__
        parts += [
            f"{name}={self._walked(held[name])}" for name in _global_names(function.__code__) if name in held
        ]
        return _joined("function", parts)

    def _of_code(self, code: types.CodeType) -> str:
        """Digest what code does, without where it stands: lines, names of files, docstrings."""
        parts = [repr((code.co_argcount, code.co_kwonlyargcount, code.co_flags & _FLAGS, code.co_varnames))]
        for item in dis.get_instructions(code):  # constants by value: their places hang on a docstring
            held = item.argval
            if isinstance(held, types.CodeType):
                parts.append(f"{item.opname}:{self._of_code(held)}")
            else:
                parts.append(f"{item.opname}:{type(held).__name__}:{held!r}")
        return _joined("code", parts)

    def _of_class(self, cls: type) -> str:
        if not _users(cls.__module__):
            return f"class:{_named(cls)};{_owner(cls.__module__)}"
        parts = [self._walked(base) for base in cls.__bases__]
        skipped = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__annotations__"}
        for name, item in sorted(cls.__dict__.items()):
            if name not in skipped and not name.startswith("_abc"):
                inner = getattr(item, "__func__", None) or getattr(item, "fget", None) or item
                parts.append(f"{name}={self._walked(inner)}")
        return _joined(f"class:{cls.__qualname__}", parts)

    def _reduced(self, value: Any) -> str:  # noqa: ANN401 - as above
        """Digest an object by what it would be pickled from, without pickling it."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            state = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:
            raise _OpaqueError from error
        if isinstance(state, str):  # a global of its module
            return f"global:{type(value).__module__}.{state}"
        made, arguments, *rest = state
        parts = [self._walked(made), self._walked(arguments)]
        for item in rest:
            # The items of a list or a dict come from iterators of their own, made for this call.
            listed = list(item) if isinstance(item, Iterator) else item
            parts.append(self._walked(listed))
        return _joined(_named(type(value)), parts)


def _joined(kind: str, parts: Any) -> str:  # noqa: ANN401 - strings
    total = xxhash.xxh3_128(kind.encode())
    for part in parts:
        total.update(b";" + part.encode(errors="backslashreplace"))
    return f"{kind}:{total.hexdigest()}"


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _global_names(code: types.CodeType) -> list[str]:
    names = set(code.co_names)
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            names.update(_global_names(item))
    return sorted(names)


@functools.cache
def _users(module: str | None) -> bool:
    """Tell whether a module is the notebook or a file of the user's own, not something installed."""
    if module is None or module == "__main__":
        return True
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and not pins([top])


@functools.cache
def _owner(module: str | None) -> str:
    return ",".join(pins([module])) if module else ""


def _of_module(module: types.ModuleType) -> str:
    name = module.__name__
    if not _users(name):
        return f"{name};{_owner(name)}"
    if found := sources.digest([name]):
        return f"{name};{found}"
    file = getattr(module, "__file__", None)
    try:
        return f"{name};{hashlib.sha256(Path(file).read_bytes()).hexdigest()}" if file else name
    except OSError:
        return name


def _is_array(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def outcome(
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tables: Mapping[str, str],
    answers: object = None,
) -> str:
    """Digest what came of a cell: equal outcomes of equal keys are one run.

    Times are no part of it, nor is an estimator's whole state, which may hold times: its answers are.

    Args:
        params: Parameters, as text.
        metrics: Metrics; twelve digits count.
        tables: The digests of the tables it made.
        answers: A numeric or other array of the model's answers; nine digits count.
    """
    shown = ("nan" if math.isnan(value) else f"{value:.12g}" for value in metrics.values())
    parts = [repr(sorted(params.items())), repr(list(zip(metrics, shown, strict=True)))]
    parts += [repr(sorted(tables.items())), _rounded(answers)]
    return _joined("outcome", parts).partition(":")[2]


def _rounded(answers: Any) -> str:  # noqa: ANN401 - an array or None
    if answers is None:
        return "none"
    import numpy as np

    values = np.asarray(answers)
    if values.dtype.kind == "f":
        parts, powers = np.frexp(values.astype(np.float64))
        values = np.ldexp(np.round(parts, 9), powers)
    return array_digest(values)
