"""The memory of arrays and tables as it lies there, ready to be digested without a copy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_TEXT = 1_000  # objects: from here on, asking whether all are text costs less than a walk


@dataclass(frozen=True, slots=True)
class Arrow:
    """Values in Arrow's own memory, which nobody can write.

    Attributes:
        kind: Their type and where they begin.
        buffers: The memory.
    """

    kind: str
    buffers: tuple[Any, ...]


def content(array: Any) -> Any:  # noqa: ANN401 - a numpy array
    """Return the bytes of an array without objects; no copy where its values lie in one piece."""
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        array = array.T
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def is_pandas(value: object) -> bool:
    """Tell whether something is a frame, a series or an index of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index)


def of_pandas(value: Any) -> Iterator[Any]:  # noqa: ANN401 - pandas ships no types
    """Yield the parts of a frame, a series or an index: names, index, and each block's values."""
    import pandas as pd

    if isinstance(value, pd.RangeIndex):
        yield (value.start, value.stop, value.step, value.name)
    elif isinstance(value, pd.MultiIndex):
        yield tuple(value.names)
        yield from value.levels
        for codes in value.codes:
            yield np.asarray(codes)
    elif isinstance(value, pd.Index):
        yield tuple(value.names)
        yield from _values(value.array)
    else:
        yield value.columns if isinstance(value, pd.DataFrame) else value.name
        yield value.index
        if value.attrs:
            yield value.attrs
        for block in value._mgr.blocks:  # noqa: SLF001 - a column at a time costs a copy each
            yield block.mgr_locs.as_array
            yield from _values(block.values)


def _values(array: Any) -> Iterator[Any]:  # noqa: ANN401 - an array of pandas or numpy
    import pandas as pd

    yield str(array.dtype)
    if isinstance(array, np.ndarray):
        yield from _numpy(array)
    elif (arrow := getattr(array, "_pa_array", None)) is not None:
        yield from of_arrow(arrow) or ()
    elif isinstance(array, pd.Categorical):
        yield array.codes
        yield array.categories
        yield array.ordered
    elif hasattr(array, "_mask") and hasattr(array, "_data"):
        yield array._data  # noqa: SLF001 - what a masked array is made of
        yield array._mask  # noqa: SLF001
    elif isinstance(held := getattr(array, "_ndarray", None), np.ndarray):
        yield from _numpy(held)
    else:
        yield from _numpy(np.asarray(array, dtype=object))


def _numpy(array: np.ndarray[Any, Any]) -> Iterator[Any]:
    import pandas as pd

    if array.dtype.hasobject and array.size > _TEXT:
        flat = array.ravel()
        if pd.api.types.infer_dtype(flat, skipna=False) == "string":
            yield pd.util.hash_array(flat, categorize=False)
            return
    yield array


def of_arrow(value: Any) -> list[Arrow] | None:  # noqa: ANN401 - of pyarrow or Polars
    """Split a table or an array of pyarrow or Polars into buffers; None for anything else."""
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.DataFrame | polars.Series):
        return of_arrow(value.to_arrow())
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        return None
    if isinstance(value, pyarrow.Table | pyarrow.RecordBatch):
        parts = [Arrow(str(value.schema), ())]
        for column in value.columns:
            parts += of_arrow(column) or ()
        return parts
    if isinstance(value, pyarrow.ChunkedArray):
        return [_chunk(chunk) for chunk in value.chunks]
    return [_chunk(value)] if isinstance(value, pyarrow.Array) else None


def _chunk(chunk: Any) -> Arrow:  # noqa: ANN401 - a pyarrow array
    kind = f"{chunk.type};{len(chunk)};{chunk.offset};"
    dictionary = getattr(chunk, "dictionary", None)
    inner = _chunk(dictionary).buffers if dictionary is not None else ()
    own = tuple(memoryview(buffer) for buffer in chunk.buffers() if buffer is not None)
    return Arrow(kind + str([buffer is None for buffer in chunk.buffers()]), (*own, *inner))
