"""The columns of all runs: read from SQLite's tables, or searched in pages, they say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from many_runs import fill

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import findings, registry, reports, run_columns, runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.run_columns import Origin, RunColumns, columns_of
from mlops_magics.tracking.store import Store, open_store


@pytest.fixture
def experiment(store: Store, store_file: Path) -> str:
    """Sixty runs, one of them the champion, one deleted, one with a metric that is no number; a finding."""
    identifier = store.experiment_id("e")
    ids = fill(store_file, identifier, 60, metrics=4, params=6)
    fill_other = store.experiment_id("other")
    odd, _ = runs.start(store, fill_other, name="elsewhere", source=Source("x"), git=None)
    runs.log(store, odd, metrics={"auc": 9.0}, params={"only_there": "1"})
    store.client.delete_run(ids[3])
    nan, _ = runs.start(store, identifier, name="nan", source=Source("x"), git=None)
    runs.log(store, nan, metrics={"auc": float("nan"), "rare": 1.5}, params={"rarely": "x"})
    findings.keep(store, "e", verb="profile", key="k", files={}, data=Dataset("t", 1, 1, "d"))
    seen, _ = runs.opened(store, identifier, "monitor flights", {reports.TAG: "flights"})
    runs.log(store, seen, metrics={"drift": 0.5})
    store.client.create_registered_model("flights")
    for run in (ids[0], ids[1]):
        store.client.create_model_version("flights", "file:///x", run)
    store.client.set_registered_model_alias("flights", "champion", "2")
    return identifier


def searched(store: Store, experiment: str, monkeypatch: pytest.MonkeyPatch) -> RunColumns:
    monkeypatch.setattr(run_columns, "schema_is_known", lambda _: False)
    return columns_of(store, experiment)


def test_both_ways_say_the_same(store: Store, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PAGE", 1)  # the models and versions that the search reads at once
    ours = columns_of(store, experiment)
    theirs = searched(store, experiment, monkeypatch)
    assert not ours.more
    assert not theirs.more
    assert ours.heads == theirs.heads
    assert ours.metrics == theirs.metrics
    assert list(ours.params.items()) == list(theirs.params.items())
    assert ours.versions == theirs.versions
    places = [len(ours.heads) - 1, 0, 3]
    assert ours.some(ours.metrics, places) == theirs.some(ours.metrics, places)
    for name in ours.metrics:
        assert list(ours.metric(name)) == list(theirs.metric(name)), name
    for name in ours.params:
        assert list(ours.param(name)) == list(theirs.param(name)), name


def test_what_the_columns_hold(store: Store, experiment: str) -> None:
    found = columns_of(store, experiment)
    names = [head.name for head in found.heads]
    assert len(names) == 60
    assert "nan" in names
    assert not any(name.startswith(("profile", "monitor", "elsewhere")) for name in names)
    assert found.metrics == ["auc", "log_loss", "rare", "score_00", "score_01"]
    assert found.metric("auc")[names.index("nan")] is None
    assert "only_there" not in found.params
    assert (found.params["depth"], found.params["rarely"]) == (True, False)
    assert list(found.versions.values()) == [
        [Origin("flights", "1")],
        [Origin("flights", "2", ("champion",))],
    ] or list(found.versions.values()) == [
        [Origin("flights", "2", ("champion",))],
        [Origin("flights", "1")],
    ]


def test_a_search_reads_in_pages(store: Store, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_columns, "_FIRST_PAGE", 25)
    monkeypatch.setattr(run_columns, "_NEXT_PAGE", 30)
    found = searched(store, experiment, monkeypatch)
    assert 23 <= len(found.heads) <= 25  # two of them are no attempts
    assert found.more
    found.read_more()
    found.read_more()
    assert (len(found.heads), found.more) == (60, False)
    assert len(found.metric("auc")) == len(found.param("depth")) == 60
    found.read_more()
    assert len(found.heads) == 60


def test_a_parameter_differs_where_there_is_more_than_one_value(store: Store, store_file: Path) -> None:
    identifier = store.experiment_id("few")
    fill(store_file, identifier, 3, metrics=2, params=8)
    found = columns_of(store, identifier)
    assert [name for name, differs in found.params.items() if not differs] == [
        f"fixed_{at:02}" for at in range(4)
    ]


def test_over_a_server(mlflow_server: str, project: Path) -> None:
    settings = Settings.discover(
        project, {"MLOPS_STORE": mlflow_server, "MLOPS_STATE": str(project / "state")}
    )
    store = open_store(settings)
    identifier = store.experiment_id("columns")
    run_id, _ = runs.start(store, identifier, name="one", source=Source("x"), git=None)
    runs.log(store, run_id, metrics={"auc": 0.5}, params={"depth": "3"})
    found = columns_of(store, identifier)
    assert [head.name for head in found.heads] == ["one"]
    assert (found.metric("auc"), found.param("depth")) == ([0.5], ["3"])
