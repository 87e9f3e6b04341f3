import subprocess
from pathlib import Path

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps import doctor as module
from mlops_magics.steps.doctor import Diagnosis, Finding, doctor
from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import open_store


def found(diagnosis: Diagnosis, name: str) -> Finding:
    return next(item for item in diagnosis.findings if item.name == name)


def test_a_healthy_project(store_file: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=store_file.parent, check=True)
    diagnosis = doctor()
    assert diagnosis.healthy
    assert found(diagnosis, "mlflow").outcome == "well"
    assert found(diagnosis, "git").remedy.startswith("git init")
    assert "nothing is broken" in str(diagnosis)


def test_a_store_that_is_down_is_a_finding_not_an_error(project: Path) -> None:
    assert project
    diagnosis = doctor(settings=Settings.discover().with_(store="http://127.0.0.1:9"))
    assert not diagnosis.healthy
    assert "cannot be reached" in found(diagnosis, "store").told
    assert "--store" in found(diagnosis, "store").remedy


def test_versions_that_do_not_fit_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project
    versions = {"mlflow": "3.18.0", "pandas": "1.5.3", "ipython": "9.0", "scikit-learn": "1.9.1"}
    monkeypatch.setattr(module, "installed", lambda: versions)
    diagnosis = doctor()
    assert "mlflow!=3.18.0" in found(diagnosis, "mlflow").remedy
    assert found(diagnosis, "pandas").remedy == "pip install 'pandas>=2.2'"
    assert found(diagnosis, "skops").told == "not installed"
    assert found(diagnosis, "ipython").outcome == "well"


def test_orphaned_runs_are_found_and_left_alone(store_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_file
    monkeypatch.setenv("MLOPS_EXPERIMENT", "e")
    store = open_store(Settings.discover())
    run_id, _ = runs.start(store, store.experiment_id("e"), name="n", source=Source("x"), git=None)
    store.client.set_tag(run_id, "mlops.process", '["elsewhere", 1, 1.0]')
    store.client.set_tag(run_id, "mlops.lease", "1")
    finding = found(doctor(), "runs")
    assert (finding.outcome, finding.told[:1]) == ("warning", "1")
    assert "%mlops_track e" in finding.remedy
    assert store.client.get_run(run_id).info.status == "RUNNING"
