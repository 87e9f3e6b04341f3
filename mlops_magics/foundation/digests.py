"""The digest of a table: every value counts, at memory speed.

MLflow's own digest reads the first 10,000 rows. This one reads all: each column is digested with
XXH3-128 over its buffers (values, validity, offsets brought to a common start), several columns at a
time (the hash frees the interpreter's lock), and the columns' digests are digested in order. Equal
tables of one library have equal digests in every process and on every machine of the same byte
order; a changed value, name, type, order or index gives another digest. What a library itself takes
for the same value is the same here: None and NaN in a pandas column of objects are both "missing".
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xxhash

from mlops_magics.foundation.frames import Frame

_VERSION = "1"  # written into each digest: another way of digesting is another digest
_SMALL = 200_000  # cells: below it, starting threads costs more than it saves


def digest(frame: Frame) -> str:
    """Digest a table.

    Args:
        frame: The table.

    Returns:
        32 hexadecimal digits.
    """
    count = len(frame.names)
    parts = column_digests(frame)
    total = xxhash.xxh3_128(f"{_VERSION};{frame.kind};{frame.rows};{count}".encode())
    for name, part in zip(frame.names, parts, strict=True):
        total.update(f";{type(name).__name__}:{name!r}={part}".encode())
    if frame.kind == "pandas" and not _plain_index(frame.data.index):
        index = frame.data.index
        levels = (index.get_level_values(i).to_series() for i in range(index.nlevels))
        total.update("".join(map(_pandas, levels)).encode())
    return str(total.hexdigest())


def column_digests(frame: Frame) -> list[str]:
    """Digest each column of a table by its type and its values; neither its name nor the index counts.

    Args:
        frame: The table.

    Returns:
        A digest a column.
    """
    count = len(frame.names)
    columns = [frame.column(i) for i in range(count)]
    if count * frame.rows < _SMALL:
        return [_column(frame.kind, column) for column in columns]
    with ThreadPoolExecutor(min(count, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda column: _column(frame.kind, column), columns))


def array_digest(array: Any) -> str:  # noqa: ANN401 - a numpy array
    """Digest every value of a numpy array, its type and its shape.

    Args:
        array: An array of any shape.

    Returns:
        32 hexadecimal digits.
    """
    total = xxhash.xxh3_128(f"{_VERSION};array;{array.dtype};{array.shape}".encode())
    if array.dtype.hasobject:
        total.update(_objects(array.ravel()).encode())
    else:
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return str(total.hexdigest())


def _plain_index(index: Any) -> bool:  # noqa: ANN401 - pandas ships no types
    import pandas as pd

    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def _column(kind: str, column: Any) -> str:  # noqa: ANN401 - a column of any library
    if kind == "pandas":
        return _pandas(column)
    if kind == "arrow":
        return f"{column.type}:{_arrow(column)}"
    return f"{column.dtype}:{_arrow(_of_polars(column))}"


def _of_polars(column: Any) -> Any:  # noqa: ANN401 - Polars' own types
    import polars as pl
    import pyarrow as pa

    try:
        return column.to_arrow()
    except (
        pa.ArrowException,
        TypeError,
        ValueError,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ):
        return pa.array([_written(value) for value in column], pa.large_string())


def _pandas(column: Any) -> str:  # noqa: ANN401 - pandas ships no types
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufcmM":
        hashed = xxhash.xxh3_128(str(dtype).encode())
        hashed.update(np.ascontiguousarray(column.to_numpy(copy=False)).view(np.uint8).data)
        return str(hashed.hexdigest())
    import pandas as pd

    if isinstance(
        dtype, pd.DatetimeTZDtype
    ):  # with a time zone: its name is in the type, the instants are in UTC
        return f"{dtype}:{_pandas(column.dt.tz_convert(None))}"
    import pyarrow as pa

    try:
        return f"{dtype}:{_arrow(pa.Array.from_pandas(column))}"
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return f"{dtype}:{_objects(column)}"


def _objects(column: Any) -> str:  # noqa: ANN401 - pandas ships no types
    """Digest values that Arrow cannot hold (mixed types, big integers) by type and representation."""
    hashed = xxhash.xxh3_128(b"objects")
    for item in column:
        # A set is written down in an order of its own in each process.
        value = sorted(map(_written, item)) if isinstance(item, set | frozenset) else item
        text = f"{type(item).__qualname__}:{_written(value)}".encode(errors="backslashreplace")
        hashed.update(len(text).to_bytes(8, "little"))
        hashed.update(text)
    return str(hashed.hexdigest())


def _written(value: object) -> str:
    """Represent a value; what cannot say what it is, is told by its type alone."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a stranger's __repr__
        return f"<{type(value).__qualname__}>"


def _arrow(array: Any) -> str:  # noqa: ANN401 - pyarrow ships no types
    import pyarrow as pa

    if pa.types.is_dictionary(array.type) and isinstance(array, pa.ChunkedArray):
        # Each chunk may number its values in another way: only the values themselves are comparable.
        array = pa.chunked_array([chunk.dictionary_decode() for chunk in array.chunks], array.type.value_type)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if isinstance(array, pa.ChunkedArray):  # too long for one array of 32-bit offsets
        array = pa.concat_arrays([_wide(chunk) for chunk in array.chunks])
    hashed = xxhash.xxh3_128(f"{array.type};{len(array)};".encode())
    _update(hashed, array)
    return str(hashed.hexdigest())


def _wide(array: Any) -> Any:  # noqa: ANN401 - pyarrow ships no types
    import pyarrow as pa

    wide = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    return array.cast(wide.get(array.type, array.type))


def _update(hashed: Any, array: Any) -> None:  # noqa: ANN401 - pyarrow ships no types
    """Feed an array's values in a form that its offset, its padding and hidden nulls do not change."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        _update(hashed, array.indices)
        _update(hashed, array.dictionary)
        return
    if array.null_count:
        hashed.update(np.packbits(pc.is_valid(array).to_numpy(zero_copy_only=False)).data)
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        _text(hashed, array, np.int32)
    elif pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        _text(hashed, array, np.int64)
    elif pa.types.is_boolean(array.type):
        filled = array.fill_null(False) if array.null_count else array  # noqa: FBT003 - it has no keyword
        hashed.update(np.packbits(filled.to_numpy(zero_copy_only=False)).data)
    elif pa.types.is_primitive(array.type):
        _numbers(hashed, array)
    else:  # nested, decimals, views, extensions: exact, and slower
        for value in array.to_pylist():
            hashed.update(f"{value!r};".encode(errors="backslashreplace"))


def _numbers(hashed: Any, array: Any) -> None:  # noqa: ANN401 - pyarrow ships no types
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8)[
        array.offset * width : (array.offset + len(array)) * width
    ]
    if array.null_count:  # what lies under a null is arbitrary
        import pyarrow.compute as pc

        values = values.reshape(-1, width) * pc.is_valid(array).to_numpy(zero_copy_only=False)[:, None]
    hashed.update(np.ascontiguousarray(values).data)


def _text(hashed: Any, array: Any, offsets_type: type[np.signedinteger[Any]]) -> None:  # noqa: ANN401 - same
    if array.null_count:
        array = array.fill_null("" if "string" in str(array.type) else b"")
    _, offsets_buffer, data = array.buffers()
    if not len(array):
        return
    offsets = np.frombuffer(offsets_buffer, offsets_type)[array.offset : array.offset + len(array) + 1]
    hashed.update(np.diff(offsets).data)
    if data is not None:
        hashed.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])
