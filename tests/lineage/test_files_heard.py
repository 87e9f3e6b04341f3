"""What a cell did outside its process, as audit events tell it; what is no effect of the cell is left out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from slice_shell import Notebook, apart


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path) -> Iterator[None]:
    with apart(tmp_path / "run"):
        yield


def test_importing_a_module_for_the_first_time_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.syspath_prepend(Path.cwd())
    Path("heard_helper.py").write_text("x = 1\n")
    (done,) = Notebook().run("import heard_helper").recorder.log
    assert list(Path("__pycache__").glob("heard_helper*.pyc"))
    assert not done.files.written
    assert not done.files.made
    assert {Path(path).name for path in done.files.read} == {"heard_helper.py"}


def test_a_folder_that_is_there_is_not_made() -> None:
    Path("there").mkdir()
    cell = "import os\nos.makedirs('there', exist_ok=True)\nos.makedirs('new', exist_ok=True)"
    (done,) = Notebook().run(cell).recorder.log
    assert {Path(path).name for path in done.files.made} == {"new"}


def test_a_librarys_own_cache_is_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_magics.lineage import files

    cache = Path("cache").absolute()
    monkeypatch.setattr(files, "_OUTSIDE", (*files._OUTSIDE, str(cache)))
    cell = "import os\nos.makedirs('cache')\nopen('cache/fonts.json', 'w').close()\nopen('mine', 'w').close()"
    (done,) = Notebook().run(cell).recorder.log
    assert {Path(path).name for path in done.files.written | done.files.made} == {"mine"}
    assert any(path.endswith("matplotlib") for path in files._CACHES)


def test_the_trackers_own_work_is_left_out_and_the_body_within_it_heard() -> None:
    book = Notebook()
    recorder = book.recorder

    def tracked() -> None:
        with recorder.aside():
            Path("ours").write_text("x")
            with recorder.heard():
                Path("theirs").write_text("x")
            Path("ours too").write_text("x")

    book.space["tracked"] = tracked
    (done,) = book.run("tracked()").recorder.log
    assert {Path(path).name for path in done.files.written} == {"theirs"}


def test_a_thread_of_the_tracker_is_not_heard() -> None:
    book = Notebook()

    def renew() -> None:
        Path("lease").write_text("x")

    book.space["thread"] = lambda name: threading.Thread(target=renew, name=name)
    cell = "one = thread({!r})\none.start()\none.join()"
    first, second = book.run(cell.format("mlops-lease"), cell.format("any")).recorder.log
    assert not first.files.written
    assert {Path(path).name for path in second.files.written} == {"lease"}


def test_cells_from_before_the_recorder_are_kept_and_their_names_are_known() -> None:
    from mlops_magics.lineage.recorder import Recorder

    book = Notebook(recorded=False).run("k = 2")
    book.recorder = Recorder(transform=book.shell.transform_cell, earlier=["k = 2"])
    book.shell.events.register("pre_run_cell", book._before)
    book.shell.events.register("post_run_cell", book._after)
    found = book.run("m = k + 1").slice("m")
    assert [item.source for item in found.executions] == ["k = 2", "m = k + 1"]
    assert found.reproducible, found.because
