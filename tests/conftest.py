"""What every test may use: a project of its own, a ready store, a shell with the magics loaded."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prepared import Prepared, prepare


@contextlib.contextmanager
def _project(parent: Path) -> Iterator[Path]:
    """Make a project folder, the current one; afterwards the settings of this process are as before."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("MLOPS_", "MLFLOW_", "JPY_")):
            del os.environ[name]
    os.environ["MLOPS_STATE"] = str(parent / "state")
    folder = parent / "project"
    (folder / ".mlops").mkdir(parents=True)
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A fresh project folder that is the current one; the settings of this process are put back after."""
    with _project(tmp_path) as folder:
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


@contextlib.contextmanager
def _shell(parent: Path) -> Iterator[Any]:
    """Make an IPython shell with the magics loaded; nothing of it is left afterwards."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config, ipython_dir=str(parent / "ipython"))
    made.run_line_magic("load_ext", "mlops_magics")
    try:
        yield made
    finally:
        made.run_line_magic("unload_ext", "mlops_magics")
        made.restore_sys_module_state()
        # At exit each shell would collect all garbage once more: seconds, for a hundred shells.
        atexit.unregister(made.atexit_operations)


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Iterator[Any]:
    """A fresh IPython shell in the project, with the magics loaded; nothing of it is left after the test."""
    assert project.is_dir()
    with _shell(tmp_path) as made:
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
    with _project(parent) as folder, _shell(parent) as made:
        shutil.copy(store_template, folder / "mlflow.db")
        return prepare(made, run, folder)
