"""The column engine: a table in, everything that is known about it out, a column at a time.

Each column is decoded in ranges of rows, each range becomes a part, and parts add up: so a frame in
memory, a file larger than memory and the tasks of a cluster go the same way. Columns are worked on by a
few threads; what they call (sorting, hashing, decoding) frees the interpreter's lock, and no BLAS is
called there, whose own threads would spin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.machine import processors
from mlops_magics.stats.associations import associate
from mlops_magics.stats.describe import Facts, describe, written
from mlops_magics.stats.missing import RowHashes, patterns
from mlops_magics.stats.numbers import EXACT_ROWS, NumberPart
from mlops_magics.stats.pieces import Hashes, Piece, Range, hashed_rows, piece
from mlops_magics.stats.relations import Target, relate
from mlops_magics.stats.sample import Sample, SampleColumn, sampled_rows
from mlops_magics.stats.segments import segments
from mlops_magics.stats.sources import Source, head, opened
from mlops_magics.stats.summary import (
    Associations,
    ColumnSummary,
    Duplicates,
    TableSummary,
    TargetSummary,
)

PART_ROWS: Final = EXACT_ROWS  # rows decoded at once
_TELLS_ALL: Final = 0.95  # skill of a column from which it is no portion of the rows
_TELLING: Final = 3  # columns that are compared before all are
_WORKERS: Final = 4  # more would not be fed by one memory bus

Engine = Literal["local", "ray"]


class Cluster(Protocol):
    """Reads parts of a table elsewhere."""

    def pieces(
        self, source: Source, spans: Sequence[Sequence[Range]], rows: npt.NDArray[np.int64]
    ) -> Callable[[int, Range], Piece]:
        """Begin to read ranges of columns; return what waits for one of them."""

    def rows(self, source: Source, chosen: Sequence[int], spans: Sequence[Range]) -> Iterator[Hashes]:
        """Hash the rows of ranges over some columns, in order."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A table's summary, and the sampled rows that it came from.

    Attributes:
        table: The summary.
        sample: The sampled rows.
    """

    table: TableSummary
    sample: Sample


def summarize(data: object, *, target: str | None = None, source: str = "data") -> TableSummary:
    """Summarize a table.

    Args:
        data: What :func:`survey` takes.
        target: The column that is to be predicted.
        source: What to call the table.

    Returns:
        The summary.

    Raises:
        NotFoundError: No file or no column is there.
        UsageError: The data are no table, or the target has no two values.
    """
    return survey(data, target=target, source=source).table


def survey(
    data: object,
    *,
    target: str | None = None,
    source: str = "data",
    part_rows: int = PART_ROWS,
    workers: int | None = None,
    engine: Engine = "local",
) -> Survey:
    """Summarize a table, and keep the sampled rows.

    Up to 2,000,000 rows everything about a column is exact. Beyond, moments, histograms and counts are
    exact, quantiles have a standard error of at most 0.16 % of the ranks (those of the row sample), and
    distinct counts above 16,384 one of 0.8 %.

    Args:
        data: A pandas or Polars DataFrame, an Arrow table, a DuckDB relation, or the path of CSV or
            parquet files: one, a pattern with ``*``, or a folder.
        target: The column that is to be predicted.
        source: What to call the table.
        part_rows: Rows decoded at once.
        workers: Threads; as many as there are cores, and at most 4, by default.
        engine: Who reads the parts: this process, or the tasks of a Ray cluster, whose machines must all
            see the files.

    Returns:
        The summary and the sample.

    Raises:
        NotFoundError: No file or no column is there.
        UsageError: The data are no table, or the target has no two values.
        MissingExtraError: ``engine`` is "ray", and Ray is not installed.
    """
    with (
        opened(data, source) as table,
        ThreadPoolExecutor(workers or _cores()) as pool,
        _cluster(engine) as cluster,
    ):
        place = None if target is None else _position(table, target, source)
        rows = sampled_rows(table.rows, len(table.labels))
        work = _Work(table, rows, part_rows, pool, cluster)
        found = work.columns()
        sample = Sample(rows, tuple(item for _, item in found))
        columns = tuple(column for column, _ in found)
        digest = table.digest()
        return Survey(
            TableSummary(
                source=source if not isinstance(data, str) else str(data),
                rows=table.rows,
                columns=columns,
                digest=digest,
                memory=sum(column.memory for column in columns),
                sampled=rows.size,
                duplicates=work.duplicates(columns),
                patterns=patterns(sample.columns, rows.size),
                associations=_associations(sample, pool),
                target=None if place is None else _target(sample, columns, place, pool),
                head=head(table),
            ),
            sample,
        )


@contextlib.contextmanager
def _cluster(engine: Engine) -> Iterator[Cluster | None]:
    if engine == "local":
        yield None
        return
    from mlops_magics.stats.cluster import joined  # Ray is an extra

    with joined() as cluster:
        yield cluster


@dataclass(frozen=True, slots=True)
class _Work:
    """One table being read."""

    source: Source
    rows: npt.NDArray[np.int64]
    part_rows: int
    pool: Executor
    cluster: Cluster | None = None

    def columns(self) -> list[tuple[ColumnSummary, SampleColumn]]:
        """Read all columns, each on one thread."""
        names = self.source.labels  # once: making them takes as long as there are columns
        told = self.source.describe()
        spans = [self.ranges(objects=dtype == "object") for dtype, _ in told]
        far = None if self.cluster is None else self.cluster.pieces(self.source, spans, self.rows)

        def one(position: int) -> tuple[ColumnSummary, SampleColumn]:
            if far is None:
                pieces = (piece(self.source, position, span, self.rows) for span in spans[position])
            else:
                pieces = (far(position, span) for span in spans[position])
            return finished(Facts(names[position], position, *told[position], self.source.rows), pieces)

        return list(self.pool.map(one, range(len(names))))

    def ranges(self, *, objects: bool = False) -> list[Range]:
        """Cut the rows into ranges of about equal length; one, empty, of a table without rows.

        Objects are read at once: what a range makes of them hangs on what it happens to hold.
        """
        total = self.source.rows
        count = 1 if objects else max(1, -(-total // self.part_rows))
        edges = [total * place // count for place in range(count + 1)]
        return list(pairwise(edges))

    def duplicates(self, columns: Sequence[ColumnSummary]) -> Duplicates | None:
        """Count repeated rows; a column whose values all differ proves that there are none."""
        if not columns:
            return None
        rows = self.source.rows
        if rows < 2 or any(_all_differ(column) for column in columns):  # noqa: PLR2004 - a pair
            return Duplicates(0)
        # Rows that differ in a few columns differ: those with the most values settle it for most tables.
        telling = sorted(range(len(columns)), key=lambda place: -columns[place].distinct)
        for chosen in (telling[:_TELLING], telling):
            hashes = RowHashes(rows)
            for part in self._hashed(chosen):
                hashes.add(part)
            found = hashes.duplicates()
            if not found.rows:
                break
        return found

    def _hashed(self, chosen: Sequence[int]) -> Iterator[Hashes]:
        """Hash the rows, a range at a time."""
        told = self.source.describe()
        spans = self.ranges(objects=any(told[place][0] == "object" for place in chosen))
        if self.cluster is not None:
            yield from self.cluster.rows(self.source, chosen, spans)
            return
        for span in spans:
            yield hashed_rows(self.source, chosen, span, self.pool)


def finished(facts: Facts, pieces: Iterator[Piece]) -> tuple[ColumnSummary, SampleColumn]:
    """Add the pieces of a column up, in the order of the rows."""
    held = list(pieces)
    if any(item.numbers is not None for item in held):  # a range without any value has no type of its own
        held = [item if item.numbers is not None else _as_numbers(item, facts.rows) for item in held]
        numbers = np.concatenate([item.numbers for item in held if item.numbers is not None])
        unit = next((item.column.unit for item in held if item.column.kind != "empty"), 1.0)
        sampled = SampleColumn.of_numbers(facts.name, numbers if unit == 1 else numbers * unit)
    else:
        texts = pl.concat([item.texts for item in held if item.texts is not None])
        sampled = SampleColumn.of_texts(facts.name, texts)
    parts: list[Any] = [item.part for item in held]  # all of one kind by now
    part = reduce(lambda left, right: left.then(right), parts)
    column = next((item.column for item in held if item.column.kind != "empty"), held[0].column)
    return describe(facts, column, part, sampled), sampled


def _as_numbers(item: Piece, total: int) -> Piece:
    size = 0 if item.texts is None else len(item.texts)
    part = NumberPart.of(np.empty(0), item.part.rows, total)
    return Piece(item.column, part, np.full(size, np.nan), None)


def _all_differ(column: ColumnSummary) -> bool:
    return not column.missing and not column.distinct_error and column.distinct == column.rows


def _associations(sample: Sample, pool: Executor) -> Associations:
    varied = sample.where(lambda item: item.distinct > 1 and not _names_rows(item))
    return associate(varied, sample.rows.size, pool)


def _names_rows(item: SampleColumn) -> bool:
    """Tell whether a column of texts has another one in nearly each row: it goes together with nothing."""
    return item.numbers is None and item.distinct > item.codes.size / 2 and item.distinct > len(item.levels)


def aimed(found: Survey) -> Target:
    """Return the target's values in the sampled rows.

    Raises:
        UsageError: No target was named when the table was surveyed.
    """
    if found.table.target is None:
        raise UsageError("No target was named.", "Name the column that is to be predicted.")
    column = found.table.by_name[found.table.target.name]
    return _aim(found.sample.columns[column.position], column)


def _aim(held: SampleColumn, column: ColumnSummary) -> Target:
    return Target.of(held, lambda value: written(column, value))


def _target(sample: Sample, columns: Sequence[ColumnSummary], place: int, pool: Executor) -> TargetSummary:
    held, column = sample.columns[place], columns[place]
    if held.distinct < 2:  # noqa: PLR2004 - nothing to tell apart
        raise UsageError(
            f"The target '{held.label}' has {'one value only' if held.distinct else 'no value'}.",
            "Choose a target that differs between rows.",
        )
    target = _aim(held, column)
    others = [item for item in sample.columns if item is not held]
    known = {item.name: item for item in columns}
    relations = relate(target, others, pool)
    # What all but gives the target away would fill the list with itself.
    leaks = {item.column for item in relations if item.skill > _TELLS_ALL}
    cut_by = [item for item in others if item.label not in leaks]
    return TargetSummary(
        name=held.label,
        problem=target.problem,
        positive=target.positive,
        value=float(target.numbers.mean()) * target.unit,
        relations=relations,
        segments=segments(target, cut_by, lambda name, value: str(written(known[name], value, short=True))),
    )


def _position(table: Source, name: str, source: str) -> int:
    labels = table.labels
    if name not in labels:
        raise NotFoundError(f"{source} has no column '{name}'.", nearest(name, labels) or "It has none.")
    return labels.index(name)


def _cores() -> int:
    return min(_WORKERS, processors())
