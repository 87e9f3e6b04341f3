"""The reference of a table that a model was fitted on: a few milliseconds, however many rows there are."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.artifact.reference import (
    NAME,
    TAIL,
    Bins,
    ColumnReference,
    Levels,
    Predictions,
    Reference,
    bucket,
)
from mlops_magics.foundation.digests import column_digests
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.foundation.masking import masked
from mlops_magics.stats.coded import NAME as ROWS_NAME
from mlops_magics.stats.coded import coded
from mlops_magics.stats.columns import Column
from mlops_magics.stats.counting import clock, words_of
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.meaning import Evidence, meaning, personal
from mlops_magics.stats.naming import labels
from mlops_magics.stats.periods import periods_of
from mlops_magics.stats.summary import Kind, Lengths, Personal
from mlops_magics.stats.using import importance_of

_ROWS: Final = 100_000  # looked at; more would say the same, later
_TIMED: Final = 20_000  # of these, counted by stretches of time
_BINS: Final = 256
_IN_A_BIN: Final = 20  # rows at least: no edge is the value of one row among few
_WIDE: Final = 40  # columns; of more, each has fewer bins and names
_COLUMNS: Final = 400
_NAMED: Final = 256  # frequent values
_OFTEN: Final = 100  # times that a value occurs to have its name: fewer would be chance
_LONG: Final = 100  # characters of a name
_OWN: Final = 0.98  # distinct values a row, from which on buckets fill evenly whatever the values are
_LOOKED_AT: Final = 200  # texts in which personal data are looked for
_WORDED: Final = 0.5  # of these with several words, from which on words are counted
_ASKED: Final = 500  # rows that the model is asked
_CLASSES: Final = 20
_LARGE: Final = 1e100  # squares of such numbers are no floats
_DIGITS: Final = 17  # that make any float

Floats = npt.NDArray[np.float64]


def kept_of(data: object, estimator: Any, *, rows: int = 0) -> dict[str, bytes]:  # noqa: ANN401 - any fitted estimator
    """Make the files of a reference that are kept with a model.

    Args:
        data: What the model was fitted on: a table or an array with rows and columns.
        estimator: The fitted model.
        rows: How many rows to keep beside it, as numbers only, so that columns can be compared together.

    Returns:
        Their content by their path in the model's folder; nothing where there is no such table, or where a
        column or the model is so strange that none can be made: no fit is lost for it.
    """
    plain, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's own generators
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reference_of(data, estimator)
            frame = framed(data)
            some = coded(found, frame, rows) if found and frame and rows > 0 else None
    except Exception:  # noqa: BLE001 - a stranger's estimator and data
        return {}
    finally:  # an estimator may draw when it is asked
        random.setstate(plain)
        np.random.set_state(numbers)  # noqa: NPY002 - same
    if found is None:
        return {}
    if some is None:
        return {NAME: found.to_json()}
    return {NAME: replace(found, kept_rows=len(some.table)).to_json(), ROWS_NAME: some.to_bytes()}


def reference_of(data: object, estimator: Any) -> Reference | None:  # noqa: ANN401 - any fitted estimator
    """Sketch the rows that a model was fitted on, and its answers to some of them.

    Args:
        data: The rows, features only.
        estimator: The fitted model.

    Returns:
        The reference; None of what is no table.
    """
    frame = framed(data)
    if frame is None:
        return None
    names = labels(frame.names)
    places = range(min(len(names), _COLUMNS))
    part = _spread(frame, _ROWS)
    scale = min(1.0, _WIDE / max(len(places), 1))
    digests = column_digests(frame.select(places))
    columns = tuple(_column(names[place], decoded(part, place), digests[place], scale) for place in places)
    asked = _asked(frame, data)
    importance, measured = ({}, "") if frame.rows == 0 else importance_of(estimator, names, asked)
    return Reference(
        rows=frame.rows,
        columns=columns,
        left_out=len(names) - len(places),
        predictions=_predictions(estimator, asked) if frame.rows else None,
        importance=importance,
        measured=measured,
        periods=periods_of(_spread(part, _TIMED), columns),
    )


def framed(data: object) -> Frame | None:
    """Take what a model was fitted on as a table; None of what is none."""
    if kind_of(data) is not None:
        return Frame.of(data)
    if isinstance(data, np.ndarray) and data.ndim == 2:  # noqa: PLR2004 - rows and columns
        return Frame(pl.DataFrame(data, schema=[str(place) for place in range(data.shape[1])]), "polars")
    return None


def _spread(frame: Frame, rows: int) -> Frame:
    """Take rows from all over a table."""
    return frame if frame.rows <= rows else frame.where(_taken(frame.rows, rows))


def _taken(count: int, rows: int) -> npt.NDArray[np.bool_]:
    taken = np.zeros(count, bool)
    taken[np.linspace(0, count - 1, min(count, rows)).astype(np.int64)] = True
    return taken


def _column(name: str, column: Column, digest: str, scale: float) -> ColumnReference:
    if column.numbers is None:
        return _text_column(name, column, digest, scale)
    found = column.numbers.astype(np.float64) * column.unit
    finite = found[np.isfinite(found)]
    nan = int(np.isnan(found).sum())
    looks = _personal(name, column.kind, finite)
    return ColumnReference(
        name,
        column.kind,
        column.rows,
        column.nulls + nan,
        infinite=found.size - finite.size - nan,
        personal=looks,
        bins=None if looks else bins_of(finite, scale),
        levels=_levels(_written(finite), hidden=True, scale=scale) if looks and finite.size else None,
        digest=digest,
        distinct=_distinct(finite) if column.kind == "integer" else 0,
        **clock(finite) if column.kind == "date" and finite.size and not looks else {},
    )


def _text_column(name: str, column: Column, digest: str, scale: float) -> ColumnReference:
    texts = column.texts
    held = pl.Series("", [], dtype=pl.String) if texts is None else texts.drop_nulls()
    missing = column.rows - len(held)
    if not len(held):
        return ColumnReference(name, column.kind, column.rows, missing, digest=digest)
    lengths = held.str.len_chars().to_numpy().astype(np.float64)
    looks = _personal_text(name, column, held, lengths)
    levels = _levels(held, hidden=bool(looks), scale=scale)
    worded = not levels.tail and _several_words(held)
    return ColumnReference(
        name=name,
        kind=column.kind,
        rows=column.rows,
        missing=missing,
        personal=looks,
        levels=levels,
        lengths=bins_of(lengths, scale),
        digest=digest,
        **words_of(held) if worded else {},
    )


def _distinct(values: Floats) -> int:
    return int(np.unique(values).size)


def _several_words(texts: pl.Series) -> bool:
    return bool(texts.head(_LOOKED_AT).str.contains(r"\S\s+\S").mean() > _WORDED)


def bins_of(values: Floats, scale: float = 1.0) -> Bins | None:
    """Count finite numbers in bins of equal mass; None of none.

    Args:
        values: The numbers.
        scale: The share of the 256 bins that may be made.
    """
    if not values.size:
        return None
    values = np.sort(values) + 0.0
    count = max(1, min(int(_BINS * scale), values.size // _IN_A_BIN))
    edges = np.unique(values[(np.arange(1, count) * values.size) // count])
    places = np.searchsorted(values, edges, "left")
    edges = _short(edges, np.where(places > 0, values[places - 1], -np.inf))
    counts = np.diff(places, prepend=0, append=values.size)
    scaled = max(abs(float(values[0])), abs(float(values[-1])))
    unit = scaled if scaled > _LARGE else 1.0
    mean, std = float((values / unit).mean()) * unit, float((values / unit).std()) * unit
    told = (_rounded(float(number)) for number in (values[0], values[-1], mean, std))
    return Bins(tuple(edges.tolist()), tuple(counts.tolist()), *told)


def _short(edges: Floats, before: Floats) -> Floats:
    """Write each edge with as few digits as still fall between it and the value before it.

    Every count stays as it is, and the edge is no longer anybody's very value.
    """
    found = edges.copy()
    open_ = np.ones(edges.size, bool)
    with np.errstate(all="ignore"):
        size = np.floor(np.log10(np.abs(edges)))
        for digits in range(2, _DIGITS):
            unit = 10.0 ** np.abs(size - digits + 1)  # a whole power is exact, its inverse is not
            large = size - digits + 1 >= 0
            tried = np.where(large, np.floor(edges / unit) * unit, np.floor(edges * unit) / unit)
            fits = open_ & np.isfinite(tried) & (tried > before) & (tried <= edges)
            found[fits] = tried[fits]
            open_ &= ~fits
            if not open_.any():
                break
    return found


def _rounded(number: float) -> float:
    return float(f"{number:.7g}")


def _written(numbers: Floats) -> pl.Series:
    return pl.Series("", numbers.astype(np.int64)).cast(pl.String)


def _levels(held: pl.Series, *, hidden: bool, scale: float) -> Levels:
    """Count texts: the frequent ones by name, all others in buckets."""
    table = held.rename("text").value_counts(sort=False)
    texts, counts = table["text"], table["count"].to_numpy().astype(np.int64)
    named: dict[str, int] = {}
    if not hidden:
        limit = max(16, int(_NAMED * scale))
        often = np.flatnonzero(counts >= _OFTEN)
        order = often[np.argsort(-counts[often], kind="stable")]
        likely = {texts[int(place)]: int(counts[place]) for place in order[:limit]}
        named = dict(sorted(_open(likely).items(), key=lambda pair: (-pair[1], pair[0])))
    if len(texts) >= _OWN * len(held):
        return Levels(named, (), len(texts))
    tail = [0] * TAIL
    for text, count in zip(texts.to_list(), counts.tolist(), strict=True):
        if text not in named:
            tail[bucket(text)] += count
    return Levels(named, tuple(tail), len(texts))


def _open(named: Mapping[str, int]) -> dict[str, int]:
    """Leave out names that are too long or hold a secret."""
    short = {text: count for text, count in named.items() if len(text) <= _LONG}
    together = "\n".join(short)
    if masked(together) == together:
        return short
    return {text: count for text, count in short.items() if masked(text) == text}


def _personal(name: str, kind: Kind, finite: Floats) -> Personal:
    """Tell by its name whether a column of numbers or dates is personal: phone numbers, days of birth."""
    if kind not in {"integer", "date"}:
        return ""
    found = Evidence(name, kind, finite.size, finite.size, distinct=finite.size, whole=True)
    return personal(found, "number")


def _personal_text(name: str, column: Column, held: pl.Series, lengths: Floats) -> Personal:
    distinct = int(held.n_unique())
    step = max(1, len(held) // _LOOKED_AT)
    texts = tuple(held.gather_every(step).head(_LOOKED_AT).to_list())
    size = Lengths(int(lengths.min()), float(lengths.mean()), int(lengths.max()))
    found = Evidence(name, column.kind, column.rows, len(held), distinct, lengths=size, texts=texts)
    return personal(found, meaning(found))


def _asked(frame: Frame, data: Any) -> Any:  # noqa: ANN401 - a frame or an array, as the model takes it
    """Take some rows to ask the model."""
    array = isinstance(data, np.ndarray)
    return data[_taken(frame.rows, _ASKED)] if array else _spread(frame, _ASKED).to_pandas()


def _predictions(estimator: Any, rows: Any) -> Predictions | None:  # noqa: ANN401 - same
    if hasattr(estimator, "predict_proba") and hasattr(estimator, "classes_"):
        return _classes(np.asarray(estimator.predict_proba(rows)), estimator.classes_)
    found = np.asarray(estimator.predict(rows))
    if found.ndim != 1:
        return None
    if hasattr(estimator, "classes_") or found.dtype.kind not in "fiu":
        values, counts = np.unique(found.astype(str), return_counts=True)
        told = dict(zip(values.tolist(), counts.tolist(), strict=True)) if len(values) <= _CLASSES else {}
        return Predictions(len(found), labels=told)
    values = found.astype(np.float64)
    return Predictions(len(values), numbers=bins_of(values[np.isfinite(values)]))


def _classes(found: Floats, classes: Sequence[Any]) -> Predictions | None:
    names = [str(name) for name in classes]
    if found.ndim != 2 or found.shape[1] != len(names):  # noqa: PLR2004 - rows and classes
        return None
    counts = np.bincount(found.argmax(axis=1), minlength=len(names)).tolist()
    shown = [1] if len(names) == 2 else range(min(len(names), _CLASSES))  # noqa: PLR2004 - yes and no
    bins = {names[place]: bins_of(found[:, place].astype(np.float64)) for place in shown}
    return Predictions(
        rows=len(found),
        labels={name: count for name, count in zip(names, counts, strict=True) if count},
        probabilities={name: each for name, each in bins.items() if each is not None},
    )
