import pytest

from mlops_magics.tracking import leaderboard, runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import Store


@pytest.fixture
def experiment(store: Store) -> str:
    identifier = store.experiment_id("e")
    for i, value in enumerate([0.5, 0.9, float("nan"), 0.7]):
        run_id, _ = runs.start(store, identifier, name=f"r{i}", source=Source("x"), git=None)
        runs.log(store, run_id, metrics={"auc": value, "other": float(i)})
        runs.finish(store, run_id, "FINISHED")
    deleted, _ = runs.start(store, identifier, name="gone", source=Source("x"), git=None)
    runs.log(store, deleted, metrics={"auc": 1.0})
    store.client.delete_run(deleted)
    runs.start(store, identifier, name="bare", source=Source("x"), git=None)
    return identifier


def test_the_best_come_first_and_what_is_no_number_is_left_out(store: Store, experiment: str) -> None:
    rows = leaderboard.top(store, experiment, metric="auc")
    assert [row.name for row in rows] == ["r1", "r3", "r0"]
    assert rows[0].metrics == {"auc": 0.9, "other": 1.0}
    assert [row.name for row in leaderboard.top(store, experiment, metric="auc-")] == ["r0", "r3", "r1"]
    assert [row.name for row in leaderboard.top(store, experiment, metric="auc", limit=1)] == ["r1"]
    assert leaderboard.top(store, experiment, metric="absent") == ()


def test_without_a_metric_the_newest_come_first(store: Store, experiment: str) -> None:
    rows = leaderboard.top(store, experiment)
    assert {row.name for row in rows} == {"r0", "r1", "r2", "r3", "bare"}
    assert [row.started for row in rows] == sorted((row.started for row in rows), reverse=True)


@pytest.mark.parametrize("metric", [None, "auc", "auc-", "absent"])
def test_reading_the_tables_says_what_mlflow_itself_says(
    store: Store, experiment: str, metric: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = leaderboard.top(store, experiment, metric=metric)
    monkeypatch.setattr(leaderboard, "schema_is_known", lambda _: False)
    theirs = leaderboard.top(store, experiment, metric=metric)
    if metric is None:  # several started within one millisecond
        ours, theirs = (sorted(rows, key=lambda row: row.run_id) for rows in (ours, theirs))
    assert list(ours) == list(theirs)
