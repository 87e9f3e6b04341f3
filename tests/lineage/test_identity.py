"""A cell's key: the same for the same code on the same values, another one for anything else."""

import random
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_magics.lineage.identity import exposed, key
from mlops_magics.lineage.values import Fingerprints, outcome

CELL = """
X = df[["a", "b"]]
model = LogisticRegression(C=C).fit(X, df["y"])
score = model.score(X, df["y"])
"""


def _frame() -> pd.DataFrame:
    rows = 1_000
    drawn = np.random.default_rng(0)
    frame = pd.DataFrame({"a": drawn.normal(size=rows), "b": drawn.normal(size=rows)})
    frame["town"] = pd.Series(drawn.choice(["Oslo", "Rome", "Lima"], rows)).astype("category")
    frame["name"] = [f"n{i}" for i in range(rows)]
    frame["y"] = (frame["a"] > 0).astype(int)
    return frame


def _names(**more: Any) -> dict[str, Any]:
    return {"df": _frame(), "LogisticRegression": LogisticRegression, "C": 1.0, "unused": 3} | more


@pytest.mark.parametrize(
    "same",
    [
        CELL + "# a comment\n",
        CELL.replace('"a"', "'a'").replace("score =", "score  =  ("[:9]),
        CELL.replace('df[["a", "b"]]', 'df[\n  ["a",\n   "b"]]'),
        CELL.rstrip() + ";\n",
    ],
)
def test_comments_and_layout_do_not_count(same: str) -> None:
    assert key(same, _names()) == key(CELL, _names())


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (CELL.replace("C=C", "C=1"), {}),
        (CELL, {"C": 1}),
        (CELL, {"C": 2.0}),
        (CELL, {"LogisticRegression": RandomForestClassifier}),
        (CELL + "score = 0\n", {}),
    ],
)
def test_another_code_or_value_is_another_key(cell: str, names: dict[str, Any]) -> None:
    assert key(cell, _names(**names)) != key(CELL, _names())


def test_one_changed_value_in_the_last_of_a_million_rows_is_another_key() -> None:
    values = np.zeros(1_000_000)
    table = pd.DataFrame({"a": values, "b": 1})
    before = key("m = df.a.mean()", {"df": table})
    assert key("m = df.a.mean()", {"df": table.copy()}) == before
    changed = table.copy()
    changed.iloc[999_999, 0] += 1e-300
    assert key("m = df.a.mean()", {"df": changed}) != before


def test_what_the_cell_bound_the_first_time_does_not_count_the_second() -> None:
    names = _names()
    first = key(CELL, names)
    exec(compile(CELL, "cell", "exec"), names)  # noqa: S102 - the test's own cell
    assert key(CELL, names) == first


def test_names_that_no_cell_reads_and_the_order_of_others_do_not_count() -> None:
    names = dict(reversed(_names(unused=4, other=5).items()))
    assert key(CELL, names) == key(CELL, _names())


def test_a_key_survives_parquet_and_another_process(tmp_path: Path) -> None:
    path = tmp_path / "df.parquet"
    _frame().to_parquet(path)
    program = f"""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from mlops_magics.lineage.identity import key
    df = pd.read_parquet({str(path)!r})
    print(key({CELL!r}, {{"df": df, "LogisticRegression": LogisticRegression, "C": 1.0}}).digest)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == key(CELL, _names()).digest


def _defined(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "cell", "exec"), names)  # noqa: S102 - the test's own source
    return names


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("K = 2\ndef f(x):\n    return x * K", "K = 3\ndef f(x):\n    return x * K", False),
        ("def f(x):\n    return x", "def f(x):\n    '''Say x.'''\n    return x", True),
        ("def f(x):\n    return x", "\n\ndef f(x):\n    # as it is\n    return (x)", True),
        ("def f(x, k=1):\n    return x", "def f(x, k=2):\n    return x", False),
        ("f = lambda x: x + 1", "f = lambda x: x + 2", False),
        (
            "def g():\n    return 1\ndef f():\n    return g()",
            "def g():\n    return 2\ndef f():\n    return g()",
            False,
        ),
        ("def m(k):\n    return lambda: k\nf = m(1)", "def m(k):\n    return lambda: k\nf = m(2)", False),
        (
            "class f:\n    a = 1\n    def p(self): return 1",
            "class f:\n    a = 1\n    def p(self): return 2",
            False,
        ),
        ("def f(n):\n    return f(n - 1) if n else 0", "def f(n):\n    return f(n - 1) if n else 0", True),
    ],
)
def test_functions_and_classes_count_by_what_they_do(*, one: str, other: str, same: bool) -> None:
    assert (key("y = f()", _defined(one)) == key("y = f()", _defined(other))) is same


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        RandomForestClassifier(5, random_state=0),
    ],
)
def test_an_estimator_counts_by_its_state(model: Any) -> None:
    table = _frame()
    rows, y = table[["a", "b"]], table["y"]
    cell = "p = model.predict(X)"
    unfitted = key(cell, {"model": model, "X": rows})
    fitted = key(cell, {"model": model.fit(rows, y), "X": rows})
    assert not fitted.opaque
    assert fitted != unfitted
    assert key(cell, {"model": model.fit(rows.copy(), y), "X": rows}) == fitted
    assert key(cell, {"model": model.fit(rows * 2, 1 - y), "X": rows}) != fitted


def test_what_cannot_be_compared_is_said() -> None:
    drawn = (item for item in range(3))
    assert key("x = next(it)", {"it": drawn}).opaque == ("it",)
    assert key("x = 1", {"it": drawn}).opaque == ()
    assert key("x = a", {"a": _circle()}) == key("x = a", {"a": _circle()})
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    assert key("x = a", {"a": deep}).opaque == ("a",)


def _circle() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def test_values_of_each_kind_have_digests_of_their_own() -> None:
    table = _frame()
    values: list[object] = [1, 1.0, True, "1", b"1", None, (1,), [1], {1}, {"a": 1}, {"b": 1}, {"a": 2}]
    values += [np.zeros(2), np.zeros(2, "f4"), np.zeros((2, 1)), table, table["a"], table.head(5)]
    values += [pl.DataFrame({"a": [1]}), np, pd, random.Random, len, sum, np.add, np.float64(1), range(3)]
    values += [slice(1), LogisticRegression, complex(1), frozenset({1})]
    prints = [Fingerprints().of(value, "v") for value in values]
    assert len(set(prints)) == len(values)
    assert not [item for item in prints if item.startswith("opaque")]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("y = x", {"x"}),
        ("x = 1\ny = x", set()),
        ("x = x + 1", {"x"}),
        ("x += 1", {"x"}),
        ("for i in items:\n    total = i", {"items"}),
        ("y = [i for i in items if i > k]", {"items", "k"}),
        ("def f(a):\n    return a + b\nb = 2", set()),
        ("def f(a, *c, d=e):\n    return a + b", {"b", "e"}),
        ("if flag:\n    x = 1\ny = x", {"flag"}),
        ("import a.b as c, d.e\nx = c + d", set()),
        ("class A(B):\n    x = y\n    def f(self): return z", {"B", "y", "z"}),
        ("with open(p) as f:\n    f.read()", {"open", "p"}),
        ("df['a'] = df.b", {"df"}),
        ("(y := x)", {"x"}),
        ("del x", set()),
    ],
)
def test_names_that_are_read_before_they_are_bound(cell: str, names: set[str]) -> None:
    import ast

    assert exposed(ast.parse(cell)) == names


def test_an_outcome_is_what_came_of_it_not_the_last_bits() -> None:
    answers = np.array([0.123456789012345, 1e-30, 7.0])
    params, metrics = {"a": "1"}, {"auc": 0.9}
    first = outcome(params, metrics, {}, answers)
    assert outcome(params, {"auc": 0.9 + 1e-15}, {}, answers * (1 + 1e-15)) == first
    assert outcome(params, {"auc": 0.9001}, {}, answers) != first
    assert outcome({"a": "2"}, metrics, {}, answers) != first
    assert outcome(params, metrics, {"t": "x"}, answers) != first
    assert outcome(params, metrics, {}, answers * (1 + 1e-6)) != first
