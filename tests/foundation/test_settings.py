from pathlib import Path

import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings, project_root, remember


def _table(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.mlops_magics]\n{text}\n")


def test_what_is_said_nearer_wins(project: Path) -> None:
    assert Settings.discover(project, {}).store == f"sqlite:///{project / 'mlflow.db'}"
    _table(project, 'store = "http://table:1"\nexperiment = "table"\nstandby = false')
    said = Settings.discover(project, {})
    assert (said.store, said.experiment, said.standby) == ("http://table:1", "table", False)
    environ = {"MLFLOW_TRACKING_URI": "http://mlflow:2", "MLFLOW_EXPERIMENT_NAME": "mlflow"}
    said = Settings.discover(project, environ)
    assert (said.store, said.experiment) == ("http://mlflow:2", "mlflow")
    environ |= {"MLOPS_STORE": "http://ours:3", "MLOPS_EXPERIMENT": "ours", "MLOPS_STANDBY": "yes"}
    said = Settings.discover(project, environ)
    assert (said.store, said.experiment, said.standby) == ("http://ours:3", "ours", True)
    assert said.with_(store="http://flag:4", experiment=None).store == "http://flag:4"
    assert said.with_(store=None) == said


@pytest.mark.parametrize("mark", [".mlops/", ".git/", ".git", "pyproject.toml"])
def test_the_root_is_the_nearest_marked_folder(tmp_path: Path, mark: str) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    deep = inner / "a" / "b"
    deep.mkdir(parents=True)
    (outer / ".mlops").mkdir()
    assert project_root(deep) == outer
    if mark.endswith("/"):
        (inner / mark).mkdir()
    else:  # a worktree's .git is a file
        (inner / mark).write_text("[tool.mlops_magics]\n")
    assert project_root(deep) == inner


def test_a_pyproject_of_something_else_marks_no_root(tmp_path: Path) -> None:
    (tmp_path / ".mlops").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.ruff]\n")
    assert project_root(tmp_path / "a") == tmp_path


def test_a_relative_store_is_one_file_for_all_folders_of_the_project(project: Path) -> None:
    _table(project, 'store = "sqlite:///runs/all.db"')
    (project / "deep").mkdir()
    stores = {Settings.discover(start, {}).store for start in (project, project / "deep")}
    assert stores == {f"sqlite:///{project / 'runs/all.db'}"}
    _table(project, 'store = "sqlite:////data/all.db"')
    assert Settings.discover(project, {}).store == "sqlite:////data/all.db"


@pytest.mark.parametrize(
    ("text", "told", "remedy"),
    [
        ('[tool.mlops_magics]\nstor = "x"', "no setting 'stor'", "Did you mean 'store'?"),
        ("[tool.mlops_magics]\nstore = ", "not valid TOML", "Correct the file."),
        ("[tool]\nmlops_magics = 3", "not a table", "Write [tool.mlops_magics]."),
        ('[tool.mlops_magics]\nstandby = "perhaps"', "neither true nor false", "Write true or false."),
        (
            '[tool.mlops_magics]\nreserve = "-1"',
            "no length of time",
            "Write seconds, 86400 at most; 0 for none.",
        ),
        (
            "[tool.mlops_magics]\nreserve = nan",
            "no length of time",
            "Write seconds, 86400 at most; 0 for none.",
        ),
        (
            '[tool.mlops_magics]\nreserve = "a minute"',
            "no length of time",
            "Write seconds, 86400 at most; 0 for none.",
        ),
    ],
)
def test_what_is_not_understood_is_said(project: Path, text: str, told: str, remedy: str) -> None:
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        Settings.discover(project, {})
    assert caught.value.remedy == remedy


@pytest.mark.parametrize(("text", "expected"), [(" ON ", True), ("1", True), ("No", False), ("off", False)])
def test_a_flag_is_read_as_people_write_it(project: Path, text: str, *, expected: bool) -> None:
    assert Settings.discover(project, {"MLOPS_STANDBY": text}).standby is expected


def test_what_is_remembered_holds_from_then_on(project: Path) -> None:
    remember(store="http://kept:1", experiment="e", standby="false")
    said = Settings.discover()
    assert (said.root, said.store, said.experiment, said.standby) == (project, "http://kept:1", "e", False)


def test_state_is_the_users_folder_unless_said(project: Path, tmp_path: Path) -> None:
    assert Settings.discover().state == tmp_path / "state"
    assert Settings.discover(project, {}).state.name == "mlops-magics"
