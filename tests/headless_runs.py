"""Notebooks for the runner, and how they are executed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_magics.runner import Executed, Job, run

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
Cell = str | tuple[str, str]  # a source, or a source and its tag


def notebook(*cells: Cell) -> dict[str, Any]:
    """Make a notebook as JSON types."""
    made = [
        {
            "cell_type": "code",
            "id": f"c{place}",
            "metadata": {} if isinstance(cell, str) else {"tags": [cell[1]]},
            "source": cell if isinstance(cell, str) else cell[0],
            "outputs": [],
            "execution_count": None,
        }
        for place, cell in enumerate(cells)
    ]
    return {"cells": made, "metadata": dict(KERNEL), "nbformat": 4, "nbformat_minor": 5}


def saved(folder: Path, *cells: Cell, name: str = "train.ipynb") -> Path:
    """Save a notebook of some cells."""
    path = folder / name
    path.write_text(json.dumps(notebook(*cells)))
    return path


def job(project: Path, /, *cells: Cell, **changes: Any) -> Job:
    """Make a job of some cells, in a folder of its own."""
    given = {"into": project / "executed.ipynb", "timeout": 120.0, **changes}
    return Job(notebook=saved(project, *cells), **given)


def executed(project: Path, /, *cells: Cell, **changes: Any) -> Executed:
    """Execute some cells."""
    return run(job(project, *cells, **changes))


def kept(found: Executed | Path) -> dict[str, Any]:
    """Read what was kept, held against the notebook format."""
    import nbformat

    path = found if isinstance(found, Path) else found.notebook
    node = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(node)  # type: ignore[no-untyped-call]
    return json.loads(json.dumps(node))


def printed(found: Executed | Path) -> str:
    """Join all that the kept notebook's cells printed."""
    return "".join(
        "".join(output.get("text", ""))
        for cell in kept(found)["cells"]
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    )


def sources(node: dict[str, Any]) -> Sequence[str]:
    """List the sources of a notebook's cells."""
    return ["".join(cell["source"]) for cell in node["cells"]]
