"""Tables of any library, and files larger than memory, read a column and a range of rows at a time."""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
import xxhash

from mlops_magics.foundation.digests import digest as frame_digest
from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats import columns
from mlops_magics.stats.columns import Column
from mlops_magics.stats.naming import labels
from mlops_magics.stats.summary import Scalar

HEAD: Final = 10  # rows shown as they are
_IN_MEMORY: Final = 256 * 1024**2  # bytes of CSV that are read at once
_CELLS: Final = 50_000_000  # cells of a relation that are fetched at once
_READ: Final = 1 << 20
_SUFFIXES: Final = (".parquet", ".pq", ".csv")
_LONGEST: Final = 10_000  # characters of a value that are kept


class Source(Protocol):
    """A table that is read a column and a range of rows at a time."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns' names as texts that differ."""

    @property
    def rows(self) -> int:
        """How many rows there are."""

    def describe(self) -> tuple[tuple[str, int], ...]:
        """Return the type and the bytes of each column, as the library tells them."""

    def column(self, position: int, start: int, stop: int) -> Column:
        """Decode some rows of a column."""

    def digest(self) -> str:
        """Digest every value, or every byte of the files."""


@dataclass(frozen=True, slots=True)
class FrameSource:
    """A table in memory."""

    frame: Frame

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns' names as texts that differ."""
        return labels(self.frame.names)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.frame.rows

    def describe(self) -> tuple[tuple[str, int], ...]:
        """Return the type and the bytes of each column; texts of Python objects are not followed."""
        found = map(self.frame.column, range(len(self.frame.names)))
        if self.frame.kind == "pandas":
            return tuple((str(column.dtype), int(column.memory_usage(index=False))) for column in found)
        if self.frame.kind == "arrow":
            return tuple((str(column.type), int(column.nbytes)) for column in found)
        return tuple((str(column.dtype), int(column.estimated_size())) for column in found)

    def column(self, position: int, start: int, stop: int) -> Column:
        """Decode some rows of a column."""
        held = self.frame.column(position)
        if self.frame.kind == "pandas":
            return columns.of_pandas(held.iloc[start:stop])
        part = held.slice(start, stop - start)
        if self.frame.kind == "arrow":
            return columns.of_arrow(part)
        return columns.of_polars(part)

    def digest(self) -> str:
        """Digest every value."""
        return frame_digest(self.frame)


@dataclass(frozen=True, slots=True)
class FileSource:
    """Parquet files, one below the other.

    Attributes:
        paths: The files, in order.
        labels: The columns' names.
        types: Their types.
        rows: How many rows they hold together.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    types: tuple[pl.DataType, ...]
    rows: int

    @classmethod
    def of(cls, paths: Sequence[Path], shown: str) -> FileSource:
        """Open parquet files.

        Raises:
            UsageError: One of them cannot be read, or their columns do not fit together.
        """
        texts = tuple(map(str, paths))
        try:
            schema = _scan(texts).collect_schema()
            rows = int(_scan(texts).select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unreadable(shown, error) from error
        return cls(texts, tuple(schema), tuple(schema.values()), rows)

    def describe(self) -> tuple[tuple[str, int], ...]:
        """Return the type of each column; its bytes in a file are not told apart."""
        return tuple((str(dtype), 0) for dtype in self.types)

    def column(self, position: int, start: int, stop: int) -> Column:
        """Decode some rows of a column."""
        asked = _scan(self.paths).slice(start, stop - start).select(pl.nth(position))
        return columns.of_polars(asked.collect().to_series())

    def digest(self) -> str:
        """Digest every byte of the files, in order."""
        total = xxhash.xxh3_128(b"files;1")
        for path in self.paths:
            with Path(path).open("rb") as file:
                while block := file.read(_READ):
                    total.update(block)
            total.update(b";")
        return str(total.hexdigest())


@contextlib.contextmanager
def opened(data: object, source: str = "data") -> Iterator[Source]:
    """Open a table for the length of a ``with`` block.

    Args:
        data: A pandas or Polars DataFrame, an Arrow table, a DuckDB relation, or the path of CSV or
            parquet files: one, a pattern with ``*``, or a folder of parquet files.
        source: What to call it.

    Yields:
        The table. CSV that is larger than memory and large relations lie in a temporary parquet file
        meanwhile.

    Raises:
        NotFoundError: No file is there.
        UsageError: It is none of these, or cannot be read as what its name says.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(data, str | Path):
            yield _of_path(str(data), stack)
        elif _is_relation(data):
            yield _of_relation(data, source, stack)
        else:
            yield FrameSource(Frame.of(data, source))


def head(data: Source) -> tuple[tuple[Scalar, ...], ...]:
    """Return the first rows as JSON types."""
    count = min(HEAD, data.rows)
    if isinstance(data, FrameSource):
        first = data.frame.head(count)
        found = [_listed(first.column(position)) for position in range(len(data.labels))]
    else:
        assert isinstance(data, FileSource)  # noqa: S101 - there are two kinds
        found = [column.to_list() for column in _scan(data.paths).head(count).collect()]
    return tuple(tuple(map(scalar, row)) for row in zip(*found, strict=True)) if found else ()


def scalar(value: object) -> Scalar:
    """Turn a value into what JSON can hold; long texts are cut."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # numpy's
        value = value.item()
    match value:
        case None | bool() | int():
            found: Scalar = value
        case float():
            found = value if math.isfinite(value) else (None if math.isnan(value) else str(value))
        case datetime() | date() | time():  # NaT is a datetime too
            found = value.isoformat() if value == value else None  # noqa: PLR0124 - only NaT is not itself
        case str():
            found = value[:_LONGEST].encode(errors="backslashreplace").decode()  # lone surrogates
        case timedelta() | Decimal():
            found = str(value)
        case _:
            found = None if type(value).__name__ == "NAType" else _written(value)
    return found


def _written(value: object) -> str:
    try:
        return repr(value)[:_LONGEST]
    except Exception:  # noqa: BLE001 - a stranger's __repr__
        return f"<{type(value).__name__}>"


def _listed(column: Any) -> list[Any]:  # noqa: ANN401 - a column of any library
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, name):
            with contextlib.suppress(Exception):
                return list(getattr(column, name)())
    return [None] * len(column)


def _is_relation(data: object) -> bool:
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(data, duckdb.DuckDBPyRelation)


def _of_relation(data: Any, source: str, stack: contextlib.ExitStack) -> Source:  # noqa: ANN401 - no types
    rows, count = data.shape
    if rows * count <= _CELLS:
        return FrameSource(Frame(data.to_arrow_table(), "arrow", source))
    target = _temporary(stack) / "relation.parquet"
    data.write_parquet(str(target))
    return FileSource.of([target], source)


def _of_path(text: str, stack: contextlib.ExitStack) -> Source:
    paths = _found(text)
    if paths[0].suffix.lower() != ".csv":
        return FileSource.of(paths, text)
    asked = pl.scan_csv(paths, infer_schema_length=_LONGEST, try_parse_dates=True, encoding="utf8-lossy")
    if sum(path.stat().st_size for path in paths) <= _IN_MEMORY:
        return FrameSource(Frame(_collected(asked, paths, text), "polars", text))
    target = _temporary(stack) / "table.parquet"
    try:
        asked.sink_parquet(target, compression="lz4")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(text, error) from error
    return FileSource.of([target], text)


def _collected(asked: pl.LazyFrame, paths: list[Path], shown: str) -> pl.DataFrame:
    try:
        return asked.collect()
    except pl.exceptions.PolarsError:
        pass  # a type that the first rows suggested does not hold further down: look at all of them
    try:
        return pl.read_csv(
            paths[0] if len(paths) == 1 else [*map(str, paths)],
            infer_schema_length=None,
            encoding="utf8-lossy",
            truncate_ragged_lines=True,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(shown, error) from error


def _found(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        paths = sorted(item for item in path.rglob("*.parquet") if item.is_file())
    elif any(letter in text for letter in "*?["):
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        paths = sorted(item for item in anchor.glob(str(path.relative_to(path.anchor))) if item.is_file())
    else:
        paths = [path] if path.is_file() else []
    if path.suffix.lower() not in _SUFFIXES and not path.is_dir():
        raise UsageError(
            f"'{text}' is neither the name of a table in this notebook nor a .csv or .parquet file.",
            "Check the spelling, or pass a path that ends with .csv or .parquet.",
        )
    if not paths:
        raise NotFoundError(
            f"There is no file {text}.", "Check the path; it is taken from the current folder."
        )
    return paths


def _temporary(stack: contextlib.ExitStack) -> Path:
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-")))
    except OSError as error:
        raise UnavailableError(
            f"No temporary folder can be made: {error.strerror}.", "Set TMPDIR to a folder with room."
        ) from error


def _scan(paths: Sequence[str]) -> pl.LazyFrame:
    return pl.scan_parquet(list(paths), glob=False, missing_columns="insert", extra_columns="ignore")


def _unreadable(shown: str, error: Exception) -> UsageError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(f"{shown} cannot be read: {first}.", "Check that the file is whole.")
