"""Labels that come late, joined with the journal by the id of the request and the number of the row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.reference import Reference
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.steps.monitor.journal import again, lines
from mlops_magics.steps.monitor.performance import Answers, Performance, measured
from mlops_magics.tracking.evaluations import Summary

REQUEST: Final = "request_id"
ROW: Final = "row"

_PLACE: Final = " place"  # no column of labels begins with a blank
_SIZE: Final = " size"
_OK: Final = 200
_READ: Final = (REQUEST, ROW, "time", "version", "role", "status", "prediction", "probabilities")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels, and what was joined with them.

    Attributes:
        joined: Rows whose truth is known: a Polars frame with the journal's columns and ``truth``.
        given: How many labels were given.
        unknown: How many of them are of requests that the journal does not know.
        waiting: How many rows were answered in the same time and have no label yet.
    """

    joined: Any
    given: int
    unknown: int
    waiting: int


def joined(folder: Path, table: object, target: str | None, version: str, since: float) -> Labels:
    """Join labels with the answers of a version.

    Args:
        folder: The journal.
        table: The labels: a table with ``request_id``, ``row`` where a request had several rows and they
            are not in its order, and the target.
        target: The column that holds the truth; the only other one by default.
        version: The version.
        since: How far back answers are looked for, in seconds since 1970.

    Returns:
        What was joined. Of labels that were given twice the later ones hold.

    Raises:
        UsageError: The table has no such columns, the truth is missing in every row, or ``row`` holds no
            numbers.
    """
    labels = _labels(Frame.of(table, "--labels"), target)
    return again(lambda: _joined(folder, labels, version, since))


def by_window(
    labels: Labels, seconds: float, reference: Reference | None, before: Summary | None, alpha: float
) -> tuple[Performance, ...]:
    """Measure each window whose labels have come, oldest first; the windows are those of the traffic."""
    import polars as pl

    size = int(seconds * 1e6)
    numbered = labels.joined.with_columns((pl.col("time").cast(pl.Int64) // size).alias(" window"))
    parts = sorted(numbered.partition_by(" window", as_dict=True).items())
    found = (
        measured(answers_of(part), reference, before, (number * seconds, (number + 1) * seconds), alpha)
        for (number,), part in parts
    )
    return tuple(one for one in found if one is not None)


def answers_of(frame: Any) -> Answers:  # noqa: ANN401 - a Polars frame
    """Take the answers and the truth of joined rows."""
    import polars as pl

    none = [None] * frame.height
    said = frame["prediction"].to_list() if "prediction" in frame.columns else none
    held = frame["probabilities"] if "probabilities" in frame.columns else pl.Series([], dtype=pl.Null)
    probabilities = None
    if len(held) == frame.height and frame.height and not held.null_count():
        widths = held.list.len()
        if widths.n_unique() == 1:
            probabilities = held.explode().to_numpy().reshape(-1, int(widths[0])).astype(np.float64)
    return Answers(frame["truth"].to_list(), said, probabilities)


def _labels(table: Frame, target: str | None) -> Any:  # noqa: ANN401 - a Polars frame
    """Bring labels to three columns: request, truth, and row or which of the request's labels it is."""
    import polars as pl

    names = [str(name) for name in table.names]
    if REQUEST not in names:
        raise UsageError(
            "The labels have no column request_id: nothing says which answer each belongs to.",
            "Keep the x-request-id of each answer (.request_ids of %mlops_predict) beside what became of it.",
        )
    others = [name for name in names if name not in {REQUEST, ROW}]
    if target is None and len(others) != 1:
        raise UsageError("Which column of the labels is the truth?", "Name it with --target COLUMN.")
    wanted = [REQUEST, target or others[0], *([ROW] if ROW in names else [])]
    held = table.select([table.position(name) for name in wanted]).to_pandas()
    held.columns = [REQUEST, "truth", *wanted[2:]]
    held[REQUEST] = held[REQUEST].astype(str)
    frame = pl.from_pandas(held)
    if ROW not in frame.columns:
        frame = frame.with_columns(pl.int_range(pl.len()).over(REQUEST).cast(pl.Int32).alias(_PLACE))
    else:
        frame = frame.with_columns(_whole(frame[ROW]))
    frame = frame.drop_nulls("truth")
    if not frame.height:
        raise UsageError(
            "The labels hold no truth: it is missing in each row.", "Give rows whose truth is known."
        )
    return frame


def _whole(rows: Any) -> Any:  # noqa: ANN401 - a Polars series
    import polars as pl

    try:
        return rows.cast(pl.Int32)
    except pl.exceptions.PolarsError as error:
        raise UsageError(
            "The column row of the labels holds no numbers of rows.", "Number the rows of a request from 0."
        ) from error


def _placed(labels: Any, answered: Any) -> Any:  # noqa: ANN401 - Polars frames
    """Say of which row each label is, the later one where there are several.

    Where no label names its row they are in the order of the request; a request of one row that has two
    labels was labelled again, and likewise one of ten that has twenty.
    """
    import polars as pl

    if ROW not in labels.columns:
        sizes = answered.group_by(REQUEST).agg((pl.col(ROW).max() + 1).alias(_SIZE))
        place = pl.when(pl.col(_SIZE).is_null()).then(_PLACE).otherwise(pl.col(_PLACE) % pl.col(_SIZE))
        labels = labels.join(sizes, on=REQUEST, how="left", maintain_order="left")
        labels = labels.with_columns(place.cast(pl.Int32).alias(ROW)).drop(_PLACE, _SIZE)
    return labels.unique([REQUEST, ROW], keep="last", maintain_order=True)


def _joined(folder: Path, labels: Any, version: str, since: float) -> Labels:  # noqa: ANN401 - a Polars frame
    import polars as pl

    known = labels[REQUEST].unique().implode()
    parts = (
        _mine(part, version).filter(pl.col(REQUEST).is_in(known)) for part in lines(folder, since, _READ)
    )
    found = [part for part in parts if part.height]
    if not found:
        none = pl.DataFrame(schema={"time": pl.Datetime("us", "UTC")})
        return Labels(none, labels.height, labels.height, 0)
    answers = _one_each(pl.concat(found, how="diagonal_relaxed"))
    labels = _placed(labels, answers)
    every = answers.join(labels, on=[REQUEST, ROW], how="inner")
    answered = _answered(folder, version, since, (every["time"].min(), every["time"].max()))
    return Labels(every, labels.height, labels.height - every.height, max(0, answered - every.height))


def _mine(part: Any, version: str) -> Any:  # noqa: ANN401 - Polars frames
    """Take what a version answered, shadows left out."""
    import polars as pl

    mine = pl.col("version").cast(pl.String) == version
    return part.filter((pl.col("status") == _OK) & (pl.col("role") != "shadow") & mine)


def _answered(folder: Path, version: str, since: float, times: tuple[Any, Any]) -> int:
    """Count the rows that a version answered from one moment to another; a row has one line or two."""
    import polars as pl

    columns = (REQUEST, ROW, "time", "version", "role", "status")
    between = pl.col("time").is_between(*times)
    return sum(
        _mine(part, version).filter(between).select(REQUEST, ROW, "time").n_unique() if part.height else 0
        for part in lines(folder, since, columns)
    )


def _one_each(frame: Any) -> Any:  # noqa: ANN401 - a Polars frame
    """Make one line a row of what was asked for in two ways: a label and probabilities."""
    import polars as pl

    values = [name for name in ("prediction", "probabilities") if name in frame.columns]
    return frame.group_by([REQUEST, ROW], maintain_order=True).agg(
        pl.col("time").first(), *[pl.col(name).drop_nulls().first() for name in values]
    )
