import pytest

from mlops_magics.lineage.cell import CellFacts, cell_facts


def test_names_are_read_and_bound_in_the_order_of_the_source() -> None:
    facts = cell_facts(
        "import numpy as np, os.path\nz = first(second(third))\nfourth\nfor i in z:\n    print(i)"
    )
    assert facts.reads == ("first", "second", "third", "fourth", "z", "print", "i")
    assert facts.binds == ("np", "os", "z", "i")


@pytest.mark.parametrize(
    ("source", "reads", "binds"),
    [
        ("total += 1", {"total"}, {"total"}),
        ("(n := 3)", set(), {"n"}),
        ("def f(a, b=c):\n    return a", {"c", "a"}, {"f"}),
        ("class A(B): pass", {"B"}, {"A"}),
        ("with a as b: pass", {"a"}, {"b"}),
        ("try: x\nexcept E as error: pass", {"x", "E"}, {"error"}),
        ("match p:\n    case [q, *rest]: pass", {"p"}, {"q", "rest"}),
        ("from m import *", set(), set()),
        ("from m import a as b", set(), {"b"}),
        ("a, (b, *c) = d", {"d"}, {"a", "b", "c"}),
        ("a.b = c[d]", {"a", "c", "d"}, set()),
        ("f'{x!r:>{w}}'", {"x", "w"}, set()),
        ("await q()", {"q"}, set()),
    ],
)
def test_each_statement_tells_its_names(source: str, reads: set[str], binds: set[str]) -> None:
    facts = cell_facts(source)
    assert (set(facts.reads), set(facts.binds)) == (reads, binds)


def test_constants_are_names_bound_once_to_a_literal() -> None:
    source = """
depth = 3
rate: float = -0.5
name = "a" "b"
flag = True
twice = 1
twice = 2
looped = 1
for looped in []: pass
caught = 1
try: pass
except E as caught: pass
a = b = 4
items = [1, 2]
computed = depth + 1
if flag: inner = 5
none = None
"""
    assert cell_facts(source).constants == {"depth": 3, "rate": -0.5, "name": "ab", "flag": True}


def test_results_are_what_is_computed_from_the_fit_on() -> None:
    facts = cell_facts(
        "rows = len(t)\nseed = 1\nm = M(seed).fit(X, y)\nacc = m.score(X, y)\nlimit = 3\na, b = f()\nacc += 1"
    )
    assert facts.results == ("m", "acc", "a", "b")
    assert cell_facts("rows = len(t)\nlimit = 3").results == ("rows",)


@pytest.mark.parametrize("source", ["x = (", "a\0b", "", "# only words", "(" * 500 + ")" * 500])
def test_what_is_no_python_has_no_facts(source: str) -> None:
    assert cell_facts(source) == CellFacts((), (), (), {}, ())
