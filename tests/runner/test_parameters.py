"""Parameters: a name never becomes code, a value only as the literal of a JSON value."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from headless_runs import notebook, sources
from hypothesis import given
from hypothesis import strategies as st

from mlops_magics.foundation.errors import UsageError
from mlops_magics.runner.book import read
from mlops_magics.runner.parameters import injected

DEFAULTS = (
    "import os\ndays = 7\npath: str = 'a.csv'\nhidden: int\na, (b, c) = 1, (2, 3)\nx.y = 1",
    "parameters",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def given_to(*cells: Any, **parameters: Any) -> list[str]:
    return list(sources(injected(read(notebook(*cells)), parameters)))


def test_they_stand_in_a_cell_of_their_own_behind_the_defaults() -> None:
    book = read(notebook("1", DEFAULTS, "days"))
    node = injected(book, {"days": 30, "path": "b'\"\n.csv"})
    assert sources(node)[2] == "# The parameters of this execution.\ndays = 30\npath = 'b\\'\"\\n.csv'"
    assert node["cells"][2]["metadata"]["tags"] == ["injected-parameters"]
    assert sources(book.node) == ["1", DEFAULTS[0], "days"]


def test_those_of_an_earlier_execution_are_replaced() -> None:
    once = injected(read(notebook(DEFAULTS, "days")), {"days": 30})
    twice = injected(read(once), {"path": "b"})
    assert sources(twice)[1:] == ["# The parameters of this execution.\npath = 'b'", "days"]
    assert sources(injected(read(once), {})) == [DEFAULTS[0], "days"]


@pytest.mark.parametrize("name", ["days", "path", "a", "b", "c"])
def test_whatever_the_cell_assigns_can_be_given(name: str) -> None:
    assert given_to(DEFAULTS, **{name: 1})[1].endswith(f"\n{name} = 1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("days = __import__('os').system('id'); x", "cannot be a parameter"),
        ("days\nimport os", "cannot be a parameter"),
        ("x.y", "cannot be a parameter"),
        ("class", "cannot be a parameter"),
        ("", "cannot be a parameter"),
        ("dayz", "does not assign dayz.\nDid you mean 'days'"),
        ("os", "does not assign os"),
        ("hidden", "does not assign hidden"),  # an annotation without a value
        ("x", "does not assign x"),
        ("ｄays", "does not assign"),  # Python would read it as "days"  # noqa: RUF001
    ],
)
def test_a_name_that_the_cell_does_not_assign_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        given_to(DEFAULTS, **{name: 1})


class Sly(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "__import__('os').system('id')"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1, 2}, (1, 2), b"x", object(), {1: 2}, [float("nan")], Sly("a"), [Sly("a")],
     {Sly("a"): 1}, {"a": Sly("b")}],
)  # fmt: skip
def test_a_value_that_json_has_not_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="The value of days cannot be written"):
        given_to(DEFAULTS, days=value)


def test_a_value_that_is_too_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(UsageError, match="The value of days cannot be written"):
        given_to(DEFAULTS, days=deep)


@given(JSON)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    source = given_to(DEFAULTS, days=value)[1]
    assert source.isascii()
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Assign)
    back = ast.literal_eval(statement.value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("days = 7",), "no cell tagged 'parameters'"),
        ((("days = 7", "parameters"), ("days = 8", "parameters")), "two cells tagged 'parameters': 1 and 2"),
        ((("days = ", "parameters"),), "not plain Python"),
    ],
)
def test_a_notebook_without_one_such_cell_is_refused(cells: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        given_to(*cells, days=1)


def test_magics_in_the_cell_do_not_matter() -> None:
    assert given_to(("%matplotlib inline\n!ls\ndays = 7", "parameters"), days=1)[1].endswith("days = 1")


def test_only_a_python_notebook_takes_parameters() -> None:
    node = notebook(("days <- 7", "parameters"))
    node["metadata"] = {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}
    with pytest.raises(UsageError, match="not in Python"):
        injected(read(node), {"days": 1})
