"""The quickstart, as a user's CI would validate it: twice on one store, leaving nothing running."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
KEEPING_NOTHING = {"02_profile", "04_features", "12_ci"}
PASSING = [book for book in NOTEBOOKS if book.stem in KEEPING_NOTHING]
FIRST, *KEEPING = [book for book in NOTEBOOKS if book not in PASSING]


def made(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make a user's project with the notebooks in it, and the environment of what runs there."""
    project = folder / "project"
    (project / ".mlops").mkdir(parents=True)
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("MLOPS_", "MLFLOW_", "JPY_"))
    } | {
        "MLOPS_STATE": str(folder / "state"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    return project, environment


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project with the notebooks in it, its store and state kept over the tests of this module."""
    folder = tmp_path_factory.mktemp("user")
    project, environment = made(folder)
    yield project, environment
    live = (folder / "state").glob("endpoints/flights*")  # none where only another notebook was chosen
    if any(live):
        assert mlops(project, environment, "deploy", "flights", "--remove").returncode == 0
    here = [
        process.info
        for process in psutil.process_iter(["pid", "cmdline", "environ"])
        if (process.info["environ"] or {}).get("MLOPS_STATE") == str(folder / "state")
    ]
    assert not here, f"left running: {here}"


def mlops(project: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops_magics.frontends.cli.command", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def passes(project: Path, environment: dict[str, str], *books: Path) -> None:
    """Let nbval validate notebooks, each in a kernel of its own. One pytest for all: it is slow to start."""
    copies = [str(project / "notebooks" / book.name) for book in books]
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", *copies]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-9000:]}{done.stderr[-2000:]}"
    read = [json.loads(book.read_text("utf-8")) for book in books]
    cells = sum(cell["cell_type"] == "code" for book in read for cell in book["cells"])
    assert f"{cells} passed" in done.stdout


@pytest.mark.parametrize(
    ("books", "times"),
    [
        pytest.param([FIRST], 2, id="the quickstart, also on a used store"),
        pytest.param(KEEPING, 1, id="the others"),
        pytest.param(KEEPING, 2, id="the others, also on a used store", marks=pytest.mark.slow),
    ],
)
def test_nbval_passes(used: tuple[Path, dict[str, str]], books: list[Path], times: int) -> None:
    """The quickstart is alone below its pytest, so that its run can know the notebook's name."""
    for _ in range(times):
        passes(*used, *books)


def test_notebooks_that_keep_nothing_pass_on_any_store(tmp_path: Path) -> None:
    """What they leave behind is nothing, so that a used store is for them a new one."""
    project, environment = made(tmp_path)
    passes(project, environment, *PASSING)
    assert [path.name for path in project.iterdir() if path.name != "notebooks"] == [".mlops"]
    assert list((project / ".mlops").iterdir()) == []
    assert not (tmp_path / "state").exists()


def test_the_endpoint_outlived_the_notebook_and_answers_from_a_shell(
    used: tuple[Path, dict[str, str]],
) -> None:
    project, environment = used
    rows = project / "rows.csv"
    rows.write_text(
        "carrier,origin,dest,weekday,plane_type,hour,distance,temp,humid,wind_speed,wind_gust,precip,"
        "pressure,visib,plane_year,seats\n"
        "B6,JFK,BOS,Fri,Fixed wing multi engine,19,187,84.2,71,13.81,24.17,0.12,1006.4,4,2006,200\n"
    )
    asked = mlops(project, environment, "predict", "flights", str(rows), "--json")
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["values"] == [1]
    assert len(answer["request_ids"][0]) == 32


def test_what_the_issue_promises_is_in_mlflow(used: tuple[Path, dict[str, str]]) -> None:
    """The run with all its facts; the version with aliases; the promotion; the deployment."""
    project, _ = used
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("flights")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert len(runs) == 1  # validated twice: the same cell on the same data is the same run
    assert runs[0].data.tags["mlops.repeats"] == "2"
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.params["random_state"] == "0"
        assert run.data.metrics["test_roc_auc"] == pytest.approx(0.7529, abs=5e-4)
        assert run.data.tags["mlops.cell.sha256"]
        assert Path(run.data.tags["mlflow.source.name"]).name == "01_quickstart.ipynb"
        contexts = {item.tags[0].value: item.dataset for item in run.inputs.dataset_inputs}
        assert set(contexts) == {"training", "evaluation"}
        assert contexts["training"].digest != contexts["evaluation"].digest
        files = {item.path for item in client.list_artifacts(run.info.run_id, "mlops")}
        assert {"mlops/cell.py", "mlops/environment.txt", "mlops/evaluation.json"} <= files
    model = client.get_registered_model("flights")
    assert {key: str(value) for key, value in model.aliases.items()} == {"candidate": "2", "champion": "2"}
    moves = [json.loads(value) for key, value in sorted(model.tags.items()) if "promotion" in key]
    assert [(move["alias"], move["old"], move["new"]) for move in moves if move["kind"] == "promotion"] == [
        ("champion", None, "1"),
        ("champion", "1", "2"),
    ]
    version = client.get_model_version("flights", "2")
    assert json.loads(version.tags["mlops.deployment.flights"])["what"] == "deployed"
    assert version.tags["mlops.manifest"].startswith("sha256:")
    assert version.run_id in {run.info.run_id for run in runs}
