"""Rows of a table, by windows of time: what an endpoint elsewhere has seen, or a year of data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from mlops_magics.checks.model import Model, model_of
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.steps.monitor.counting import counted_rows
from mlops_magics.steps.monitor.performance import Answers, Performance, measured
from mlops_magics.steps.monitor.spans import Span
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking import subject
from mlops_magics.tracking.store import Store

WINDOWS: Final = 5_000
"""The most windows that are looked at."""
_WIDE: Final = 2  # dimensions of probabilities


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What was counted of a table.

    Attributes:
        spans: Its windows, oldest first; one where nothing tells the time.
        measured: The metrics of each window whose truth is known.
        labelled: How many rows have a truth.
        notes: What the user should know.
    """

    spans: tuple[Span, ...]
    measured: tuple[Performance, ...] = ()
    labelled: int = 0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class _Asking:
    """How rows are counted: by whom they are answered, what is true, how sure a metric must be worse."""

    watched: Watched
    model: Model | None
    target: str | None
    alpha: float


def read(
    watched: Watched,
    table: Frame,
    model: Model | None,
    *,
    time: str | None,
    seconds: float,
    target: str | None,
    alpha: float,
) -> Rows:
    """Count the rows of a table.

    Args:
        watched: The version that they are compared with.
        table: The rows.
        model: The model; None where it is not asked.
        time: The column that tells when each row was.
        seconds: How long a window is.
        target: The column that holds the truth, where there is one.
        alpha: The chance that a metric is called worse though it is not.

    Raises:
        NotFoundError: There is no such column.
        UsageError: The column tells no time, or of more windows than can be looked at.
    """
    asking = _Asking(watched, model, target, alpha)
    spans, found, labelled = [], [], 0
    for times, part in _parts(table, time, seconds):
        span, performance, known = _counted(asking, part, times)
        spans.append(span)
        labelled += known
        if performance is not None:
            found.append(performance)
    return Rows(tuple(spans), tuple(found), labelled)


def within(table: Frame, time: str, began: float, ended: float) -> Frame:
    """Take the rows of a table that lie between two moments.

    Args:
        table: The table.
        time: The column that tells when each row was.
        began: The first moment, in seconds since 1970.
        ended: The last one, not included.
    """
    moments = _moments(table, time)
    return table.where((moments >= began) & (moments < ended))


def asked(
    store: Store, watched: Watched, table: Frame, target: str | None, **consent: bool
) -> tuple[Model | None, str]:
    """Load the model, so that it can answer the rows of a table.

    Returns:
        The model; None with the reason where it cannot be asked: then the rows are looked at without it.
    """
    try:
        opened = subject.opened(store, subject.of_version(watched.version), **consent)
        return model_of(opened.estimator, table.names, target or "", None), ""
    except MLOpsError as error:
        return None, f"The model was not asked: {error.what} {error.remedy}"


def _parts(table: Frame, time: str | None, seconds: float) -> Iterator[tuple[tuple[float, float], Frame]]:
    """Cut a table into windows, oldest first; those without rows are there as well."""
    if time is None:
        yield (0.0, 0.0), table
        return
    moments = _moments(table, time)
    numbers = np.floor(moments / seconds).astype(np.int64)
    first, last = int(numbers.min()), int(numbers.max())
    if last - first >= WINDOWS:
        raise UsageError(
            f"{last - first + 1:,} windows are more than can be looked at.",
            "Write a longer --window, such as 7d.",
        )
    order = np.argsort(numbers, kind="stable")
    frame = table.to_pandas().iloc[order]
    cuts = np.searchsorted(numbers[order], np.arange(first, last + 2))
    for number, begin, end in zip(range(first, last + 1), cuts, cuts[1:], strict=False):
        part = Frame(frame.iloc[begin:end], "pandas", table.source)
        yield (number * seconds, (number + 1) * seconds), part


def _moments(table: Frame, time: str) -> np.ndarray[Any, Any]:
    import pandas as pd

    column = table.select([table.position(time)]).to_pandas().iloc[:, 0]
    if pd.api.types.is_numeric_dtype(column):
        raise UsageError(f"'{time}' holds numbers, no moments.", "Make a column of dates of it first.")
    try:
        found = pd.to_datetime(column, utc=True)
    except (ValueError, TypeError) as error:
        raise UsageError(f"'{time}' cannot be read as moments.", "Write them as ISO dates.") from error
    if not len(found) or found.isna().any():
        raise UsageError(
            f"'{time}' is missing in {int(found.isna().sum()):,} of {len(found):,} rows.",
            f"Drop them first: table.dropna(subset='{time}').",
        )
    return np.asarray(found.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6)


def _counted(
    asking: _Asking, part: Frame, times: tuple[float, float]
) -> tuple[Span, Performance | None, int]:
    watched = asking.watched
    labels, chances = _answers(asking.model, part)
    rows = part if asking.target is None else part.without(asking.target)
    span = counted_rows(watched.reference, rows, labels, chances, times)
    if asking.target is None or not part.rows or (labels is None and chances is None):
        return span, None, 0
    truth = part.select([part.position(asking.target)]).to_pandas().iloc[:, 0]
    known = truth.notna().to_numpy()
    said = [None] * len(truth) if labels is None else labels.tolist()
    answers = Answers(
        truth[known].tolist(),
        [value for value, kept in zip(said, known, strict=True) if kept],
        None if chances is None else chances[known],
    )
    performance = measured(answers, watched.reference, watched.before, times, asking.alpha)
    return span, performance, int(known.sum())


def _answers(model: Model | None, part: Frame) -> tuple[Any, Any]:
    """Ask the model: labels or numbers, or probabilities where it gives these."""
    if model is None or not part.rows:
        return None, None
    rows = part.select([part.position(name) for name in model.features]).to_pandas()
    found = model.answer(rows)
    return (None, found) if found.ndim == _WIDE else (found, None)
