"""Arrow streams in and out.

A stream is read as what it may be, an attack: nothing in it may unfold to more than it is. Packed buffers and
types whose rows may share one long text are refused, a dictionary's texts are shared, and rows are counted
before they are looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.reply import Answer

if TYPE_CHECKING:
    import pyarrow as pa

STREAM: Final = "application/vnd.apache.arrow.stream"

_RECORDS, _HEADER, _DATA, _PACKING = (
    3,
    2,
    1,
    3,
)  # a flatbuffer's union member and fields, as Arrow's format has them
_DICTIONARY: Final = 2


@dataclass(frozen=True, slots=True)
class ArrowReply:
    """Writes an answer as an Arrow stream with one column, ``predictions``."""

    also: Sequence[Method] = ()

    def write(self, found: Sequence[np.ndarray[Any, Any]]) -> Answer:
        """Write the answer; probabilities are lists of one length."""
        import pyarrow as pa

        column = _column(found[0])
        schema = pa.schema([pa.field("predictions", column.type)])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.record_batch([column], schema=schema))
        return Answer(sink.getvalue().to_pybytes(), STREAM)


def _column(found: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 - an Arrow array
    import pyarrow as pa

    flat = np.ascontiguousarray(found).ravel()
    native = flat.dtype.kind in "bifu" and flat.dtype.itemsize <= 8  # noqa: PLR2004 - bytes that Arrow knows
    made = pa.array(flat if native else [None if cell is None else str(cell) for cell in flat.tolist()])
    for width in reversed(found.shape[1:]):
        made = pa.FixedSizeListArray.from_arrays(made, width)
    return made


@dataclass(frozen=True, slots=True)
class Stream:
    """What a request brought.

    Attributes:
        columns: Its columns by name, checked but not typed.
        rows: How many rows there are.
        method: What the schema's metadata name as ``method``; None where they do not.
    """

    columns: dict[str, pa.ChunkedArray]
    rows: int
    method: str | None


def read(body: bytes, most_rows: int) -> Stream:
    """Read a request's columns.

    Args:
        body: The stream.
        most_rows: How many rows it may have.

    Raises:
        RequestError: It is no such stream (400), or too large (413).
    """
    import pyarrow as pa

    try:
        _plain(body)
        with pa.ipc.open_stream(body, options=pa.ipc.IpcReadOptions(use_threads=False)) as stream:
            names, told = stream.schema.names, stream.schema.metadata or {}
            if len(set(names)) != len(names):
                _bad("A column is named twice.")
            batches, rows = [], 0
            for batch in stream:
                rows += batch.num_rows
                if rows > most_rows:
                    raise RequestError(413, "TOO_MANY_ROWS", f"The request has more than {most_rows} rows.")
                batch.validate(full=True)
                batches.append(batch)
        table = pa.Table.from_batches(batches, schema=stream.schema)
    except (pa.ArrowException, OSError, MemoryError, ValueError, struct.error):
        _bad("The body is not a valid Arrow stream.")
    if not rows:
        _bad("The request has no rows.")
    method = told.get(b"method")
    columns = dict(zip(names, table.columns, strict=True))
    return Stream(columns, rows, None if method is None else method.decode("latin-1"))


def _plain(body: bytes) -> None:
    """Refuse packed buffers: a few bytes of them may unfold to gigabytes."""
    for metadata in _messages(body):
        table = _offset(metadata, 0)
        kind = _field(metadata, table, _HEADER - 1)
        header = _field(metadata, table, _HEADER)
        if not kind or not header:
            continue
        records = _offset(metadata, header)
        if metadata[kind] == _DICTIONARY:
            data = _field(metadata, records, _DATA)
            if not data:
                continue
            records = _offset(metadata, data)
        elif metadata[kind] != _RECORDS:
            continue
        if _field(metadata, records, _PACKING):
            _bad("Write the Arrow stream without compression of its buffers; gzip the whole body instead.")


def _messages(body: bytes) -> Iterator[bytes]:
    import pyarrow as pa

    reader = pa.ipc.MessageReader.open_stream(body)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield message.metadata.to_pybytes()


def _offset(data: bytes, at: int) -> int:
    """Follow an offset of a flatbuffer."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Find where a field of a flatbuffer's table is; 0 where the table has none."""
    names = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", data, names)[0]:
        return 0
    place = struct.unpack_from("<H", data, names + 4 + 2 * number)[0]
    return table + place if place else 0


def _bad(message: str) -> NoReturn:
    raise RequestError(400, "BAD_REQUEST", message)
