"""The store goes away in each way there is: the cell loses under a second, and no run is lost or doubled."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from proxy import Proxy

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.forms import NewerFormError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.drafts import OFFLINE, Draft, written
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store

CELL = """%%mlops_track --name {name} -o run
from sklearn.linear_model import LogisticRegression
X = [[float(i)] for i in range(40)]
model = LogisticRegression(C={c}).fit(X, [0, 1] * 20)
score = model.score(X, [0, 1] * 20)
{more}
"""
CALLS = 27  # requests of a tracked cell that it waits for
FEW = {3, 18, 25}  # of the start, the model, the end


@pytest.fixture
def proxy(mlflow_server: str) -> Iterator[Proxy]:
    made = Proxy(mlflow_server)
    yield made
    made.close()


@pytest.fixture
def experiment() -> str:
    return f"e-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def book(
    shell: Any, run: Callable[..., Any], proxy: Proxy, tmp_path: Path, experiment: str
) -> Callable[[str], Any]:
    """A notebook whose experiment, of a name of its own, is on the server behind the proxy."""
    assert tmp_path
    run(shell, "%config MLOps.standby = False")
    run(shell, f"%mlops --store {proxy.url}")
    run(shell, f"%mlops_track {experiment}")
    run(shell, "%mlops_track --off")
    run(shell, CELL.format(name="first", c=1, more=""))  # imports are not what is timed below
    return lambda source: run(shell, source).result


def _runs(server: str, name: str) -> dict[str, Any]:
    client = MlflowClient(server, server)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a run was doubled"
    return {str(run.info.run_name): run for run in found}


def _waiting() -> int:
    return len(Spool.of(Settings.discover()))


@pytest.mark.alone
@pytest.mark.parametrize(
    "mode",
    ["refuse", "hang", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("500", "401", "429"))],
)
def test_a_cell_loses_less_than_a_second_and_its_run_is_written_when_the_store_is_back(
    *,
    book: Callable[[str], Any],
    proxy: Proxy,
    mlflow_server: str,
    shell: Any,
    experiment: str,
    mode: str,
) -> None:
    bare = time.monotonic()
    shell.run_cell("".join(CELL.format(name="", c=3, more="").splitlines(keepends=True)[1:]))
    bare = time.monotonic() - bare
    proxy.turn(mode)
    begun = time.monotonic()
    lost = book(CELL.format(name="lost", c=2, more=""))
    assert time.monotonic() - begun < bare + 1.0
    assert lost.id.startswith("offline-")
    assert "waits on this machine" in lost.remark
    assert _waiting() == 1
    proxy.turn("pass")
    book(CELL.format(name="after", c=3, more=""))
    assert _waiting() == 0
    runs = _runs(mlflow_server, experiment)
    assert set(runs) == {"first", "lost", "after"}
    found = runs["lost"]
    assert found.info.status == "FINISHED"
    assert found.data.params["C"] == "2"
    assert found.data.metrics["score"] == lost.metrics["score"]
    assert found.outputs.model_outputs
    assert found.info.start_time <= found.info.end_time
    assert runs["first"].info.start_time <= found.info.start_time <= runs["after"].info.start_time


@pytest.mark.parametrize("deaf", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize(
    "left", [pytest.param(i, marks=() if i in FEW else pytest.mark.slow) for i in range(CALLS)]
)
def test_a_store_that_goes_away_at_any_call_loses_and_doubles_nothing(
    *,
    book: Callable[[str], Any],
    proxy: Proxy,
    mlflow_server: str,
    experiment: str,
    left: int,
    deaf: bool,
) -> None:
    proxy.turn("pass")  # MLflow's open connections are closed: each call is counted
    proxy.left, proxy.deaf = left, deaf
    run = book(CELL.format(name="half", c=2, more=""))
    assert run.id.startswith("offline-")
    proxy.left, proxy.deaf = -1, False
    proxy.turn("pass")
    book(CELL.format(name="after", c=3, more=""))
    assert _waiting() == 0
    found = _runs(mlflow_server, experiment)
    assert set(found) == {"first", "half", "after"}
    assert found["half"].info.status == "FINISHED"
    assert found["half"].data.metrics["score"] == run.metrics["score"]
    assert len(found["half"].outputs.model_outputs) == 1
    client = MlflowClient(mlflow_server, mlflow_server)
    assert len(client.get_metric_history(found["half"].info.run_id, "score")) == 1


@pytest.mark.parametrize("forced", [False, True])
def test_a_repeat_that_waited_is_attached_to_the_run_that_it_is(
    *, book: Callable[[str], Any], proxy: Proxy, mlflow_server: str, experiment: str, forced: bool
) -> None:
    cell = CELL.format(name="same", c=7, more="")
    first = book(cell)
    proxy.turn("refuse")
    lost = book(cell.replace("--name", "--force --name") if forced else cell)
    assert lost.id.startswith("offline-")
    proxy.turn("pass")
    book("%mlops_track")
    assert _waiting() == 0
    client = MlflowClient(mlflow_server, mlflow_server)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    same = [run for run in found if run.info.run_name == "same"]
    assert len(same) == 1 + forced
    assert client.get_run(first.id).data.tags["mlops.repeats"] == ("1" if forced else "2")
    key = lost.id.removeprefix(OFFLINE)
    assert written(open_store(Settings.discover()), same[0].info.experiment_id, key) in {
        run.info.run_id for run in same if (run.info.run_id == first.id) is not forced
    }


def test_a_store_that_goes_away_in_the_middle_of_a_cell_and_a_cell_that_fails_meanwhile(
    book: Callable[[str], Any],
    proxy: Proxy,
    mlflow_server: str,
    shell: Any,
    experiment: str,
) -> None:
    shell.user_ns["turn"] = proxy.turn
    book(CELL.format(name="middle", c=2, more="turn('refuse')"))
    failed = shell.run_cell(CELL.format(name="failed", c=2, more="1 / 0"))
    assert isinstance(failed.error_in_exec, ZeroDivisionError)
    assert _waiting() == 2
    proxy.turn("pass")
    book(CELL.format(name="after", c=3, more=""))
    book("%mlops_track")  # a cell writes for a third of a second only; this writes the rest
    runs = _runs(mlflow_server, experiment)
    status = {name: run.info.status for name, run in runs.items()}
    assert status == {"first": "FINISHED", "middle": "FINISHED", "failed": "FAILED", "after": "FINISHED"}


@pytest.mark.parametrize("left", [None, 12], ids=["down", "goes away"])
def test_what_is_kept_beside_a_cell_waits_with_it_and_is_written_once(
    *,
    book: Callable[[str], Any],
    proxy: Proxy,
    mlflow_server: str,
    experiment: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: int | None,
) -> None:
    (project / "helper_u.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(project)
    more = "import helper_u\nprint('printed')"
    book(CELL.format(name="written", c=2, more=more))
    if left is None:
        proxy.turn("refuse")
    else:
        proxy.turn("pass")
        proxy.left = left
    run = book(CELL.format(name="lost", c=3, more=more))
    del sys.modules["helper_u"]
    assert run.id.startswith("offline-")
    (waiting,) = Settings.discover().state.rglob("output.txt")
    assert waiting.read_text() == "printed\n"
    proxy.left = -1
    proxy.turn("pass")
    book("%mlops_track")
    assert _waiting() == 0
    client = MlflowClient(mlflow_server, mlflow_server)
    kept = {}
    for name, found in _runs(mlflow_server, experiment).items():
        top = Path(client.download_artifacts(found.info.run_id, "mlops", str(project)))
        kept[name] = {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        assert found.data.tags["mlops.hardware"]
        shutil.rmtree(top)
    assert kept["lost"].pop(Path("cell.py")) != kept["written"].pop(Path("cell.py"))
    for files in kept.values():  # they tell of cells with other names and times
        for name in ("slice.py", "slice.ipynb", "slice.json"):
            assert files.pop(Path(name))
    assert kept["lost"] == kept["written"]
    assert kept["lost"][Path("modules/helper_u.py")] == b"x = 1\n"


def test_what_waits_survives_kill_9_while_it_is_written(
    book: Callable[[str], Any], proxy: Proxy, mlflow_server: str, experiment: str
) -> None:
    proxy.turn("refuse")
    for c in (2, 3, 4):
        book(CELL.format(name=f"lost{c}", c=c, more=""))
    proxy.turn("pass")
    program = (
        "from mlops_magics.foundation.settings import Settings\n"
        "from mlops_magics.tracking.spool import replayed\n"
        "from mlops_magics.tracking.store import open_store\n"
        "settings = Settings.discover()\nprint('ready', flush=True)\n"
        "replayed(settings, open_store(settings))\n"
    )
    for seconds in (0.05, 0.2):  # in the middle of the first, and somewhere later
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env=dict(os.environ)
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    book("%mlops_track")
    assert _waiting() == 0
    runs = _runs(mlflow_server, experiment)
    assert set(runs) == {"first", "lost2", "lost3", "lost4"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_register_and_promote_refuse_a_run_that_waits(
    book: Callable[[str], Any], proxy: Proxy, shell: Any
) -> None:
    proxy.turn("refuse")
    book(CELL.format(name="lost", c=2, more=""))
    result = shell.run_cell("%mlops_register run flights")
    assert isinstance(result.error_in_exec, UnavailableError)
    proxy.turn("pass")
    made = book(f"%mlops_register run m-{uuid.uuid4().hex[:8]}")
    assert made.version == "1"
    assert _waiting() == 0
    assert shell.run_cell("run.id").result.startswith("offline-")


def test_a_notebook_may_begin_while_the_store_is_down(
    shell: Any, run: Callable[..., Any], proxy: Proxy, mlflow_server: str, experiment: str
) -> None:
    run(shell, "%config MLOps.standby = False")
    run(shell, f"%mlops --store {proxy.url}")
    proxy.turn("refuse")
    chosen = run(shell, f"%mlops_track {experiment}").result
    assert "will wait" in str(chosen)
    run(shell, "%mlops_track --off")
    run(shell, CELL.format(name="early", c=1, more=""))
    assert _waiting() == 1
    proxy.turn("pass")
    run(shell, f"%mlops_track {experiment}")
    assert set(_runs(mlflow_server, experiment)) == {"early"}


def test_a_broken_folder_in_the_spool_is_put_aside_and_an_unfinished_one_left(
    book: Callable[[str], Any], proxy: Proxy
) -> None:
    spool = Spool.of(Settings.discover())
    newer = ("000000000000000-w", '{"format": 2, "runs": []}')  # of a release that is to come
    broken = ("000000000000001-x", "{"), ("000000000000002-z", '{"datasets": 3}')
    for name, text in (newer, *broken, (".new-y", "")):
        folder = spool.folder / name
        folder.mkdir(parents=True)
        (folder / "draft.json").write_text(text)
    assert len(spool) == 3
    assert proxy.mode == "pass"
    book("%mlops_track")
    assert len(spool) == 1, "the newer one waits for its release, and holds up nobody"
    assert sorted(path.name[:6] for path in spool.folder.iterdir()) == [
        ".new-y",
        "000000",
        "broken",
        "broken",
    ]
    with pytest.raises(NewerFormError, match="run that waits was written by a newer release"):
        spool.replay(open_store(Settings.discover()))


def test_a_disk_that_takes_nothing_is_said_and_nothing_is_half_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.of(Settings.discover())
    draft = Draft(experiment="e", name="n", begun=1)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UnavailableError, match="No space left"):
        spool.add(draft)
    assert list(spool.folder.iterdir()) == []
    assert project
