import ast
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from slice_shell import Notebook, apart

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.lineage.replay import Replay, replay
from mlops_magics.lineage.script import notebook as page
from mlops_magics.lineage.script import script

DATA = (
    "import numpy as np\nimport pandas as pd\nrng = np.random.default_rng(3)\n"
    "X = pd.DataFrame(rng.normal(size=(60, 3)), columns=list('abc'))\ny = (X['a'] > 0).astype(int)"
)
FIT = "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression().fit(X, y)"
FOREST = (
    "from sklearn.ensemble import RandomForestClassifier\n"
    "model = RandomForestClassifier(n_estimators=5, random_state={}).fit(X, y)"
)


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path) -> Iterator[None]:
    with apart(tmp_path / "run"):
        yield


def _replayed(*cells: str, name: str = "model", **options: object) -> Replay:
    book = Notebook().run(*cells)
    transform = book.shell.transform_cell
    return replay(book.slice(name), book.space, transform=transform, **options)


def test_a_model_is_verified_by_its_state() -> None:
    proof = _replayed(DATA, "z = 1", FIT)
    assert proof.verified, proof.because
    assert proof.because == "A fresh process made model with the same state."
    assert proof.label == "verified"


def test_a_users_class_and_function_are_the_same_in_a_script() -> None:
    cells = (
        "K = 2",
        "class A:\n    '''Text.'''\n    def f(self, v: int) -> int:\n        return v * K",
        "def g(v):\n    return [A().f(w) for w in v] in ({1, 2}, 'x')",
        "m = [A(), g, g([1]), {3, 4, 'x'}, (1, 2.5)]",
    )
    proof = _replayed(*cells, name="m")
    assert proof.verified, proof.because


def test_an_unseeded_model_is_not_verified() -> None:
    proof = _replayed(DATA, FOREST.format(None))
    assert not proof.verified
    assert proof.because == "A fresh process made another model."
    assert proof.label == "not verified"


def test_a_model_whose_state_holds_times_is_verified_by_its_answers() -> None:
    search = (
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.model_selection import GridSearchCV\n"
        "model = GridSearchCV(LogisticRegression(), {'C': [1, 2]}, cv=2).fit(X, y)"
    )
    book = Notebook().run(DATA, search)
    found = book.slice("model")
    assert replay(found, book.space).because == "A fresh process made another model."
    proof = replay(found, book.space, sample=book.space["X"].head(20))
    assert proof.verified
    assert proof.because == "A fresh process made model with the same answers on 20 rows."
    assert not replay(found, {**book.space, "model": _Other()}, sample=np.zeros((20, 3))).verified


class _Other:
    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.zeros((len(rows), 2))


def test_magics_failures_futures_and_installs() -> None:
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
    proof = replay(found, book.space)
    assert proof.verified, proof.because


def test_a_tracked_cell_is_written_as_its_body() -> None:
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
    assert replay(found, book.space, transform=book.shell.transform_cell).verified


def test_what_writes_is_not_replayed_unless_allowed() -> None:
    cells = ("x = 1\nwith open('a.txt', 'w') as f:\n    f.write('7')", "m = open('a.txt').read()")
    assert _replayed(*cells, name="m").because == "It would write a.txt once more."
    assert _replayed(*cells, name="m", effects=True).verified


def test_a_shell_line_is_not_replayed_unless_allowed() -> None:
    cells = ("out = !echo 4", "m = list(out)")
    assert "another program" in _replayed(*cells, name="m").because
    assert _replayed(*cells, name="m", effects=True).verified


def test_a_replay_has_a_time_limit(tmp_path: Path) -> None:
    book = Notebook().run("import time\nm = 1")
    book.recorder._log[0] = _with_code(book.recorder._log[0], "import time\ntime.sleep(60)\nm = 1")
    assert replay(book.slice("m"), book.space, timeout=2, folder=tmp_path).because == (
        "It did not end within 2 seconds."
    )


def test_a_replay_that_fails_says_how() -> None:
    book = Notebook()
    book.space["k"] = 3
    proof = replay(book.run("m = k").slice("m"), book.space)
    assert proof.because == "It failed: NameError: name 'k' is not defined"


def test_await_is_for_notebooks_only() -> None:
    assert "awaits" in _replayed("async def f():\n    return 2", "m = await f()", name="m").because


def test_no_such_name() -> None:
    book = Notebook().run("m = 1")
    with pytest.raises(NotFoundError):
        replay(book.slice("m"), {})


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


def _with_code(item: object, code: str) -> object:
    from dataclasses import replace

    return replace(item, code=code, source=code)  # type: ignore[type-var]
