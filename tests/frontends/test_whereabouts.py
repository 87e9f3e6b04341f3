import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.magics.whereabouts import cell_id, notebook

PARENT = """
import subprocess, sys
program = '''
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.magics.whereabouts import notebook
print(notebook(Settings.discover(), {}))
'''
print(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout, end="")
"""


def test_the_notebook_is_told_by_who_knows_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runner", "code", "jupyter"):
        (project / f"{name}.ipynb").touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "jupyter.ipynb"))
    settings = Settings.discover()
    assert notebook(settings, {}) == str(project / "jupyter.ipynb")
    namespace = {"__vsc_ipynb_file__": str(project / "code.ipynb")}
    assert notebook(settings, namespace) == str(project / "code.ipynb")
    assert notebook(settings.with_(notebook="runner.ipynb"), namespace) == str(project / "runner.ipynb")
    assert notebook(settings.with_(notebook="gone.ipynb"), namespace) == str(project / "code.ipynb")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["one.ipynb"], "one.ipynb"), (["one.ipynb", "two.ipynb"], None), (["gone.ipynb"], None), ([], None)],
)
def test_the_program_that_executes_one_notebook_tells_it(
    project: Path, words: list[str], expected: str | None
) -> None:
    for name in ("one", "two"):
        (project / f"{name}.ipynb").touch()
    told = subprocess.run(
        [sys.executable, "-c", PARENT, *words], check=True, capture_output=True, text=True, cwd=project
    ).stdout.strip()
    assert told == (str(project / expected) if expected else "None")


def test_the_cell_is_told_by_the_front_end() -> None:
    def asked(parent: object) -> str | None:
        return cell_id(SimpleNamespace(get_parent=lambda: parent))

    assert asked({"metadata": {"cellId": "abc"}}) == "abc"
    assert asked({"metadata": {"cellId": 3}}) is asked({}) is asked(None) is None
    assert cell_id(SimpleNamespace()) is None
