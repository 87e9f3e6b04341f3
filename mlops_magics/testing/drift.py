"""What every drift test has to keep, as a kit: each rule is a function that a test calls.

    from mlops_magics.testing import drift

    @pytest.mark.parametrize("rule", drift.RULES)
    def test_my_drift_test(rule):
        rule(MY_TEST)

A rule that is not kept raises an AssertionError that says what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import ColumnReference, Reference
from mlops_magics.drift.base import DriftTest, Score
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.stats.reference import reference_of
from mlops_magics.stats.windows import ColumnWindow, Window, counted

Rule = Callable[[DriftTest], None]

ROWS: Final = 4_000
"""Rows of the tables that the rules compare."""

_SHARES: Final = (0.0, 0.1, 0.3, 0.6, 1.0)
_SLACK: Final = 0.01  # by which an effect may fall while the shift grows: cells are put together
_SURE: Final = 0.5  # the p-value that equal samples have at least
_WORDS: Final = ("the", "parcel", "came", "late", "and", "broken", "please", "send", "another", "one")
_OTHERS: Final = ("schnell", "zahlen", "heute", "gratis", "angebot", "klick", "hier", "jetzt", "sofort")


class _Mute:
    """An estimator that answers nothing: the kit is about columns."""

    def predict(self, rows: Any) -> Any:  # noqa: ANN401 - a table
        return np.zeros((len(rows), 0))


def table() -> dict[str, list[Any]]:
    """Make a table with a column of each kind, some with gaps: always the same."""
    random = np.random.default_rng(7)
    towns = [f"town {int(place)}" for place in np.minimum(random.zipf(1.4, ROWS), 300)]
    days = np.datetime64("2025-01-01T00:00:00") + random.integers(0, 365 * 24, ROWS).astype("m8[h]")
    gaps = random.random(ROWS) < 0.1  # noqa: PLR2004 - a tenth
    return {
        "price": np.round(random.lognormal(3, 1, ROWS), 3).tolist(),
        "sensor": [
            None if gap else value for gap, value in zip(gaps, random.normal(size=ROWS).tolist(), strict=True)
        ],
        "stars": random.integers(1, 6, ROWS).tolist(),
        "gift": (random.random(ROWS) < 0.2).tolist(),  # noqa: PLR2004 - a fifth
        "town": towns,
        "remark": [" ".join(random.choice(_WORDS, 6)) + f" {row}" for row in range(ROWS)],
        "when": days.astype("M8[us]").tolist(),
        "constant": [3.5] * ROWS,
    }


def _otherwise(name: str, row: int) -> object:
    """A value that was not there before."""
    return {
        "price": 1e6 + row,
        "sensor": 9.0 + row / ROWS,
        "stars": 5,
        "gift": True,
        "town": "a new town",
        "remark": " ".join(_OTHERS[(row + place) % len(_OTHERS)] for place in range(9)) + f" {row}",
        "when": np.datetime64("1970-01-01T00:00:00", "us").item(),
        "constant": 4.0,
    }[name]


SHIFTS: Final[Mapping[str, Callable[[str, int], object]]] = {
    "other values": _otherwise,
    "gaps": lambda _name, _row: None,
    "another kind": lambda name, row: f"n/a {row % 3}" if name not in {"town", "remark"} else None,
}
"""Ways in which the rows of the kit's table are replaced, more and more of them."""


@cache
def reference() -> Reference:
    """Make the reference of the kit's table."""
    found = reference_of(_framed(table()), _Mute())
    assert found is not None  # noqa: S101 - a table has one
    return found


def _framed(columns: Mapping[str, list[Any]]) -> Any:  # noqa: ANN401 - pandas ships no types
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=_type(values)) for name, values in columns.items()})


def _type(values: list[Any]) -> Any:  # noqa: ANN401 - whatever pandas takes
    return object if len({type(value) for value in values if value is not None}) > 1 else None


@cache
def _shifted(shift: str, share: float) -> Window:
    """Replace the first rows of the table, in an order that does not follow the values."""
    columns = table()
    order: npt.NDArray[np.int64] = np.random.default_rng(8).permutation(ROWS)[: int(share * ROWS)]
    for name, values in columns.items():
        for row in order.tolist():
            values[row] = SHIFTS[shift](name, row)
    return counted(reference(), _framed(columns))


def _pairs(window: Window) -> Iterator[tuple[ColumnReference, ColumnWindow]]:
    return zip(reference().columns, window.columns, strict=True)


def it_says_what_it_is(test: DriftTest) -> None:
    """It has a name, a weight and a floor, and its scores are numbers within their bounds."""
    _held(bool(test.name), "a test has a name")
    _held(test.weight >= 0, f"a weight is not below zero, as {test.weight} is")
    _held(0 <= test.floor < 1, f"a floor lies between 0 and 1, unlike {test.floor}")
    found = [score for shift in SHIFTS for score in _scores(test, _shifted(shift, 0.3))]
    _held(bool(found), "it applies to a column of some kind")
    for score in found:
        _sound(test, score)


def it_finds_nothing_in_equal_samples(test: DriftTest) -> None:
    """The very rows of the reference are no drift, and an effect is nothing."""
    for score in _scores(test, _shifted("gaps", 0.0)):
        _held(score.effect <= _SLACK, f"equal samples have no effect, not {score.effect} ({score.column})")
        _held(
            score.p is None or score.p >= _SURE, f"equal samples are likely, not {score.p} ({score.column})"
        )


def it_grows_with_the_shift(test: DriftTest) -> None:
    """The more rows are replaced, the greater the effect, and for some column it passes the floor."""
    passed = False
    for shift in SHIFTS:
        runs: dict[str, list[Score]] = {}
        for share in _SHARES[:-1]:
            for score in _scores(test, _shifted(shift, share)):
                runs.setdefault(score.column, []).append(score)
        for column, scores in runs.items():
            effects = [score.effect for score in scores]
            rises = all(later >= one - _SLACK for one, later in pairwise(effects))
            _held(rises, f"the effect grows with '{shift}' in {column}, unlike {effects}")
            passed |= effects[-1] > test.floor and (scores[-1].p is None or scores[-1].p < _SLACK)
    _held(passed, "a great shift passes the floor, and chance does not explain it")


def it_does_not_heed_the_order(test: DriftTest) -> None:
    """Neither the order of rows, nor in which order windows are added, changes a score."""
    columns = table()
    for name, values in columns.items():
        for row in range(0, ROWS, 5):
            values[row] = _otherwise(name, row)
    order = np.random.default_rng(9).permutation(ROWS)
    mixed = {name: [values[row] for row in order] for name, values in columns.items()}
    one = _scores(test, counted(reference(), _framed(columns)))
    _alike(one, _scores(test, counted(reference(), _framed(mixed))), "the order of rows does not count")
    halves = [
        counted(reference(), _framed({name: values[part] for name, values in columns.items()}))
        for part in (slice(0, ROWS // 2), slice(ROWS // 2, ROWS))
    ]
    there, back = halves[0] + halves[1], halves[1] + halves[0]
    _alike(_scores(test, there), _scores(test, back), "the order in which windows are added does not count")


def it_takes_empty_and_constant_columns(test: DriftTest) -> None:
    """No rows, no values and a single value are no error."""
    import pandas as pd

    columns = table()
    windows = [
        Window(reference().digest, 0, tuple(ColumnWindow(each.name) for each in reference().columns)),
        counted(reference(), _framed({name: values[:1] for name, values in columns.items()})),
        counted(reference(), _framed({name: [None] * 50 for name in columns})),
        counted(reference(), _framed({name: values[:1] * 500 for name, values in columns.items()})),
        counted(reference(), pd.DataFrame({"nothing": [1] * 500})),
        _shifted("gaps", 1.0),
        _shifted("another kind", 1.0),
    ]
    for window in windows:
        for score in _scores(test, window):
            _sound(test, score)
    for values in ([None] * 500, [3.5] * 500, ["same"] * 500, [True] * 500):
        known = reference_of(_framed({"x": values}), _Mute())
        assert known is not None  # noqa: S101 - a table has one
        for now in (values, [None] * 300, [1.0] * 300, ["other"] * 300):
            found = test.score(known.columns[0], counted(known, _framed({"x": now})).columns[0])
            if found is not None:
                _sound(test, found)


RULES: tuple[Rule, ...] = (
    it_says_what_it_is,
    it_finds_nothing_in_equal_samples,
    it_grows_with_the_shift,
    it_does_not_heed_the_order,
    it_takes_empty_and_constant_columns,
)


def _scores(test: DriftTest, window: Window) -> list[Score]:
    found = []
    for then, now in _pairs(window):
        try:
            score = test.score(then, now)
        except MLOpsError:
            raise
        except Exception as error:
            raise AssertionError(f"{test.name} raised at {then.name}: {error!r}.") from error
        if score is not None:
            found.append(score)
    return found


def _sound(test: DriftTest, score: Score) -> None:
    _held(score.test == test.name, f"a score says whose it is: {test.name}, not {score.test}")
    _held(math.isfinite(score.statistic), f"a statistic is a number, not {score.statistic}")
    _held(0 <= score.effect <= 1, f"an effect lies between 0 and 1, unlike {score.effect} ({score.column})")
    if test.weight > 0:
        _held(score.p is not None and 0 <= score.p <= 1, f"a test that decides has a p-value, not {score.p}")
    _held(bool(score.words), "a score says what was seen")


def _alike(one: list[Score], two: list[Score], rule: str) -> None:
    for a, b in zip(one, two, strict=True):
        same = a.effect == b.effect and a.p == b.p
        _held(same, f"{rule}: {a.effect}, {a.p} and {b.effect}, {b.p} of {a.column}")


def _held(holds: bool, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise AssertionError(f"This is not so: {rule}.")
