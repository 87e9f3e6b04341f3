"""What is no notebook is told before a kernel starts, and the source is never touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from headless_runs import job, kept, notebook, saved

from mlops_magics.foundation.errors import (
    MLOpsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from mlops_magics.runner import Job, run, running
from mlops_magics.runner.book import read


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("a process is started")

    monkeypatch.setattr(running, "_supervised", started)


def _changed(**changes: Any) -> bytes:
    return json.dumps({**notebook("1"), **changes}).encode()


OLD = b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": []}]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no notebook"),
        (b"{not json", "is no notebook"),
        (b"\xff\xfe", "is no notebook"),
        (b"[]", "names no format"),
        (b'{"a": 1}', "names no format"),
        (b"[" * 100_000, "is no notebook"),
        (OLD, "notebook format 3; only format 4"),
        (_changed(nbformat=5), "notebook format 5; only format 4"),
        (_changed(cells=None), "not as the notebook format wants"),
        (_changed(cells=[{}]), "not as the notebook format wants"),
        (_changed(cells=[{"cell_type": "worm", "source": "", "metadata": {}}]), "not as the notebook format"),
        (_changed(cells=[{"cell_type": "code", "source": 1, "metadata": {}}]), "not as the notebook format"),
        (_changed(cells=[{"cell_type": "code", "source": "\ud800", "metadata": {}}]), "not as the notebook"),
    ],
)
def test_what_is_no_notebook_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        run(Job(notebook=path, into=tmp_path / "b.ipynb"))
    assert path.read_bytes() == content
    assert not (tmp_path / "b.ipynb").exists()


def test_a_notebook_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no notebook"):
        run(Job(notebook=tmp_path / "a.ipynb", into=tmp_path / "b.ipynb"))
    with pytest.raises(UsageError, match="cannot be read"):
        run(Job(notebook=tmp_path, into=tmp_path / "b.ipynb"))


def test_it_never_takes_the_place_of_a_file_that_is_none_of_its_own(tmp_path: Path) -> None:
    source = saved(tmp_path, "1")
    (tmp_path / "link.ipynb").symlink_to(source)
    (tmp_path / "hard.ipynb").hardlink_to(source)
    other = saved(tmp_path, "2", name="other.ipynb")
    before = source.read_bytes(), other.read_bytes()
    for name in ("train.ipynb", "link.ipynb", "hard.ipynb"):
        with pytest.raises(RefusedError, match="take the place of"):
            run(Job(notebook=source, into=tmp_path / name))
    with pytest.raises(RefusedError, match="not written by a run"):
        run(Job(notebook=source, into=other))
    assert (source.read_bytes(), other.read_bytes()) == before


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"timeout": 0}, UsageError, "time-out"),
        ({"cell_timeout": -1}, UsageError, "time-out"),
        ({"timeout": float("nan")}, UsageError, "time-out"),
        ({"kernel": "no-such-kernel"}, NotFoundError, "no kernel named 'no-such-kernel'"),
        ({"folder": Path("nowhere")}, NotFoundError, "no folder"),
        ({"into": Path("a.txt")}, UsageError, "no name of a notebook"),
        ({"into": Path("nowhere/a.ipynb")}, UnavailableError, "cannot be written"),
        ({"parameters": {"days": 1}}, UsageError, "no cell tagged 'parameters'"),
    ],
)
def test_what_cannot_be_executed_is_told_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    kind: type[MLOpsError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message):
        run(job(tmp_path, "1", **changes))


def test_what_is_executed_is_one_form_of_it(tmp_path: Path) -> None:
    node = notebook("a = 1\nb", "c")
    node |= {"nbformat_minor": 2}  # no ids yet
    for cell in node["cells"]:
        del cell["id"]
    node["cells"][0] |= {
        "source": ["a = 1\n", "b"],
        "outputs": [{"output_type": "stream"}],
        "execution_count": 3,
    }
    node["metadata"]["widgets"] = {"state": {}}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(node))
    book, again = read(path), read(path)
    assert book == again
    assert [cell["source"] for cell in book.node["cells"]] == ["a = 1\nb", "c"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in book.node["cells"])
    assert len({cell["id"] for cell in book.node["cells"]}) == 2
    assert "widgets" not in book.node["metadata"]
    node["cells"][0]["outputs"] = []
    assert read(node).code == book.code != read(notebook("a = 2")).code


def test_the_notebook_is_there_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a process is started"):
        run(job(tmp_path, "1"))
    assert kept(tmp_path / "executed.ipynb")["metadata"]["mlops_magics"]["status"] == "running"
