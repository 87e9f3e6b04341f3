"""When to retrain: the grammar, what it says of facts, and where it says that it was not understood."""

from __future__ import annotations

import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.retrain.when import parse

DAY = 86_400.0


@pytest.mark.parametrize(
    ("text", "facts", "holds", "because"),
    [
        ("drift", {"drift": True}, True, "drift"),
        ("drift", {"drift": False}, False, "no drift"),
        ("age > 7d", {"age": 9 * DAY}, True, "age 9 d > 7d"),
        ("age > 7d", {"age": 3 * DAY}, False, "age 3 d, not > 7d"),
        ("age > 2w", {"age": 15 * DAY}, True, "age 15 d > 2w"),
        ("age > 1h30m", {"age": 5_400.0}, False, "age 1.5 h, not > 1h30m"),
        ("auc < 0.8", {"auc": 0.75}, True, "auc 0.75 < 0.8"),
        ("r2 < -0.5", {"r2": -1.0}, True, "r2 -1 < -0.5"),
        ("errors >= 1%", {"errors": 0.012}, True, "errors 1.2% >= 1%"),
        ("p99 > 200ms", {"p99": 250.0}, True, "p99 250 ms > 200ms"),
        ("p99 > 0.2s", {"p99": 150.0}, False, "p99 150 ms, not > 0.2s"),
        ("p99 > 200", {"p99": 250.0}, True, "p99 250 > 200"),
        ("rows > 10000", {"rows": 25_000.0}, True, "rows 25000 > 10000"),
        ("rows == 5", {"rows": 5.0}, True, "rows 5 == 5"),
        ("rows != 5", {"rows": 5.0}, False, "rows 5, not != 5"),
        ("new data", {"new data": True}, True, "new data"),
        ("NEW Data AND NOT drift", {"new data": True, "drift": False}, True, "new data and no drift"),
        ("not drift", {"drift": True}, False, "drift"),
        ("drift or age > 7d or auc < 0.8", {"drift": 0, "age": DAY, "auc": 0.7}, True, "auc 0.7 < 0.8"),
        ("drift or age > 7d", {"drift": 0, "age": DAY}, False, "no drift and age 1 d, not > 7d"),
        # "and" binds closer than "or", brackets closer than both
        ("drift or rows > 1 and age > 1d", {"drift": 1, "rows": 0, "age": 0}, True, "drift"),
        ("(drift or rows > 1) and age > 1d", {"drift": 1, "rows": 0, "age": 0}, False, "age 0 s, not > 1d"),
        # a fact that is not known starts nothing, nor does its opposite, unless something else decides
        ("auc < 0.8", {}, None, "auc is not known"),
        ("not auc < 0.8", {}, None, "auc is not known"),
        ("auc < 0.8", {"auc": float("nan")}, None, "auc is not known"),
        ("auc < 0.8 or drift", {"drift": True}, True, "drift"),
        ("auc < 0.8 or drift", {"drift": False}, None, "auc is not known"),
        ("auc < 0.8 and drift", {"drift": False}, False, "no drift"),
    ],
)
def test_a_condition_holds_or_not_and_says_why(
    text: str, facts: dict[str, float], *, holds: bool | None, because: str
) -> None:
    assert parse(text).held(facts) == (holds, because)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age >", "a number was expected after '>': age >⟨here⟩"),
        ("age > 7x", "'7x' is neither a number, a percentage nor a time: age > ⟨here⟩7x"),
        ("age > -7d", "'-7d' is neither"),
        ("drift drift", "'and', 'or' or the end was expected: drift ⟨here⟩drift"),
        ("(drift", "a ')' is missing: (drift⟨here⟩"),
        ("drift)", "'and', 'or' or the end was expected: drift⟨here⟩)"),
        ("", "the name of a fact was expected"),
        ("drift and", "the name of a fact was expected"),
        ("or drift", "the name of a fact was expected"),
        ("0.8 > auc", "the name of a fact was expected"),
        ("auc = 0.8", "'=' has no meaning here: auc ⟨here⟩= 0.8"),
        ("auc < 0.8.1", "has no meaning here"),
        ("__import__('os').system('id')", "''' has no meaning here: __import__(⟨here⟩'os')"),
        ("auc < (0.8)", "a number was expected after '<'"),
        ("not " * 30 + "drift", "too many brackets within each other"),
        ("(" * 3_000, "has 3000 characters, and may have 1000"),
        ("drift\N{NO-BREAK SPACE}or\nage>7d and", "the name of a fact was expected"),
    ],
)
def test_what_is_not_of_the_grammar_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert said in raised.value.what


def test_it_lists_the_facts_that_it_asks_for() -> None:
    found = parse("drift or not (age > 7d and auc < 0.8) or new data")
    assert list(found.names()) == ["drift", "age", "auc", "new data"]
