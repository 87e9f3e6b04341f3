"""Preparing through the road: contract, parts, pipeline, and the same bits at a live endpoint."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.artifact import shelf
from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.prepare import Checked, Prepared, prepare
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

RAW = """
def raw(seed, rows=1500):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "order_id": [f"O{seed}{i:06d}" for i in range(rows)],
        "mail": [f"p{i}@example.org" for i in range(rows)],
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.permutation(rows), unit="h"),
        "town": random.choice(["Oslo", "Rome", "Lima"], rows),
        "depot": random.choice([f"depot {i}" for i in range(80)], rows),
        "size": random.normal(size=rows),
        "age": random.integers(1, 90, rows),
        "member": random.random(rows) < 0.5,
        "unit": "cm",
    })
    frame.loc[::7, ["town", "when"]] = None
    frame.loc[::5, ["size", "depot"]] = None
    frame["late"] = (frame["age"] + 20 * random.normal(size=rows) > 45).astype(int)
    return frame

orders = raw(0)
new_orders = raw(1)
"""


@pytest.fixture
def orders(book: Book) -> Book:
    book(RAW)
    return book


def frame(shell: Any, name: str = "orders") -> pd.DataFrame:
    found = shell.user_ns[name]
    assert isinstance(found, pd.DataFrame)
    return found


def test_a_table_is_prepared_with_reasons(orders: Book, shell: Any, project: Path) -> None:
    made = orders("%mlops_prepare orders --target late --contract orders -o prepared")
    assert isinstance(made, Prepared)
    assert shell.user_ns["prepared"] is made
    assert made.sizes == {"train": 1050, "validation": 225, "test": 225}
    assert {each.column for each in made.left_out} == {"order_id", "mail", "unit"}
    assert "looks personal (email)" in {each.why for each in made.left_out}
    assert made.features == ["when", "town", "depot", "size", "age", "member"]
    assert made.plan.many == ("depot",)
    assert made.leaks == ()
    assert len(made.train) + len(made.validation) + len(made.test) == 1500
    file = project / ".mlops" / "contracts" / "orders.json"
    assert Contract.from_json(file.read_bytes()) == made.contract
    assert "@" not in file.read_text()
    assert "no leaks" in str(made)
    assert json.loads(made.to_json())["contract"]["name"] == "orders"


def test_the_contract_is_logged_once(orders: Book) -> None:
    first = orders("%mlops_prepare orders --target late --contract orders")
    again = orders("%mlops_prepare orders --target late --contract orders")
    assert str(first) == str(again)
    assert first.run_id == again.run_id
    store = open_store(Settings.discover())
    run = store.client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].value) == ("orders", "prepare")
    text = Path(store.client.download_artifacts(first.run_id, "mlops/contract.json")).read_text()
    assert Contract.from_json(text) == first.contract
    changed = orders("%mlops_prepare new_orders --target late --contract orders")
    assert "replaced another one" in changed.notes[0]


def test_without_a_name_or_a_store_nothing_is_lost(
    orders: Book, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = orders("%mlops_prepare orders --target late")
    assert made.kept is None
    assert not (project / ".mlops" / "contracts").exists()
    monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    made = orders("%mlops_prepare orders --target late --contract orders")
    assert "in the project only" in made.notes[-1]
    assert (project / ".mlops" / "contracts" / "orders.json").is_file()


def test_new_rows_are_checked_and_the_bad_ones_come_back(orders: Book) -> None:
    orders("%mlops_prepare orders --target late --contract orders")
    good = orders("%mlops_prepare new_orders --check orders")
    assert isinstance(good, Checked)
    assert good.passed
    assert good.breaches == ()
    assert "no breach" in str(good)
    orders("wrong = new_orders.drop(columns='late'); wrong.loc[3:5, 'town'] = 'Romme'; wrong['age'] *= 60")
    bad = orders("%mlops_prepare wrong --check orders -o checked")
    assert not bad.passed
    assert {(each.column, each.rule) for each in bad.breaches} >= {("town", "category"), ("age", "unit")}
    assert "'Romme' (perhaps 'Rome')" in str(bad)
    assert "60 times what it was" in str(bad)
    assert bad.bad_rows.loc[[3, 4, 5], "reason"].str.contains("town").all()
    assert len(bad.bad_rows) == bad.bad


@pytest.mark.usefixtures("orders")
def test_files_and_other_libraries_are_taken(shell: Any, project: Path) -> None:
    table = frame(shell)
    table.to_parquet("orders.parquet")
    assert (project / "orders.parquet").is_file()
    first = prepare("orders.parquet", target="late", contract="file")
    other = prepare(pl.from_pandas(table), target="late", contract="polars")
    assert isinstance(other.train, pl.DataFrame)
    assert first.sizes == other.sizes
    assert first.features == other.features
    assert other.train["order_id"].to_list() == first.train["order_id"].tolist()
    found = prepare(other.test, check="file")
    assert found.passed
    assert isinstance(found.bad_rows, pl.DataFrame)


def test_parts_of_ones_own_are_looked_through(orders: Book) -> None:
    orders("train, test = orders[:1000], pd.concat([orders[1000:], orders[:20]])")
    made = orders("%mlops_prepare train --target late --against test")
    assert made.how == "yours"
    assert {each.kind for each in made.leaks} == {"rows", "keys"}
    assert made.leaks[0].rows == 20
    assert "✗" in str(made)


def test_a_column_that_is_the_target_under_another_name_is_named(orders: Book) -> None:
    orders("orders['delay'] = orders['late'] * 20 + 1.5")
    (leak,) = orders("%mlops_prepare orders --target late").leaks
    assert (leak.kind, leak.columns) == ("target", ("delay",))
    made = orders("%mlops_prepare orders --target late --drop delay")
    assert made.leaks == ()
    assert "delay" not in made.features


def test_rows_without_a_target_are_in_no_part_and_that_is_said(orders: Book) -> None:
    orders("orders['late'] = orders['late'].astype(float); orders.loc[:9, 'late'] = None")
    made = orders("%mlops_prepare orders --target late --split time --by when --validation 0 --test 0.2")
    assert "10 rows have no late" in made.notes[0]
    assert sum(made.sizes.values()) == 1490
    assert made.validation is None
    assert made.train["when"].max() < made.test["when"].min()


FITS = """%%mlops_track --name {name} -o run
model = prepared.pipeline({model})
model.fit(prepared.train[prepared.features], prepared.train["late"]);
"""
MODELS = {
    "trees": "HistGradientBoostingClassifier(max_iter=20, random_state=0)",
    "linear": "LogisticRegression(max_iter=1000)",
}


@pytest.fixture
def removed(book: Book) -> Iterator[None]:
    yield
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


@pytest.mark.usefixtures("removed")
@pytest.mark.parametrize("kind", ["trees", pytest.param("linear", marks=pytest.mark.slow)])
def test_the_endpoint_gives_the_same_bits_on_the_same_raw_rows(orders: Book, shell: Any, kind: str) -> None:
    orders("from sklearn.ensemble import HistGradientBoostingClassifier")
    orders("from sklearn.linear_model import LogisticRegression")
    orders("prepared = %mlops_prepare orders --target late")
    run = orders(FITS.format(name=kind, model=MODELS[kind]))
    assert run.model_id is not None, run.notes
    orders("test = prepared.test")
    assert orders("%mlops_evaluate run test --target late").metrics["roc_auc"] > 0.7
    orders("%mlops_register run orders")
    orders("%mlops_deploy orders/1")
    orders("odd = new_orders[:300].drop(columns='late')")
    orders("odd.loc[:20, 'town'] = 'Atlantis'; odd.loc[10:40, 'depot'] = '<script>'")
    orders("odd.loc[30:50, ['when', 'town', 'depot', 'size']] = None")
    model, odd = shell.user_ns["model"], shell.user_ns["odd"]
    expected = model.predict_proba(odd)
    assert np.isfinite(expected).all()
    answer = orders("%mlops_predict orders odd --proba")
    np.testing.assert_array_equal(np.array(answer.values), expected)
    for place in (0, 35):
        orders(f"one = odd[{place}:{place + 1}]")
        alone = orders("%mlops_predict orders one --proba")
        np.testing.assert_array_equal(np.array(alone.values), model.predict_proba(odd[place : place + 1]))
    orders("nullable = odd.convert_dtypes()")
    np.testing.assert_array_equal(model.predict_proba(shell.user_ns["nullable"]), expected)


def test_the_preparation_can_be_used_alone(orders: Book) -> None:
    made = orders("%mlops_prepare orders --target late")
    for style in ("trees", "filled trees", "scaled"):
        steps = made.preprocessing(style)
        found = steps.fit_transform(made.train[made.features], made.train["late"])
        assert found.shape[0] == 1050
        assert np.isfinite(found).all() or style == "trees"


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("orders --target lat", NotFoundError, "no column 'lat'"),
        ("orders --target late --drop siz", NotFoundError, "no column 'siz'"),
        ("orders --contract ../x", UsageError, "cannot be the name of a contract"),
        ("orders --check ../x", UsageError, "cannot be the name of a contract"),
        ("orders --check orders", NotFoundError, "no contract 'orders'"),
        ("orders --check a --target late", UsageError, "--check goes alone"),
        ("orders --split time", UsageError, "needs the column of dates"),
        ("orders --test 0.9 --validation 0.2", UsageError, "do not divide"),
        ("orders --split by", UsageError, "cannot be 'by'"),
        ("nothing", (UsageError, NotFoundError), "nothing"),
    ],
)
def test_what_cannot_be_done_is_said(orders: Book, line: str, error: Any, words: str, project: Path) -> None:
    with pytest.raises(error, match=words) as caught:
        orders(f"%mlops_prepare {line}")
    assert caught.value.remedy
    assert not (project / ".mlops" / "x.json").exists()


def test_a_damaged_contract_is_a_sentence(project: Path) -> None:
    table = pd.DataFrame({"x": [1.0] * 200})
    prepare(table, contract="c")
    file = project / ".mlops" / "contracts" / "c.json"
    whole = file.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        file.write_bytes(whole[:length])
        with pytest.raises(MLOpsError, match=r"contracts/c\.json"):
            prepare(table, check="c")
    prepare(table, contract="c")  # a damaged one is replaced by a whole one
    assert file.read_bytes() == whole
    assert shelf.names(project) == ("c",)
    with pytest.raises(NotFoundError) as caught:
        shelf.take(project, "cc")
    assert "'c'" in caught.value.remedy


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_hardly_any_rows(project: Path, rows: int) -> None:
    assert project
    table = pd.DataFrame({"x": [1.0, 2.0, None], "y": [0, 1, 0], "when": pd.date_range("2024", periods=3)})[
        :rows
    ]
    if rows < 2:
        with pytest.raises(UsageError, match="target 'y'"):
            prepare(table, target="y")
    made = prepare(table, target="y" if rows > 1 else None, contract="few")
    assert sum(made.sizes.values()) == rows
    assert prepare(table, check="few").breaches == ()
    assert str(made)


def test_hostile_names_and_values_are_text(project: Path) -> None:
    assert project
    names = ["<script>alert(1)</script>", "{{7*7}}", "x", "x", 0]
    rows = [["<img onerror=x>", "${HOME}", i % 7, i, float(i)] for i in range(300)]
    table = pd.DataFrame(rows, columns=names)
    made = prepare(table, contract="odd", target="0")
    assert {each.column for each in made.left_out} >= {"x", "x#1"}
    table.iloc[:5, 0] = "</td><script>alert(2)</script>"
    found = prepare(table, check="odd")
    for shown in (made, found):
        page = shown._repr_mimebundle_()[0]["text/html"] + shown.to_html()
        assert "<script>alert" not in page
        assert "<img" not in page
    assert found.bad == 5


@pytest.mark.parametrize("wide", [1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_thousands_of_columns_take_seconds(project: Path, wide: int) -> None:
    assert project
    table = pd.DataFrame(np.random.default_rng(0).random((200, wide)), columns=[f"c{i}" for i in range(wide)])
    made = prepare(table, contract="wide")
    assert len(made.features) == wide
    assert prepare(table, check="wide").passed
    assert len(str(made)) < 20_000


def test_all_null_and_infinite_columns_are_left_out_or_survived(project: Path) -> None:
    assert project
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"empty": [None] * 400, "x": random.normal(size=400), "y": random.integers(0, 2, 400)}
    )
    table.loc[3, "x"] = math.inf
    made = prepare(table, target="y")
    assert [(each.column, each.why) for each in made.left_out] == [("empty", "has no value")]
    from sklearn.linear_model import LogisticRegression

    fitted = made.pipeline(LogisticRegression()).fit(made.train[made.features], made.train["y"])
    assert len(fitted.predict(table)) == 400
