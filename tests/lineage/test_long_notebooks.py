from pathlib import Path

import numpy as np
import pytest
from fresh_process import made_again
from slice_notebooks import CHAPTER, DETOURS, NEEDED, ORDER, SHUFFLED
from slice_shell import Notebook, apart, kept, replayed

from mlops_magics.lineage.usage import usage


def test_forty_cells_run_back_and_forth(tmp_path: Path) -> None:
    assert len(SHUFFLED) == 40
    assert set(ORDER) == set(range(40))
    page = {f"c{place}": source for place, source in enumerate(SHUFFLED)}
    with apart(tmp_path / "whole"):
        notebook = Notebook().run(*(SHUFFLED[place] for place in ORDER), ids=[f"c{place}" for place in ORDER])
        failed = [item.source for item in notebook.recorder.log if not item.ok]
        found = notebook.slice("model", cells=page)
        cells = {int(str(item.cell)[1:]) for item in found.executions}
        assert cells >= NEEDED - {32, 33}
        assert not cells & DETOURS
        assert not found.reproducible
        assert "out of order" in found.because
        assert failed == ["X = pd.concat([clean[NUMBERS + ['ratio']], dummies], axis=1)"]
        assert made_again(notebook, found, "model", tmp_path)


CHAPTER_TARGETS = (
    "lin_reg",
    "tree_reg",
    "forest_reg",
    "sgd_reg",
    "final",
    "train_set",
    "tree_rmses",
    "samples",
)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with apart(tmp_path_factory.mktemp("chapter") / "run"):
        notebook = Notebook().run(*CHAPTER)
        failed = [item.source for item in notebook.recorder.log if not item.ok]
        assert failed == ["%matplotlib agg"]  # a shell without a front end has no such thing
        slices = {name: notebook.slice(name) for name in CHAPTER_TARGETS}
        return {name: (found, notebook.digest(name)) for name, found in slices.items()}


@pytest.mark.parametrize("name", CHAPTER_TARGETS)
def test_a_chapter(name: str, chapter: dict[str, tuple], tmp_path: Path) -> None:
    found, wanted = chapter[name]
    with apart(tmp_path / "slice"):
        assert replayed(found, name) == wanted, kept(found)
    assert len(found.executions) < 0.75 * len(CHAPTER), [item.source[:40] for item in found.executions]


def test_reading_a_cell_is_quick() -> None:
    import time

    start = time.perf_counter()
    for source in (*SHUFFLED, *CHAPTER):
        usage(source.replace("%", "#"))
    assert (time.perf_counter() - start) / len((*SHUFFLED, *CHAPTER)) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed: int, tmp_path: Path) -> None:
    """Cells made at random from a few names: what a slice leaves out never counts."""
    rng = np.random.default_rng(seed)
    for turn in range(12):
        cells = [*_START, *(_line(rng) for _ in range(18))]
        with apart(tmp_path / f"whole{turn}"):
            notebook = Notebook().run(*cells)
            target = str(rng.choice(_NAMES))
            wanted, found = notebook.digest(target), notebook.slice(target)
        with apart(tmp_path / f"slice{turn}"):
            assert replayed(found, target) == wanted, (cells, kept(found))


_NAMES = ("a", "b", "c", "d")
_PUT = """
def put(v):
    if isinstance(v, list):
        v.append(len(v))
    elif isinstance(v, dict):
        v[len(v)] = d
    elif isinstance(v, np.ndarray):
        v += 1
    return v
"""
_START = (
    "import numpy as np, random\nnp.random.seed(1); random.seed(2)",
    "a, b = [1], np.arange(6.0)\nc, d = {'k': a}, 3",
    _PUT,
    "def swap():\n    global a\n    a = [b, c]",
)
_LINES = (
    "{0} = {1}",
    "{0} = [{1}, {2}]",
    "{0} = {{'k': {1}, 'l': {2}}}",
    "put({0})",
    "if isinstance({0}, list):\n    {1} = {0}[:1]",
    "{0} = put({1})",
    "for {0} in ([1], [2]):\n    pass",
    "swap()",
    "{0} = np.random.rand(3)",
    "np.random.seed(5)",
    "{0} = [random.random()]",
    "{0} = b[1:3] if isinstance(b, np.ndarray) else np.zeros(3)",
    "try:\n    {0}.append({1})\nexcept AttributeError:\n    {0} = []",
    "d = {0} if isinstance({0}, int) else 7",
    "del {0}\n{0} = [4]",
    "{0}.append(9); {1} = 5",
    "{0} = lambda: {1}",
    "{0} = {0}() if callable({0}) else {1}",
    "_ = [put(v) for v in ({0}, {1})]",
)


def _line(rng: np.random.Generator) -> str:
    return str(rng.choice(_LINES)).format(*rng.permutation(_NAMES))
