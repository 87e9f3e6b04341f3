"""Values written down in formats that hold no code, so that a later kernel has them again, equal in all."""

from __future__ import annotations

import importlib
import importlib.util
import io
import random
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import orjson

from mlops_magics.foundation.masking import masked
from mlops_magics.lineage.files import installed
from mlops_magics.lineage.functions import users_module
from mlops_magics.lineage.values import Fingerprints

Kind = Literal["plain", "table", "array", "import", "model"]
_ATOMS: Final = (type(None), bool, int, float, str)
_INT64: Final = 2**63  # JSON's numbers end here


@dataclass(frozen=True, slots=True)
class Kept:
    """A value as it is written down.

    Attributes:
        kind: In which way.
        digest: The digest of the value.
        text: For "plain" the value as JSON, for "import" its address, for the others the file's name.
        content: The file's content, where there is one.
    """

    kind: Kind
    digest: str
    text: str
    content: bytes = b""


class NotKeptError(Exception):
    """A value cannot be written down so that it comes back equal; the text says why, after its name."""


def kept(value: object, name: str, *, model: object = None) -> Kept:
    """Write a value down, and read it back at once to see that it is the same.

    Args:
        value: What a name holds.
        name: The name.
        model: The run's model, which is kept with the run already; it must be equal to what was saved.

    Raises:
        NotKeptError: It would not come back equal.
    """
    prints = Fingerprints()
    digest = prints.of(value, name)
    if prints.opaque:
        raise NotKeptError(f"is a {type(value).__name__}, which has no digest")
    if model is not None and value is model:
        return Kept("model", digest, "")
    found = _written(value, name, digest)
    again = Fingerprints().of(restored(found), name)
    if again != digest:
        raise NotKeptError(f"is a {type(value).__name__} that does not come back equal")
    return found


def restored(item: Kept) -> Any:  # noqa: ANN401 - any value
    """Read a value back; a "model" is not read here.

    Raises:
        Exception: Its content is damaged, or what it imports is not there.
    """
    match item.kind:
        case "plain":
            return _plain_back(orjson.loads(item.text))
        case "import":
            module, _, path = item.text.partition(":")
            if not _is_installed(module):
                raise ImportError(f"{module} is not installed")
            value: Any = importlib.import_module(module)
            for part in filter(None, path.split(".")):
                value = getattr(value, part)
            return value
        case "array":
            return np.load(io.BytesIO(item.content), allow_pickle=False)
        case "table":
            return _table_back(item.content)
    raise ValueError(item.kind)


def _is_installed(module: str) -> bool:
    """Tell whether a module is Python's or an installed package's: to import anything else executes files."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    spec = importlib.util.find_spec(top)
    return spec is not None and spec.origin is not None and installed(spec.origin)


def _written(value: object, name: str, digest: str) -> Kept:
    if (address := _address(value)) is not None:
        return Kept("import", digest, address)
    if isinstance(value, np.ndarray) and type(value) is np.ndarray and not value.dtype.hasobject:
        content = io.BytesIO()
        np.save(content, value, allow_pickle=False)
        return Kept("array", digest, f"{name}.npy", content.getvalue())
    pandas = sys.modules.get("pandas")
    if pandas is not None and type(value) in {pandas.DataFrame, pandas.Series}:
        return Kept("table", digest, f"{name}.arrow", _table(value))
    try:
        text = orjson.dumps(_plain(value)).decode()
    except TypeError as error:  # of orjson's own too: a lone surrogate
        raise NotKeptError(f"is a {type(value).__name__}") from error
    if masked(text) != text:
        raise NotKeptError("holds a secret")
    return Kept("plain", digest, text)


def _address(value: object) -> str | None:
    """Say where an installed module, class or function is imported from; None for all else."""
    if isinstance(value, types.ModuleType):
        return None if users_module(value.__name__) else f"{value.__name__}:"
    if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return None
    module = getattr(value, "__module__", None) or "numpy"
    name = str(getattr(value, "__qualname__", "") or getattr(value, "__name__", ""))
    if users_module(module) or "<" in name:
        raise NotKeptError("is a function or a class of the notebook's own")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is value else None


def _table(value: Any) -> bytes:  # noqa: ANN401 - a pandas table
    import pandas as pd
    import pyarrow as pa

    frame = (
        value.to_frame(name="value" if value.name is None else value.name)
        if isinstance(value, pd.Series)
        else value
    )
    try:
        table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise NotKeptError(f"is a table that Arrow does not hold ({error})") from error
    about = {b"mlops.series": b"" if value is frame else orjson.dumps([value.name])}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **about})
    content = io.BytesIO()
    with pa.ipc.new_file(content, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return content.getvalue()


def _table_back(content: bytes) -> Any:  # noqa: ANN401 - a pandas table
    import pyarrow as pa

    table = pa.ipc.open_file(io.BytesIO(content)).read_all()
    frame = table.to_pandas()
    series = table.schema.metadata[b"mlops.series"]
    if not series:
        return frame
    found = frame.iloc[:, 0]
    found.name = orjson.loads(series)[0]
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value, as JSON
    """Write a value of Python's own types as JSON: atoms as they are, all else as [type, items]."""
    kind = type(value)
    if isinstance(value, float) and kind is float and value - value != 0:  # infinite, or not a number
        return ["float", repr(value)]
    if kind in _ATOMS and not (isinstance(value, int) and abs(value) >= _INT64):
        return value
    if isinstance(value, np.generic) and not isinstance(value, np.object_ | np.void):
        return ["numpy", value.dtype.str, value.tobytes().hex()]
    if kind in {list, tuple, set, frozenset}:
        return [kind.__name__, [_plain(item) for item in value]]
    if kind is dict:
        return ["dict", [[_plain(key), _plain(item)] for key, item in value.items()]]
    raise TypeError(kind.__name__)


_BACK: Final[Mapping[str, Callable[[Any], Any]]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
}


def _plain_back(said: Any) -> Any:  # noqa: ANN401 - any plain value
    if not isinstance(said, list):
        return said
    kind, *rest = said
    if kind == "float":
        return float(rest[0])
    if kind == "numpy":
        return np.frombuffer(bytes.fromhex(rest[1]), dtype=rest[0])[0]
    if kind == "dict":
        return {_plain_back(key): _plain_back(item) for key, item in rest[0]}
    return _BACK[kind](map(_plain_back, rest[0]))


def chance_state() -> str:
    """Write down the state of Python's and NumPy's global generators."""
    version, words, gauss = random.getstate()
    kind, key, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the generator of notebooks
    numbers = [str(kind), np.asarray(key).tolist(), int(place), int(has_gauss), float(cached)]
    return orjson.dumps({"random": [version, list(words), gauss], "numpy": numbers}).decode()


def set_chance_state(text: str) -> None:
    """Bring the generators into a state that was written down."""
    said = orjson.loads(text)
    version, words, gauss = said["random"]
    random.setstate((version, tuple(words), gauss))
    kind, key, *rest = said["numpy"]
    np.random.set_state((kind, np.array(key, dtype=np.uint32), *rest))  # noqa: NPY002 - as above
