"""What an object holds now: a digest of all of it, the mutable parts it shares, the names it will read.

Nothing of an object is sampled. What cannot be digested, or not in the time allowed, is opaque: who
asks must take it for changed.
"""

from __future__ import annotations

import copyreg
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from mlops_magics.lineage import blocks, functions
from mlops_magics.lineage.files import installed
from mlops_magics.lineage.lore import MAPPED

_LOOK = 64  # objects between two looks at the clock
_NUMBERS = frozenset("biufc")  # the kinds of numpy whose memory can be read as it lies
_PLAIN = frozenset(
    {type(None), bool, int, float, complex, str, bytes, range, slice, type(Ellipsis), type(NotImplemented)}
)
_BY_NAME = frozenset(  # immutable, told apart by what they write of themselves
    {
        "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
        "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "pathlib.PosixPath", "pathlib.WindowsPath",
        "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "re.Pattern", "zoneinfo.ZoneInfo",
    }
)  # fmt: skip
_FILES = ("_io.", "sqlite3.", "duckdb", "_duckdb", "h5py.", "tables.", "zipfile.", "tempfile.", "tarfile.")
_NEVER = ("matplotlib.", "IPython.", "ipykernel.", "mlflow.", "threading", "_thread", "socket")


class OpaqueError(Exception):
    """An object has no digest."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a walk over an object saw.

    Attributes:
        digest: Of all that it holds.
        ids: Of its mutable parts.
        buffers: Where the memory of its arrays lies: first byte, byte after the last.
        names: The notebook's names that functions within it read or write.
        calls: What those functions call, by last name.
        patched: The notebook's names whose attributes those functions store.
        roots: Top-level packages of what it holds.
        opaque: Why it has no digest, or "".
        complete: Whether all of it was walked; what was not walked may hold anything.
        seconds: How long the walk took.
    """

    digest: str
    ids: frozenset[int]
    buffers: tuple[tuple[int, int], ...]
    names: frozenset[str]
    calls: frozenset[str]
    patched: frozenset[str]
    roots: frozenset[str]
    opaque: str
    complete: bool
    seconds: float


def walk(
    value: object, namespace: Mapping[str, object], *, until: float = float("inf"), tables: bool = True
) -> Seen:
    """Walk over an object.

    Args:
        value: Any object.
        namespace: The notebook's names: functions that use them are told from those of modules.
        until: When to give up, by ``time.perf_counter``.
        tables: Whether the memory of pandas' tables counts, not only the tables themselves.
    """
    return Walk(namespace, until, tables=tables).seen(value)


class Walk:
    """One walk.

    Args:
        namespace: The notebook's names.
        until: When to give up, by ``time.perf_counter``.
        tables: Whether the memory of pandas' tables counts, not only the tables themselves.
    """

    def __init__(self, namespace: Mapping[str, object], until: float, *, tables: bool = True) -> None:
        self._hash = xxhash.xxh3_128()
        self._namespace = namespace
        self._until = until
        self._tables = tables
        self._memo: dict[int, int] = {}
        self._held: list[object] = []  # what a reduction made lives as long as its id is compared
        self._count = 0
        self._opaque = ""
        self._ids: set[int] = set()
        self._buffers: list[tuple[int, int]] = []
        self._names: set[str] = set()
        self._calls: set[str] = set()
        self._patched: set[str] = set()
        self._roots: set[str] = set()

    def seen(self, value: object) -> Seen:
        """Walk over an object and sum up."""
        start = time.perf_counter()
        complete = True
        try:
            self._value(value)
        except (TimeoutError, RecursionError, MemoryError) as error:
            self._opaque, complete = f"too large ({type(error).__name__})", False
        except Exception as error:  # noqa: BLE001 - a stranger's reduction
            self._opaque, complete = f"{type(error).__name__}: {error}", False
        finally:
            self._held.clear()
        return Seen(
            str(self._hash.hexdigest()),
            frozenset(self._ids),
            tuple(self._buffers),
            frozenset(self._names),
            frozenset(self._calls),
            frozenset(self._patched),
            frozenset(self._roots),
            self._opaque,
            complete,
            time.perf_counter() - start,
        )

    def _text(self, text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        self._hash.update(len(content).to_bytes(8, "little"))
        self._hash.update(content)

    def _tick(self) -> None:
        self._count += 1
        if self._count % _LOOK == 0:
            self._hurry()

    def _hurry(self) -> None:
        if time.perf_counter() > self._until:
            raise TimeoutError

    def _value(self, value: Any) -> None:  # noqa: ANN401 - any object
        self._tick()
        kind = type(value)
        if kind in _PLAIN:
            self._text(f"{kind.__name__}:{value!r}")
            return
        if kind is tuple:  # shared or not is nobody's business: it cannot change
            self._text(f"tuple{len(value)}")
            for item in value:
                self._value(item)
            return
        if isinstance(value, np.generic) and not isinstance(value, np.object_ | np.void):
            self._text(f"{kind.__name__}:{value.dtype.str}")
            self._hash.update(value.tobytes())
            return
        if self._met(value):
            return
        _WALKS.get(kind, _walk_other)(self, value)

    def _met(self, value: object) -> bool:
        place = self._memo.get(id(value))
        if place is not None:
            self._text(f"@{place}")
            return True
        self._memo[id(value)] = len(self._memo)
        self._held.append(value)
        return False

    def _mutable(self, value: object) -> None:
        self._ids.add(id(value))

    def _of_package(self, name: str | None) -> None:
        if name:
            self._roots.add(name.partition(".")[0])

    def _cannot(self, why: str) -> None:
        self._opaque = self._opaque or why

    def _list(self, value: list[Any]) -> None:
        self._mutable(value)
        self._text(f"list{len(value)}")
        for item in list(value):
            self._value(item)

    def _set(self, value: set[Any] | frozenset[Any]) -> None:
        if isinstance(value, set):
            self._mutable(value)
        self._text(f"{type(value).__name__}{len(value)}")
        outer = self._hash
        digests = []
        for item in value:  # in an order that hangs on no hash seed
            self._hash = xxhash.xxh3_128()
            self._value(item)
            digests.append(self._hash.digest())
        self._hash = outer
        for digest in sorted(digests):
            self._hash.update(digest)

    def _dict(self, value: dict[Any, Any]) -> None:
        self._mutable(value)
        self._text(f"dict{len(value)}")
        for key, item in list(value.items()):
            self._value(key)
            self._value(item)

    def _array(self, value: Any) -> None:  # noqa: ANN401 - a numpy array
        self._mutable(value)
        self._text(f"array{value.dtype.str if value.dtype.names is None else value.dtype.descr}{value.shape}")
        if value.dtype.hasobject:
            for item in value.ravel().tolist():
                self._value(item)
            return
        if value.nbytes and value.flags.c_contiguous and value.dtype.kind in _NUMBERS:
            # The short way: a list of thousands of small ones is common.
            start = value.__array_interface__["data"][0]
            self._buffers.append((start, start + value.nbytes))
            self._hash.update(value)
            self._hurry()
        elif value.nbytes:
            self._buffers.append(np.lib.array_utils.byte_bounds(value))
            # What lies between the fields of a record is arbitrary.
            for part in [value[name] for name in value.dtype.names] if value.dtype.names else [value]:
                self._hash.update(blocks.content(part))
            self._hurry()

    def _pandas(self, value: Any) -> None:  # noqa: ANN401 - pandas ships no types
        self._mutable(value)
        self._of_package("pandas")
        self._text(type(value).__name__)
        if not self._tables:
            return
        for part in blocks.of_pandas(value):
            self._part(part)

    def _part(self, part: object) -> None:
        if isinstance(part, blocks.Arrow):
            for buffer in part.buffers:
                self._hash.update(buffer)
            self._text(part.kind)
            self._hurry()
        else:
            self._value(part)

    def _module(self, value: types.ModuleType) -> None:
        self._text(f"module {value.__name__}")
        self._of_package(value.__name__)
        file = getattr(value, "__file__", None)
        if file is None or installed(file) or value.__name__.startswith("mlops_magics"):
            return
        self._mutable(value)  # a module of the user's own: what it holds is as good as the notebook's
        for name, item in sorted(vars(value).items()):
            if not (name.startswith("__") and name.endswith("__")) or name == "__all__":
                self._text(name)
                self._value(item)

    def _function(self, value: types.FunctionType) -> None:
        self._text(f"function {value.__module__}.{value.__qualname__}")
        self._of_package(value.__module__)
        if functions.users(value, self._namespace):
            self._mutable(value)
            facts = functions.of_code(value.__code__)
            self._text(facts.text)
            self._calls |= facts.attributes | facts.names
            if value.__globals__ is self._namespace:
                self._names |= facts.names
                self._patched |= facts.patched
            else:
                for name in sorted(facts.names & value.__globals__.keys()):
                    self._value(value.__globals__[name])
            self._value(value.__kwdefaults__)
            self._value(value.__dict__)
        self._value(value.__defaults__)
        for cell in value.__closure__ or ():
            self._cell(cell)

    def _cell(self, cell: types.CellType) -> None:
        try:
            held = cell.cell_contents
        except ValueError:
            self._text("empty cell")
            return
        self._mutable(cell)
        self._value(held)

    def _class(self, value: type) -> None:
        self._text(f"class {value.__module__}.{value.__qualname__}")
        self._of_package(value.__module__)
        if not functions.users_module(value.__module__):
            return
        self._mutable(value)
        for base in value.__bases__:
            self._value(base)
        for name, item in sorted(vars(value).items()):
            if name not in functions.OF_CLASSES:
                self._text(name)
                for part in functions.behind(item):
                    self._value(part)

    def _reduced(self, value: Any) -> None:  # noqa: ANN401 - any object
        kind = type(value)
        named = f"{kind.__module__}.{kind.__qualname__}"
        self._text(named)
        if named.startswith(_FILES):
            self._calls.add(MAPPED)
        if named in _BY_NAME or isinstance(value, np.dtype):
            self._text(repr(value))
            return
        if named.startswith(_NEVER):
            self._mutable(value)
            self._cannot(named)
            return
        if functions.users_module(kind.__module__):
            self._value(kind)
        reduce = copyreg.dispatch_table.get(kind)
        try:
            state = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:  # noqa: BLE001 - it has no reduction
            self._mutable(value)
            self._attributes(value)
            self._cannot(f"{named}: {type(error).__name__}")
            return
        self._held.append(state)
        self._of_package(kind.__module__)
        if isinstance(state, str):
            self._text(state)
            if (inner := getattr(value, "__wrapped__", None)) is not None:
                self._mutable(value)
                self._value(inner)
                self._cannot(f"{named} keeps what it does not show")
            return
        self._mutable(value)
        for item in state:
            self._value(list(item) if isinstance(item, Iterator) else item)

    def _attributes(self, value: object) -> None:
        """Follow what hangs on an object without a digest: its functions and shared parts count."""
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict) and not isinstance(value, type(sys)):
            self._dict(held)


def _walk_other(self: Walk, value: Any) -> None:  # noqa: ANN401 - any object
    if isinstance(value, types.ModuleType):
        self._module(value)
    elif isinstance(value, type):
        self._class(value)
    elif isinstance(value, types.MethodType):
        self._value(value.__func__)
        self._value(value.__self__)
    elif isinstance(value, types.BuiltinFunctionType | np.ufunc):
        self._text(f"builtin {getattr(value, '__qualname__', value)}")
        held = getattr(value, "__self__", None)
        if held is not None and not isinstance(held, types.ModuleType):
            self._value(held)
    elif isinstance(value, np.memmap):
        self._calls.add(MAPPED)
        self._array(value)
    elif blocks.is_pandas(value):
        self._pandas(value)
    elif (arrow := blocks.of_arrow(value)) is not None:
        self._text(type(value).__name__)
        self._of_package(type(value).__module__)
        self._mutable(value)
        for part in arrow:
            self._part(part)
    else:
        self._reduced(value)


# Most objects are of these types: a look-up is quicker than a row of questions.
_WALKS: dict[type, Callable[[Walk, Any], None]] = {
    list: Walk._list,  # noqa: SLF001 - the table of this module's own class
    dict: Walk._dict,  # noqa: SLF001 - same
    set: Walk._set,  # noqa: SLF001 - same
    frozenset: Walk._set,  # noqa: SLF001 - same
    np.ndarray: Walk._array,  # noqa: SLF001 - same
    types.FunctionType: Walk._function,  # noqa: SLF001 - same
}
