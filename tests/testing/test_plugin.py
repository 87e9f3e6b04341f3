"""What nbval says of notebooks with our results, with our plugin loaded."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mlops_magics.testing.plugin import stable

SHOWN = """
from dataclasses import dataclass
from mlops_magics.foundation.blocks import Title
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.result import Result

@dataclass(frozen=True)
class Shown(Result):
    text: str
    def blocks(self):
        yield Title(self.text)

class Moment(Shown):
    volatile = True
"""


def _bundle(type_: str, *, volatile: bool = False, **data: str) -> Any:
    about = {"type": type_, **({"volatile": True} if volatile else {})}
    return new_output("execute_result", data=data, metadata={"mlops_magics": about}, execution_count=1)


def _html(text: str) -> str:
    from mlops_magics.foundation.blocks import Title
    from mlops_magics.foundation.html import page_part

    return page_part([Title(text)])


def _shown(type_: str, text: str, *, volatile: bool) -> Any:
    return _bundle(type_, volatile=volatile, **{"text/plain": text, "text/html": _html(text)})


def test_outputs_are_split_by_what_they_ask_for() -> None:
    plain, moment = _shown("Shown", "a", volatile=False), _shown("Moment", "b", volatile=True)
    stream = new_output("stream", text="x")
    assert stable([plain, moment, stream]) == ([plain, stream], ["Moment"])
    assert stable([]) == ([], [])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Validate one notebook, a cell a case: nbval goes on after a cell that fails."""
    cases = {
        "setup": (SHOWN, []),
        "volatile, other text": ("Moment('now')", [_shown("Moment", "then", volatile=True)]),
        "volatile, other type": ("Moment('now')", [_shown("Other", "now", volatile=True)]),
        "volatile, nothing shown": ("moment = Moment('now')", [_shown("Moment", "now", volatile=True)]),
        "stable, same text": ("Shown('a')", [_shown("Shown", "a", volatile=False)]),
        "stable, other text": ("Shown('a')", [_shown("Shown", "b", volatile=False)]),
        "volatile beside a print": (
            "print('new')\nMoment('now')",
            [new_output("stream", text="old\n"), _shown("Moment", "then", volatile=True)],
        ),
        "an error of ours": ("raise UsageError('what', 'remedy')", []),
    }
    folder = tmp_path_factory.mktemp("nbval")
    cells = [
        new_code_cell(source, outputs=outputs, execution_count=place)
        for place, (source, outputs) in enumerate(cases.values(), 1)
    ]
    book = new_notebook(
        cells=cells,
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(book, folder / "cases.ipynb")
    # Our plugin is loaded by its entry point, as at a user's.
    words = ["-m", "pytest", "--nbval", "cases.ipynb", "-p", "no:cacheprovider", "-rA", "-q"]
    environ = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PLATFORM_DIRS": "1"}
    told = subprocess.run(
        [sys.executable, *words], check=False, capture_output=True, text=True, cwd=folder, env=environ
    ).stdout
    told = re.sub(r"\x1b\[[0-9;]*m", "", told)
    found = {}
    for place, name in enumerate(cases):
        summary = re.search(rf"^(PASSED|FAILED) \S*::Cell {place}\b", told, re.MULTILINE)
        section = re.search(rf"^_+ \S*::Cell {place} _+$(.*?)^(?:_|=)", told, re.MULTILINE | re.DOTALL)
        found[name] = (summary[1] if summary else told, section[1] if section else "")
    return found


@pytest.mark.parametrize(
    ("case", "outcome", "told"),
    [
        ("setup", "PASSED", ""),
        ("volatile, other text", "PASSED", ""),
        ("volatile, other type", "FAILED", "expected ['Other'], found ['Moment']"),
        ("volatile, nothing shown", "FAILED", "expected ['Moment'], found []"),
        ("stable, same text", "PASSED", ""),
        ("stable, other text", "FAILED", "Cell outputs differ"),
        ("volatile beside a print", "FAILED", "Cell outputs differ"),
        ("an error of ours", "FAILED", "UsageError: what\n→ remedy"),
    ],
)
def test_nbval_says(outcomes: dict[str, tuple[str, str]], case: str, outcome: str, told: str) -> None:
    assert outcomes[case][0] == outcome
    assert told in outcomes[case][1]


# -- cells that nobody executed ------------------------------------------------------------------------


def _saved(path: Path, counts: list[int | None], *, kept: bool = False) -> None:
    outputs = [new_output("stream", text="2\n")] if kept else []
    cells = [new_code_cell("x = 1", execution_count=count) for count in counts]
    cells[-1].outputs = outputs
    nbformat.write(new_notebook(cells=cells), path)


def _pytest(folder: Path, *words: str) -> tuple[int, str]:
    environ = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environ,
    )
    return done.returncode, done.stdout


def test_orphans_fail_where_that_is_asked_for(tmp_path: Path) -> None:
    _saved(tmp_path / "good.ipynb", [1, 3])
    _saved(tmp_path / "kept.ipynb", [1, None], kept=True)
    _saved(tmp_path / "never.ipynb", [1, None])
    _saved(tmp_path / "turned.ipynb", [2, 1])
    _saved(tmp_path / "none.ipynb", [None, None])
    (tmp_path / "torn.ipynb").write_text("{")
    code, told = _pytest(tmp_path, "--mlops-orphans", "-rA")
    assert code == 1, told
    assert re.findall(r"^PASSED (\S+)::orphans", told, re.MULTILINE) == ["good.ipynb"]
    assert "1 passed" in told
    for sentence in (
        "code cell 2 has outputs and was never executed",
        "never executed before it was saved: code cell 2",
        "its cells were executed in another order than they stand in",
        "it was saved without having been executed",
        "it cannot be read",
    ):
        assert sentence in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_what_is_tested_of_a_notebook_tells_of_orphans(tmp_path: Path) -> None:
    """No kernel is started: the one test of the notebook is left out."""
    _saved(tmp_path / "turned.ipynb", [2, 1])
    book = nbformat.read(tmp_path / "turned.ipynb", as_version=4)
    book.cells.append(new_code_cell("%%mlops_test x --model run\nassert model", execution_count=3))
    nbformat.write(book, tmp_path / "turned.ipynb")
    code, told = _pytest(tmp_path, "--mlops-tests", "--collect-only")
    assert code == 0, told
    assert "turned.ipynb: its cells were executed in another order than they stand in" in told
