"""A run is made again from its cells, in a fresh process; or what differs is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from slice_notebooks import DETOURS, NEEDED, ORDER, SHUFFLED

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.reproduce import Reproduction, verify, worth_verifying
from mlops_magics.tracking.store import open_store

Cell = Callable[[str], Any]

IMPORTS = (
    "import numpy as np\nimport pandas as pd\nfrom sklearn.linear_model import LogisticRegression\n"
    "from sklearn.ensemble import RandomForestClassifier"
)
DATA = (
    "rng = np.random.default_rng(3)\n"
    "X = pd.DataFrame(rng.normal(size=(120, 3)), columns=list('abc'))\n"
    "y = (X['a'] + rng.normal(size=120) > 0).astype(int)"
)
FIT = (
    "%%mlops_track --name first -o run\nmodel = LogisticRegression().fit(X, y)\naccuracy = model.score(X, y)"
)
FOREST = (
    "%%mlops_track --name forest -o run\nmodel = RandomForestClassifier(5, max_depth=2).fit(X, y)\n"
    "accuracy = model.score(X, y) + model.predict_proba(X)[0, 0]"
)


@pytest.fixture
def cell(shell: Any, store_file: Path, run: Callable[..., Any]) -> Cell:
    """Run a cell; return what it shows."""
    assert store_file.exists()

    def executed(source: str) -> Any:
        return run(shell, source).result

    executed("%config MLOps.standby = False")
    executed("%mlops_track e")
    shell.mlops_magics_extension.watch().off()
    return executed


def _tags(name: str) -> dict[str, str]:
    store = open_store(Settings.discover())
    (found,) = [
        run for run in store.client.search_runs([store.experiment_id("e")]) if run.info.run_name == name
    ]
    return dict(found.data.tags)


def _files(run_id: str, folder: Path) -> Path:
    return Path(open_store(Settings.discover()).client.download_artifacts(run_id, "mlops", str(folder)))


def begins(cell: Cell) -> bool:
    """Tell whether the run's cells are executed: their process is started, and ended at once."""
    ended = "It did not end within 0.01 seconds."
    return bool(cell("%mlops_reproduce first --timeout 0.01").because == ended)


def test_a_run_is_made_again(cell: Cell, shell: Any, tmp_path: Path) -> None:
    for source in (IMPORTS, DATA, "unused = X.describe()", FIT):
        cell(source)
    run_id = shell.user_ns["run"].id
    for named in ("run", run_id):  # a name leads to the run; one execution, below, is enough
        found = cell(f"%mlops_reproduce {named} --timeout 0.01")
        assert (found.run_id, found.because) == (run_id, "It did not end within 0.01 seconds.")
        assert _tags("first")["mlops.reproduced"].startswith("no: It did not end")
    found = cell("%mlops_reproduce first")
    assert isinstance(found, Reproduction)
    assert found.run_id == run_id
    assert found.reproduced, found
    assert found.because == "The same parameters, metrics and answers of the model."
    assert found.cells == 3
    assert [(item.name, item.same) for item in found.metrics] == [("accuracy", True)]
    assert found.environment == "the same packages"
    assert "reproduced" in str(found)
    tags = _tags("first")
    assert tags["mlops.reproducible"] == "yes"
    assert tags["mlops.slice.cells"].startswith("3 of ")
    assert tags["mlops.reproduced"] == "yes"
    kept = _files(shell.user_ns["run"].id, tmp_path)
    assert "unused" not in (kept / "slice.py").read_text()
    page = nbformat.read(kept / "slice.ipynb", as_version=4)
    nbformat.validate(page)
    assert [item.source for item in page.cells] == [IMPORTS, DATA, FIT]
    history = json.loads((kept / "slice.json").read_text())["history"]
    assert [item["source"] for item in history][-3:] == [IMPORTS, DATA, "unused = X.describe()"]
    store = open_store(Settings.discover())
    assert len(store.client.search_runs([store.experiment_id("e")])) == 1  # its cells logged nothing here


@pytest.mark.slow
def test_a_plain_cell_of_automatic_mode_is_made_again(cell: Cell, shell: Any) -> None:
    cell("%mlops_track e")
    for source in (IMPORTS, DATA, FIT.partition("\n")[2]):
        cell(source)
    assert cell("%mlops_reproduce LogisticRegression").reproduced
    shell.mlops_magics_extension.watch().off()


@pytest.mark.slow
def test_forty_cells_run_back_and_forth(cell: Cell, shell: Any) -> None:
    for place in ORDER:
        shell.run_cell(SHUFFLED[place])  # one of them fails, as the notebook says
    fit = "model.fit(X_train, y_train)\nloss = 1 - model.predict_proba(X_test)[:, 1].mean()"
    cell(f"%%mlops_track --name long\n{fit}")
    found = cell("%mlops_reproduce long")
    assert found.reproduced, found
    assert len(NEEDED) <= found.cells <= len(ORDER) - len(DETOURS)
    (loss,) = found.metrics
    assert loss.then == loss.now
    assert 0 < loss.then < 1


def test_a_changed_file_is_named_and_nothing_is_executed(cell: Cell, project: Path) -> None:
    rows = "\n".join(f"{n % 7},{n % 2}" for n in range(50))
    (project / "data.csv").write_text(f"a,y\n{rows}\n")
    cell(IMPORTS)
    cell("X = pd.read_csv('data.csv')\ny = X.pop('y')")
    cell(FIT)
    assert begins(cell)  # the file as it was keeps no cell from running
    (project / "data.csv").write_text(f"a,y\n{rows}\n9,1\n")
    found = cell("%mlops_reproduce first")
    assert not found.reproduced
    assert found.because == "The file data.csv has another content than when the run was made."
    assert found.cells == 0
    assert _tags("first")["mlops.reproduced"].startswith("no: The file data.csv")
    (project / "data.csv").unlink()
    assert cell("%mlops_reproduce first").because == "The file data.csv is not there."


@pytest.mark.parametrize(
    "said", ["'data.parquet'", "PLACE", "Path('.') / 'data.parquet'", "path='data.parquet'"]
)
def test_a_changed_parquet_file_is_named_though_no_event_tells_of_it(
    cell: Cell, shell: Any, project: Path, said: str
) -> None:
    import pandas as pd

    table = pd.DataFrame({"a": range(50), "y": [n % 2 for n in range(50)]})
    table.to_parquet(project / "data.parquet")
    cell(IMPORTS + "\nfrom pathlib import Path\nPLACE = 'data.parquet'")
    cell(f"X = pd.read_parquet({said})\ny = X.pop('y')")
    cell(FIT)
    assert [item.path for item in shell.user_ns["run"].recipe.files] == ["data.parquet"]
    assert begins(cell)
    table.assign(a=1).to_parquet(project / "data.parquet")
    found = cell("%mlops_reproduce first")
    assert found.because == "The file data.parquet has another content than when the run was made."


def test_a_changed_module_of_the_users_own_is_named(
    cell: Cell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project))
    (project / "deephelper.py").write_text("FACTOR = 2\ndef factor():\n    return FACTOR\n")
    text = "from deephelper import factor\n\ndef prepared(X):\n    return X * factor()\n"
    (project / "ownhelper.py").write_text(text)
    (project / "otherhelper.py").write_text("x = 1\n")
    try:
        for source in (
            IMPORTS,
            "import otherhelper",
            "import ownhelper",
            DATA,
            "X = ownhelper.prepared(X)",
            FIT,
        ):
            cell(source)
        (project / "otherhelper.py").write_text("x = 2\n")  # no part of it
        assert begins(cell)
        (project / "deephelper.py").write_text("FACTOR = 3\ndef factor():\n    return FACTOR\n")
        assert "deephelper.py has another content" in cell("%mlops_reproduce first").because
        (project / "ownhelper.py").write_text(text + "\n\n")
        assert "helper.py has another content" in cell("%mlops_reproduce first").because
    finally:
        for name in ("deephelper", "ownhelper", "otherhelper"):
            sys.modules.pop(name, None)


def test_an_unseeded_model_is_not_reproduced(cell: Cell) -> None:
    for source in (IMPORTS, DATA, FOREST):
        cell(source)
    tags = _tags("forest")
    assert tags["mlops.reproducible"] == "no"
    assert "never seeded (numpy)" in tags["mlops.reproducible.because"]
    found = cell("%mlops_reproduce forest")
    assert not found.reproduced
    assert found.because.endswith("it is not deterministic.")
    assert not found.metrics[0].same


def test_the_first_input_that_the_cells_make_otherwise_is_named(cell: Cell, shell: Any) -> None:
    for source in (IMPORTS, DATA, "import os\nX['a'] += int(os.environ['MLOPS_TEST_SHIFT'])"):
        os.environ["MLOPS_TEST_SHIFT"] = "1"
        cell(source)
    cell(FIT.replace("model.score(X, y)", "model.predict_proba(X)[0, 0]"))
    os.environ["MLOPS_TEST_SHIFT"] = "9"
    found = cell("%mlops_reproduce first")
    assert not found.reproduced
    assert found.because == "The cells before it made another X than the run read."
    del os.environ["MLOPS_TEST_SHIFT"]
    found = cell("%mlops_reproduce first")
    assert "KeyError" in found.because
    assert "MLOPS_TEST_SHIFT" in found.traceback
    assert shell.user_ns["X"] is not None


def test_cells_edited_or_run_out_of_order_are_said(cell: Cell, shell: Any) -> None:
    for at, source in (("1", IMPORTS), ("2", DATA), ("3", "X['b'] = 0"), ("3", "X['b'] += 1"), ("4", FIT)):
        shell.get_parent = lambda at=at: {"metadata": {"cellId": at}}
        cell(source)
    tags = _tags("first")
    assert tags["mlops.reproducible"] == "no"
    assert "was edited after it had run" in tags["mlops.reproducible.because"]
    assert cell("%mlops_reproduce first").reproduced  # the cells as they ran are kept, whatever the page says


@pytest.mark.slow
def test_what_cells_would_do_outside_is_asked_for(cell: Cell, project: Path) -> None:
    for source in (IMPORTS, DATA, "X.to_csv('x.csv')", "X = pd.read_csv('x.csv', index_col=0)", FIT):
        cell(source)
    with pytest.raises(RefusedError, match=r"It would write x\.csv once more"):
        cell("%mlops_reproduce first")
    (project / "x.csv").unlink()
    assert cell("%mlops_reproduce first --effects").reproduced
    assert (project / "x.csv").exists()


@pytest.mark.slow
def test_cells_that_await_failed_half_way_or_measure_time(cell: Cell, shell: Any) -> None:
    cell(IMPORTS + "\nimport asyncio")
    cell("await asyncio.sleep(0)\nlate = 1")
    cell("%%time\n" + DATA + "\nX['c'] += late")
    shell.run_cell("X['a'] *= 2; raise ValueError")
    cell("from __future__ import annotations\nk: Unknown = 2")
    cell(FIT.replace("X, y)\n", "X * k, y)\n"))
    assert cell("%mlops_reproduce first").reproduced


def test_cells_that_are_not_ones_own_ask_for_consent(
    cell: Cell, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in (IMPORTS, DATA, FIT):
        cell(source)
    run_id, client = shell.user_ns["run"].id, open_store(Settings.discover()).client
    kept = _files(run_id, tmp_path)
    own = (kept / "slice.json").read_text()
    (kept / "slice.json").write_text(own.replace("rng = ", "open('executed', 'w'); rng = "))
    client.log_artifact(run_id, str(kept / "slice.json"), "mlops")
    with pytest.raises(RefusedError, match="not recorded by you") as caught:
        cell("%mlops_reproduce first")
    assert "--allow-code" in caught.value.remedy
    assert not Path("executed").exists()
    (kept / "slice.json").write_text(own)
    client.log_artifact(run_id, str(kept / "slice.json"), "mlops")
    assert begins(cell)
    monkeypatch.setenv("MLOPS_STATE", str(tmp_path / "another user's"))
    with pytest.raises(RefusedError, match="not recorded by you"):
        cell("%mlops_reproduce first")
    assert cell("%mlops_reproduce first --allow-code").reproduced


def test_a_secret_in_a_cell_is_not_kept_and_therefore_asked_for(cell: Cell, tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    for source in (IMPORTS, DATA, f"token = {secret!r}\nX['c'] = len(token)", FIT):
        cell(source)
    tags = _tags("first")
    assert "A secret was taken out" in tags["mlops.reproducible.because"]
    with pytest.raises(RefusedError, match="A secret was taken out"):
        cell("%mlops_reproduce first")
    kept = _files(cell("run").id, tmp_path)
    for path in kept.rglob("*.*"):
        assert secret not in path.read_text(errors="replace"), path


def test_other_packages_are_said_or_rebuilt(
    cell: Cell, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in (IMPORTS, DATA, FIT):
        cell(source)
    _pin("cloudpickle", "0.0.1", shell.user_ns["run"].id, tmp_path)
    found = cell("%mlops_reproduce first --here")
    assert found.reproduced
    assert found.environment == "those of here"
    assert found.differences[0].startswith("cloudpickle 0.0.1, here ")
    assert "Other packages: cloudpickle 0.0.1" in str(found)
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="cannot be installed") as caught:
        cell("%mlops_reproduce first")
    assert "--here" in caught.value.remedy


def _pin(name: str, version: str, run_id: str, folder: Path) -> None:
    """Let a run say that it was made with another version of a package."""
    kept = _files(run_id, folder)
    lines = (kept / "environment.txt").read_text().splitlines()
    assert any(line.startswith(f"{name}==") for line in lines)
    text = "\n".join(f"{name}=={version}" if line.startswith(f"{name}==") else line for line in lines)
    (kept / "environment.txt").write_text(text + "\n")
    open_store(Settings.discover()).client.log_artifact(run_id, str(kept / "environment.txt"), "mlops")


@pytest.mark.slow
def test_the_packages_of_a_run_are_installed_again(cell: Cell, shell: Any, tmp_path: Path) -> None:
    version = "3.1.1"
    ask = "import cloudpickle\nversion = int(cloudpickle.__version__.replace('.', ''))"
    for source in (IMPORTS, DATA, FIT + "\n" + ask):
        cell(source)
    now = shell.user_ns["version"]
    assert now != int(version.replace(".", ""))
    _pin("cloudpickle", version, shell.user_ns["run"].id, tmp_path)
    for _ in range(2):  # the second time the environment is there
        found = cell("%mlops_reproduce first")
        assert found.environment == "rebuilt from the run's versions"
        told = {item.name: (item.then, item.now, item.same) for item in found.metrics}
        assert told["version"] == (now, int(version.replace(".", "")), False)
        assert told["accuracy"][2]


def test_what_cannot_be_made_again_is_said(cell: Cell) -> None:
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        cell("%mlops_reproduce nothing")
    store = open_store(Settings.discover())
    plain = store.client.create_run(store.experiment_id("e")).info.run_id
    with pytest.raises(NotFoundError, match="Nobody recorded"):
        cell(f"%mlops_reproduce {plain}")
    with pytest.raises(UnavailableError, match="still waits"):
        cell("%mlops_reproduce offline-0123")
    for source in (IMPORTS, DATA, FIT):
        cell(source)
    with pytest.raises(UsageError, match="negative"):
        cell("%mlops_reproduce first --tolerance -1")
    assert "did not end within 0.01 seconds" in cell("%mlops_reproduce first --timeout 0.01").because


def test_a_failing_recorder_fails_no_cell(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("mlops_magics.lineage.recorder.Recorder.before", fails)
    cell(IMPORTS)
    assert "no longer recorded for slices (RuntimeError: broken)" in capsys.readouterr().out
    cell(DATA)
    assert cell(FIT).metrics
    assert "mlops.reproducible" not in _tags("first")


@pytest.mark.slow
def test_a_run_is_proved_in_the_background(cell: Cell, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_VERIFY", "true")
    for source in (IMPORTS, DATA, FIT, FOREST):
        cell(source)
    deadline = time.monotonic() + 120
    while shell.mlops_magics_extension.verifying()._thread is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _tags("first")["mlops.reproducible.verified"] == "yes"
    assert "mlops.reproducible.verified" not in _tags("forest")  # that it is not reproducible is known


@pytest.mark.slow
def test_a_proof_that_fails_is_said(cell: Cell, shell: Any, project: Path) -> None:
    (project / "data.csv").write_text("a,y\n" + "\n".join(f"{n % 7},{int(n % 7 > 3)}" for n in range(50)))
    for source in (IMPORTS, "X = pd.read_csv('data.csv')\ny = X.pop('y')", FIT):
        cell(source)
    run = shell.user_ns["run"]
    assert worth_verifying(run)
    (project / "data.csv").write_text("a,y\n" + "\n".join(f"{n % 5},{n % 2}" for n in range(50)))
    assert not verify(run, settings=Settings.discover())
    assert _tags("first")["mlops.reproducible.verified"] == "no: a fresh process came to something else"
    (project / "data.csv").unlink()
    assert not verify(run, settings=Settings.discover())
    assert "FileNotFoundError" in _tags("first")["mlops.reproducible.verified"]


@pytest.mark.parametrize(
    "more",
    [
        "X.to_csv('x.csv')",
        "import subprocess\nsubprocess.run(['true'], check=True)",
        f"token = {'ghp_' + 'a1B2' * 9!r}",
    ],
)
def test_what_is_not_worth_a_proof_or_must_not_run_again_has_none(cell: Cell, shell: Any, more: str) -> None:
    for source in (IMPORTS, DATA, more + "\nX['c'] = 1", FIT):
        cell(source)
    assert not worth_verifying(shell.user_ns["run"])


def test_a_proof_ends_with_its_kernel(tmp_path: Path) -> None:
    """The process that executes cells dies with the one that asked for it, however that ended."""
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from mlops_magics.lineage.recipe import Recipe, Step\n"
        "from mlops_magics.steps.reproduce.running import run\n"
        'code = \'import os, time\\nopen("pid", "w").write(str(os.getpid()))\\ntime.sleep(600)\'\n'
        "run(Recipe(('x',), (Step(1, code, code),), 1), folder=Path.cwd(), timeout=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not (said := _read(tmp_path / "pid")) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = psutil.Process(int(said))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
        child.wait(10)
    finally:
        parent.kill()
        parent.wait()
    assert not child.is_running()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
