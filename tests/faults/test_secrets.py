"""What is planted in a cell, its output, its parameters, a diff, a traceback, an address: none is kept."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import runs
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import open_store

MARK = "q7Zx"  # in each secret, and nowhere else
_BODY = f"{MARK}0123456789abcdefABCDEF"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.{_BODY}"
# A kind of secret a row, as a line of Python.
PLANTED = {
    "password": f'db_password = "{MARK}horse"',
    "API key": f'client = dict(api_key="{_BODY}")',
    "environment": f'os.environ["API_TOKEN"] = "{_BODY}"',
    "AWS": f'pair = ("AKIAIOSFODNN7EXAMPLE", "{MARK}/{"aB1+/" * 7}")',
    "GitHub": f'a = "ghp_{MARK}{"aB1" * 11}"',
    "GitLab": f'b = "glpat-{_BODY}"',
    "Slack": f'c = "xoxb-123456789012-{_BODY}"',
    "Stripe": f'd = "sk_live_{_BODY}"',
    "OpenAI": f'e = "sk-proj-{_BODY}"',
    "Anthropic": f'f = "sk-ant-api03-{_BODY}"',
    "Hugging Face": f'g = "hf_{MARK}{"aB1" * 10}"',
    "Google": f'h = "AIza{MARK}{"aB1" * 10}0"',
    "npm": f'i = "npm_{MARK}{"aB1" * 10}aB"',
    "PyPI": f'j = "pypi-AgEIcHlwaS5vcmc{_BODY}"',
    "JWT": f'k = "{JWT}"',
    "private key": f'l = """-----BEGIN PRIVATE KEY-----\n{_BODY}\n-----END PRIVATE KEY-----"""',
    "address": f'm = "postgresql://me:{MARK}pw@host/db"',
    "query": f'n = "https://host/a?access_token={_BODY}&x=1"',
    "header": f'o = {{"Authorization": "Bearer {_BODY}"}}',
    "connection string": f'p = "Server=h;Password={MARK}pw1;Encrypt=yes"',
}
CELL = "\n".join(("import os", *PLANTED.values()))


@pytest.fixture
def leaks(project: Path, store_file: Path) -> Callable[[], list[str]]:
    """Name the files of the store, its artifacts and the state in which a planted secret is."""
    assert store_file.is_file()

    def found() -> list[str]:
        state = Settings.discover().state
        files = [path for top in (project, state) for path in top.rglob("*") if path.is_file()]
        theirs = (project / ".git", project / "helpers.py", project / "__pycache__")
        ours = [path for path in files if not any(path.is_relative_to(place) for place in theirs)]
        assert any(path.name == "mlflow.db" for path in ours)
        return [str(path) for path in ours if MARK.encode() in path.read_bytes()]

    return found


@pytest.fixture
def tracking(shell: Any, run: Callable[..., Any], project: Path) -> Any:
    """A shell whose project is a repository in which a file with secrets was changed."""
    git = ("git", "-C", str(project), "-c", "user.name=t", "-c", "user.email=t@example.org")
    (project / "helpers.py").write_text("import os\n")
    for words in (("init", "-q"), ("add", "helpers.py"), ("commit", "-q", "-m", "first")):
        subprocess.run((*git, *words), check=True)
    (project / "helpers.py").write_text(CELL)
    run(shell, "%mlops_track e")
    return shell


def _texts(folder: Path) -> dict[str, str]:
    """Read what was kept of the newest run."""
    store = open_store(Settings.discover())
    newest = store.client.search_runs([store.experiment_id("e")])[0].info.run_id
    kept = Path(store.client.download_artifacts(newest, "mlops", str(folder)))
    return {str(path.relative_to(kept)): path.read_text() for path in kept.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", PLANTED)
def test_each_kind_is_masked_in_text_that_is_logged(kind: str, leaks: Any) -> None:
    store = open_store(Settings.discover())
    made = store.client.create_run(store.experiment_id("e")).info.run_id
    line = PLANTED[kind]
    runs.log_files(store, made, {"mlops/a.txt": line, "mlops/b.diff": line.replace("\n", "\n+")})
    runs.log(store, made, params={"x": line}, tags={"y": line})
    runs.rename(store, made, line.replace("\n", " "))
    runs.log_datasets(store, made, [Dataset(line.replace("\n", " "), 1, 1, "0")], "training")
    assert leaks() == []


def test_a_cell_its_parameters_and_the_diff_are_kept_without_their_secrets(
    tracking: Any, run: Any, leaks: Any, tmp_path: Path
) -> None:
    run(tracking, f"%%mlops_track --name one -o made\n{CELL}\nprint(db_password)")
    assert leaks() == []
    texts = _texts(tmp_path)
    assert texts["cell.py"].count("****") >= len(PLANTED)
    assert texts["uncommitted.diff"].count("****") >= len(PLANTED)
    compile(texts["cell.py"], "cell.py", "exec")
    assert tracking.user_ns["made"].params["db_password"] == "****"  # noqa: S105 - the mask


def test_a_helper_module_is_kept_without_its_secrets(
    *, tracking: Any, run: Any, leaks: Any, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "helpers", raising=False)
    run(tracking, "%%mlops_track --name one -o made\nimport helpers\nx = 1")
    del sys.modules["helpers"]
    text = _texts(tmp_path)["modules/helpers.py"]
    assert text.count("****") >= len(PLANTED)
    compile(text, "helpers.py", "exec")
    assert leaks() == []


@pytest.mark.parametrize("down", [False, True], ids=["written", "waiting"])
def test_printed_output_is_kept_without_its_secrets(
    tracking: Any, run: Any, leaks: Any, monkeypatch: pytest.MonkeyPatch, *, down: bool
) -> None:
    run(tracking, CELL)
    if down:
        monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    printed = "\n".join(f"print({text!r})" for text in PLANTED.values())
    bare = "print(db_password, sep='')\nsys.stderr.write(os.environ['API_TOKEN'])"
    run(
        tracking, f"%%mlops_track e --name one\nimport sys\nfor i in range(2): print(db_password[:0])\n{bare}"
    )
    run(tracking, f"%%mlops_track e --name two\n{printed}\nprint('x' * 300_000, os.environ, client, o)")
    assert leaks() == []


def test_a_secret_that_the_cut_of_a_long_output_tears_is_masked(
    tracking: Any, run: Any, leaks: Any, tmp_path: Path
) -> None:
    # One line, so that the cut is anywhere within it, and secrets everywhere.
    line = f"'api_key={_BODY} '"
    run(
        tracking,
        f"%%mlops_track e --name one\nprint({line} * 20_000)\nfor i in range(30_000): print({line}, i)",
    )
    text = _texts(tmp_path)["output.txt"]
    assert 100_000 < len(text.encode()) <= 200_000
    assert "characters are left out here" in text
    assert leaks() == []


def test_a_traceback_and_the_text_of_an_error_are_kept_without_their_secrets(
    tracking: Any, leaks: Any, tmp_path: Path
) -> None:
    failed = tracking.run_cell(f"%%mlops_track --name two\n{CELL}\nraise ValueError(m + ' ' + k + ' ' + f)")
    assert isinstance(failed.error_in_exec, ValueError)
    assert "****" in _texts(tmp_path)["traceback.txt"]
    assert leaks() == []


def test_a_cell_that_waits_for_its_store_lies_on_the_disk_without_its_secrets(
    tracking: Any, run: Any, leaks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_STORE", "http://127.0.0.1:9")
    run(tracking, f"%%mlops_track e --name three\n{CELL}")
    waiting = list(Settings.discover().state.rglob("draft.json"))
    assert [path.read_text().count(MARK) for path in waiting] == [0]
    assert leaks() == []
