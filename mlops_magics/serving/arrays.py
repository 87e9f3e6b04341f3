"""One column of an Arrow stream becomes one typed numpy array, or an error that names the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics.artifact.schema import Column
from mlops_magics.serving.cells import Array, CellError

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = {"double": 2**53, "float": 2**24}  # beyond it a float skips integers
_INTEGERS: dict[str, tuple[int, int, type[np.integer[Any]]]] = {
    "long": (-(2**63), 2**63 - 1, np.int64),
    "integer": (-(2**31), 2**31 - 1, np.int32),
}


def array(column: Column, found: pa.ChunkedArray) -> Array:
    """Type one column, as the decoder of JSON's cells would.

    Args:
        column: The column, as the model's signature has it.
        found: What came, of any Arrow type.

    Returns:
        The array.

    Raises:
        CellError: A cell is not of the column's type, or would lose something; row -1 where the whole column
            is of another type.
    """
    import pyarrow as pa

    expected = column.type if column.required else f"{column.type} or null"
    if pa.types.is_null(found.type):
        found = pa.chunked_array([pa.nulls(len(found), _EMPTY[column.type]())])
    elif pa.types.is_dictionary(found.type) and _fixed(found.type.value_type):
        found = pa.chunked_array([chunk.dictionary_decode() for chunk in found.chunks])
    gaps = found.is_null().to_numpy()
    if column.required and gaps.any():
        raise CellError(int(gaps.argmax()), expected)
    return _ARRAYS[column.type](column, found, gaps, expected)


def guess(name: str, found: pa.ChunkedArray) -> Column:
    """Name the type of a column of a model without schema.

    Raises:
        CellError: It is none that such a model takes.
    """
    import pyarrow as pa

    kinds = (
        (pa.types.is_integer, "long"),
        (pa.types.is_floating, "double"),
        (pa.types.is_boolean, "boolean"),
        (_texts, "string"),
        (pa.types.is_null, "string"),
    )
    for fits, kind in kinds:
        if fits(found.type):
            gaps = kind != "long" or found.null_count > 0
            return Column(name, kind, required=not gaps)  # type: ignore[arg-type]  # of the names above
    raise CellError(-1, "a number, a text or a boolean")


def _fixed(kind: Any) -> bool:  # noqa: ANN401 - an Arrow type
    import pyarrow as pa

    return bool(pa.types.is_primitive(kind))


def _texts(kind: Any) -> bool:  # noqa: ANN401 - an Arrow type
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bytes(kind: Any) -> bool:  # noqa: ANN401 - an Arrow type
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _objects(fits: Callable[[Any], bool]) -> Callable[..., Array]:
    """Columns of texts or bytes, None for a gap."""

    def make(column: Column, found: pa.ChunkedArray, gaps: Array, expected: str) -> Array:
        del column, gaps
        import pyarrow as pa

        if not fits(found.type):
            raise CellError(-1, expected)
        parts = []
        for chunk in found.chunks:
            if pa.types.is_dictionary(chunk.type):  # its texts are shared, not repeated
                texts = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
                places = chunk.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
                places[chunk.indices.is_null().to_numpy(zero_copy_only=False)] = -1
                parts.append(texts[places])
            else:
                parts.append(chunk.to_numpy(zero_copy_only=False))
        return np.concatenate(parts).astype(object)

    return make


def _booleans(column: Column, found: pa.ChunkedArray, gaps: Array, expected: str) -> Array:
    import pyarrow as pa

    if not pa.types.is_boolean(found.type):
        raise CellError(-1, expected)
    values = found.fill_null(False).to_numpy()  # noqa: FBT003 - pyarrow's own signature
    if column.required:
        return np.asarray(values, dtype=np.bool_)
    made: Array = values.astype(object)
    made[gaps] = None
    return made


def _moments(column: Column, found: pa.ChunkedArray, gaps: Array, expected: str) -> Array:
    del column, gaps
    import pyarrow as pa

    if not (pa.types.is_timestamp(found.type) or pa.types.is_date(found.type)):
        raise CellError(-1, expected)
    try:  # times with a zone are kept in UTC, as a time without one is read
        moments: Any = found.cast(pa.timestamp("ns")).to_numpy().astype("M8[ns]")
    except pa.ArrowInvalid:
        raise CellError(-1, f"{expected} of the years 1678 to 2261") from None
    return np.asarray(moments, dtype="M8[ns]")


def _numbers(found: pa.ChunkedArray, gaps: Array, expected: str) -> tuple[Array, Array]:
    """Take numbers and their gaps, which NaN is too; infinities are no numbers here."""
    import pyarrow as pa

    if not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type)):
        raise CellError(-1, expected)
    if found.null_count and pa.types.is_integer(found.type):  # in floats a gap becomes NaN, and stays a gap
        found = pa.chunked_array([chunk.fill_null(pa.scalar(0).cast(chunk.type)) for chunk in found.chunks])
    values = found.to_numpy()
    if values.dtype.kind == "f":
        gaps = gaps | np.isnan(values)
        values = np.where(gaps, 0, values).astype(np.float64)
        _all(np.isfinite(values), expected)
    return values, gaps


def _floats(dtype: type[np.floating[Any]]) -> Callable[..., Array]:
    def make(column: Column, found: pa.ChunkedArray, gaps: Array, expected: str) -> Array:
        values, gaps = _numbers(found, gaps, expected)
        if column.required:
            _all(~gaps, expected)
        if values.dtype.kind in "iu":
            most = _EXACT[column.type]
            _all((values <= most) & (values >= -most), expected)
        with np.errstate(over="ignore"):
            made = values.astype(dtype)
        if values.dtype.kind == "f":
            _all(made.astype(np.float64) == values, f"{expected} without loss")
        made[gaps] = np.nan
        return made

    return make


def _whole(column: Column, found: pa.ChunkedArray, gaps: Array, expected: str) -> Array:
    low, high, dtype = _INTEGERS[column.type]
    expected = expected.replace(column.type, f"{column.type} (a whole number)")
    values, gaps = _numbers(found, gaps, expected)
    if column.required:
        _all(~gaps, expected)
    most = _EXACT["double"]
    if values.dtype.kind == "f" or not column.required:  # floats, now or in the end
        low, high = max(low, -most), min(high, most)
    whole = values == np.floor(values) if values.dtype.kind == "f" else True
    _all((values >= low) & (values <= high) & whole, expected)
    if column.required:
        return values.astype(dtype)
    made = values.astype(np.float64)
    made[gaps] = np.nan
    return made


def _all(good: Array, expected: str) -> None:
    if not good.all():
        raise CellError(int(np.argmin(good)), expected)


def _arrow(name: str) -> Callable[[], Any]:
    def make() -> Any:  # noqa: ANN401 - an Arrow type
        import pyarrow as pa

        return pa.type_for_alias(name)

    return make


_EMPTY: dict[str, Callable[[], Any]] = {
    "double": _arrow("float64"),
    "float": _arrow("float32"),
    "long": _arrow("int64"),
    "integer": _arrow("int32"),
    "boolean": _arrow("bool"),
    "string": _arrow("string"),
    "datetime": _arrow("timestamp[ns]"),
    "binary": _arrow("binary"),
}
_ARRAYS: dict[str, Callable[..., Array]] = {
    "double": _floats(np.float64),
    "float": _floats(np.float32),
    "long": _whole,
    "integer": _whole,
    "boolean": _booleans,
    "string": _objects(_texts),
    "datetime": _moments,
    "binary": _objects(_bytes),
}
