import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import Store, door, open_store


def test_a_new_store_is_made_at_the_root_and_kept_out_of_git(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".gitignore").write_text("*.pyc")
    store = open_store(Settings.discover())
    assert (project / "mlflow.db").is_file()
    assert store.shown == "mlflow.db"
    lines = (project / ".gitignore").read_text().splitlines()
    assert lines[0] == "*.pyc"
    assert "mlflow.db" in lines
    assert "mlartifacts/" in lines
    open_store(Settings.discover())
    assert (project / ".gitignore").read_text().splitlines() == lines


@pytest.mark.alone
def test_a_server_that_is_down_costs_a_moment_and_says_where(project: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings.discover(project).with_(store=f"http://me:hunter22@127.0.0.1:{port}")
    begun = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        open_store(settings)
    assert time.monotonic() - begun < 3
    assert "hunter22" not in str(caught.value)
    assert "--store" in caught.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(project: Path) -> None:
    project.chmod(0o500)
    try:
        with pytest.raises(UnavailableError, match=r"cannot be made"):
            open_store(Settings.discover())
    finally:
        project.chmod(0o700)


def test_a_store_below_a_file_is_named(project: Path) -> None:
    (project / "file").write_text("")
    settings = Settings.discover(project).with_(store=f"sqlite:///{project}/file/mlflow.db")
    with pytest.raises(UnavailableError, match=r"cannot be made in"):
        open_store(settings)


def test_an_experiment_is_made_once_and_restored(store: Store) -> None:
    made = store.experiment_id("flights")
    assert store.experiment_id("flights") == made
    store.client.delete_experiment(made)
    assert store.experiment_id("flights") == made
    assert store.client.get_experiment(made).lifecycle_stage == "active"
    with pytest.raises(UsageError):
        store.experiment_id("../x")


def test_what_mlflow_raises_becomes_a_sentence(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"^The run is not in the store"), door("The run"):
        store.client.get_run("0" * 32)
    with pytest.raises(ZeroDivisionError), door("The run"):
        _ = 1 / 0
