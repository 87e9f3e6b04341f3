"""``%mlops_track NAME`` alone: each later cell that fits a model is a run, and no other one is."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store
from mlops_magics.tracking.unmade import cut_short

Book = Callable[[str], Any]

FIT = """
from sklearn.linear_model import LogisticRegression
C = {c}
model = LogisticRegression(C=C).fit(train[["age"]], train["late"])
accuracy = model.score(test[["age"]], test["late"])
"""


@pytest.fixture
def auto(book: Book, shell: Any) -> Iterator[Book]:
    book("%mlops_track e")
    yield book
    shell.mlops_magics_extension.watch().off()


def _runs() -> list[Any]:
    store = open_store(Settings.discover())
    return list(store.client.search_runs([store.experiment_id("e")]))


def test_a_plain_cell_that_fits_is_a_run(auto: Book, capsys: Any) -> None:
    auto(FIT.format(c=0.5))
    (run,) = _runs()
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert set(run.data.metrics) == {"accuracy", "fit_seconds"}
    assert {item.dataset.name for item in run.inputs.dataset_inputs} == {"train", "test"}
    assert run.outputs.model_outputs
    assert "LogisticRegression" in capsys.readouterr().out


@pytest.mark.parametrize(
    "cell",
    [
        "x = 3\nx * 2",
        "",
        "# only a comment",
        "%time x = 1",
        "from sklearn.preprocessing import StandardScaler\nscaler = StandardScaler().fit(train[['age']])",
        "from sklearn.dummy import DummyClassifier\n_ = DummyClassifier().fit([[1], [2]], [0, 1])",
        "def f():\n    pass",
        "1 / 0",
        "x = (",
        "%mlops",
    ],
)
def test_a_cell_that_fits_no_model_leaves_nothing(auto: Book, shell: Any, cell: str) -> None:
    assert auto
    shell.run_cell(cell)
    assert _runs() == []
    shell.run_cell(FIT.format(c=1))
    assert len(_runs()) == 1


@pytest.mark.parametrize("above", ["%%time", "%%capture kept", "%mlops_track --best accuracy"])
def test_a_magic_above_the_cell_hides_nothing(auto: Book, above: str) -> None:
    auto(f"{above}\n{FIT.format(c=2).lstrip()}")
    (run,) = _runs()
    assert run.data.params["C"] == "2"
    assert set(run.data.metrics) == {"accuracy", "fit_seconds"}
    auto(f"{above}\n# tidied\n{FIT.format(c=2).lstrip()}")
    assert len(_runs()) == 1


def test_repeats_are_one_run_and_other_values_another(auto: Book) -> None:
    for c in (1, 1, 2, 1):
        auto(FIT.format(c=c))
    assert len(_runs()) == 2


def test_cross_validation_and_search_are_one_run_each(auto: Book, tmp_path: Path) -> None:
    auto(
        "from sklearn.model_selection import GridSearchCV, cross_val_score\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "tree = DecisionTreeClassifier(random_state=0)\n"
        "scores = cross_val_score(tree, train[['age']], train['late'], cv=3)\n"
        "mean = scores.mean()"
    )
    auto(
        "search = GridSearchCV(DecisionTreeClassifier(random_state=0), {'max_depth': [1, 2, 3]}, cv=3)\n"
        "search.fit(train[['age']], train['late'])"
    )
    newest, oldest = _runs()
    assert "mean" in oldest.data.metrics
    assert newest.data.params["random_state"] == "0"
    assert newest.data.params["best_max_depth"] in {"1", "2", "3"}
    assert 0 < newest.data.metrics["best_score"] <= 1
    store = open_store(Settings.discover())
    kept = store.client.download_artifacts(newest.info.run_id, "mlops/search.json", str(tmp_path))
    table = json.loads(Path(kept).read_text())
    assert table["columns"][:2] == ["max_depth", "mean_test_score"]
    assert [row[0] for row in table["data"]] == [1, 2, 3]
    assert "mlops/search.json" in newest.data.tags["mlflow.loggedArtifacts"]


def test_a_cell_that_fails_after_fitting_is_a_failed_run(
    auto: Book, shell: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert auto
    result = shell.run_cell(FIT.format(c=1) + "\nraise ValueError('password=\"hunter22hunter\"')")
    assert isinstance(result.error_in_exec, ValueError)
    (run,) = _runs()
    assert run.info.status == "FAILED"
    store = open_store(Settings.discover())
    kept = store.client.download_artifacts(run.info.run_id, "mlops", str(tmp_path))
    text = (Path(kept) / "traceback.txt").read_text()
    assert "ValueError" in text
    assert "hunter22hunter" not in text
    shell.run_cell(FIT.format(c=1) + "\nraise KeyboardInterrupt")
    assert "Run LogisticRegression was interrupted; its traceback is kept" in capsys.readouterr().out
    assert [run.info.status for run in _runs()] == ["KILLED", "FAILED"]


def test_a_named_cell_is_one_run_not_two_and_off_is_off(auto: Book) -> None:
    auto("%%mlops_track --name named -o run" + FIT.format(c=1))
    assert [run.info.run_name for run in _runs()] == ["named"]
    auto("%mlops_track --off")
    auto(FIT.format(c=3))
    assert len(_runs()) == 1
    auto("%%mlops_track --name other -o run" + FIT.format(c=3))
    assert len(_runs()) == 2


def test_nested_threaded_and_async_cells_are_one_run_each(auto: Book) -> None:
    before = threading.active_count()
    auto("cell = " + repr(FIT.format(c=1)) + "\nget_ipython().run_cell(cell)\nget_ipython().run_cell(cell)")
    assert len(_runs()) == 1
    auto(
        "import threading\nmodels = {}\ndef work(c):\n"
        "    models[c] = LogisticRegression(C=c).fit(train[['age']], train['late'])\n"
        "threads = [threading.Thread(target=work, args=(c,)) for c in (0.1, 0.2)]\n"
        "[t.start() for t in threads]\n[t.join() for t in threads]\nbest = models[0.2]"
    )
    assert len(_runs()) == 2
    auto(
        "import asyncio\nasync def fit():\n    await asyncio.sleep(0)\n"
        "    return LogisticRegression(C=7).fit(train[['age']], train['late'])\nlater = await fit()"
    )
    assert len(_runs()) == 3
    assert threading.active_count() <= before


def test_choosing_again_does_not_track_twice_and_unloading_ends_it(auto: Book, shell: Any) -> None:
    auto("%mlops_track e")
    auto(FIT.format(c=1))
    assert len(_runs()) == 1
    callbacks = {name: len(found) for name, found in shell.events.callbacks.items()}
    auto("%reload_ext mlops_magics")
    auto(FIT.format(c=2))
    assert len(_runs()) == 1
    after = {name: len(found) for name, found in shell.events.callbacks.items()}
    assert after["pre_run_cell"] == callbacks["pre_run_cell"] - 1


def test_a_store_that_does_not_answer_costs_no_run(
    auto: Book, shell: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    auto(FIT.format(c=1))
    assert shell.user_ns["model"].C == 1
    assert "1 run waits on this machine" in capsys.readouterr().out
    assert len(Spool.of(Settings.discover())) == 1


SEEN = """
from sklearn.linear_model import LogisticRegression
class Seen(LogisticRegression):
    def fit(self, X, y):
        with open(state / "seen.txt", "a") as file:
            file.write(f"{len(list(state.glob('unmade/*/*')))} ")
        return super().fit(X, y)
model = Seen().fit(train[["age"]], train["late"])
"""


def test_a_cell_says_while_it_fits_that_it_is_no_run_yet(
    auto: Book, shell: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert auto
    (project / "book.ipynb").write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "book.ipynb"))
    monkeypatch.setattr(shell, "get_parent", lambda: {"metadata": {"cellId": "c"}}, raising=False)
    state = shell.user_ns["state"] = Settings.discover().state
    own = f"%%mlops_track --name own\n{SEEN}"
    for cell in (SEEN, f"{SEEN}\n1 / 0", own, own):
        shell.run_cell(cell)
        assert not list(state.glob("unmade/*/*"))
    shell.run_cell(f"{SEEN}\nraise KeyboardInterrupt")
    ((_, name),) = cut_short(Settings.discover(), str(project / "book.ipynb")).values()
    assert name == "Seen"
    shell.run_cell("1")
    assert not list(state.glob("unmade/*/*"))
    # Below a line of its own a run is open from the start, unless the cell repeats one.
    assert (state / "seen.txt").read_text().split() == ["1", "1", "0", "1", "1"]
