"""The data contract of a version, held against each request: what breaks it names column and rule, no value.

Only what one row can break by itself is looked at. Whether a column as a whole has drifted, lost more values
than usual or changed its unit, many rows together show, and those are in the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.routes import Heads, Hear

Array = np.ndarray[Any, Any]
Judge = Callable[[Array], Array]
"""Says of each value that is there whether it is wrong."""

CODE = "CONTRACT_BREACH"


class BreachError(RequestError):
    """A request that breaks the contract.

    Attributes:
        rule: Which rule, in a word.
        place: The column and the rule.
    """

    def __init__(self, contract: str, rule: str, column: str, row: int) -> None:
        super().__init__(
            422, CODE, f"The contract {contract}: {_SAID[rule]} ({rule}).", column=column, row=row
        )
        self.rule = rule
        self.place = (column, rule)


_SAID = {
    "nulls": "there is no value, and there must be one",
    "type": "this is no whole number",
    "format": "this is not a date in the form that was agreed",
    "range": "this is outside of what was agreed",
    "future": "this lies in the future",
    "category": "this is none of the values that were agreed",
    "length": "this text is shorter or longer than was agreed",
    "shape": "this text is not made as was agreed",
}


class Terms:
    """Holds requests against a contract, and counts what breaks it.

    Args:
        contract: The contract.

    Attributes:
        breaches: How many requests were refused, by column and rule.
    """

    def __init__(self, contract: Contract) -> None:
        self._name = contract.name
        self._rules = [
            (rule.name, rule.nullable == 0, tuple(_judges(rule)))
            for rule in contract.columns
            if rule.name != contract.target
        ]
        self.breaches: Counter[tuple[str, str]] = Counter()

    def heard(self, hear: Hear) -> Hear:
        """Put this behind what reads requests."""

        def held(body: bytes, heads: Heads) -> Batch:
            batch = hear(body, heads)
            self.check(batch)
            return batch

        return held

    def check(self, batch: Batch) -> None:
        """Let a request pass.

        Raises:
            BreachError: It breaks the contract; the first column and row that do are named.
        """
        for name, needed, judges in self._rules:
            values = batch.columns.get(name)
            if values is None or not len(values):  # what the model does not take is not looked at
                continue
            gaps = _gaps(values)
            if gaps is not None and gaps.any():
                if needed:
                    self._refuse("nulls", name, int(gaps.argmax()))
                where = np.flatnonzero(~gaps)
                values = values[where]
            else:
                where = None
            for rule, judge in judges:
                wrong = judge(values) if len(values) else values
                if wrong.any():
                    row = int(wrong.argmax())
                    self._refuse(rule, name, row if where is None else int(where[row]))

    def count(self, error: BreachError) -> None:
        """Count a request that was refused."""
        self.breaches[error.place] += 1

    def _refuse(self, rule: str, column: str, row: int) -> None:
        raise BreachError(self._name, rule, column, row)


def _gaps(values: Array) -> Array | None:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.fromiter((each is None for each in values), np.bool_, len(values))
    return None


def _judges(rule: ColumnRule) -> Iterator[tuple[str, Judge]]:
    """Make what looks at one column; a judge of another kind of values than come finds nothing wrong."""
    if rule.kind == "integer":
        yield "type", _on("f", lambda values: np.isfinite(values) & (values % 1 != 0))
    if rule.format is not None:
        form = rule.format
        yield "format", _texts(lambda text: _moment(text, form) is None)
    for bound, below in ((rule.minimum, True), (rule.maximum, False)):
        if bound is not None:
            yield "range", _range(rule, bound, below=below)
    if rule.past:
        yield "future", _future(rule)
    if rule.allowed is not None and rule.closed and not rule.unseen:
        yield "category", _category(rule)
    if rule.lengths is not None:
        least, most = rule.lengths
        yield "length", _texts(lambda text: not least <= len(text) <= most)
    if rule.shape is not None:
        shape = rule.shape
        yield "shape", _texts(lambda text: _shape(text) != shape)


def _on(kinds: str, judge: Judge) -> Judge:
    """Let a judge see values of some kinds of numpy's only."""

    def judged(values: Array) -> Array:
        return judge(values) if values.dtype.kind in kinds else np.zeros(1, np.bool_)

    return judged


def _texts(wrong: Callable[[str], bool]) -> Judge:
    return _on("O", lambda values: _each(values, wrong))


def _each(values: Iterable[Any], wrong: Callable[[str], bool]) -> Array:
    return np.array([isinstance(each, str) and wrong(each) for each in values], np.bool_)


def _range(rule: ColumnRule, bound: float | str, *, below: bool) -> Judge:
    limit: Any = np.datetime64(_naive(bound), "us") if isinstance(bound, str) else bound
    kinds = "M" if isinstance(bound, str) else "fiu"
    if isinstance(bound, str) and rule.format is not None:
        form, edge = rule.format, _naive(bound)

        def beyond(text: str) -> bool:
            moment = _moment(text, form)
            return moment is not None and (moment < edge if below else moment > edge)

        return _texts(beyond)
    return _on(kinds, lambda values: values < limit if below else values > limit)


def _future(rule: ColumnRule) -> Judge:
    def limit() -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)  # whatever the time zone

    if rule.format is None:
        return _on("M", lambda values: values > np.datetime64(limit(), "us"))
    form = rule.format

    def later(text: str) -> bool:
        moment = _moment(text, form)
        return moment is not None and moment > limit()

    return _texts(later)


def _category(rule: ColumnRule) -> Judge:
    allowed = rule.allowed or ()
    texts = frozenset(each for each in allowed if isinstance(each, str))
    numbers = np.array([float(each) for each in allowed if not isinstance(each, str)])

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
