"""What a model must do, said as expectations that a behaviour test makes: invariance, direction, minimum.

After M. T. Ribeiro and others, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.model import Model, model_of
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest

Kind = Literal["invariance", "direction", "minimum"]
Change = Mapping[str, object]

_ROUNDING = 1e-6  # of the larger number: a sum in another order is no other answer
_EXAMPLES = 3
_TWO = 2

_heard: ContextVar[list[Expectation] | None] = ContextVar("heard", default=None)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was expected of a model, and how far it holds.

    Attributes:
        kind: "invariance", "direction" or "minimum".
        what: What was expected, in words.
        rows: How many rows were asked.
        broken: In how many of them it does not hold.
        allowed: The portion of the rows in which it need not hold.
        evidence: What was found, in words: places of rows and answers, no other value of the table.
    """

    kind: Kind
    what: str
    rows: int
    broken: int
    allowed: float
    evidence: str

    @property
    def holds(self) -> bool:
        """Whether no more rows than allowed break it."""
        return self.broken <= self.allowed * self.rows

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: the test's own result shows what was expected."""


class BrokenExpectationError(AssertionError):
    """A model does not do what was expected; ``.expectation`` says of what and how far."""

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(f"{expectation.what}: {expectation.evidence}.")
        self.expectation = expectation


@contextmanager
def listening() -> Iterator[list[Expectation]]:
    """Note each expectation that is made within a ``with`` block, held or broken."""
    heard: list[Expectation] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def invariant(
    model: object, rows: object, change: Change, *, within: float | None = None, allowed: float = 0.0
) -> Expectation:
    """Expect the same answers to rows in which something is changed that must not matter.

    Args:
        model: A fitted model.
        rows: A pandas table with the columns that it takes.
        change: What is changed, by column: a value for all rows, or a function from the column to another.
        within: How far probabilities (of any class) or numbers may move. By default the predicted classes
            must be the same ones, and numbers the same but for rounding.
        allowed: The portion of the rows in which it need not hold, from 0 to 1.

    Returns:
        What was expected and found.

    Raises:
        BrokenExpectationError: More rows than allowed are answered otherwise.
        NotFoundError: The table lacks a column.
        UsageError: There are no rows, or nothing is changed.
    """
    asked, table, other = _changed(model, rows, change)
    if within is None:
        before, after = _labels(asked, table), _labels(asked, other)
        moved = _differ(before, after)
    else:
        before, after = asked.answer(table), asked.answer(other)
        gap = np.abs(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))
        moved = ~((gap if gap.ndim == 1 else gap.max(axis=1)) <= within)  # a gap that is no number is one
    what = f"The answer does not hang on {_named(change)}"
    return _told("invariance", what, table, moved, allowed, _pairs(before, after))


def direction(
    model: object,
    rows: object,
    change: Change,
    goes: Literal["up", "down"],
    *,
    of: object = None,
    slack: float = 0.0,
    allowed: float = 0.0,
) -> Expectation:
    """Expect answers to go up, or down, when something is changed: none against it, and some with it.

    Args:
        model: A fitted model.
        rows: A pandas table with the columns that it takes.
        change: What is changed, by column: a value for all rows, or a function from the column to another.
        goes: "up" or "down".
        of: The class whose probability is meant; by default the second of two classes. Not for numbers.
        slack: How far an answer may go the other way, in probability or in the number's own unit.
        allowed: The portion of the rows in which it need not hold, from 0 to 1.

    Returns:
        What was expected and found.

    Raises:
        BrokenExpectationError: More rows than allowed go the other way, or none moves at all.
        NotFoundError: The table lacks a column, or the model knows no such class.
        UsageError: There are no rows, nothing is changed, or a class must be named.
    """
    if goes not in {"up", "down"}:
        raise UsageError(f"An answer goes 'up' or 'down', not '{goes}'.", 'Write direction(..., "up").')
    asked, table, other = _changed(model, rows, change)
    before, after = _level(asked, table, of), _level(asked, other, of)
    step = (after - before) * (1.0 if goes == "up" else -1.0)
    against = ~(step >= -slack)  # a step that is no number goes against it
    whose = "The answer" if of is None else f"The probability of {of}"
    what = f"{whose} goes {goes} with {_named(change)}"
    if not (step > 0).any():
        found = Expectation("direction", what, len(table), len(table), allowed, "no answer moves that way")
        return _kept(found, holds=False)
    return _told("direction", what, table, against, allowed, _pairs(before, after))


def minimum(
    model: object, rows: object, truth: object, *, within: float | None = None, allowed: float = 0.0
) -> Expectation:
    """Expect right answers to rows that any usable model must get right.

    Args:
        model: A fitted model.
        rows: A pandas table with the columns that it takes.
        truth: The right answers, one a row, or one for all.
        within: How far from the truth a predicted number may lie. By default it must be the truth itself,
            which is meant for classes.
        allowed: The portion of the rows in which it may be wrong, from 0 to 1.

    Returns:
        What was expected and found.

    Raises:
        BrokenExpectationError: More rows than allowed are answered wrongly.
        NotFoundError: The table lacks a column.
        UsageError: There are no rows, or not one truth a row.
    """
    asked, table = _asked(model, rows)
    right = _one_each(truth, len(table))
    given = _labels(asked, table)
    if within is None:
        wrong = _differ(right, given)
    else:
        wrong = ~(np.abs(given.astype(np.float64) - right.astype(np.float64)) <= within)
    near = "" if within is None else f" within {within:g}"
    return _told(
        "minimum", f"Plain rows are answered rightly{near}", table, wrong, allowed, _pairs(right, given)
    )


def _asked(model: object, rows: Any) -> tuple[Model, Any]:  # noqa: ANN401 - a pandas table
    columns = getattr(rows, "columns", None)
    if columns is None or not hasattr(rows, "assign"):
        raise UsageError(
            f"The rows are a {type(rows).__name__}, no pandas table.",
            "Give a DataFrame, such as test.head(100).",
        )
    if not len(rows):
        raise UsageError("There are no rows to ask about.", "Give a table with at least one row.")
    found = model_of(model, list(columns), "", None)
    return found, rows[list(found.features)]


def _changed(model: object, rows: Any, change: Change) -> tuple[Model, Any, Any]:  # noqa: ANN401 - pandas tables
    asked, table = _asked(model, rows)
    if not change:
        raise UsageError("Nothing is changed.", 'Say what: {"age": lambda age: age + 10}.')
    for name in change:
        if name not in table.columns:
            raise NotFoundError(
                f"The model takes no column '{name}', so changing it tells nothing.",
                nearest(str(name), map(str, table.columns)) or "Change a column that it takes.",
            )
    other = table.copy()
    for name, new in change.items():
        other[name] = new(table[name]) if callable(new) else new
    if other.equals(table):
        raise UsageError(
            f"After the change {_named(change)} is what it was, in every row.",
            "Change it to something else, or choose other rows.",
        )
    return asked, table, other


def _labels(model: Model, table: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a pandas table
    given = np.asarray(model.ask("predict", table))
    return given[:, 0] if given.ndim == _TWO and given.shape[1] == 1 else given


def _level(model: Model, table: Any, of: object) -> npt.NDArray[np.float64]:  # noqa: ANN401 - as above
    """Return what goes up or down: a class's probability, or the predicted number."""
    if not callable(getattr(model.estimator, "predict_proba", None)):
        if of is not None:
            raise UsageError(f"A {model.kind} gives no probabilities.", "Leave out of=.")
        return _labels(model, table).astype(np.float64)
    proba = np.asarray(model.ask("predict_proba", table), dtype=np.float64)
    classes = list(getattr(model.estimator, "classes_", range(proba.shape[1])))
    if of is None and len(classes) != _TWO:
        raise UsageError(f"There are {len(classes)} classes.", f"Say which one is meant: of={classes[-1]!r}.")
    if of is not None and of not in classes:
        names = ", ".join(map(str, classes[:10]))
        raise NotFoundError(f"The model knows no class {of!r}.", f"Choose one of: {names}.")
    return proba[:, classes.index(of) if of is not None else 1]


def _differ(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if one.dtype.kind == "f" or other.dtype.kind == "f":
        first, second = one.astype(np.float64), other.astype(np.float64)
        same = np.isclose(first, second, rtol=_ROUNDING, atol=0.0)
        return np.asarray(~(same if same.ndim == 1 else same.all(axis=1)), dtype=np.bool_)
    unlike = np.asarray(one != other, dtype=np.bool_)
    return unlike if unlike.ndim == 1 else np.asarray(unlike.any(axis=1), dtype=np.bool_)


def _one_each(truth: Any, count: int) -> npt.NDArray[Any]:  # noqa: ANN401 - a column, a list, a value
    right = np.asarray(truth)
    right = np.full(count, right) if right.ndim == 0 else right
    if right.shape != (count,):
        raise UsageError(
            f"There are {count} rows and {'x'.join(map(str, right.shape))} truths.", "Give one truth a row."
        )
    return right


def _named(change: Change) -> str:
    return ", ".join(map(str, change))


def _pairs(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> Callable[[int], str]:
    def shown(value: Any) -> str:  # noqa: ANN401 - an answer
        if isinstance(value, np.ndarray):
            return "(" + ", ".join(shown(each) for each in value[:_EXAMPLES]) + ")"
        return f"{float(value):.4g}" if isinstance(value, np.floating) else str(value)[:40]

    return lambda place: f"{shown(before[place])} → {shown(after[place])}"


def _told(  # noqa: PLR0917 - the parts of one sentence
    kind: Kind,
    what: str,
    table: Any,  # noqa: ANN401 - a pandas table
    broken: npt.NDArray[np.bool_],
    allowed: float,
    pair: Callable[[int], str],
) -> Expectation:
    if not 0.0 <= allowed <= 1.0:
        raise UsageError(f"allowed is {allowed:g}.", "Give a portion of the rows, from 0 to 1.")
    count, rows = int(broken.sum()), len(table)
    places = np.flatnonzero(broken)[:_EXAMPLES]
    evidence = f"holds in {rows - count:,} of {rows:,} rows"
    if count:
        evidence += "; not in row " + ", ".join(f"{place} ({pair(place)})" for place in map(int, places))
    found = Expectation(kind, what, rows, count, allowed, evidence)
    return _kept(found, holds=found.holds)


def _kept(found: Expectation, *, holds: bool) -> Expectation:
    heard = _heard.get()
    if heard is not None:
        heard.append(found)
    if not holds:
        raise BrokenExpectationError(found)
    return found
