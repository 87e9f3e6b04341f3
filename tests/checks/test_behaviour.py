"""Expectations of a model: what they let pass, what they find, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mlops_magics.checks.behaviour import (
    BrokenExpectationError,
    direction,
    invariant,
    listening,
    minimum,
)
from mlops_magics.foundation.errors import NotFoundError, UsageError

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame({"age": RANDOM.uniform(1, 90, 300), "size": RANDOM.normal(size=300)})
LATE = (ROWS["age"] > 45).astype(int)
TREE = DecisionTreeClassifier(max_depth=1).fit(ROWS, LATE)
LINE = LinearRegression().fit(ROWS, 2.0 * ROWS["age"] - 3.0 * ROWS["size"])


def older(age: Any) -> Any:
    return age + 30


def test_what_must_not_matter() -> None:
    assert invariant(TREE, ROWS, {"size": 5.0}).broken == 0
    assert invariant(LINE, ROWS, {"size": lambda size: size + 1e-9}, within=1e-6).holds
    with pytest.raises(
        BrokenExpectationError, match=r"hang on age: holds in \d+ of 300 .* row 1 \("
    ) as found:
        invariant(TREE, ROWS, {"age": older})
    moved = int((TREE.predict(ROWS) != TREE.predict(ROWS.assign(age=older(ROWS["age"])))).sum())
    assert found.value.expectation.broken == moved
    assert invariant(TREE, ROWS, {"age": older}, allowed=moved / 300).broken == moved
    with pytest.raises(BrokenExpectationError):
        invariant(TREE, ROWS, {"age": older}, allowed=(moved - 1) / 300)


def test_what_must_push_the_answer() -> None:
    assert direction(LINE, ROWS, {"age": older}, "up").broken == 0
    assert direction(LINE, ROWS, {"size": lambda size: size + 1}, "down").holds
    with pytest.raises(BrokenExpectationError, match="goes down with age: no answer moves that way"):
        direction(LINE, ROWS, {"age": older}, "down")
    # A tree is flat almost everywhere: that is no breach, but a model that never moves is one.
    assert direction(TREE, ROWS, {"age": older}, "up").holds
    with pytest.raises(BrokenExpectationError, match="no answer moves"):
        direction(TREE, ROWS, {"size": lambda size: size + 1}, "up")


def test_the_class_that_is_meant() -> None:
    three = LogisticRegression(max_iter=500).fit(ROWS, pd.cut(ROWS["age"], 3, labels=["a", "b", "c"]))
    assert direction(three, ROWS, {"age": older}, "up", of="c", slack=1e-3).what.startswith(
        "The probability of c"
    )
    with pytest.raises(UsageError, match=r"There are 3 classes\.\nSay which one is meant: of='c'"):
        direction(three, ROWS, {"age": older}, "up")
    with pytest.raises(NotFoundError, match="no class 'd'"):
        direction(three, ROWS, {"age": older}, "up", of="d")
    with pytest.raises(UsageError, match="gives no probabilities"):
        direction(LINE, ROWS, {"age": older}, "up", of=1)


def test_what_must_be_right() -> None:
    assert minimum(TREE, ROWS[ROWS["age"] > 80], 1).rows == int((ROWS["age"] > 80).sum())
    assert minimum(LINE, ROWS, 2.0 * ROWS["age"] - 3.0 * ROWS["size"], within=1e-6).holds
    with pytest.raises(BrokenExpectationError, match="Plain rows are answered rightly: holds in 0 of 300"):
        minimum(TREE, ROWS, 1 - TREE.predict(ROWS))
    with pytest.raises(UsageError, match="There are 300 rows and 2 truths"):
        minimum(TREE, ROWS, [0, 1])


def test_an_answer_that_is_no_number_breaks_each_expectation() -> None:
    class Lost(LinearRegression):
        def predict(self, rows: Any) -> Any:
            return np.where(np.asarray(rows)[:, 0] > 45, np.nan, super().predict(rows))

    lost = Lost().fit(ROWS, ROWS["age"])
    for ask in (
        lambda: invariant(lost, ROWS, {"size": 1.0}, within=1e9),
        lambda: invariant(lost, ROWS, {"size": 1.0}),
        lambda: direction(lost, ROWS, {"age": lambda age: age + 1e-3}, "up"),
        lambda: minimum(lost, ROWS, ROWS["age"], within=1e9),
    ):
        with pytest.raises(BrokenExpectationError):
            ask()


@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (ROWS.head(0), {"age": 1.0}, "There are no rows"),
        (ROWS, {}, "Nothing is changed"),
        (ROWS.assign(age=1.0), {"age": 1.0}, "age is what it was, in every row"),
        (ROWS, {"agee": 1.0}, r"(?s)takes no column 'agee'.*age"),
        (ROWS[["size"]], {"size": 1.0}, "has no column 'age'"),
        (ROWS.to_numpy(), {"age": 1.0}, "no pandas table"),
    ],
)
def test_an_expectation_of_nothing_is_refused(rows: Any, change: Any, said: str) -> None:
    with pytest.raises((UsageError, NotFoundError), match=said):
        invariant(TREE, rows, change)


def test_a_portion_is_between_none_and_all() -> None:
    with pytest.raises(UsageError, match="allowed is 7"):
        invariant(TREE, ROWS, {"size": 5.0}, allowed=7.0)
    with pytest.raises(UsageError, match="'up' or 'down', not 'sideways'"):
        direction(TREE, ROWS, {"size": 5.0}, "sideways")  # type: ignore[arg-type]


def test_who_listens_hears_what_held_and_what_broke() -> None:
    with listening() as heard:
        invariant(TREE, ROWS, {"size": 5.0})
        with pytest.raises(BrokenExpectationError):
            invariant(TREE, ROWS, {"age": older})
    assert [one.holds for one in heard] == [True, False]
    invariant(TREE, ROWS, {"size": 5.0})
    assert len(heard) == 2
