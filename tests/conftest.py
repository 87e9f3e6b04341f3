"""What every test may use: a project of its own, a ready store, a shell with the magics loaded."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from places import project_in, shell_in
from prepared import Prepared, prepare


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A fresh project folder that is the current one; the settings of this process are put back after."""
    with project_in(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with MLflow's tables: making them takes seconds, so it is done once and copied."""
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.tracking.store import open_store

    folder = tmp_path_factory.mktemp("template")
    environ = {"MLOPS_STATE": str(folder / "state"), "MLOPS_STORE": f"sqlite:///{folder}/mlflow.db"}
    open_store(Settings.discover(folder, environ))
    return folder / "mlflow.db"


@pytest.fixture
def store_file(project: Path, store_template: Path) -> Path:
    """A ready store in the project."""
    return Path(shutil.copy(store_template, project / "mlflow.db"))


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Iterator[Any]:
    """A fresh IPython shell in the project, with the magics loaded; nothing of it is left after the test."""
    assert project.is_dir()
    with shell_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def run() -> Callable[[Any, str], Any]:
    """Run a cell in a shell; what it raises is raised here."""

    def run_cell(shell: Any, source: str) -> Any:
        result = shell.run_cell(source)
        result.raise_error()
        return result

    return run_cell


@pytest.fixture(scope="session")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, store_template: Path, run: Callable[..., Any]
) -> Prepared:
    """A project with a registered model, to be copied."""
    parent = tmp_path_factory.mktemp("prepared")
    with project_in(parent) as folder, shell_in(parent) as made:
        shutil.copy(store_template, folder / "mlflow.db")
        return prepare(made, run, folder)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server in a process group of its own, without its job runners, which outlive it."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])
