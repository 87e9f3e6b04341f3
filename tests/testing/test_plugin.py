"""What nbval says of notebooks with our results, with our plugin loaded."""

import os
import re
import subprocess
import sys
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
