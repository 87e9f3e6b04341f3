"""Tune: the best parameters in time, every attempt kept; what is killed goes on; the model goes further."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
from mlflow import MlflowClient
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from studies import ended
from xgboost import XGBClassifier

from mlops_magics.foundation.errors import MissingExtraError, MLOpsError, UnavailableError, UsageError
from mlops_magics.foundation.locks import locked
from mlops_magics.frontends.cli.command import main
from mlops_magics.steps.evaluate import evaluate
from mlops_magics.steps.prepare import prepare
from mlops_magics.steps.register import register
from mlops_magics.steps.tune import Study, tune
from mlops_magics.tuners import families

NUMBERS = ["size", "age"]


def table(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "size": random.normal(size=rows),
            "age": random.integers(1, 90, rows).astype(float),
        }
    )
    made["late"] = (made["age"] + 20 * random.normal(size=rows) > 45).astype(int)
    return made


@pytest.fixture
def flights(store_file: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A small table, in a project whose experiment is chosen."""
    assert store_file.is_file()
    monkeypatch.setenv("MLOPS_EXPERIMENT", "flights")
    return table()


def linear() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


def quick(frame: pd.DataFrame, **options: Any) -> Study:
    asked: dict[str, Any] = {"trials": 3, "folds": 3, "workers": 1, "timeout": "5m"} | options
    return tune(asked.pop("pipeline", linear()), frame[NUMBERS], asked.pop("target", frame["late"]), **asked)


def client(project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project}/mlflow.db")


def test_a_study_is_a_run_that_goes_down_the_road(project: Path, flights: pd.DataFrame) -> None:
    study = quick(flights, trials=6, workers=2)
    assert len(study.trials) == 6
    assert study.metric == "roc_auc"
    assert study.as_it_came is not None
    assert study.score >= study.as_it_came > 0.8
    assert study.estimator.predict(flights[NUMBERS]).shape == (400,)
    assert study.estimator.get_params()["logisticregression__C"] == study.best["logisticregression__C"]
    assert "best so far" in str(study)
    assert "<svg" in study.to_html()
    assert evaluate(study, flights[[*NUMBERS, "late"]], target="late").run_id == study.id
    assert register(study, "flights").run_id == study.id
    assert client(project).get_run(study.id).info.status == "FINISHED"


def test_all_of_it_is_in_the_store(project: Path, flights: pd.DataFrame) -> None:
    study = quick(flights, trials=5)
    store = client(project)
    experiment = store.get_experiment_by_name("flights").experiment_id
    children = store.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{study.id}'")
    assert len(children) == 3
    assert {run.info.status for run in children} == {"FINISHED"}
    assert max(run.data.metrics["roc_auc"] for run in children) == pytest.approx(study.score)
    run = store.get_run(study.id)
    assert run.data.metrics["cv_roc_auc"] == pytest.approx(study.score)
    assert run.data.params["C"] == str(study.best["logisticregression__C"])
    assert run.inputs.dataset_inputs
    assert run.outputs.model_outputs[0].model_id == study.model_id
    held = json.loads(Path(store.download_artifacts(study.id, "mlops/trials.json")).read_text())
    assert len(held["data"]) == 5
    assert held["columns"][:3] == ["trial", "state", "roc_auc"]
    assert {"study.html", "study.json"} <= {
        Path(item.path).name for item in store.list_artifacts(study.id, "mlops")
    }


@pytest.mark.slow
def test_more_trials_go_on_and_the_same_line_is_the_same_run(project: Path, flights: pd.DataFrame) -> None:
    first = quick(flights)
    again = quick(flights)
    assert (again.id, again.resumed, len(again.trials)) == (first.id, 3, 3)
    assert again.model_id == first.model_id
    more = quick(flights, trials=5)
    assert (more.resumed, len(more.trials)) == (3, 5)
    assert more.id != first.id
    assert "went on from  3 trials" in str(more)
    assert more.trials[:3] == first.trials
    assert client(project).get_run(first.id).data.tags["mlops.repeats"] == "2"
    assert len({each.params["logisticregression__C"] for each in more.trials}) == 5
    other = quick(flights, metric="log_loss")
    assert (other.resumed, other.lower) == (0, True)
    assert other.score == min(each.score for each in other.trials if each.state == "complete")


KILLED = """
import sys, time
import pandas as pd
import mlops_magics
from sklearn.linear_model import LogisticRegression

class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(0.1)
        return super().fit(X, y)

table = pd.read_csv("table.csv")
made = mlops_magics.tune(
    Slow(), table[["size", "age"]], table["late"], space="C=0.001..100.0 log",
    trials=20, folds=3, workers=2, allow_pickle=True,
)
print(len(made.trials), made.resumed, sum(each.state != "failed" for each in made.trials))
"""


def workers_of(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children()
    return [each for each in found if "mlops_magics.tuners.worker" in each.cmdline()]


def started(project: Path, flights: pd.DataFrame) -> subprocess.Popen[str]:
    flights.to_csv(project / "table.csv", index=False)
    (project / "search.py").write_text(KILLED)
    command = [sys.executable, "search.py"]
    return subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def wait_for(count: int, project: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while ended(project) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_search_goes_on_and_ends_with_exactly_as_many_trials(
    project: Path, flights: pd.DataFrame
) -> None:
    process = started(project, flights)
    wait_for(7, project, process)
    crew = workers_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(crew) == 2
    assert not psutil.wait_procs(crew, timeout=10)[1], "workers outlive the one who leads"
    # What a leader may leave behind at the worst: Optuna's lock, and half a line.
    (journal,) = (project / ".mlops" / "tune").glob("*.journal")
    journal.with_name(f"{journal.name}.lock").touch()
    with journal.open("ab") as file:
        file.write(b'{"op_code": 6, "trial')
    before = ended(project)
    assert 7 <= before < 20
    again = started(project, flights)
    out, err = again.communicate(timeout=120)
    assert out.split() == ["20", str(before), "20"], err
    assert ended(project) == 20


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(project: Path, flights: pd.DataFrame) -> None:
    process = started(project, flights)
    wait_for(3, project, process)
    workers_of(process.pid)[0].kill()
    out, err = process.communicate(timeout=120)
    assert out.split() == ["20", "0", "20"], err


class Fatal(LogisticRegression):
    """Kills its process where C is large."""

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's own name
        if self.C > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


@pytest.mark.slow
def test_parameters_that_kill_their_process_are_a_failed_trial(flights: pd.DataFrame) -> None:
    study = quick(flights, pipeline=Fatal(), space="C=0.5|5.0", trials=4, allow_pickle=True)
    assert {each.params["C"]: each.state for each in study.trials} == {0.5: "complete", 5.0: "failed"}
    assert any("its process died" in each.error for each in study.trials)
    assert study.best == {"C": 0.5}


def test_two_processes_are_not_at_the_same_search(project: Path, flights: pd.DataFrame) -> None:
    quick(flights)
    (held,) = (project / ".mlops" / "tune").glob("*.held")
    with locked(held), pytest.raises(UnavailableError, match="Another process"):
        quick(flights)


def test_a_journal_that_cannot_be_read_is_put_aside(project: Path, flights: pd.DataFrame) -> None:
    quick(flights)
    (journal,) = (project / ".mlops" / "tune").glob("*.journal")
    journal.write_bytes(b"no json\n" + journal.read_bytes())
    study = quick(flights)
    assert (study.resumed, len(study.trials)) == (0, 3)
    assert "could not be read" in str(study)


def test_families_are_searched_with_preparation_of_their_own(flights: pd.DataFrame) -> None:
    study = tune("auto", flights, "late", trials=5, folds=2, workers=2)
    assert {each.family for each in study.trials} >= {"linear", "boosting", "forest"}
    assert study.estimator.predict(flights[["town", *NUMBERS]]).shape == (400,)
    assert evaluate(study, flights, target="late").metrics["roc_auc"] > 0.8


@pytest.mark.slow
def test_lightgbm_is_tried_and_kept_without_pickle(project: Path, flights: pd.DataFrame) -> None:
    automatic = tune("auto", flights, "late", trials=8, folds=2, workers=2)
    assert "lightgbm" in {each.family for each in automatic.trials if each.state == "complete"}
    study = tune("lightgbm", flights, "late", trials=2, folds=2, workers=1)
    assert study.model_kind == "LGBMClassifier"
    assert study.model_id is not None
    assert client(project).get_logged_model(study.model_id).tags["mlops.format"] == "skops"
    assert register(study, "flights").version == "1"


def test_lightgbm_that_is_not_installed_is_named(
    flights: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        quick(flights, pipeline="lightgbm")
    assert "pip install 'mlops-magics[lightgbm]'" in caught.value.remedy


def test_ones_own_xgboost_is_tuned_from_what_it_came_with(flights: pd.DataFrame) -> None:
    study = quick(flights, pipeline=XGBClassifier(n_jobs=1), trials=2)
    judged = cross_val_score(
        XGBClassifier(n_jobs=1),
        flights[NUMBERS],
        flights["late"],
        scoring="roc_auc",
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    )
    assert study.as_it_came == pytest.approx(judged.mean())


@pytest.mark.slow
def test_what_prepare_made_and_a_family_are_tuned(flights: pd.DataFrame) -> None:
    prepared = prepare(flights, target="late", validation=0)
    rows, truth = prepared.train[prepared.features], prepared.train["late"]
    study = tune(prepared, rows, truth, trials=2, folds=2, workers=1)
    assert study.model_kind == "HistGradientBoostingClassifier"
    both = tune(linear(), rows[NUMBERS], truth, auto=True, trials=4, folds=2, workers=1)
    assert "yours" in {each.family for each in both.trials}


@pytest.mark.parametrize("library", ["polars", "arrow", "numpy"])
def test_rows_of_any_library(flights: pd.DataFrame, library: str) -> None:
    rows: Any = pl.from_pandas(flights[NUMBERS])
    rows = {"polars": rows, "arrow": rows.to_arrow(), "numpy": rows.to_numpy()}[library]
    model = "linear" if library == "arrow" else linear()
    study = tune(model, rows, pl.Series(flights["late"]), trials=2, folds=2, workers=1)
    assert len(study.trials) == 2


@pytest.mark.parametrize("metric", ["f1", "average_precision", "brier", "precision", "log_loss"])
def test_classes_may_be_words(flights: pd.DataFrame, metric: str) -> None:
    words = flights["late"].map({0: "in time", 1: "late"})
    study = quick(flights, target=words, metric=metric, trials=1)
    assert 0 < study.score < 1
    assert set(study.estimator.predict(flights[NUMBERS])) <= {"in time", "late"}


def test_numbers_are_predicted(flights: pd.DataFrame) -> None:
    study = tune(Ridge(), flights[["size"]], flights["age"], trials=2, folds=3, workers=1)
    assert (study.metric, study.lower) == ("rmse", True)
    assert study.score > 1
    study = tune("boosting", flights[["size"]], flights["age"] * 1.5, metric="r2", trials=1, workers=1)
    assert study.model_kind == "HistGradientBoostingRegressor"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "roc_auk"}, "no metric 'roc_auk'"),
        ({"metric": "rmse"}, "no metric of a target of two classes"),
        ({"space": "C=5..1"}, "no values"),
        ({"space": "D=1..2"}, "no parameter 'D'"),
        ({"space": "C=1..2", "auto": True}, "do not go together"),
        ({"trials": 0}, "--trials cannot be 0"),
        ({"workers": 0}, "--workers cannot be 0"),
        ({"folds": 1}, "--folds cannot be 1"),
        ({"timeout": "soon"}, "--timeout cannot be 'soon'"),
        ({"timeout": "0s"}, "--timeout cannot be '0s'"),
        ({"target": np.zeros(400)}, "one class only"),
        ({"target": np.where(np.arange(400) % 9, 1.0, np.nan)}, "missing in 45 of 400"),
        ({"target": np.arange(400) == 3}, "has one row"),
        ({"target": np.arange(400)}, "400 classes"),
        ({"target": np.zeros((400, 2))}, "one value a row"),
        ({"target": np.zeros(399)}, "399 values"),
        ({"pipeline": LogisticRegression}, "is no estimator"),
        ({"pipeline": "forrest"}, "neither a pipeline"),
        ({"pipeline": StandardScaler()}, "No space is known"),
    ],
)
def test_what_makes_no_sense_is_told(flights: pd.DataFrame, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        quick(flights, **options)
    assert caught.value.remedy


def test_without_an_experiment_nothing_begins(project: Path) -> None:
    with pytest.raises(UsageError, match="No experiment"):
        quick(table())
    assert not (project / ".mlops" / "tune").exists()


class Broken(ClassifierMixin, BaseEstimator):
    """Cannot be fitted."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's own name
        raise ValueError(f"no {self.depth}, {X.shape}, {y.shape}")


def test_an_estimator_that_cannot_be_fitted_is_told(flights: pd.DataFrame) -> None:
    with pytest.raises(MLOpsError, match=r"All 2 trials failed, the first with ValueError: no 1"):
        quick(flights, pipeline=Broken(), space="depth=1..3", trials=2)


def test_too_little_time_for_a_single_trial_is_told_and_kept(project: Path, flights: pd.DataFrame) -> None:
    with pytest.raises(MLOpsError, match="No trial came to an end"):
        quick(flights, timeout="0.2s")
    assert not client(project).search_runs(["1"])
    assert len(quick(flights).trials) == 3


class Patient(LogisticRegression):
    """Takes a millisecond a row."""

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's own name
        time.sleep(len(X) / 1000)
        return super().fit(X, y)


@pytest.mark.slow
def test_the_time_holds_for_all_of_it(project: Path, flights: pd.DataFrame) -> None:
    quick(flights, trials=1)  # what is imported once is no part of the promise
    began = time.monotonic()
    study = quick(
        flights, pipeline=Patient(), space="C=0.1..10.0 log", trials=500, workers=2, timeout="20s", folds=3
    )
    took = time.monotonic() - began
    assert took <= 20 * 1.05
    assert study.timed_out
    assert study.id
    assert 3 <= len(study.trials) < 100
    assert "The time was up" in str(study)
    assert client(project).get_run(study.id).info.status == "FINISHED"


def test_it_is_a_magic_and_a_command(
    shell: Any, run: Callable[..., Any], flights: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns |= {"flights": flights[NUMBERS], "late": flights["late"], "pipeline": linear()}
    line = (
        "%mlops_tune pipeline flights late --trials 2 --folds 2 --workers 1 --space 'C=0.1..10.0 log' -o best"
    )
    study = run(shell, line).result
    assert isinstance(study, Study)
    assert shell.user_ns["best"] is study
    assert study.datasets[0].name == "flights"
    flights.to_csv("table.csv", index=False)
    words = ["tune", "linear", "table.csv", "late", "--trials", "1", "--folds", "2", "--timeout", "2m"]
    capsys.readouterr()
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "Tuned LogisticRegression" in out


def test_what_a_notebook_defines_is_tuned(shell: Any, run: Callable[..., Any], flights: pd.DataFrame) -> None:
    shell.user_ns |= {"flights": flights[NUMBERS], "late": flights["late"]}
    source = """
    from sklearn.linear_model import LogisticRegression

    class Mine(LogisticRegression):
        pass
    """
    run(shell, textwrap.dedent(source))
    run(shell, "mine = Mine()")
    line = "%mlops_tune mine flights late --trials 2 --folds 2 --workers 1 --space 'C=0.1..10.0 log'"
    study = run(shell, line).result
    assert len(study.trials) == 2
    assert "The model was not kept" in str(study)


def test_trees_are_pruned_and_the_seconds_are_known(flights: pd.DataFrame) -> None:
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0)
    space = "learning_rate=0.0001..1.0 log, max_depth=1..6"
    study = quick(flights, pipeline=model, space=space, trials=20, folds=4, workers=2)
    assert len(study.trials) == 20
    states = {each.state for each in study.trials}
    assert states == {"complete", "pruned"}
    assert all(each.folds < 4 for each in study.trials if each.state == "pruned")
    assert all(each.seconds > 0 for each in study.trials)
    assert sum(study.importance.values()) == pytest.approx(1)
    assert "explains %" in str(study)
