"""From lines of a journal, or rows of a table, to what is counted of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.reference import Reference
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.windows import Window, counted
from mlops_magics.steps.monitor.spans import PLACES, STAGES, WHOLE, Chances, Span, buckets

_OK: Final = 200
_FAULT: Final = 500  # from here on it is no fault of the request
_TWO: Final = 2  # classes
_NAMED: Final = 200  # columns and codes that are told apart


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a journal that belong together.

    Attributes:
        frame: They, as a Polars frame.
        features: The model's columns by the names that they have in the frame.
        version: The version that is watched.
        reference: How its rows looked when it was fitted; None where nothing says so.
    """

    frame: Any
    features: Mapping[str, str]
    version: str
    reference: Reference | None


def counted_lines(lines: Lines, began: float, ended: float) -> Span:
    """Count lines of a journal.

    Args:
        lines: The lines.
        began: When their window began.
        ended: When it ended.
    """
    import polars as pl

    heard = lines.frame.filter(pl.col("role") != "shadow")
    failing = heard.filter(pl.col("status") != _OK)
    every = heard.filter(pl.col("status") == _OK)
    answered = answered_of(heard)
    firsts = answered.filter(pl.col("row") == 0)
    # What a canary could not answer the live version did: nobody outside has met that failure.
    helped = (pl.col("status") >= _FAULT) & pl.col("request_id").is_in(firsts["request_id"].implode())
    refused, saved = failing.filter(~helped), failing.filter(helped)
    newest = heard["time"].max()
    return Span(
        began,
        ended,
        requests=firsts.height + refused.height,
        rows=answered.height,
        refused=tally(refused, "error"),
        failed=refused.filter(pl.col("status") >= _FAULT).height,
        breached=tally(refused, "column") if "column" in refused.columns else {},
        versions=tally(answered, "version"),
        asked=tally(firsts, "version"),
        saved=tally(saved, "version"),
        spent=_spent(firsts),
        chances=_chances(every.filter(pl.col("version").cast(pl.String) == lines.version)),
        window=_window(lines, answered, began, ended),
        last=0.0 if newest is None else newest.timestamp(),
    )


def answered_of(frame: Any) -> Any:  # noqa: ANN401 - Polars frames
    """Take the rows that were answered, shadows left out.

    A request that asks for labels and probabilities at once has two lines a row: the row counts once.
    """
    import polars as pl

    heard = frame.filter((pl.col("role") != "shadow") & (pl.col("status") == _OK))
    return heard.unique(["request_id", "row", "time"], keep="first", maintain_order=True)


def features_of(frame: Any, prefix: str) -> Any:  # noqa: ANN401 - Polars frames
    """Take the model's columns of a journal, by their own names."""
    names = [name for name in frame.columns if name.startswith(prefix)]
    return frame.select([pl_column(name).alias(name.removeprefix(prefix)) for name in names])


def counted_rows(
    reference: Reference | None,
    rows: Frame,
    answers: Any,  # noqa: ANN401 - an array
    chances: Any,  # noqa: ANN401 - same
    times: tuple[float, float],
) -> Span:
    """Count rows of a table that no endpoint has seen.

    Args:
        reference: How the model's rows looked when it was fitted; None where nothing says so.
        rows: The rows, the model's columns only.
        answers: What the model answers, one a row; None where it was not asked.
        chances: Its probabilities, a column a class; None where it gives none.
        times: When the window began and ended; zeros where there is no time.
    """
    window = None
    if reference is not None and rows.rows:
        began, ended = times
        given = chances if chances is not None else answers
        window = counted(reference, rows, answers=given, began=_when(began), ended=_when(ended))
    return Span(
        *times,
        requests=0,
        rows=rows.rows,
        chances=Chances() if chances is None else chances_of(np.asarray(chances, np.float64)),
        window=window,
        last=times[1],
    )


def tally(frame: Any, column: str) -> dict[str, int]:  # noqa: ANN401 - a Polars frame
    """Count the values of a column of words; those that are missing are left out."""
    import polars as pl

    words = frame[column].cast(pl.String).drop_nulls().value_counts(sort=True).head(_NAMED)
    return dict(zip(words[column].to_list(), words["count"].to_list(), strict=True))


def chances_of(found: np.ndarray[Any, Any]) -> Chances:
    """Count probabilities, a column a class."""
    if found.ndim != _TWO or not found.size:
        return Chances()
    found = found[np.isfinite(found).all(axis=1)]
    likeliest = found.max(axis=1) if len(found) else np.zeros(0)
    counts: list[int] = []
    sums: list[float] = []
    if found.shape[1] == _TWO:
        held = np.clip(found[:, 1], 0, 1)
        places = np.minimum((held * PLACES).astype(np.int64), PLACES - 1)
        counts = np.bincount(places, minlength=PLACES).tolist()
        sums = np.bincount(places, weights=held, minlength=PLACES).tolist()
    return Chances(
        tuple(counts),
        tuple(sums),
        float(likeliest.sum()),
        float((likeliest * (1 - likeliest)).sum()),
        len(found),
    )


def _spent(firsts: Any) -> dict[str, dict[int, int]]:  # noqa: ANN401 - a Polars frame
    if not firsts.height:
        return {}
    stages = {name: firsts[f"{name}_ms"].to_numpy().astype(np.float64) for name in STAGES}
    whole = np.nansum(np.stack(list(stages.values())), axis=0)
    return {name: buckets(values) for name, values in {**stages, WHOLE: whole}.items()}


def _chances(mine: Any) -> Chances:  # noqa: ANN401 - a Polars frame
    if "probabilities" not in mine.columns:
        return Chances()
    held = mine["probabilities"].drop_nulls()
    if not len(held):
        return Chances()
    widths = held.list.len()
    width = int(widths.max() or 0)
    if width < _TWO or not bool((widths == width).all()):
        return Chances()
    return chances_of(held.explode().to_numpy().reshape(-1, width))


def _window(lines: Lines, answered: Any, began: float, ended: float) -> Window | None:  # noqa: ANN401 - a Polars frame
    """Count the rows by the reference; of other versions' rows what was answered is left out."""
    if lines.reference is None or not answered.height:
        return None
    found: Window | None = None
    for part, answers in _parts(lines, answered):
        rows = part.select([pl_column(name).alias(told) for name, told in lines.features.items()])
        frame = Frame(rows, "polars", "the journal")
        window = counted(lines.reference, frame, answers=answers, began=_when(began), ended=_when(ended))
        found = window if found is None else found + window
    return found


def _parts(lines: Lines, answered: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - same
    """Part the lines by what was answered: labels, probabilities, or what another version said."""
    import polars as pl

    mine = pl.col("version").cast(pl.String) == lines.version
    nothing = pl.lit(value=False)
    labels = pl.col("prediction").is_not_null() if "prediction" in answered.columns else nothing
    chances = pl.col("probabilities").is_not_null() if "probabilities" in answered.columns else nothing
    for kind, wanted in (
        ("prediction", mine & labels),
        ("probabilities", mine & ~labels & chances),
        ("", ~mine | ~(labels | chances)),
    ):
        part = answered.filter(wanted)
        if part.height:
            yield part, _given(part, kind)


def _given(part: Any, kind: str) -> Any:  # noqa: ANN401 - same
    if kind != "probabilities":
        return part[kind].to_numpy() if kind else None
    found = part[kind]
    widths = found.list.len()
    if widths.n_unique() != 1:
        return None
    return found.explode().to_numpy().reshape(-1, int(widths[0]))


def pl_column(name: str) -> Any:  # noqa: ANN401 - a Polars expression
    """Name a column of a Polars frame, whatever signs its name has."""
    import polars as pl

    return pl.col(f"^{re.escape(name)}$") if name.startswith("^") else pl.col(name)


def _when(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
