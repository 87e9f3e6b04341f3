from pathlib import Path

import pytest
from slice_cases import CASES
from slice_shell import Notebook, apart, kept, replayed


@pytest.mark.parametrize("name", CASES)
def test_the_slice_alone_makes_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with apart(tmp_path / "whole"):
        notebook = Notebook().run(*case.cells)
        wanted = notebook.digest(case.target)
        found = notebook.slice(case.target)
    with apart(tmp_path / "slice"):
        assert replayed(found, case.target) == wanted, kept(found)
    assert not set(case.out) & set(kept(found)), kept(found)
