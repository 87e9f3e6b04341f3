"""Files larger than memory, scored: a range of rows becomes a file of answers, whole or not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.foundation.errors import UsageError
from mlops_magics.serving.arrays import array
from mlops_magics.serving.cells import CellError, decoder
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.rows import Columns

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_magics.artifact.schema import Schema

_ROWS: Final = 65_536  # rows in memory at once
_PART: Final = 1_000_000  # rows of a file of answers, about
_BLOCK: Final = 16 * 1024 * 1024  # bytes of a CSV that are read at once
_PREDICTION, _ERROR = "prediction", "error"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the rows, which becomes one file.

    Attributes:
        path: The file that they are in.
        first: The first row group, of a parquet file; -1 for a CSV, which is read whole.
        last: The last one.
        name: The name of the file of answers.
    """

    path: str
    first: int
    last: int
    name: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a file of answers has.

    Attributes:
        rows: All of them.
        refused: Those that have no answer, because they do not fit the model.
    """

    rows: int
    refused: int


def chunks(paths: Sequence[Path]) -> list[Chunk]:
    """Cut files into parts of about a million rows, always in the same way."""
    import pyarrow.parquet as pq

    found: list[Chunk] = []
    for path in paths:
        for first, last in _cuts(pq.read_metadata(path)) if path.suffix == ".parquet" else [(-1, -1)]:
            found.append(Chunk(str(path), first, last, f"part-{len(found):05d}.parquet"))
    return found


def _cuts(told: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401 - parquet metadata
    """Cut a file's row groups into runs."""
    first, rows = 0, 0
    for group in range(told.num_row_groups):
        rows += told.row_group(group).num_rows
        if rows >= _PART or group == told.num_row_groups - 1:
            yield first, group
            first, rows = group + 1, 0


class Scorer:
    """Scores parts with one model.

    Args:
        predictor: The model.
        schema: The columns that it takes.
        method: What it is asked.
        classes: The names of its classes, where probabilities are asked.
        keep: Columns of the rows that go along with the answers, beside those that the model does not take.
    """

    def __init__(
        self,
        predictor: Predictor,
        schema: Schema,
        method: Method,
        *,
        classes: Sequence[str] = (),
        keep: Sequence[str] = (),
    ) -> None:
        self._predictor = predictor
        self._schema = schema
        self._method = method
        self._classes = tuple(classes)
        self._keep = frozenset(keep)

    def score(self, chunk: Chunk, folder: Path) -> Count:
        """Score one part.

        Args:
            chunk: The part.
            folder: Where its file goes.

        Raises:
            UsageError: A column is missing or of another type, or no row of many fits the model.
        """
        import pyarrow.parquet as pq

        rows = refused = 0
        path = folder / chunk.name
        unfinished = folder / f".{chunk.name}"
        writer = None
        try:
            for table in _tables(chunk):
                answers = self._answers(table, chunk)
                writer = writer or pq.ParquetWriter(unfinished, answers.schema, compression="zstd")
                writer.write_table(answers.select(writer.schema.names).cast(writer.schema))
                rows += answers.num_rows
                refused += answers.num_rows - answers[_ERROR].null_count
            if writer is not None:
                writer.close()
                unfinished.rename(path)
        finally:
            if writer is not None:
                writer.close()
            unfinished.unlink(missing_ok=True)
        return Count(rows, refused)

    def _answers(self, table: pa.Table, chunk: Chunk) -> pa.Table:
        """Put answers beside what is carried along."""
        import pyarrow as pa

        taken = set(self._schema.names) - self._keep
        told = {name: table[name] for name in table.column_names if name not in taken}
        try:
            found = self._predictor.predict(self._columns(table), table.num_rows, self._method)
        except (CellError, ValueError, TypeError):
            return pa.table(told | self._one_by_one(table, chunk))
        told[_ERROR] = pa.nulls(table.num_rows, pa.string())
        return pa.table(told | self._written(found))

    def _written(self, found: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """Make the columns of answers: one a class, or those of the table that the model answers with."""
        import pyarrow as pa

        if self._method == "predict_proba":
            return {self._named(place): pa.array(found[:, place]) for place in range(found.shape[1])}
        if found.ndim == 1:
            return {_PREDICTION: pa.array(found)}
        fields = self._predictor.fields
        if fields is None:
            return {_PREDICTION: pa.array(found.tolist())}
        return {f"{_PREDICTION}.{name}": pa.array(found[:, at].tolist()) for at, name in enumerate(fields)}

    def _named(self, place: int) -> str:
        return f"probability.{self._classes[place]}"

    def _one_by_one(self, table: pa.Table, chunk: Chunk) -> dict[str, pa.Array]:
        """Answer rows of which some do not fit."""
        import pyarrow as pa

        found = np.empty(table.num_rows, dtype=object)
        errors: list[str | None] = [None] * table.num_rows
        self._solve(table, 0, found, errors)
        answers = found.tolist()
        if all(answer is None for answer in answers):
            raise UsageError(
                f"No row of {Path(chunk.path).name} fits the model: {errors[0]}.",
                "Look at the columns' types; %mlops_prepare DATA --check NAME lists every breach.",
            )
        told = {_ERROR: pa.array(errors, pa.string())}
        if self._method == "predict":
            fields = self._predictor.fields
            if fields is None or len(fields) == 1:
                plain = [
                    each.tolist() if isinstance(each, np.ndarray | np.generic) else each for each in answers
                ]
                return told | {_PREDICTION: pa.array(plain)}
            for place, name in enumerate(fields):
                cells = [None if each is None else each.tolist()[place] for each in answers]
                told[f"{_PREDICTION}.{name}"] = pa.array(cells)
            return told
        for place in range(len(self._classes)):
            chances = [None if each is None else float(each[place]) for each in answers]
            told[self._named(place)] = pa.array(chances, pa.float64())
        return told

    def _solve(self, table: pa.Table, start: int, found: Any, errors: list[str | None]) -> None:  # noqa: ANN401 - an array of objects
        """Answer rows together; where one does not fit, each half by itself, down to the row."""
        if not table.num_rows:
            return
        try:
            answers = self._predictor.predict(self._columns(table), table.num_rows, self._method)
            found[start : start + table.num_rows] = list(answers)
        except (CellError, ValueError, TypeError) as error:
            if table.num_rows == 1:
                errors[start] = _told(error)
                return
            half = table.num_rows // 2
            self._solve(table.slice(0, half), start, found, errors)
            self._solve(table.slice(half), start + half, found, errors)

    def _columns(self, table: pa.Table) -> Columns:
        made: Columns = {}
        for column in self._schema.columns:
            if column.name in table.column_names:
                try:
                    made[column.name] = array(column, table[column.name])
                except CellError as error:
                    if error.row < 0:
                        raise UsageError(
                            f"The column {column.name} holds other values than {error.expected}.",
                            "Give it the type that the model was trained on.",
                        ) from None
                    raise CellError(error.row, f"{column.name}: expected {error.expected}") from None
            elif column.required:
                raise UsageError(
                    f"The rows have no column {column.name}.", "The model was trained on it and needs it."
                )
            else:
                made[column.name] = decoder(column)((None,) * table.num_rows)
        return made


def _told(error: Exception) -> str:
    """Say why a row has no answer, without its values."""
    return error.expected if isinstance(error, CellError) else "the model does not take it"


def _tables(chunk: Chunk) -> Iterator[pa.Table]:
    """Read a part, some rows at a time."""
    import pyarrow as pa

    if chunk.first < 0:
        from pyarrow import csv

        with csv.open_csv(chunk.path, csv.ReadOptions(block_size=_BLOCK)) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(chunk.path) as file:
        groups = range(chunk.first, chunk.last + 1)
        for batch in file.iter_batches(_ROWS, row_groups=list(groups)):
            yield pa.Table.from_batches([batch])
