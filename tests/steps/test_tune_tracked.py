"""A search inside a cell that is tracked: one run, with its trials, and nothing of it twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.tune import Study
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

SEARCH = """
study = mlops_magics.tune(
    tree, train[["age"]], train["late"], space="max_depth=2..5", trials={trials}, folds=3, workers=1
)
"""
MAGIC = """
X, y = train[["age"]], train["late"]
%mlops_tune tree X y --space "max_depth=2..5" --trials 3 --folds 3 --workers 1 -o study
"""


@pytest.fixture
def cells(book: Book) -> Book:
    """A notebook with an estimator; importing and making it is a cell of its own."""
    book(
        "import mlops_magics\nfrom sklearn.tree import DecisionTreeClassifier\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "tree = DecisionTreeClassifier(random_state=0, max_depth=3)"
    )
    return book


@pytest.fixture
def auto(cells: Book, shell: Any) -> Iterator[Book]:
    cells("%mlops_track e")
    yield cells
    shell.mlops_magics_extension.watch().off()


def _runs() -> tuple[list[Any], list[Any]]:
    """List the runs that stand alone, and those below another one."""
    settings = Settings.discover()
    store = open_store(settings)
    found = store.client.search_runs([store.experiment_id(settings.experiment or "")])
    below = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    return [run for run in found if run not in below], below


@pytest.mark.parametrize("cell", [SEARCH.format(trials=3), MAGIC], ids=["function", "magic"])
def test_a_search_in_a_watched_cell_is_one_run(auto: Book, shell: Any, cell: str) -> None:
    auto(cell)
    (run,), below = _runs()
    assert run.info.run_id == shell.user_ns["study"].id
    assert run.data.tags["mlops.tune.metric"] == "roc_auc"
    assert len(below) == 3
    auto(cell + "model = study.estimator\nscore = model.score(train[['age']], train['late'])")
    (again,), _ = _runs()
    assert again.info.run_id == run.info.run_id, "what a search has fitted is no fit of the cell"


def test_what_a_watched_cell_fits_beside_a_search_is_its_own_run(auto: Book) -> None:
    auto(SEARCH.format(trials=3) + "model = LogisticRegression().fit(train[['age']], train['late'])")
    alone, below = _runs()
    assert {run.info.run_name for run in alone} == {"tune DecisionTreeClassifier", "LogisticRegression"}
    assert len(below) == 3


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(SEARCH.format(trials=3).lstrip(), id="function", marks=pytest.mark.slow),
        pytest.param(MAGIC.lstrip(), id="magic"),
    ],
)
def test_a_search_in_a_tracked_cell_is_the_run_of_the_cell(
    cells: Book, shell: Any, cell: str, tmp_path: Path
) -> None:
    run = cells(f"%%mlops_track --name tuned -o run\nlimit = 7\n{cell.lstrip()}best = study.score")
    assert isinstance(run, Run)
    study = shell.user_ns["study"]
    assert isinstance(study, Study)
    (found,), below = _runs()
    assert run.id == study.id == found.info.run_id
    assert (found.info.run_name, found.info.status) == ("tuned", "FINISHED")
    assert run.estimator is study.estimator
    assert found.data.metrics["cv_roc_auc"] == pytest.approx(study.score)
    assert found.data.metrics["best"] == pytest.approx(study.score)
    assert found.data.params["max_depth"] == str(study.best["max_depth"])
    assert found.data.params["limit"] == "7"
    assert found.data.tags["mlops.tune.split"] == "random"
    assert len(found.outputs.model_outputs) == 1
    assert {each.data.tags["mlflow.parentRunId"] for each in below} == {run.id}
    assert len(below) == 3
    store = open_store(Settings.discover())
    held = Path(store.client.download_artifacts(run.id, "mlops", str(tmp_path)))
    assert {"trials.json", "study.html", "study.json", "cell.py"} <= {path.name for path in held.iterdir()}
    assert "limit = 7" in (held / "cell.py").read_text()
    assert cells("%mlops_evaluate study test --target late").run_id == run.id
    assert cells("%mlops_register study flights").run_id == run.id


def test_a_tracked_search_that_is_repeated_is_the_same_run(cells: Book, shell: Any) -> None:
    cell = "%%mlops_track --name tuned -o run\n" + SEARCH.format(trials=3).lstrip()
    first = cells(cell)
    again = cells(cell)
    assert (again.id, again.repeats) == (first.id, 2)
    assert shell.user_ns["study"].id == first.id
    assert shell.user_ns["study"].model_id == first.model_id
    more = cells(cell.replace("trials=3", "trials=5"))
    assert more.id != first.id
    assert shell.user_ns["study"].resumed == 3
    plain = cells(SEARCH.format(trials=5) + "study")
    assert plain.id == more.id, "the same search outside of a tracked cell is that run"
    alone, below = _runs()
    assert {run.info.run_id for run in alone} == {first.id, more.id}
    assert len(below) == 6


def test_a_tracked_cell_that_fails_after_its_search_is_a_failed_run(cells: Book, shell: Any) -> None:
    cell = "%%mlops_track --name tuned\n" + SEARCH.format(trials=3).lstrip()
    failed = shell.run_cell(cell + "1 / 0")
    assert isinstance(failed.error_in_exec, ZeroDivisionError)
    (run,), _ = _runs()
    assert run.info.status == "FAILED"
    cells(cell + "1 / 1")
    assert shell.user_ns["study"].resumed == 3
    assert sorted(run.info.status for run in _runs()[0]) == ["FAILED", "FINISHED"]


@pytest.mark.slow
def test_the_experiment_is_that_of_the_tracked_cell(cells: Book, shell: Any) -> None:
    run = cells("%%mlops_track other -o run\n" + SEARCH.format(trials=2).lstrip())
    assert run.name == "tune DecisionTreeClassifier"
    store = open_store(Settings.discover())
    found = store.client.search_runs([store.experiment_id("other")])
    assert len(found) == 1 + 2
    assert shell.user_ns["study"].experiment == "other"
    assert _runs() == ([], [])


def test_a_second_search_in_a_tracked_cell_is_a_run_of_its_own(cells: Book, shell: Any) -> None:
    other = SEARCH.format(trials=2).replace("study =", "other =").replace("2..5", "1..4")
    run = cells("%%mlops_track --name tuned -o run\n" + (SEARCH.format(trials=2) + other).lstrip())
    assert shell.user_ns["study"].id == run.id
    assert shell.user_ns["other"].id != run.id
    alone, below = _runs()
    assert {each.info.run_id for each in alone} == {run.id, shell.user_ns["other"].id}
    assert len(below) == 4


@pytest.mark.slow
def test_making_a_tracked_search_again_logs_no_second_one(cells: Book) -> None:
    run = cells(
        "%%mlops_track --name tuned -o run\n" + SEARCH.format(trials=3).lstrip() + "best = study.score"
    )
    before = [len(each) for each in _runs()]
    made = cells("%mlops_reproduce tuned --effects")
    assert made.reproduced, made
    assert made.run_id == run.id
    assert [len(each) for each in _runs()] == before


@pytest.mark.slow
def test_what_a_search_may_keep_in_pickle_its_cell_may(cells: Book) -> None:
    cells("class Mine(DecisionTreeClassifier):\n    pass\ntree = Mine(random_state=0, max_depth=3)")
    cell = SEARCH.format(trials=2).replace("workers=1", "workers=1, allow_pickle={}").lstrip()
    refused = cells("%%mlops_track --name refused -o run\n" + cell.format("False"))
    assert refused.model_id is None
    assert "The model was not kept" in str(refused)
    allowed = cells("%%mlops_track --name allowed -o run\n" + cell.format("True"))
    assert allowed.model_id is not None


@pytest.mark.slow
def test_a_search_that_was_made_outside_is_the_run_of_a_new_tracked_cell_too(cells: Book, shell: Any) -> None:
    cells("%mlops_track e\n%mlops_track --off")
    cells(SEARCH.format(trials=3))
    before = shell.user_ns["study"]
    run = cells("%%mlops_track --name tuned -o run\n" + SEARCH.format(trials=3).lstrip())
    study = shell.user_ns["study"]
    assert study.id == run.id != before.id
    assert study.resumed == 3
    alone, below = _runs()
    assert {each.info.run_id: len(each.outputs.model_outputs) for each in alone} == {run.id: 1, before.id: 1}
    assert len(below) == 6
