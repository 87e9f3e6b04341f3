import ast
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from fresh_process import made_again
from slice_shell import Notebook, apart

from mlops_magics.lineage.script import notebook as page
from mlops_magics.lineage.script import script

DATA = (
    "import numpy as np\nimport pandas as pd\nrng = np.random.default_rng(3)\n"
    "X = pd.DataFrame(rng.normal(size=(60, 3)), columns=list('abc'))\ny = (X['a'] > 0).astype(int)"
)
FIT = "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression().fit(X, y)"
FOREST = (
    "from sklearn.ensemble import RandomForestClassifier\n"
    "model = RandomForestClassifier(n_estimators=5).fit(X, y)"
)


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path) -> Iterator[None]:
    with apart(tmp_path / "run"):
        yield


def _again(tmp_path: Path, *cells: str, name: str) -> bool:
    book = Notebook().run(*cells)
    return made_again(book, book.slice(name), name, tmp_path)


def test_a_model_is_made_with_the_same_state(tmp_path: Path) -> None:
    assert _again(tmp_path, DATA, "z = 1", FIT, name="model")


def test_an_unseeded_model_is_another_one(tmp_path: Path) -> None:
    assert not _again(tmp_path, DATA, FOREST, name="model")


def test_a_users_class_and_function_are_the_same_in_a_script(tmp_path: Path) -> None:
    cells = (
        "K = 2",
        "class A:\n    '''Text.'''\n    def f(self, v: int) -> int:\n        return v * K",
        "def g(v):\n    return [A().f(w) for w in v] in ({1, 2}, 'x')",
        "m = [A(), g, g([1]), {3, 4, 'x'}, (1, 2.5)]",
    )
    assert _again(tmp_path, *cells, name="m")


def test_magics_failures_futures_and_installs(tmp_path: Path) -> None:
    cells = (
        "from __future__ import annotations\nx = 1",
        "%pip --version",
        "%%time\ny = x + 1",
        "z = [1]\ntext = '''a\n  b'''",
        "z.append(2); raise ValueError",
        "display(z)\nm = (x, y, z, text)",
    )
    book = Notebook().run(*cells)
    found = book.slice("m")
    text = script(found)
    ast.parse(text)
    assert "# get_ipython().run_line_magic('pip'" in text
    assert text.index("from __future__") < text.index("InteractiveShell")
    assert made_again(book, found, "m", tmp_path)


def test_a_tracked_cell_is_written_as_its_body(tmp_path: Path) -> None:
    book = Notebook()
    book.shell.register_magic_function(
        lambda _line, cell: book.shell.ex(cell), magic_kind="cell", magic_name="mlops_track"
    )
    book.shell.register_magic_function(lambda _line: None, magic_name="mlops_track")
    book.run("%mlops_track flights", "x = 4", "%%mlops_track flights --name a\nm = x + 1")
    found = book.slice("m")
    text = script(found, transform=book.shell.transform_cell)
    assert "mlops_track" not in text
    assert "m = x + 1" in text
    assert made_again(book, found, "m", tmp_path, book.shell.transform_cell)


def test_the_notebook_is_a_valid_one_that_holds_the_cells_as_written() -> None:
    book = Notebook().run("%matplotlib inline", "x = [1]", "%time x.append(2)", "x.append(3); 1 / 0", "m = x")
    made = nbformat.reads(page(book.slice("m")), as_version=4)
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [
        "x = [1]",
        "%time x.append(2)",
        "x.append(3); 1 / 0",
        "m = x",
    ]
    assert made.cells[2].metadata.tags == ["raises-exception"]
