"""A journal in short: all of its traffic at once, and the rows of the newest windows alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from mlops_magics.steps.monitor.counting import tally
from mlops_magics.steps.monitor.journal import Source, again, lines, span_of
from mlops_magics.steps.monitor.spans import STAGES, Span

_LIGHT: Final = (
    "time",
    "request_id",
    "row",
    "version",
    "role",
    "status",
    "error",
    "column",
    *(f"{stage}_ms" for stage in STAGES),
)


def read(source: Source, *, seconds: float, since: float, now: float, minimum: int) -> tuple[Span, ...]:
    """Read a journal as two lengths of time: the newest windows that have enough rows, and all before.

    Nothing is kept, and the columns of the model are read of the newest rows only.

    Args:
        source: What is read.
        seconds: How long a window is.
        since: How far back, in seconds since 1970.
        now: This moment. A window that is still open is left out where those before have enough rows.
        minimum: How many rows are enough.
    """
    return again(lambda: _read(source, seconds, since, now, minimum))


def _read(source: Source, seconds: float, since: float, now: float, minimum: int) -> tuple[Span, ...]:
    over = now // seconds * seconds
    cut = _cut(source, seconds, since, over, minimum)
    until = over
    if cut is None:  # too few came in windows that are over
        cut, until = since, now
    newest = Span(cut, until)
    for frame in lines(source.folder, cut, until=until):
        newest += span_of(source, frame, cut, until)
    before = Span(since, cut)
    bare = replace(source, reference=None)
    for frame in lines(source.folder, since, _LIGHT, until=cut):
        before += span_of(bare, frame, since, cut)
    return (before, newest) if before.requests else (newest,)


def _cut(source: Source, seconds: float, since: float, over: float, minimum: int) -> float | None:
    """Find the window from which on enough rows came; None where not enough came at all."""
    import polars as pl

    counts: Counter[int] = Counter()
    size = int(seconds * 1e6)
    for frame in lines(source.folder, since, ("time", "role", "status"), until=over, newest_first=True):
        answered = frame.filter((pl.col("status") == 200) & (pl.col("role") != "shadow"))  # noqa: PLR2004 - OK
        numbers = answered.select((pl.col("time").cast(pl.Int64) // size).alias("number"))
        counts.update({int(name): count for name, count in tally(numbers, "number").items()})
        if sum(counts.values()) >= 2 * minimum:
            break
    rows = 0
    for number in sorted(counts, reverse=True):
        rows += counts[number]
        if rows >= minimum:
            return number * seconds
    return None
