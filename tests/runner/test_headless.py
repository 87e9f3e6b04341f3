"""Notebooks executed in real kernels: what is kept, what they see, and that nothing secret is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import psutil
import pytest
from headless_runs import executed, job, kept, notebook, printed, saved

from mlops_magics.runner import Job, run
from mlops_magics.runner.client import MOST_OUTPUT
from mlops_magics.runner.surroundings import MARK

pytestmark = pytest.mark.usefixtures("quiet_jupyter")

KEY = "sk-" + "live0123456789abcdefghijkl"
TRACKED = """%%mlops_track e -o run
import numpy as np
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(np.arange(40.0).reshape(20, 2), [0, 1] * 10)
"""
TAGS = """from mlops_magics.tracking.store import open_store
from mlops_magics.foundation.settings import Settings
tags = open_store(Settings.discover()).client.get_run(run.id).data.tags
print([value for value in tags.values() if value.endswith('.ipynb')])
"""
TOKEN = "tok" + "en-9f8e7d6c5b4a3210"


def test_a_notebook_runs_to_its_end_with_its_parameters(tmp_path: Path) -> None:
    asked = job(tmp_path, ("days = 7", "parameters"), "print(days * 2)", "days", parameters={"days": 30})
    assert isinstance(asked.notebook, Path)
    before = asked.notebook.read_bytes()
    found = run(asked)
    assert (found.status, found.failure, found.finished) == ("finished", None, True)
    assert (found.parameters, found.notebook) == ({"days": 30}, asked.into)
    assert found.sha256 == hashlib.sha256(before).hexdigest()
    assert asked.notebook.read_bytes() == before
    node = kept(found)
    assert node["metadata"]["mlops_magics"] == {
        "sha256": found.sha256,
        "parameters": {"days": 30},
        "source": "train.ipynb",
        "status": "finished",
    }
    assert printed(found) == "60\n"
    assert node["cells"][3]["outputs"][0]["data"]["text/plain"] == "30"
    assert [cell["execution_count"] for cell in node["cells"]] == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["executed.ipynb", "train.ipynb"]


def test_what_was_kept_can_be_executed_again(tmp_path: Path) -> None:
    first = executed(tmp_path, ("days = 7", "parameters"), "print(days)", parameters={"days": 30})
    second = run(Job(notebook=first.notebook, into=tmp_path / "again.ipynb", parameters={"days": 31}))
    assert printed(second) == "31\n"
    assert len(kept(second)["cells"]) == 3


def test_the_first_cell_that_fails_ends_it_unless_it_may(tmp_path: Path) -> None:
    found = executed(tmp_path, ("1 / 0", "raises-exception"), "print('on')", "{}['x']", "print('never')")
    assert found.status == "failed"
    assert found.failure is not None
    assert (found.failure.name, found.failure.words, found.failure.cell) == ("KeyError", "'x'", 3)
    assert printed(found) == "on\n"
    node = kept(found)
    assert node["cells"][2]["outputs"][0]["ename"] == "KeyError"
    assert node["metadata"]["mlops_magics"]["failure"] == {"name": "KeyError", "words": "'x'", "cell": 3}


@pytest.mark.parametrize(
    "cell", ["%no_such_magic", "%mlops_evaluate --nonsense", "!false\nraise SystemExit(1)"]
)
def test_a_magic_that_fails_is_no_success(tmp_path: Path, cell: str) -> None:
    assert executed(tmp_path, "%load_ext mlops_magics", cell).status == "failed"


def test_it_sees_no_secret_that_was_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "AWS_SECRET_ACCESS_KEY": KEY,
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MY_SETTING": "x",
        "MLOPS_EXPERIMENT": "e",
        "HTTPS_PROXY": "http://user:hunter22@proxy:3128",
        "OTHER_A": "1",
        "MLFLOW_TRACKING_URI": "sqlite:///a.db",
        "MLOPS_NOTEBOOK": "/elsewhere.ipynb",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    show = f"import os, json; print(json.dumps({{k: os.environ.get(k) for k in {[*told, 'MLOPS_RETRAIN']}}}))"
    plain = json.loads(printed(executed(tmp_path, show, variables={"MLOPS_RETRAIN": "1"})))
    assert plain == {
        **dict.fromkeys(told),
        "MLOPS_EXPERIMENT": "e",
        "MLFLOW_TRACKING_URI": "sqlite:///a.db",
        "MLOPS_NOTEBOOK": str(tmp_path / "train.ipynb"),
        "MLOPS_RETRAIN": "1",
    }
    check = "import os; print(os.environ['MLFLOW_TRACKING_TOKEN'][:3], os.environ['OTHER_A'])"
    named = executed(tmp_path, check, environment=("MLFLOW_TRACKING_TOKEN", "OTHER_*"))
    assert (named.status, printed(named)) == ("finished", "tok 1\n")


def test_no_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "correct-horse-7")
    found = executed(
        tmp_path,
        ("api_key = ''\nurl = ''\nnested = {}", "parameters"),
        "import os, sys",
        f"password = '{KEY}'",
        "print(api_key[:10], end=''); sys.stdout.flush(); print(api_key[10:])",
        "print(os.environ['SERVICE_PASSWORD'])",
        "{'text': os.environ['SERVICE_PASSWORD']}",
        "print(nested)",
        "from IPython.display import HTML; HTML(f'<b>{api_key}</b>')",
        "raise ValueError(f'{api_key} at {url} for ' + os.environ['SERVICE_PASSWORD'])",
        parameters={
            "api_key": TOKEN,
            "url": "https://user:hunter22@example.com/x",
            "nested": {"db_password": "swordfish-42"},
        },
        environment=("SERVICE_PASSWORD",),
    )
    assert found.status == "failed"
    assert found.failure is not None
    everything = found.notebook.read_text() + str(found)
    for secret in (KEY, TOKEN, "hunter22", "correct-horse-7", "swordfish-42"):
        assert secret not in everything
    assert found.failure.name == "ValueError"
    assert "****" in found.failure.words
    assert kept(found)["metadata"]["mlops_magics"]["parameters"]["nested"] == {"db_password": "****"}


def test_a_run_within_knows_its_notebook(project: Path, store_file: Path) -> None:
    assert store_file
    found = executed(project, "%load_ext mlops_magics", TRACKED, TAGS)
    assert found.status == "finished", found.failure
    assert str(project / "train.ipynb") in printed(found)


def test_it_runs_in_the_notebooks_folder_or_another(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "select.py").write_text("raise RuntimeError('taken for the library')")
    show = "import os; print(os.getcwd())"
    assert printed(executed(tmp_path, show)) == f"{tmp_path}\n"
    assert printed(executed(tmp_path, show, folder=tmp_path / "other")) == f"{tmp_path / 'other'}\n"


def test_a_notebook_of_no_file_is_executed_too(tmp_path: Path) -> None:
    found = run(
        Job(notebook=notebook("import os; print(os.environ['MLOPS_NOTEBOOK'])"), into=tmp_path / "a.ipynb")
    )
    assert (found.status, printed(found)) == ("finished", f"{tmp_path / 'a.ipynb'}\n")


def test_a_kernel_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = tmp_path / "jupyter" / "kernels" / "broken"
    specs.mkdir(parents=True)
    words = ["python", "-c", "import sys; sys.exit('no such thing here')", "{connection_file}"]
    (specs / "kernel.json").write_text(json.dumps({"argv": words, "display_name": "b", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    found = executed(tmp_path, "1", kernel="broken")
    assert found.status == "dead kernel"
    assert found.failure is not None
    assert "no such thing here" in found.failure.words
    assert found.failure.cell is None


def test_what_a_cell_prints_has_bounds(tmp_path: Path) -> None:
    cells = ("for i in range(60): print('x' * 999_999, flush=i % 2 == 0)", "print('on')")
    found = executed(tmp_path, *cells)
    assert found.status == "finished"
    text = printed(found)
    assert text.endswith("[Output beyond 10,000,000 characters was cut.]\non\n")
    assert MOST_OUTPUT * 0.8 < len(text) < MOST_OUTPUT + 200


def test_what_a_later_cell_draws_anew_is_kept(tmp_path: Path) -> None:
    cells = (
        "from IPython.display import display, Markdown\nshown = display(Markdown('first'), display_id=True)",
        "shown.update(Markdown('second'))",
    )
    found = executed(tmp_path, *cells)
    assert kept(found)["cells"][0]["outputs"][0]["data"]["text/markdown"] == "second"


def test_a_bar_of_progress_is_kept_as_it_was_last(tmp_path: Path) -> None:
    found = executed(
        tmp_path, "for i in range(3): print(f'\\r{i} of 2', end='', flush=True)\nprint('\\ndone')"
    )
    assert printed(found) == "2 of 2\ndone\n"


def test_the_kernel_is_reached_by_sockets_that_only_this_user_may_open(tmp_path: Path) -> None:
    cell = (
        "from ipykernel.kernelapp import IPKernelApp\nimport os\napp = IPKernelApp.instance()\n"
        "print(app.transport, oct(os.stat(os.path.dirname(app.ip)).st_mode & 0o777))"
    )
    assert printed(executed(tmp_path, cell)) == "ipc 0o700\n"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary)
    try:
        import tempfile

        tempfile.tempdir = None
        found = executed(tmp_path, "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)")
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None
    assert list(temporary.iterdir()) == []
    with contextlib.suppress(psutil.NoSuchProcess):  # where nobody reaps it, it is a zombie
        assert psutil.Process(int(printed(found))).status() == psutil.STATUS_ZOMBIE
    assert MARK not in os.environ


def test_it_is_only_for_this_user(tmp_path: Path) -> None:
    found = run(Job(notebook=saved(tmp_path, "1"), into=tmp_path / "a.ipynb"))
    assert found.notebook.stat().st_mode & 0o777 == 0o600
