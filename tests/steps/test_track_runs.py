"""``%mlops_track --where`` and ``to_pandas()`` in a shell, over a store with some hundred runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from many_runs import fill

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.track import Leaderboard, track
from mlops_magics.steps.track.lines import lines
from mlops_magics.steps.track.table import RunTable, View, code_of
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]
_RUNS = 300


@pytest.fixture
def experiment(store_file: Path) -> str:
    """The experiment "e", which the notebook has chosen."""
    identifier = open_store(Settings.discover()).experiment_id("e")
    fill(store_file, identifier, _RUNS, metrics=4, params=8)
    return identifier


@pytest.fixture
def table(book: Book, experiment: str) -> RunTable:
    assert experiment
    table = book("%mlops_track").table
    assert isinstance(table, RunTable)
    return table


def test_where_leaves_what_fits(book: Book, experiment: str) -> None:
    assert experiment
    frame = book("%mlops_track").to_pandas()
    wanted = frame[(frame["metrics.auc"] > 0.7) & frame["params.model"].isin(["forest", "linear"])]
    found = book("%mlops_track --where 'auc>0.7 model=forest,linear' --best auc -o board")
    assert isinstance(found, Leaderboard)
    assert 20 < len(wanted) < _RUNS
    assert set(found.to_pandas().index) == set(wanted.index)
    best = wanted.sort_values("metrics.auc", ascending=False)
    assert [row.run_id for row in found.rows] == list(best.index[:20])
    assert found.rows[0].metrics["auc"] == best["metrics.auc"].iloc[0]
    assert found.rows[0].name in str(found)


def test_one_row_a_run(book: Book, experiment: str) -> None:
    assert experiment
    frame = book("%mlops_track --best log_loss-").to_pandas()
    assert len(frame) == _RUNS
    assert frame.index.name == "run_id"
    assert list(frame.columns[:4]) == ["name", "status", "started", "duration"]
    assert frame["params.depth"].dtype.kind in "if"
    assert frame["params.model"].map(type).eq(str).all()
    assert str(frame["started"].dtype).startswith("datetime64")
    assert frame["started"].dt.year.eq(2026).all()
    held = frame["metrics.log_loss"].dropna()
    assert held.is_monotonic_increasing
    assert frame["metrics.log_loss"].isna().sum() == _RUNS // 50
    assert frame["metrics.log_loss"].isna().iloc[-_RUNS // 50 :].all(), "runs without it come last"
    assert set(frame["status"]) == {"finished", "failed"}


def test_where_and_a_frame_read_every_page_of_another_store(
    book: Book, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert experiment
    line = "%mlops_track --where 'metrics.auc<0.6 forest' --best auc"
    ours = book(line)
    monkeypatch.setattr("mlops_magics.tracking.run_columns.schema_is_known", lambda _: False)
    monkeypatch.setattr("mlops_magics.tracking.run_columns._FIRST_PAGE", 50)
    monkeypatch.setattr("mlops_magics.tracking.run_columns._NEXT_PAGE", 70)
    theirs = book(line)
    assert [row.run_id for row in theirs.rows] == [row.run_id for row in ours.rows]
    assert list(theirs.to_pandas().index) == list(ours.to_pandas().index)
    assert len(book("%mlops_track").to_pandas()) == _RUNS


def test_rows_alone_make_a_frame_too(book: Book, experiment: str) -> None:
    assert experiment
    board = book("%mlops_track")
    alone = Leaderboard(board.experiment, None, board.rows).to_pandas()
    whole = board.to_pandas()
    shared = ["name", "status", "started", "metrics.auc"]
    pd.testing.assert_frame_equal(alone[shared], whole.loc[alone.index, shared])


@pytest.mark.parametrize(
    ("where", "error", "says"),
    [
        ("auc>", UsageError, "not complete"),
        ("auc>high", UsageError, "needs one number"),
        ("dept=3", NotFoundError, "Did you mean 'depth'"),
        ("alias>1", UsageError, "compared with = or !="),
        ("params.auc=1", NotFoundError, "Did you mean 'auc'"),
    ],
)
def test_a_wrong_filter_is_answered(
    book: Book, experiment: str, where: str, error: type[Exception], says: str
) -> None:
    assert experiment
    with pytest.raises(error) as caught:
        book(f"%mlops_track --where {shlex.quote(where)}")
    assert says in f"{caught.value.what} {caught.value.remedy}"  # type: ignore[attr-defined]


def test_a_metric_that_no_run_has_is_answered(book: Book, experiment: str) -> None:
    assert experiment
    with pytest.raises(NotFoundError) as caught:
        book("%mlops_track --best acu")
    assert "Did you mean 'auc'" in caught.value.remedy


def test_where_nothing_fits(book: Book, experiment: str) -> None:
    assert experiment
    found = book("%mlops_track --where auc>99")
    assert "No run fits" in str(found)
    assert len(found.to_pandas()) == 0


def test_the_run_of_a_version_is_found_by_its_alias(table: RunTable) -> None:
    store = open_store(Settings.discover())
    champion = table.runs.heads[7].run_id
    store.client.create_registered_model("flights")
    store.client.create_model_version("flights", "file:///x", champion)
    store.client.set_registered_model_alias("flights", "champion", "1")
    table.refresh()
    heads = table.runs.heads
    for where in ("alias=champion", "registered=flights", "registered=yes"):
        assert [heads[at].run_id for at in table.select(View(where))] == [champion], where
    assert len(table.select(View("alias!=champion"))) == _RUNS - 1
    assert track(where="alias=champion").rows[0].run_id == champion


@pytest.mark.parametrize("key", ["name", "status", "started", "duration", "metrics.auc", "params.model"])
def test_sorting_puts_what_is_missing_last_either_way(table: RunTable, key: str) -> None:
    values = table.column(key)
    for up in (True, False):
        held = [values[at] for at in table.select(View(sort=key, up=up))]
        bare = [value for value in held if value is None]
        assert held[len(held) - len(bare) :] == bare
        whole = [value for value in held if value is not None]
        assert whole == sorted(whole, reverse=not up)  # type: ignore[type-var]


def test_numbers_in_parameters_sort_as_numbers(table: RunTable) -> None:
    depths = [table.column("params.depth")[at] for at in table.select(View(sort="params.depth", up=True))]
    assert list(dict.fromkeys(depths)) == [str(depth) for depth in range(1, 13)]


def test_code_shows_the_same_again(book: Book, table: RunTable) -> None:
    view = View("forest", 'metrics.auc>=0.6 model="forest"', "metrics.log_loss", up=True)
    code = code_of(view)
    assert code == """%mlops_track --best log_loss- --where 'forest metrics.auc>=0.6 model="forest"'"""
    again = book(code)
    assert [row.run_id for row in again.rows] == [
        table.runs.heads[at].run_id for at in table.select(view)[:20]
    ]
    assert code_of(View()) == "%mlops_track"


def test_lines_are_drawn_of_some_and_told_of_all(table: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.steps.track.lines.MOST", 50)
    keys = ("metrics.auc", "metrics.log_loss", "params.depth", "params.model", "params.learning_rate")
    found = lines(table, View("status=finished", "depth>3", columns=keys), None)
    assert [axis["key"] for axis in found["axes"]] == [*keys[2:], *keys[:2]]
    depth, model, rate, auc, loss = found["axes"]
    assert len(found["runs"]) == len(auc["values"]) == 50
    assert found["count"] == _RUNS - _RUNS // 50, "the brush hides nothing"
    assert (found["colour"], found["colours"]) == ("metrics.auc", ["metrics.auc", "metrics.log_loss"])
    assert [level for level, _ in model["levels"]] == ["boosting", "forest", "linear", "neighbours"]
    assert (depth["low"], depth["high"], depth["log"]) == (1, 12, False)
    assert rate["log"]
    frame = pd.DataFrame(
        {
            axis["key"]: [table.column(axis["key"])[at] for at in table.select(View("status=finished"))]
            for axis in (depth, auc)
        }
    ).astype(float)
    assert depth["goes"] == pytest.approx(frame.corr("spearman").iloc[0, 1], abs=0.005)
    assert loss["goes"] < -0.9
    assert "Rank correlation with auc: depth 0.9" in found["words"]
    assert "50 of them drawn" in found["words"]
    other = lines(table, View(columns=keys), "metrics.log_loss")
    assert other["colour"] == "metrics.log_loss"


def test_texts_that_all_differ_are_no_axis(table: RunTable) -> None:
    store = open_store(Settings.discover())
    for at, head in enumerate(table.runs.heads[:30]):
        store.client.log_param(head.run_id, "file", f"part-{at}.csv")
    table.refresh()
    found = lines(table, View(columns=("params.file", "metrics.auc")), None)
    assert found["left_out"] == ["file"]
    assert [axis["title"] for axis in found["axes"]] == ["auc"]
