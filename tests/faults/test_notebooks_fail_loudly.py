"""A failing magic or cell fails nbval, nbclient and papermill alike, with one short message."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from places import project_in

pytestmark = pytest.mark.usefixtures("quiet_jupyter", "store_file")

LOAD = "%load_ext mlops_magics"
FAILING = {
    "a bad flag": ("%mlops_track --bset x", "UsageError: %mlops_track has no option --bset."),
    "an open quote": ('%mlops_promote "flights', "UsageError: A quote is not closed in"),
    "an unknown model": ("%mlops_promote nothing", "NotFoundError: There is no registered model 'nothing'."),
    "a name with code in it": ('%mlops_promote "x; import os"', "UsageError: 'x; import os' cannot be"),
    "braces that would call": (
        "%mlops_track {__import__('os').system('id')}",
        "is not the name of a variable; braces only look a name up.",
    ),
    "a raising cell": ("%%mlops_track e\nx = 1\ny = x / 0", "ZeroDivisionError: division by zero"),
    "a cell that does not parse": (
        "%%mlops_track e\nx = = 1",
        "UsageError: The cell is not Python: invalid syntax, line 1.",
    ),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[NotebookClient]:
    """One kernel for all notebooks: nbclient stops at a cell, not the kernel."""
    with project_in(tmp_path_factory.mktemp("nbclient")) as project:
        shutil.copy(store_template, project / "mlflow.db")
        made = NotebookClient(nbformat.v4.new_notebook(), timeout=120)
        made.execute(cleanup_kc=False, cwd=str(project))
        yield made
        made.nb = nbformat.v4.new_notebook()
        made.execute(cleanup_kc=True)
        assert not made.km or not made.km.has_kernel


@pytest.mark.parametrize("fault", FAILING)
def test_nbclient_stops_with_one_short_message(
    client: NotebookClient, notebook_of: Callable[..., Path], fault: str
) -> None:
    cell, message = FAILING[fault]
    notebook = client.nb = nbformat.read(notebook_of(LOAD, cell, "never = 1"), as_version=4)
    with pytest.raises(CellExecutionError):
        client.execute(cleanup_kc=False)
    errors = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert len(errors) == 1
    shown = "\n".join(errors[0].traceback)
    plain = _plain(shown)
    assert message in plain
    assert "mlops_magics/" not in plain, "frames of ours help nobody"
    assert len(plain.splitlines()) <= 14
    assert notebook.cells[2].execution_count is None


def test_nbval_fails(notebook_of: Callable[..., Path], project: Path) -> None:
    cells = [cell for cell, _ in FAILING.values()]
    path = notebook_of(LOAD, *cells, "1 + 1")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", str(path)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert f"{len(cells)} failed, 2 passed" in done.stdout


@pytest.mark.slow
def test_papermill_fails(notebook_of: Callable[..., Path], project: Path) -> None:
    path = notebook_of(LOAD, FAILING["an unknown model"][0], "never = 1")
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(path), str(project / "out.ipynb"), "--no-progress-bar"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "There is no registered model 'nothing'." in done.stderr
    out = nbformat.read(project / "out.ipynb", as_version=4)
    assert not any(cell.source == "never = 1" and cell.execution_count for cell in out.cells)


def _plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)
