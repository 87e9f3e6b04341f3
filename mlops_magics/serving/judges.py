"""What looks at one column for a rule of a contract: at arrays of values, or at single cells of JSON.

Cells are looked at where rows are few: an array for each column of each request would cost more than the
answer. They are only ever found to be surely right; whatever is not is judged by arrays, which name the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from mlops_magics.artifact.rules import ColumnRule

Array = np.ndarray[Any, Any]
Judge = Callable[[Array], Array]
"""Says of each value that is there whether it is wrong."""
Right = Callable[[Any], bool]
"""Says of a cell that is there whether it is surely right."""
_Wrong = Callable[[str], bool]


def judges(rule: ColumnRule) -> Iterator[tuple[str, Judge]]:
    """Make what looks at one column; a judge of another kind of values than come finds nothing wrong.

    Args:
        rule: The column's rule.

    Yields:
        The rule in a word, and its judge.
    """
    if rule.kind == "integer":
        yield "type", _on("f", lambda values: np.isfinite(values) & (values % 1 != 0))
    if rule.format is not None:
        yield "format", _texts(_unread(rule.format))
    for bound, below in _bounds(rule):
        yield "range", _range(rule, bound, below=below)
    if rule.past:
        yield "future", _future(rule)
    if _closed(rule):
        yield "category", _category(rule)
    if rule.lengths is not None:
        yield "length", _texts(_unlong(rule.lengths))
    if rule.shape is not None:
        yield "shape", _texts(_misshapen(rule.shape))


def right_number(rule: ColumnRule) -> Right:
    """Make what looks at a cell that holds a number."""
    low = rule.minimum if isinstance(rule.minimum, int | float) else -math.inf
    high = rule.maximum if isinstance(rule.maximum, int | float) else math.inf
    whole = rule.kind == "integer"
    allowed = frozenset(float(each) for each in rule.allowed or () if not isinstance(each, str))
    if not whole and not _closed(rule):
        return lambda cell: low <= cell <= high
    if not _closed(rule):
        return lambda cell: low <= cell <= high and cell % 1 == 0
    return lambda cell: low <= cell <= high and cell in allowed and (not whole or cell % 1 == 0)


def right_text(rule: ColumnRule) -> Right:
    """Make what looks at a cell that holds a text."""
    wrongs = tuple(_wrongs(rule))
    if len(wrongs) == 1:
        (only,) = wrongs
        return lambda cell: not only(cell)
    return lambda cell: not any(wrong(cell) for wrong in wrongs)


def _wrongs(rule: ColumnRule) -> Iterator[_Wrong]:
    if rule.format is not None:
        yield _unread(rule.format)
        for bound, below in _bounds(rule):
            if isinstance(bound, str):
                yield _beyond(rule.format, bound, below=below)
        if rule.past:
            yield _later(rule.format)
    if _closed(rule):
        texts = _allowed_texts(rule)
        yield lambda text: text not in texts
    if rule.lengths is not None:
        yield _unlong(rule.lengths)
    if rule.shape is not None:
        yield _misshapen(rule.shape)


def _bounds(rule: ColumnRule) -> list[tuple[float | str, bool]]:
    """List the bounds that there are, each with whether values must not lie below it."""
    return [
        (bound, below) for bound, below in ((rule.minimum, True), (rule.maximum, False)) if bound is not None
    ]


def _closed(rule: ColumnRule) -> bool:
    return rule.allowed is not None and rule.closed and not rule.unseen


def _allowed_texts(rule: ColumnRule) -> frozenset[str]:
    return frozenset(each for each in rule.allowed or () if isinstance(each, str))


def _on(kinds: str, judge: Judge) -> Judge:
    """Let a judge see values of some kinds of numpy's only."""

    def judged(values: Array) -> Array:
        return judge(values) if values.dtype.kind in kinds else np.zeros(1, np.bool_)

    return judged


def _texts(wrong: _Wrong) -> Judge:
    return _on("O", lambda values: _each(values, wrong))


def _each(values: Iterable[Any], wrong: _Wrong) -> Array:
    return np.array([isinstance(each, str) and wrong(each) for each in values], np.bool_)


def _range(rule: ColumnRule, bound: float | str, *, below: bool) -> Judge:
    if isinstance(bound, str) and rule.format is not None:
        return _texts(_beyond(rule.format, bound, below=below))
    limit: Any = np.datetime64(_naive(bound), "us") if isinstance(bound, str) else bound
    kinds = "M" if isinstance(bound, str) else "fiu"
    return _on(kinds, lambda values: values < limit if below else values > limit)


def _future(rule: ColumnRule) -> Judge:
    if rule.format is not None:
        return _texts(_later(rule.format))
    return _on("M", lambda values: values > np.datetime64(_tomorrow(), "us"))


def _category(rule: ColumnRule) -> Judge:
    texts = _allowed_texts(rule)
    numbers = np.array([float(each) for each in rule.allowed or () if not isinstance(each, str)])

    def strange(values: Array) -> Array:
        if values.dtype.kind == "O":
            return np.array(
                [
                    each not in texts if isinstance(each, str) else float(each) not in numbers
                    for each in values
                ],
                np.bool_,
            )
        return ~np.isin(values.astype(np.float64), numbers)

    return _on("Ofiub", strange)


def _unread(form: str) -> _Wrong:
    return lambda text: _moment(text, form) is None


def _beyond(form: str, bound: str, *, below: bool) -> _Wrong:
    edge = _naive(bound)

    def beyond(text: str) -> bool:
        moment = _moment(text, form)
        return moment is not None and (moment < edge if below else moment > edge)

    return beyond


def _later(form: str) -> _Wrong:
    def later(text: str) -> bool:
        moment = _moment(text, form)
        return moment is not None and moment > _tomorrow()

    return later


def _unlong(lengths: tuple[int, int]) -> _Wrong:
    least, most = lengths
    return lambda text: not least <= len(text) <= most


def _misshapen(shape: str) -> _Wrong:
    return lambda text: _shape(text) != shape


def _tomorrow() -> datetime:
    """Say what lies in the future, whatever the time zone."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)


def _moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=None)  # noqa: DTZ007 - contracts know no zone
    except ValueError:
        return None


def _naive(bound: str) -> datetime:
    return datetime.fromisoformat(bound).replace(tzinfo=None)


def _shape(text: str) -> str:
    """Write how a text is made: ``N14228`` is ``a9``."""
    parts = groupby(text, lambda sign: "a" if sign.isalpha() else "9" if sign.isdecimal() else "")
    return "".join(kind or "".join(signs) for kind, signs in parts)
