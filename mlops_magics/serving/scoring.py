"""MLflow's scoring route: JSON, CSV or an Arrow stream in, JSON or an Arrow stream out."""

from __future__ import annotations

from dataclasses import replace

from mlops_magics.artifact.schema import Column
from mlops_magics.serving.arrays import array, guess
from mlops_magics.serving.arrow import STREAM, ArrowReply, Stream, read
from mlops_magics.serving.cells import Array, CellError, decoder
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.routes import Heads
from mlops_magics.serving.rows import Columns

_STREAM = STREAM.encode()


class Scoring:
    """Reads the requests of MLflow's protocol.

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def hear(self, body: bytes, heads: Heads) -> Batch:
        """Read a request.

        Args:
            body: Its body, unpacked.
            heads: Its headers.

        Raises:
            RequestError: It is malformed or does not fit the model.
        """
        kind = heads.get(b"content-type")
        if kind is not None and kind.lower() == _STREAM:
            batch = self._arrow(body)
        else:
            batch = self._predictor.decode(body, kind.decode("latin-1") if kind else None)
        accepted = heads.get(b"accept")
        if accepted is not None and _STREAM in accepted.lower():
            return replace(batch, reply=ArrowReply())
        return batch

    def _arrow(self, body: bytes) -> Batch:
        codec = self._predictor.codec
        if len(body) > codec.limits.body_bytes:
            raise RequestError(
                413, "BODY_TOO_LARGE", f"The body has more than {codec.limits.body_bytes} bytes."
            )
        stream = read(body, codec.limits.rows)
        method = codec.method(None if stream.method is None else {"method": stream.method})
        schema = self._predictor.loaded.schema
        columns: Columns = {}
        for name in stream.columns if codec.names is None else codec.names:
            known = next((one for one in schema.columns if one.name == name), None) if schema else None
            columns[name] = _typed(name, known, stream)
        return Batch(columns, stream.rows, method)


def _typed(name: str, column: Column | None, stream: Stream) -> Array:
    found = stream.columns.get(name)
    try:
        if found is not None:
            return array(column or guess(name, found), found)
        if column is None or column.required:
            raise RequestError(400, "MISSING_COLUMN", "A required column is missing.", column=name)
        return decoder(column)((None,) * stream.rows)
    except CellError as error:
        row = error.row if error.row >= 0 else None
        message = f"Expected {error.expected}."
        raise RequestError(422, "INVALID_CELL", message, column=name, row=row) from None
