"""The journal of an endpoint, read piece by piece into windows: never more than one piece is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from mlops_magics.artifact.reference import Reference
from mlops_magics.serving.journal import files
from mlops_magics.serving.journal.entries import INPUT, no_lines
from mlops_magics.steps.monitor.counting import Lines, counted_lines
from mlops_magics.steps.monitor.kept import Shelf
from mlops_magics.steps.monitor.spans import Span

WRITTEN: Final = 60.0
"""Seconds after which all that came in a window lies in the journal."""
_TRIES: Final = 20
_MOST: Final = 200_000  # lines with all their columns that are in memory at once, or a second of them
_NUMBER: Final = " window"  # no column of a journal begins with a blank

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Source:
    """What is read, and how it is counted.

    Attributes:
        folder: The journal.
        version: The version that is watched; what others answered counts as traffic only.
        reference: How its rows looked when it was fitted; None where nothing says so.
        digest: What tells this reference from any other.
    """

    folder: Path
    version: str
    reference: Reference | None
    digest: str


def read(source: Source, *, seconds: float, since: float, now: float) -> tuple[Span, ...]:
    """Read the windows of a journal, oldest first; a window without requests is there too.

    Args:
        source: What is read.
        seconds: How long a window is. Windows begin at whole multiples of it since 1970.
        since: How far back, in seconds since 1970: the window that holds it is the first.
        now: This moment; the last window goes on beyond it.
    """
    first, end = int(since // seconds), int(now // seconds) + 1
    shelf = Shelf.of(source.folder, seconds, f"{source.version};{source.digest}")
    kept = shelf.take(first, end)
    missing = [number for number in range(first, end) if number not in kept]
    if missing:
        found = again(lambda: _counted(source, seconds, missing))
        over = int((now - WRITTEN) // seconds)
        shelf.put((number, found[number]) for number in missing if number < over)
        kept |= found
    return tuple(kept[number] for number in range(first, end))


def lines(
    folder: Path,
    since: float,
    columns: tuple[str, ...] | None = None,
    *,
    until: float | None = None,
    newest_first: bool = False,
) -> Iterator[Any]:
    """Read a journal as Polars frames: file by file, and of a large file a length of time at once.

    Args:
        folder: The journal.
        since: What came before is left out, in seconds since 1970.
        columns: Only these, as far as a file has them; None for all.
        until: What came then or later is left out; None for nothing.
        newest_first: Whether the newest file comes first.

    Yields:
        The lines of a file or of a part of it, with the columns that each journal has.

    Raises:
        FileNotFoundError: A file was put together with others just now: begin again.
    """
    import polars as pl

    wanted_times = pl.col("time") >= _moment(since)
    if until is not None:
        wanted_times &= pl.col("time") < _moment(until)
    none = pl.DataFrame(no_lines())
    paths = files.paths(folder, since)
    for path in reversed(paths) if newest_first else paths:
        scanned = pl.scan_parquet(path)
        parts = [wanted_times] if columns is not None else _parts(scanned.filter(wanted_times), wanted_times)
        if columns is not None:
            there = scanned.collect_schema().names()
            scanned = scanned.select([name for name in columns if name in there])
        wanted = none if columns is None else none.select([c for c in none.columns if c in columns])
        for part in reversed(parts) if newest_first else parts:
            yield pl.concat([wanted, scanned.filter(part).collect()], how="diagonal_relaxed")


def _parts(scanned: Any, every: Any) -> list[Any]:  # noqa: ANN401 - Polars
    """Cut a large file at whole seconds, so that a request and what else was noted of it stay together."""
    import polars as pl

    seconds = scanned.select(pl.col("time").cast(pl.Int64) // 1_000_000).collect()["time"].sort()
    if len(seconds) <= _MOST:
        return [every]
    cuts = seconds.gather(range(_MOST, len(seconds), _MOST)).unique(maintain_order=True).to_list()
    ends = zip([None, *cuts], [*cuts, None], strict=True)
    return [
        every
        & (pl.lit(value=True) if low is None else pl.col("time") >= _moment(low))
        & (pl.lit(value=True) if high is None else pl.col("time") < _moment(high))
        for low, high in ends
    ]


def span_of(source: Source, part: Any, began: float, ended: float) -> Span:  # noqa: ANN401 - a Polars frame
    """Count lines of a journal as one length of time."""
    features = {name: name.removeprefix(INPUT) for name in part.columns if name.startswith(INPUT)}
    return counted_lines(Lines(part, features, source.version, source.reference), began, ended)


def again(read: Callable[[], Found]) -> Found:
    """Read a journal, and begin again where a file was put together with others meanwhile.

    Args:
        read: What reads.

    Returns:
        What it returned.
    """
    for _ in range(_TRIES):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def _moment(seconds: float) -> Any:  # noqa: ANN401 - a Polars expression
    import polars as pl

    return pl.lit(int(seconds * 1e6)).cast(pl.Datetime("us", "UTC"))


def _counted(source: Source, seconds: float, missing: list[int]) -> dict[int, Span]:
    import polars as pl

    found = {number: Span(number * seconds, (number + 1) * seconds) for number in missing}
    wanted = pl.Series(missing)
    size = int(seconds * 1e6)
    for frame in lines(source.folder, missing[0] * seconds):
        numbered = frame.with_columns((pl.col("time").cast(pl.Int64) // size).alias(_NUMBER))
        numbered = numbered.filter(pl.col(_NUMBER).is_in(wanted.implode()))
        for (number,), part in numbered.partition_by(_NUMBER, as_dict=True, include_key=False).items():
            found[number] += span_of(source, part, number * seconds, (number + 1) * seconds)
    return found
