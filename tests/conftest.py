"""What every test may use: a project of its own, a ready store, a shell with the magics loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from order import LONGEST
from places import project_in, shell_in
from prepared import Prepared, again, prepare
from servers import mlflow_on

# Two workers and the processes that they start share two cores: OpenMP's threads wait asleep, they do not
# spin on a core that another one needs. It is read when the first library with OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the rest stay as they are."""
    place = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


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
def prepared_twice(
    tmp_path_factory: pytest.TempPathFactory,
    prepared: Prepared,
    store_template: Path,
    run: Callable[..., Any],
) -> Prepared:
    """The same with a second version of the model, to be copied."""
    parent = tmp_path_factory.mktemp("prepared_twice")
    with project_in(parent) as folder, shell_in(parent) as made:
        shutil.copy(store_template, folder / "mlflow.db")
        return again(made, run, folder, prepared)


@pytest.fixture
def quiet_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own Jupyter and IPython settings out."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on SQLite that hands files on."""
    folder = tmp_path_factory.mktemp("server")
    files = ("--artifacts-destination", str(folder / "files"))
    with mlflow_on(folder, f"sqlite:///{folder}/mlflow.db", *files) as url:
        yield url
