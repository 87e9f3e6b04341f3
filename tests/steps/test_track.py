import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.magics import build
from mlops_magics.steps.track import Leaderboard, Tracking, track
from mlops_magics.tracking.records import Failure, Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def _run(run_id: str) -> Any:
    return open_store(Settings.discover()).client.get_run(run_id)


def test_a_cell_becomes_one_run_with_all_its_facts(book: Book, fitted: Run, shell: Any) -> None:
    assert shell.user_ns["run"] is fitted
    assert fitted.estimator is shell.user_ns["model"]
    assert (fitted.status, fitted.experiment, fitted.model_kind) == (
        "FINISHED",
        "e",
        "HistGradientBoostingClassifier",
    )
    assert fitted.metrics == {"accuracy": pytest.approx(shell.user_ns["accuracy"])}
    assert fitted.params["depth"] == "3"
    assert fitted.params["max_depth"] == "3"
    assert {"depth", "max_iter", "max_depth", "random_state"} <= set(fitted.chosen)
    stored = _run(fitted.id)
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["accuracy"] == fitted.metrics["accuracy"]
    assert {item.dataset.name for item in stored.inputs.dataset_inputs} == {"train", "test"}
    again = book("run")
    assert again.id == fitted.id


def test_what_is_shown_is_the_same_each_time(fit: Callable[..., Run]) -> None:
    assert str(fit()) == str(fit())


def test_the_digest_of_a_table_changes_with_one_value(book: Book) -> None:
    cell = "%%mlops_track -o run\nmean = train['age'].mean()"
    first = book(cell)
    assert book(cell).datasets == first.datasets
    book("train = train.copy(); train.iloc[-1, 2] += 1e-9")
    assert book(cell).datasets[0].digest != first.datasets[0].digest


@pytest.mark.parametrize(
    ("body", "error", "status"),
    [
        ("1 / 0", ZeroDivisionError, "FAILED"),
        ("raise KeyboardInterrupt", KeyboardInterrupt, "KILLED"),
        ("raise SystemExit(3)", SystemExit, "FAILED"),
        ("def f():\n    raise ValueError('token=\"abcdef123\"')\nf()", ValueError, "FAILED"),
    ],
)
def test_a_run_always_ends_in_the_right_status_and_the_error_goes_on(
    shell: Any, book: Book, tmp_path: Path, *, body: str, error: type[BaseException], status: str
) -> None:
    result = shell.run_cell(f"%%mlops_track --name bad\n{body}")
    assert isinstance(result.error_in_exec, error)
    store = open_store(Settings.discover())
    (stored,) = store.client.search_runs([store.experiment_id("e")])
    assert stored.info.status == status
    kept = store.client.download_artifacts(stored.info.run_id, "mlops", str(tmp_path))
    text = (Path(kept) / "traceback.txt").read_text()
    assert error.__name__ in text
    assert "abcdef123" not in text
    assert book("1 + 1") == 2


def test_a_cell_that_fails_shows_its_run(
    shell: Any, book: Book, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert book
    failures: list[Failure] = []
    monkeypatch.setattr(build, "_displayed", failures.append)
    shell.run_cell("%%mlops_track --name bad\n1 / 0")
    assert "ZeroDivisionError" in capsys.readouterr().out
    shown = failures[0]._repr_mimebundle_()[1]["mlops_magics"]
    store = open_store(Settings.discover())
    (stored,) = store.client.search_runs([store.experiment_id("e")])
    assert (shown["type"], shown["transient"]) == ("Failure", True)
    assert shown["ids"] == {
        "run_id": stored.info.run_id,
        "name": "bad",
        "status": "FAILED",
        "cell": f"{zlib.crc32(b'1 / 0'):08x}",
    }


def test_secrets_in_the_cell_reach_no_file_of_the_store(book: Book, store_file: Path) -> None:
    book('%%mlops_track -o run\napi_key = "hunter2hunter2"\nurl = "https://me:sesame99@host"\nx = 1')
    for path in store_file.parent.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"hunter2hunter2" not in content, path
            assert b"sesame99" not in content, path


def test_a_cell_that_fits_nothing_and_one_whose_model_nobody_holds(book: Book) -> None:
    plain = book("%%mlops_track -o run\nx = 3\ny = x * 2.5")
    assert (plain.model_id, plain.metrics, plain.params) == (None, {"y": 7.5}, {"x": "3"})
    lost = book(
        "%%mlops_track -o run\nfrom sklearn.dummy import DummyClassifier\n"
        "float(DummyClassifier().fit([[1], [2]], [0, 1]).score([[1]], [0]))"
    )
    assert lost.model_id is None
    assert "No name holds a fitted model" in lost.notes[0]


def test_cross_validation_and_search_are_one_run_with_the_outer_model(book: Book) -> None:
    made = book(
        "%%mlops_track -o run\n"
        "from sklearn.model_selection import GridSearchCV, cross_val_score\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "X, y = train[['age']], train['late']\n"
        "search = GridSearchCV(DecisionTreeClassifier(random_state=0), {'max_depth': [1, 2, 3]}, cv=3)\n"
        "search.fit(X, y)\n"
        "score = cross_val_score(search.best_estimator_, X, y, cv=3).mean()\n"
    )
    assert made.model_kind == "GridSearchCV"
    assert set(made.metrics) == {"score", "best_score"}
    store = open_store(Settings.discover())
    assert len(store.client.search_runs([store.experiment_id("e")])) == 1


def test_named_metrics_only(book: Book) -> None:
    made = book("%%mlops_track --metrics f1,auc -o run\nf1 = 0.5 + 0\nauc = 'high'\nother = 1.0 + 1")
    assert made.metrics == {"f1": 0.5}
    assert made.notes == ("auc is not a number after the cell, so it was not logged as a metric.",)


def test_choosing_listing_and_misusing(project: Path, store_file: Path) -> None:
    assert store_file.parent == project
    with pytest.raises(UsageError, match="No experiment is chosen"):
        track()
    with pytest.raises(UsageError):
        track("../../etc")
    chosen = track("flights")
    assert isinstance(chosen, Tracking)
    assert chosen.store == "mlflow.db"
    listed = track()
    assert isinstance(listed, Leaderboard)
    assert "No runs yet" in str(listed)


def test_a_word_that_names_no_variable_is_answered_with_the_nearest(book: Book, fitted: Run) -> None:
    assert fitted
    with pytest.raises(NotFoundError) as caught:
        book("%mlops_evaluate rn test --target late")
    assert "Did you mean the variable 'run'?" in caught.value.remedy
