import gc
import os
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from slice_shell import Notebook, apart, kept

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.lineage import files, recorder
from mlops_magics.lineage.recorder import Recorder


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path) -> Iterator[None]:
    with apart(tmp_path / "run"):
        yield


def test_a_straight_notebook_is_reproducible() -> None:
    found = Notebook().run("x = 1", "y = 2", "m = x").slice("m")
    assert found.reproducible
    assert found.because == "2 of 3 executed cells made m; no hidden state was found."


def test_a_cell_that_was_edited_and_run_again_is_said() -> None:
    found = Notebook().run("x = [1]", "m = x", "x = [2]", ids=["a", "b", "a"]).slice("m")
    assert kept(found) == [0, 1]
    assert found.reasons == ("Cell 1 (x = [1]) was edited after it had run.",)


def test_a_cell_that_was_edited_and_not_run_is_said_by_the_page() -> None:
    notebook = Notebook().run("x = 1", "m = x", ids=["a", "b"])
    assert notebook.slice("m", cells={"a": "x = 1\n", "b": "m = x"}).reproducible
    found = notebook.slice("m", cells={"a": "x = 3", "b": "m = x"})
    assert found.reasons == ("Cell 1 (x = 1) was edited after it had run.",)


def test_a_deleted_cell_is_said() -> None:
    found = Notebook().run("x = 1", "m = x", ids=["a", "b"]).slice("m", cells={"b": "m = x"})
    assert found.reasons == ("Cell 1 (x = 1) is no longer in the notebook.",)


def test_a_cell_from_elsewhere_is_said() -> None:
    notebook = Notebook()
    notebook.shell.run_cell("x = 1", store_history=True)
    found = notebook.run("m = x").slice("m")
    assert found.reasons == ("1 (x = 1) ran from outside the notebook's cells.",)


def test_cells_out_of_order_are_said() -> None:
    notebook = Notebook().run("m0 = 1", "x = 5", "m = m0 + x", ids=["b", "a", "c"])
    page = {"a": "x = 5", "b": "m0 = 1", "c": "m = m0 + x"}
    found = notebook.slice("m", cells=page)
    assert found.reasons == (
        "Cells ran out of order: 2 (x = 5) ran after 1 (m0 = 1), which stands below it.",
    )


def test_a_cell_that_counts_twice_is_said() -> None:
    found = Notebook().run("x = 3", "x = x * 2", "x = x * 2", "m = x", ids=["a", "b", "b", "c"]).slice("m")
    assert kept(found) == [0, 1, 2, 3]
    assert found.reasons == ("Cell 2 (x = x * 2) ran more than once, and each time counts.",)


def test_a_cell_that_ran_again_and_counts_once_is_fine() -> None:
    found = Notebook().run("x = [3]", "x = [3]", "m = x", ids=["a", "a", "b"]).slice("m")
    assert kept(found) == [1, 2]
    assert found.reproducible


def test_unseeded_randomness_is_said() -> None:
    found = Notebook().run("import numpy as np", "m = np.random.rand(3)").slice("m")
    assert found.unseeded == {"numpy"}
    assert found.because == "Random numbers were drawn from a generator that was never seeded (numpy)."


@pytest.mark.parametrize(
    "line", ["m = np.random.default_rng().normal()", "import uuid\nm = uuid.uuid4().hex", "m = draw()"]
)
def test_randomness_that_no_seed_repeats_is_said(line: str) -> None:
    first = "import os\nimport numpy as np\ndef draw():\n    return os.urandom(3)"
    found = Notebook().run(first, line).slice("m")
    assert any("no seed repeats" in reason for reason in found.reasons)


def test_a_seed_of_none_seeds_nothing() -> None:
    found = (
        Notebook().run("import numpy as np\nS = None\nnp.random.seed(S)", "m = np.random.rand()").slice("m")
    )
    assert not found.reproducible


@pytest.mark.parametrize(
    "seeding",
    [
        "np.random.seed(4)",
        "S = 4\nnp.random.seed(S)",
        "import warnings\nwarnings.filterwarnings('ignore')\nnp.random.seed(seed=4)",
        "from numpy.random import seed\nseed(4)",
        "def seed_all(n=4):\n    np.random.seed(n)\nseed_all()",
    ],
)
def test_a_seed_is_known_in_many_forms(seeding: str) -> None:
    found = Notebook().run("import numpy as np", seeding, "m = np.random.rand()").slice("m")
    assert found.reproducible, found.because


def test_a_cell_that_failed_half_way_is_said() -> None:
    found = Notebook().run("x = [1]", "x.append(2); 1 / 0", "m = x").slice("m")
    assert kept(found) == [0, 1, 2]
    assert "failed half way" in found.because


def test_what_was_there_before_is_said() -> None:
    notebook = Notebook(recorded=True)
    notebook.space["before"] = [1]
    found = notebook.run("m = before").slice("m")
    assert found.because == "Made before recording began: before."


def test_no_such_name() -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        Notebook().run("x = 1").slice("nothing")


def test_an_after_without_its_before_is_ignored() -> None:
    notes = Recorder()
    notes.after(ok=True)
    space: dict[str, object] = {}
    notes.before("x = 1", space)
    notes.after(ok=True)
    notes.after(ok=True)
    assert len(notes.log) == 1


def test_a_cell_within_a_cell_belongs_to_it() -> None:
    notebook = Notebook().run("get_ipython().run_cell('x = 2')", "m = x")
    assert len(notebook.recorder.log) == 2
    assert kept(notebook.slice("m")) == [0, 1]


def test_a_slice_may_be_asked_for_while_its_cell_runs() -> None:
    notebook = Notebook().run("x = [1]", "y = 1")
    notebook.space["ask"] = lambda: notebook.space["got"].append(notebook.slice("m"))
    notebook.space["got"] = []
    notebook.run("m = x\nx.append(2)\nask()", "x.append(3)")
    assert 0 in kept(notebook.space["got"][0])
    assert 2 in kept(notebook.space["got"][0])
    assert "x" in notebook.recorder.log[2].touched


def test_a_recorder_keeps_no_object_alive() -> None:
    class Held:
        pass

    notes, held = Recorder(), Held()
    gone = weakref.ref(held)
    space: dict[str, object] = {"x": held, "f": [held]}
    notes.before("x.a = 1", space)
    held.a = 1
    notes.after(ok=True)
    notes.before("x = f = None", space)
    space["x"] = space["f"] = None
    del held
    gc.collect()
    assert gone() is None
    notes.after(ok=True)


def test_over_budget_means_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_ALLOWED", 0.0)
    notebook = Notebook().run("x = [[i] for i in range(300)]", "len(x)", "m = x")
    assert "x" in notebook.recorder.log[1].opaque
    assert kept(notebook.slice("m")) == [0, 1, 2]


def test_what_hides_in_something_too_large_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook().run("a = [1]", "x = [[i] for i in range(300)] + [a]")
    monkeypatch.setattr(recorder, "_ALLOWED", 0.0)
    notebook.run("len(x)", "a.append(2)", "m = x")
    assert 3 in kept(notebook.slice("m"))


def test_an_opaque_object_counts_as_changed_by_who_reads_it() -> None:
    found = (
        Notebook().run("import threading\nx = threading.Lock()", "x.locked()", "y = 1", "m = x").slice("m")
    )
    assert kept(found) == [0, 1, 3]


def test_an_object_that_breaks_when_looked_at_does_no_harm() -> None:
    cells = (
        (
            "class Bad:\n    def __reduce_ex__(self, n):\n        raise RuntimeError\n"
            "    def __repr__(self):\n        raise RuntimeError"
        ),
        "x = Bad()",
        "x.v = 1",
        "m = x.v",
    )
    assert kept(Notebook().run(*cells).slice("m")) == [0, 1, 2, 3]


def test_recording_names_that_refer_to_themselves() -> None:
    found = Notebook().run("x = []\nx.append(x)", "d = {'x': x}\nx.append(d)", "m = x").slice("m")
    assert kept(found) == [0, 1, 2]


def test_the_audit_hook_is_still_when_nothing_is_recorded() -> None:
    Notebook().run("x = 1")
    assert files._LISTENERS == []
    notes = Recorder()
    notes.before("x = 1", {})
    assert len(files._LISTENERS) == 1
    notes.forget()
    assert files._LISTENERS == []


def test_the_trackers_own_files_are_no_part_of_a_cell(tmp_path: Path) -> None:
    notes = Recorder(ignored=[tmp_path / "store"])
    (tmp_path / "store").mkdir()
    notes.before("x = 1", {})
    (tmp_path / "store" / "a.txt").write_text("1")
    (tmp_path / "b.txt").write_text("1")
    notes.after(ok=True)
    assert notes.log[0].files.written == {str(tmp_path / "b.txt")}


def test_no_cell_slips_through_when_it_cannot_be_read() -> None:
    def broken(source: str) -> str:
        raise SyntaxError(source)

    notes = Recorder(transform=broken)
    notes.before("?", {})
    notes.after(ok=False)
    assert len(notes.log) == 1


def test_recording_changes_no_random_state() -> None:
    import random

    notes = Recorder()
    state = random.getstate()
    notes.before("x = 1", {"x": [1], "os": os, "sys": sys})
    notes.after(ok=True)
    assert random.getstate() == state
