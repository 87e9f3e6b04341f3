"""Real kernels in a project of their own, the way nbval, nbclient and papermill start them."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

NotebookOf = Callable[..., Path]


@pytest.fixture
def notebook_of(project: Path) -> NotebookOf:
    """Write a notebook of some cells into the project."""

    def write(*cells: str, name: str = "a.ipynb") -> Path:
        made = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}},
        )
        path = project / name
        nbformat.write(made, path)
        return path

    return write
