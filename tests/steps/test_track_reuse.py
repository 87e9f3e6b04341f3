"""``--reuse``: what a cell left comes back whole and equal, or the cell is executed and the reason said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import shell_in

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

Cell = Callable[[str], Any]

BEGIN = (
    "import random\nimport time\nimport numpy as np\nimport pandas as pd\n"
    "from sklearn.linear_model import LogisticRegression\n"
    "X = pd.DataFrame({'a': np.arange(60) % 7, 'b': np.arange(60) % 3})\ny = (X['a'] > 3).astype(int)\n"
    "executed = []\nshared = [1]\n"
)
HEAD = "%%mlops_track --name kept --reuse -o run\n"
FIT = (
    HEAD + "from sklearn.metrics import accuracy_score as score\n"
    "model = LogisticRegression().fit(X, y)\n"
    "answers = model.predict_proba(X)\n"
    "table = pd.DataFrame({'answer': answers[:, 1], 'town': ['Oslo', None, 'Rome'] * 20}, index=X.index)\n"
    "column = table['answer'].round(3)\n"
    "accuracy = score(y, model.predict(X))\n"
    "plain = {'a': (1, 2.5, None, True), 3: {'x'}, 'n': float('nan'), 'k': np.float32(1.5)}\n"
    "print('fitted')"
)
BOUND = ("model", "answers", "table", "column", "accuracy", "plain", "score")


@pytest.fixture
def cell(shell: Any, store_file: Path, run: Callable[..., Any]) -> Cell:
    """Run a cell in a notebook with data."""
    assert store_file.exists()
    return _begun(shell, run)


def _begun(shell: Any, run: Callable[..., Any]) -> Cell:
    run(shell, "%mlops_track e")
    shell.mlops_magics_extension.watch().off()
    run(shell, BEGIN)
    return lambda source: run(shell, source).result


def _runs() -> list[Any]:
    store = open_store(Settings.discover())
    return list(store.client.search_runs([store.experiment_id("e")]))


def test_a_later_kernel_has_it_back_without_executing(
    cell: Cell, shell: Any, run: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = cell(FIT)
    assert first.remark == ""
    assert _runs()[0].data.tags["mlops.reuse"] == "yes"
    with shell_in(tmp_path / "second") as later:
        again = _begun(later, run)
        later.user_ns["LogisticRegression"].fit, kept = _raises, later.user_ns["LogisticRegression"].fit
        try:
            capsys.readouterr()
            second = again(FIT)
        finally:
            later.user_ns["LogisticRegression"].fit = kept
        assert "fitted\n" in capsys.readouterr().out
        assert second.id == first.id
        assert second.remark.startswith("Not executed: what run kept left was brought back")
        assert str(second) == str(first)
        assert second.repeats == 2
        for name in BOUND:
            assert name in later.user_ns, name
        assert second.estimator is later.user_ns["model"]
        np.testing.assert_array_equal(later.user_ns["answers"], shell.user_ns["answers"])
        assert later.user_ns["table"].equals(shell.user_ns["table"])
        assert later.user_ns["column"].equals(shell.user_ns["column"])
        assert later.user_ns["column"].name == "answer"
        assert repr(later.user_ns["plain"]) == repr(shell.user_ns["plain"])
        rows = later.user_ns["X"]
        np.testing.assert_array_equal(
            later.user_ns["model"].predict_proba(rows), shell.user_ns["model"].predict_proba(rows)
        )
        assert again("%mlops_evaluate run X --target b") is not None
    assert len(_runs()) == 1


def _raises(*_: object, **__: object) -> None:
    raise AssertionError("executed")


def test_in_the_same_kernel_what_is_still_there_stays(cell: Cell, shell: Any) -> None:
    cell(FIT)
    model, table = shell.user_ns["model"], shell.user_ns["table"]
    cell("table = None")
    assert cell(FIT).remark.startswith("Not executed")
    assert shell.user_ns["model"] is model
    assert shell.user_ns["table"].equals(table)


def test_the_generators_go_on_as_after_the_cell(cell: Cell) -> None:
    drawing = HEAD + "random.seed(4)\nnp.random.seed(5)\ndrawn = (random.random(), np.random.normal())"
    cell(drawing)
    wanted = cell("(random.random(), np.random.normal())")
    cell("random.seed(9)\nnp.random.seed(9)\ndrawn = None")
    assert cell(drawing).remark.startswith("Not executed")
    assert cell("(random.random(), np.random.normal())") == wanted


def test_another_value_another_run(cell: Cell) -> None:
    cell(FIT)
    cell("X.iloc[-1, 0] += 1")
    assert not cell(FIT).remark.startswith("Not executed")
    assert len(_runs()) == 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("t = time.time()\nx = 1", "it reads the clock"),
        ("def f():\n    return time.perf_counter()\nx = round(f())", "it reads the clock"),
        ("x = np.random.normal()", "it draws random numbers that it does not seed"),
        ("x = np.random.default_rng().normal()", "it draws random numbers that it does not seed"),
        ("X.to_csv('x.csv')\nx = 1", "it writes files"),
        ("executed.append(1)\nx = 1", "it changes executed in place"),
        ("X['c'] = 1\nx = 2", "it changes X in place"),
        ("x = iter([1, 2])", "x is a list_iterator"),
        (
            "def helper():\n    return 1\nx = helper()",
            "helper is a function or a class of the notebook's own",
        ),
        ("x = [shared]", "x shares its content with shared"),
        ("x = [1]\nz = [x]", "x shares its content with z"),
        ("x = object()", "x is a object"),
        ("token = 'ghp_' + 'a1B2' * 9", "token holds a secret"),
        ("import subprocess\nx = subprocess.run(['true']).returncode", "it "),
        ("import warnings\nwarnings.simplefilter('ignore')\nx = 1", "changes settings"),
        ("x = 1\ndel y", "it deletes names"),
    ],
)
def test_what_is_not_certain_is_executed_and_said(cell: Cell, code: str, reason: str) -> None:
    first = cell(HEAD + code)
    assert "Nothing was kept for --reuse" in first.remark
    assert reason in first.remark, first.remark
    (run,) = _runs()
    assert run.data.tags["mlops.reuse"].startswith("no: ")
    assert "mlops/reuse" not in [item.path for item in _files(run.info.run_id)]
    if "del y" not in code:
        assert cell(HEAD + code).remark.startswith("Executed: ") or len(_runs()) > 1


def _files(run_id: str) -> list[Any]:
    return list(open_store(Settings.discover()).client.list_artifacts(run_id, "mlops"))


def test_a_file_that_has_changed_is_read_again(cell: Cell, shell: Any, project: Path) -> None:
    reading = (
        HEAD
        + "import pandas as pd\nsize = len(pd.read_csv('d.csv'))\nother = len(pd.read_parquet('d.parquet'))"
    )
    (project / "d.csv").write_text("a\n1\n2\n")
    shell.user_ns["X"].to_parquet(project / "d.parquet")
    cell(reading)
    assert cell(reading).remark.startswith("Not executed")
    (project / "d.csv").write_text("a\n1\n2\n3\n")
    again = cell(reading)
    assert "Executed: the file d.csv has another content" in again.remark
    assert shell.user_ns["size"] == 3
    (project / "d.csv").write_text("a\n1\n2\n")
    shell.user_ns["X"].head(7).to_parquet(project / "d.parquet")
    cell(reading)
    assert shell.user_ns["other"] == 7


def test_a_run_made_without_it_is_completed_by_the_first_execution_with_it(cell: Cell) -> None:
    first = cell(FIT.replace(" --reuse", ""))
    second = cell(FIT)
    assert second.id == first.id
    assert second.remark.startswith("Executed: nothing was kept of it")
    assert cell(FIT).remark.startswith("Not executed")
    assert not cell(FIT.replace("--reuse", "--reuse --force")).remark.startswith("Not executed")


def test_what_is_damaged_is_not_taken(cell: Cell, shell: Any) -> None:
    cell(FIT)
    run_id = shell.user_ns["run"].id
    place = Path(open_store(Settings.discover()).client.download_artifacts(run_id, "mlops/reuse"))
    content = bytearray((place / "answers.npy").read_bytes())
    content[-1] ^= 1
    (place / "answers.npy").write_bytes(content)
    open_store(Settings.discover()).client.log_artifact(run_id, str(place / "answers.npy"), "mlops/reuse")
    before = shell.user_ns["answers"]
    cell("answers = plain = None")
    again = cell(FIT)
    assert again.remark.startswith("Executed: answers does not come back equal")
    np.testing.assert_array_equal(shell.user_ns["answers"], before)
    assert shell.user_ns["plain"] is not None


def test_a_store_that_is_down_executes(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    cell(FIT)
    monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    assert cell(FIT).id.startswith("offline-")
