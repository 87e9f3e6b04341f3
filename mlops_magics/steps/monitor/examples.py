"""A few requests of a portion, by their ids: whoever looks into an alert begins with these."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mlops_magics.serving.journal import files
from mlops_magics.serving.journal.entries import INPUT
from mlops_magics.steps.monitor.segments import Segment, picked

_WANTED: Final = 3
_OK: Final = 200


def found_in(journal: Path, column: str, segment: Segment, times: tuple[float, float]) -> tuple[str, ...]:
    """Find requests with rows of a portion, the newest files first; no value of them leaves the journal.

    Args:
        journal: The journal's folder.
        column: The column.
        segment: The portion of it.
        times: Between which moments, in seconds since 1970.

    Returns:
        Ids of up to three requests; fewer where the files are gone meanwhile.
    """
    found: list[str] = []
    for path in reversed(files.paths(journal, times[0])):
        try:
            found += [each for each in _of(path, column, segment, times) if each not in found]
        except FileNotFoundError:
            continue
        if len(found) >= _WANTED:
            break
    return tuple(found[:_WANTED])


def _of(path: Path, column: str, segment: Segment, times: tuple[float, float]) -> list[str]:
    import polars as pl

    lines = pl.scan_parquet(path)
    name = f"{INPUT}{column}"
    if name not in lines.collect_schema().names():
        return []
    began, ended = (_moment(each) for each in times)
    wanted = (
        (pl.col("status") == _OK)
        & (pl.col("role") != "shadow")
        & pl.col("time").is_between(began, ended, closed="left")
        & picked(segment, pl.col(name))
    )
    held = lines.filter(wanted).select("request_id").unique(maintain_order=True).tail(_WANTED).collect()
    return [str(each) for each in held["request_id"].to_list()]


def _moment(seconds: float) -> Any:  # noqa: ANN401 - a Polars expression
    import polars as pl

    return pl.lit(int(seconds * 1e6)).cast(pl.Datetime("us", "UTC"))
