"""A column of new rows, counted in the bins, levels and buckets of the column that a model was fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.artifact.reference import TAIL, Bins, ColumnReference, Levels, Predictions, bucket
from mlops_magics.foundation.masking import masked
from mlops_magics.stats import dates
from mlops_magics.stats.columns import Column
from mlops_magics.stats.units import quantiles
from mlops_magics.stats.window_columns import FRESH, Answers, ColumnWindow

_NUMBERS: Final = frozenset({"integer", "float", "decimal", "boolean"})
_TIMES: Final = frozenset({"date", "duration"})
_DIGITS: Final = 7  # that a reference keeps of its least and greatest number
_LONG: Final = 100  # characters of a name
_TRUTHS: Final[Mapping[str, float]] = {"true": 1.0, "false": 0.0}
_HOUR: Final = 3_600e6
_DAY: Final = 24
_WEEK: Final = 7
_THURSDAY: Final = 3  # the first of January 1970
_TEXTS: Final = 1_000  # in which words are looked for
_WORDS: Final = 100  # of a text

Floats = npt.NDArray[np.float64]


def column_of(known: ColumnReference, column: Column | None, rows: int) -> ColumnWindow:
    """Count a column of new rows.

    Args:
        known: The column as it was.
        column: The column now; None where the rows have none of that name.
        rows: How many rows there are.

    Returns:
        The counts. Values of another kind are counted as wrong, and in bins all the same where they can be
        read as what they should be.
    """
    if column is None:
        return ColumnWindow(known.name) if known.personal else ColumnWindow(known.name, rows, absent=rows)
    if known.kind == "empty" or column.kind == "empty":
        return ColumnWindow(known.name, rows, missing=rows - _held(column))
    if known.kind in _NUMBERS | _TIMES:
        return _number_column(known, column, rows)
    return _text_column(known, column, rows)


def _held(column: Column) -> int:
    if column.numbers is None:
        return column.rows - column.nulls
    return int(column.numbers.size - np.isnan(column.numbers).sum())


def _number_column(known: ColumnReference, column: Column, rows: int) -> ColumnWindow:
    values, wrong = _as_numbers(known, column)
    sorted_ = np.sort(values[np.isfinite(values)]) + 0.0
    infinite = int(np.isinf(values).sum())
    told: dict[str, Any] = {
        "rows": rows,
        "missing": rows - sorted_.size - infinite - wrong[1],
        "infinite": infinite,
        "wrong": sum(wrong),
    }
    if known.levels is not None:  # numbers that look personal: buckets only
        told |= _levels(pl.Series("", sorted_.astype(np.int64)).cast(pl.String), known.levels, hidden=True)
    if known.bins is not None:
        told |= _binned(sorted_, known.bins)
    if known.weekdays and sorted_.size:
        told |= clock(sorted_)
    if not known.personal and sorted_.size:
        told["quantiles"] = quantiles(sorted_) or ()
    return ColumnWindow(known.name, **told)


def _as_numbers(known: ColumnReference, column: Column) -> tuple[Floats, tuple[int, int]]:
    """Read a column as numbers: with how many values of another kind can be read, and how many cannot."""
    timed = known.kind in _TIMES
    if column.numbers is not None:
        values = column.numbers.astype(np.float64) * column.unit
        if (column.kind in _TIMES) == timed and (not timed or column.kind == known.kind):
            return values, (0, 0)
        return values, (int(values.size - np.isnan(values).sum()), 0)
    texts = column.texts.drop_nulls() if column.texts is not None else pl.Series("", [], dtype=pl.String)
    if known.kind == "date":  # requests in JSON have no other way to say a date
        found = dates.parsed(texts)
        return found, (0, int(np.isnan(found).sum()))
    found = texts.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    unread = np.isnan(found)
    if unread.any() and known.kind == "boolean":
        truth = texts.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Float64)
        found = np.where(unread, truth.to_numpy(), found)
        unread = np.isnan(found)
    lost = int(unread.sum())
    # Among objects of several types, a number is a number; in a column of texts it is one only by its looks.
    return found, (len(texts) - lost if column.kind == "string" else 0, lost)


def _binned(values: Floats, bins: Bins) -> dict[str, Any]:
    places = np.searchsorted(values, np.asarray(bins.edges), "left")
    low, high = bins.minimum - _error(bins.minimum), bins.maximum + _error(bins.maximum)
    return {
        "counts": tuple(np.diff(places, prepend=0, append=values.size).tolist()),
        "below": int(np.searchsorted(values, low, "left")),
        "above": int(values.size - np.searchsorted(values, high, "right")),
    }


def _error(number: float) -> float:
    """Say how far a number that was written with seven digits may lie from what it was."""
    return 10.0 ** (math.floor(math.log10(abs(number))) - _DIGITS + 1) if number else 0.0


def clock(values: Floats) -> dict[str, Any]:
    """Count dates by the hour, where they have hours, and by the day of the week."""
    hours = np.floor(values / _HOUR).astype(np.int64)
    days = (hours // _DAY + _THURSDAY) % _WEEK
    told = {"weekdays": tuple(np.bincount(days, minlength=_WEEK).tolist())}
    if (values % (_HOUR * _DAY)).any():
        told["hours"] = tuple(np.bincount(hours % _DAY, minlength=_DAY).tolist())
    return told


def _text_column(known: ColumnReference, column: Column, rows: int) -> ColumnWindow:
    if column.numbers is not None:
        found = (
            column.numbers[~np.isnan(column.numbers)] if column.numbers.dtype.kind == "f" else column.numbers
        )
        texts, wrong = pl.Series("", found).cast(pl.String), found.size
    else:
        assert column.texts is not None  # noqa: S101 - one of both is there
        texts, wrong = column.texts.drop_nulls(), 0
    told: dict[str, Any] = {"rows": rows, "missing": rows - len(texts), "wrong": int(wrong)}
    if known.levels is not None:
        told |= _levels(texts, known.levels, hidden=bool(known.personal))
    if known.lengths is not None:
        lengths = np.sort(texts.str.len_chars().to_numpy().astype(np.float64))
        told["lengths"] = _binned(lengths, known.lengths)["counts"]
    if known.words:
        told |= words_of(texts)
    return ColumnWindow(known.name, **told)


def _levels(texts: pl.Series, known: Levels, *, hidden: bool) -> dict[str, Any]:
    if not known.named and not known.tail:  # nearly every row has its own: nothing to compare
        return {}
    table = texts.rename("text").value_counts(sort=False)
    frequent = table.filter(pl.col("text").is_in(list(known.named)))
    named = dict.fromkeys(known.named, 0) | dict(frequent.iter_rows())
    others = table.filter(~pl.col("text").is_in(list(known.named)))
    tail = np.zeros(TAIL, np.int64)
    np.add.at(tail, np.array(list(map(bucket, others["text"])), np.int64), others["count"].to_numpy())
    told: dict[str, Any] = {"named": named, "tail": tuple(tail.tolist())}
    if not hidden:
        most = others.sort(["count", "text"], descending=[True, False]).head(FRESH)
        told["fresh"] = {text: count for text, count in most.iter_rows() if shown(text)}
    return told


def shown(text: str) -> bool:
    """Tell whether a value may be told by its name: it is short and holds no secret."""
    return len(text) <= _LONG and masked(text) == text


def words_of(texts: pl.Series) -> dict[str, Any]:
    """Count in how many of some texts a word of each bucket occurs.

    Which texts are looked at hangs on their hashes alone: neither on their order, nor on what they say.
    """
    known: dict[str, int] = {}
    counts = [0] * TAIL
    looked = texts.gather(texts.hash(0).arg_sort().head(_TEXTS)).to_list()
    for text in looked:
        found = set()
        for word in text.lower().split(maxsplit=_WORDS)[:_WORDS]:
            place = known.get(word)
            if place is None:
                place = known[word] = bucket(word)
            found.add(place)
        for place in found:
            counts[place] += 1
    return {"worded": len(looked), "words": tuple(counts)}


def answers_of(known: Predictions, answers: object) -> Answers:
    """Count what the model answered.

    Args:
        known: What it answered when it was fitted.
        answers: A label or a number a row, or a probability a class a row.
    """
    found = np.asarray(answers)
    if found.ndim == 2:  # noqa: PLR2004 - rows and classes
        return _classes(known, found.astype(np.float64))
    if known.numbers is None:
        held = [str(value) for value in found.tolist() if value is not None and value == value]  # noqa: PLR0124 - NaN
        names, counts = np.unique(np.array(held, dtype=str), return_counts=True)
        labels = dict(zip(names.tolist(), counts.tolist(), strict=True))
        return Answers(len(found), len(found) - len(held), labels=labels)
    values = found.astype(np.float64)
    finite = np.sort(values[np.isfinite(values)])
    return Answers(len(values), len(values) - finite.size, _binned(finite, known.numbers)["counts"])


def _classes(known: Predictions, found: Floats) -> Answers:
    names = list(known.probabilities)
    if found.shape[1] == 2 and len(names) == 1:  # noqa: PLR2004 - yes and no
        names = [next((label for label in known.labels if label != names[0]), ""), names[0]]
    held = found[np.isfinite(found).all(axis=1)]
    told = Answers(len(found), len(found) - len(held))
    if len(names) != found.shape[1]:
        return told
    counts = np.bincount(held.argmax(axis=1), minlength=len(names)).tolist()
    bins = {
        name: _binned(np.sort(held[:, place]), known.probabilities[name])["counts"]
        for place, name in enumerate(names)
        if name in known.probabilities
    }
    labels = dict(zip(names, counts, strict=True))
    return Answers(told.rows, told.missing, labels=labels, probabilities=bins)
