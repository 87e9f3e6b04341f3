"""The store goes away when a search has ended: little time is lost, and neither the model nor a trial."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from places import project_in
from proxy import Proxy
from servers import free_port, started
from sklearn.linear_model import LogisticRegression

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.register import register
from mlops_magics.steps.tune import Study, tune
from mlops_magics.tracking import models
from mlops_magics.tracking.spool import Spool
from mlops_magics.tuners.task import Task

LOST = 10.0  # seconds that a search may lose to a store that is gone
ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
TRUTH = (ROWS["a"] > 0).astype(int)
FEW = {0, 4, 9, 14, 22, 41}  # of the run, its files, its model, the end, its trials
CALLS = 53  # requests from the last fit on


@pytest.fixture
def experiment(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    assert project.is_dir()
    name = f"e-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("MLOPS_EXPERIMENT", name)
    return name


@pytest.fixture
def proxy(mlflow_server: str, experiment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    assert experiment
    made = Proxy(mlflow_server)
    monkeypatch.setenv("MLOPS_STORE", made.url)
    yield made
    made.close()


class Ended:
    """The moment in which the best model has been fitted, the last thing before a search is logged.

    Attributes:
        act: What happens then.
        at: When it was.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.act: Callable[[], object] = lambda: None
        self.at = 0.0
        fitted = Task.refitted

        def refitted(*args: Any) -> Any:
            model = fitted(*args)
            self.act()
            self.at = time.monotonic()
            return model

        monkeypatch.setattr(Task, "refitted", refitted)

    def search(self) -> tuple[Study, float]:
        """Search; return the study, and the seconds that were spent from that moment on."""
        study = searched()
        return study, time.monotonic() - self.at


def searched() -> Study:
    return tune(LogisticRegression(), ROWS, TRUTH, space="C=0.1..10.0 log", trials=3, folds=2, workers=1)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Path:
    """The trials of that search as a project keeps them: what goes on from there has only to be logged."""
    parent = tmp_path_factory.mktemp("searched")
    with project_in(parent) as folder, pytest.MonkeyPatch.context() as patch:
        shutil.copy(store_template, folder / "mlflow.db")
        patch.setenv("MLOPS_EXPERIMENT", "e")
        searched()
    return folder / ".mlops" / "tune"


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    return Ended(monkeypatch)


def alone(server: str, experiment: str) -> tuple[list[Any], list[Any]]:
    """List the experiment's runs that stand alone, and those below another one."""
    client = MlflowClient(server, server)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    below = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    return [run for run in found if run not in below], below


def whole(server: str, experiment: str, study: Study) -> None:
    """Check that a study is in the store once, with its model and its trials."""
    (run,), below = alone(server, experiment)
    assert run.info.run_id == study.id
    assert run.info.status == "FINISHED"
    assert run.data.metrics["cv_roc_auc"] == pytest.approx(study.score)
    assert len(run.outputs.model_outputs) == 1
    assert run.outputs.model_outputs[0].model_id == study.model_id
    assert len(below) == 3
    client = MlflowClient(server, server)
    assert len(client.get_metric_history(study.id, "cv_roc_auc")) == 1


@pytest.mark.parametrize(
    "mode",
    ["refuse", "500", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("hang", "401", "429"))],
)
def test_a_store_that_is_gone_at_the_end_costs_seconds_and_the_same_line_logs_it(
    proxy: Proxy, mlflow_server: str, experiment: str, ended: Ended, mode: str
) -> None:
    ended.act = lambda: proxy.turn(mode)
    study, lost = ended.search()
    assert lost < LOST
    assert study.estimator.predict(ROWS).shape == (200,)
    assert len(study.trials) == 3
    assert study.id.startswith("offline-")
    assert "1 run waits on this machine" in str(study)
    again, lost = ended.search()
    assert lost < LOST
    assert (again.id, again.resumed) == (study.id, 3)
    assert len(Spool.of(Settings.discover())) == 1
    ended.act = lambda: None
    proxy.turn("pass")
    logged, _ = ended.search()
    assert logged.resumed == 3, "nothing is searched again"
    assert logged.best == study.best
    assert len(Spool.of(Settings.discover())) == 0
    whole(mlflow_server, experiment, logged)


@pytest.mark.parametrize("deaf", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize(
    "left", [pytest.param(i, marks=() if i in FEW else pytest.mark.slow) for i in range(CALLS)]
)
def test_a_store_that_goes_away_at_any_call_loses_and_doubles_nothing(
    *,
    proxy: Proxy,
    mlflow_server: str,
    experiment: str,
    project: Path,
    trials: Path,
    ended: Ended,
    left: int,
    deaf: bool,
) -> None:
    shutil.copytree(trials, project / ".mlops" / "tune")

    def act() -> None:
        proxy.turn("pass")  # MLflow's open connections are closed: each call is counted
        proxy.left, proxy.deaf = left, deaf

    ended.act = act
    study, lost = ended.search()
    assert lost < LOST
    assert study.resumed == 3
    assert study.estimator.predict(ROWS).shape == (200,)
    ended.act = lambda: None
    proxy.left, proxy.deaf = -1, False
    proxy.turn("pass")
    whole(mlflow_server, experiment, ended.search()[0])


@pytest.mark.slow
def test_a_store_that_hangs_in_the_middle_of_logging_costs_seconds(
    proxy: Proxy, mlflow_server: str, experiment: str, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = models.save

    def saved(*args: Any, **options: Any) -> str:  # the run is open by then
        form = save(*args, **options)
        proxy.turn("hang")
        return form

    with monkeypatch.context() as patched:
        patched.setattr(models, "save", saved)
        study, lost = ended.search()
    assert lost < LOST
    assert study.id.startswith("offline-")
    proxy.turn("pass")
    whole(mlflow_server, experiment, ended.search()[0])


@pytest.fixture
def parts(tmp_path: Path) -> tuple[list[str], Callable[[], bool], Path]:
    """A server that may be ended and started again on what it kept: command, sign of life, log."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--artifacts-destination", str(tmp_path / "files")]
    return command, lambda: answers(f"http://127.0.0.1:{port}"), tmp_path / "log"


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - loopback
        return True
    return False


@pytest.mark.slow
def test_a_real_server_that_is_ended_and_started_again(
    parts: tuple[list[str], Callable[[], bool], Path],
    experiment: str,
    ended: Ended,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command, ready, log = parts
    url = f"http://127.0.0.1:{command[command.index('--port') + 1]}"
    monkeypatch.setenv("MLOPS_STORE", url)
    options: Any = {"cwd": log.parent, "env": os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}}
    with contextlib.ExitStack() as running:
        running.enter_context(started(command, ready, log, **options))
        ended.act = running.close
        study, lost = ended.search()
    assert lost < LOST
    assert study.id.startswith("offline-")
    assert study.estimator.predict(ROWS).shape == (200,)
    ended.act = lambda: None
    with started(command, ready, log, **options):
        assert register(study, "flights").run_id in {run.info.run_id for run in alone(url, experiment)[0]}
        whole(url, experiment, ended.search()[0])


@pytest.mark.alone
def test_a_tracked_cell_keeps_its_search_while_the_store_is_gone(
    *, shell: Any, run: Callable[..., Any], proxy: Proxy, mlflow_server: str, experiment: str, ended: Ended
) -> None:
    run(shell, "%config MLOps.standby = False")
    run(shell, f"%mlops --store {proxy.url}")
    shell.user_ns |= {"X": ROWS, "y": TRUTH, "model": LogisticRegression()}
    cell = (
        f"%%mlops_track {experiment} --name tuned -o run\n"
        "%mlops_tune model X y --space 'C=0.1..10.0 log' --trials 3 --folds 2 --workers 1 -o study"
    )
    ended.act = lambda: proxy.turn("hang")
    made = run(shell, cell).result
    assert time.monotonic() - ended.at < LOST
    assert made.id.startswith("offline-")
    assert made.estimator is shell.user_ns["study"].estimator
    ended.act = lambda: None
    proxy.turn("pass")
    again = run(shell, cell).result
    (found,), _ = alone(mlflow_server, experiment)
    assert again.id == found.info.run_id
    assert found.data.metrics["cv_roc_auc"] == pytest.approx(shell.user_ns["study"].score)
    assert len(found.outputs.model_outputs) == 1
    assert shell.user_ns["study"].resumed == 3


def test_a_search_that_begins_while_the_store_is_down_is_refused_before_it_takes_time(
    proxy: Proxy, ended: Ended
) -> None:
    proxy.turn("hang")
    with pytest.raises(UnavailableError):
        ended.search()
    assert ended.at == 0.0


def test_a_disk_that_takes_nothing_either_leaves_the_model_in_hand(
    proxy: Proxy, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise UnavailableError("No space left on device.", "Make room.")

    monkeypatch.setattr(Spool, "add", full)
    ended.act = lambda: proxy.turn("refuse")
    study, _ = ended.search()
    assert study.id == ""
    assert "Not logged" in str(study)
    assert study.estimator.predict(ROWS).shape == (200,)


def test_files_that_cannot_be_written_take_nothing_away(
    project: Path, experiment: str, store_file: Path, ended: Ended
) -> None:
    assert store_file.is_file()
    (project / "mlartifacts").write_text("no folder")
    study, _ = ended.search()
    assert study.estimator.predict(ROWS).shape == (200,)
    assert study.id.startswith("offline-")
    assert "1 run waits on this machine" in str(study)
    (project / "mlartifacts").unlink()
    logged, _ = ended.search()
    assert logged.resumed == 3
    whole(f"sqlite:///{store_file}", experiment, logged)


@pytest.mark.slow
def test_a_tracked_cell_searches_while_the_store_is_down(
    shell: Any, run: Callable[..., Any], proxy: Proxy, mlflow_server: str, experiment: str
) -> None:
    run(shell, "%config MLOps.standby = False")
    run(shell, f"%mlops --store {proxy.url}")
    run(shell, f"%mlops_track {experiment}")
    run(shell, "%mlops_track --off")
    shell.user_ns |= {"X": ROWS, "y": TRUTH, "model": LogisticRegression()}
    proxy.turn("refuse")
    made = run(
        shell,
        "%%mlops_track --name tuned -o run\n"
        "%mlops_tune model X y --space 'C=0.1..10.0 log' --trials 2 --folds 2 --workers 1 -o study",
    ).result
    assert made.id == shell.user_ns["study"].id
    assert made.id.startswith("offline-")
    proxy.turn("pass")
    run(shell, "%mlops_track")
    (found,), _ = alone(mlflow_server, experiment)
    assert found.info.run_name == "tuned"
    assert found.data.metrics["cv_roc_auc"] == pytest.approx(shell.user_ns["study"].score)
    assert len(found.outputs.model_outputs) == 1
    assert run(shell, f"%mlops_register study m-{uuid.uuid4().hex[:8]}").result.run_id == found.info.run_id
