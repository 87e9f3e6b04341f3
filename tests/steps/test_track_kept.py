"""What is kept with a run beside its cell: helper modules, the machine, seeds, what was printed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.track import Comparison
from mlops_magics.tracking.drafts import Draft
from mlops_magics.tracking.provenance import git_state
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]
FIT = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(train[["age"]], train["late"])
"""


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Read the files of a run; of the newest one by default."""

    def read(run_id: str | None = None) -> dict[str, bytes]:
        store = open_store(Settings.discover())
        newest = run_id or store.client.search_runs([store.experiment_id("e")])[0].info.run_id
        folder = tmp_path / str(time.monotonic_ns())
        folder.mkdir()
        top = Path(store.client.download_artifacts(newest, "mlops", str(folder)))
        return {
            path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()
        }

    return read


@pytest.fixture
def helper(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Write a module into the project; a kernel would have to import it anew."""
    monkeypatch.syspath_prepend(project)
    made: set[str] = set()

    def write(text: str, path: str = "helper_x.py") -> None:
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        (project / path).parent.mkdir(exist_ok=True, parents=True)
        (project / path).write_text(text)
        os.utime(
            project / path, (len(made), len(made))
        )  # Python takes a file of the same second for the same
        sys.modules.pop(name, None)
        made.add(name)

    yield write
    for name in made:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("automatic", [False, True])
def test_modules_that_the_cell_uses_are_kept_whether_git_knows_them_or_not(
    *, book: Book, helper: Any, kept: Any, project: Path, tmp_path: Path, monkeypatch: Any, automatic: bool
) -> None:
    helper("import pack_y.inner\ndef f(): return 1\n")
    helper("", "pack_y/__init__.py")
    helper("# ünïcode\nx = 1\n", "pack_y/inner.py")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "other_z.py").write_text("a = 1\n")
    monkeypatch.syspath_prepend(outside)
    top = "" if automatic else "%%mlops_track --name one -o run\n"
    book(f"{top}import helper_x, other_z, numpy\nhelper_x.f()\n{FIT}")
    modules = {path: text for path, text in kept().items() if path.startswith("modules/")}
    names = ("helper_x.py", "pack_y/__init__.py", "pack_y/inner.py")
    assert modules == {f"modules/{name}": (project / name).read_bytes() for name in names}
    del sys.modules["other_z"]


def test_more_modules_than_are_kept_are_said(book: Book, helper: Any, kept: Any) -> None:
    for number in range(205):
        helper("x = 1\n", f"many_w/m{number:03}.py")
    helper("y = 1\n" + "# 1\n" * 600_000, "large_v.py")  # of remarks: large to keep, quick to import
    run = book(
        "%%mlops_track --name one -o run\nimport importlib, large_v\n"
        "for i in range(205): importlib.import_module(f'many_w.m{i:03}')"
    )
    assert run.notes == ("Of 206 helper modules 200 were kept: at most 200, 2 MB in all.",)
    assert sum(path.startswith("modules/") for path in kept()) == 200


@pytest.mark.parametrize(
    ("before", "cell"),
    [
        ("", "import helper_x\nscore = helper_x.f()"),
        ("", "from helper_x import f\nscore = f()"),
        ("import helper_x", "score = helper_x.f()"),
        ("from helper_x import f", "score = f()"),
    ],
)
def test_a_changed_helper_is_another_run_and_the_comparison_shows_what_changed(
    book: Book, helper: Any, before: str, cell: str
) -> None:
    made = []
    for name, text in (("a", "1"), ("a", "1"), ("a", "1  # <b>"), ("b", "2")):
        helper(f"def f():\n    return {text}\n")
        book(f"{before}\nx = 1")
        made.append(book(f"%%mlops_track --name {name} -o {name}\n{cell}"))
    assert made[0].id == made[1].id
    assert made[3].id != made[0].id
    found = book(f"%mlops_track --compare {made[0].id},{made[3].id}")
    assert isinstance(found, Comparison)
    ((path, diff),) = found.modules
    assert path == "helper_x.py"
    assert "-    return 1" in diff.splitlines()
    assert "+    return 2" in diff.splitlines()
    assert "The module helper_x.py differs" in str(found)
    assert "code" not in str(found).splitlines()[0]
    assert "+    return 2" in found._repr_mimebundle_()[0]["text/html"]


def test_git_tells_of_untracked_python_files_and_not_of_notebooks(project: Path) -> None:
    git = ("git", "-C", str(project), "-c", "user.name=t", "-c", "user.email=t@example.org")
    for name in ("a.py", "n.ipynb"):
        (project / name).write_text("1\n")
    (project / ".gitignore").write_text(".mlops\nignored.py\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run((*git, *words), check=True)
    clean = git_state(project)
    assert clean is not None
    assert not clean.dirty
    for name in ("n.ipynb", "m.ipynb", "ignored.py"):
        (project / name).write_text("2\n")
    assert git_state(project) == clean
    for name in ("b c.py", "é.py", "notes.txt", "new/x.py", "new/deep/y.py", "new/site-packages/z.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("3\n")
    subprocess.run((*git, "mv", "a.py", "renamed.py"), check=True)
    found = git_state(project)
    assert found is not None
    assert found.modules == ("b c.py", "new/deep/y.py", "new/x.py", "é.py")
    assert found.untracked == 4
    assert "renamed.py" in found.diff


def test_the_machine_and_the_seeds_are_kept(shell: Any, store_file: Path, kept: Any) -> None:
    assert store_file.is_file()

    def book(cell: str) -> Any:
        result = shell.run_cell(cell, store_history=True)  # as a front end does
        result.raise_error()
        return result.result

    book("%mlops_track e")
    first = book("%%mlops_track --name one\nx = 1")
    text = kept(first.id)["hardware.txt"].decode()
    facts = dict(line.split(": ", 1) for line in text.splitlines())
    assert facts["cpus"] == str(os.cpu_count())
    assert facts["memory"].endswith(" GB")
    assert not any("seed" in name for name in facts)
    tags = open_store(Settings.discover()).client.get_run(first.id).data.tags
    assert tags["mlops.hardware"].startswith(f"{os.cpu_count()} x {facts['cpu']}")
    book("import numpy, random as r\nnumpy.random.seed(7)")
    book("def later():\n    r.seed(5)")
    second = book("%%mlops_track --name two\nr.seed(3)\nfrom numpy.random import seed\nx = r.random()")
    lines = kept(second.id)["hardware.txt"].decode().splitlines()
    assert "seed of numpy: numpy.random.seed(7) in an earlier cell" in lines
    assert "seed of random: r.seed(3) in this cell" in lines
    book("%%mlops_track --name three\nx = r.random()")
    assert "seed of random: r.seed(3) in an earlier cell" in kept()["hardware.txt"].decode()
    found = book("%mlops_track --compare two,one")
    assert [name for name, _, _ in found.machine] == ["seed of numpy", "seed of random"]


PRINTS = """import sys, threading, contextlib, io, time
print("first")
sys.stderr.write("second\\n")
thread = threading.Thread(target=print, args=("third",)); thread.start(); thread.join()
for i in range(101): print(f"\\rdone {i}%", end="", flush=True)
print("\\n\\x1b[31mred\\x1b[0m", end="\\n")
print("abc\\b\\bxy\\rz")
hidden = io.StringIO()
with contextlib.redirect_stdout(hidden): print("not shown")
from IPython.utils.capture import capture_output
with capture_output() as taken: print("nor this")
ended = threading.Event()
def late():
    ended.wait(); print("after the cell")
straggler = threading.Thread(target=late); straggler.start()
held = sys.stdout.write
"""
PRINTED = "first\nsecond\nthird\ndone 100%\nred\nzxy\n"


@pytest.mark.parametrize("automatic", [False, True])
def test_what_a_cell_prints_is_shown_as_before_and_kept(
    book: Book, kept: Any, shell: Any, capsys: Any, *, automatic: bool
) -> None:
    streams = sys.stdout, sys.stderr
    top = "" if automatic else "%%mlops_track --name one -o run\n"
    book(f"{top}{PRINTS}{FIT}")
    assert kept()["output.txt"].decode() == PRINTED
    shell.user_ns["ended"].set()
    shell.user_ns["straggler"].join()
    shell.user_ns["held"]("and on\n")
    shown = capsys.readouterr()
    assert "done 99%\rdone 100%" in shown.out
    assert "after the cell\nand on\n" in shown.out
    assert "second\n" in shown.err
    assert shell.user_ns["hidden"].getvalue() == "not shown\n"
    assert shell.user_ns["taken"].stdout == "nor this\n"
    assert not any("mlops" in str(getattr(stream.write, "__module__", "")) for stream in streams)


ODD = """
class Odd:
    __slots__ = ()
    def write(self, text): pass
    def flush(self): pass
import sys
sys.stdout = Odd()
get_ipython().run_cell('%%mlops_track --name inner\\nprint(1)')
"""


@pytest.mark.parametrize(
    "cell",
    [
        "import io, sys\nbefore = sys.stdout\nsys.stdout = io.StringIO()\nprint('x')",
        "import sys\nold = sys.stdout.write\nsys.stdout.write = lambda text: old(text)\nprint('x')",
        ODD,
        "import sys\nbefore = sys.stdout\nsys.stdout.write(3)",
        "get_ipython().run_line_magic('mlops_track', '--off')",
    ],
)
@pytest.mark.parametrize("automatic", [False, True])
def test_a_cell_that_replaces_a_stream_ends_as_it_does_without_tracking(
    book: Book, shell: Any, cell: str, *, automatic: bool
) -> None:
    stream, write = sys.stdout, vars(sys.stdout).get("write")
    kinds = []
    for tracked in (False, True):
        if not tracked or not automatic:
            book("%mlops_track --off")
        else:
            book("%mlops_track e")
        top = "%%mlops_track --name one\n" if tracked and not automatic else ""
        try:
            kinds.append(type(shell.run_cell(f"{top}{cell}").error_in_exec))
        finally:
            sys.stdout = stream
            if write is None:
                vars(stream).pop("write", None)
            else:
                stream.write = write  # type: ignore[method-assign]
    assert kinds[0] == kinds[1]
    assert book("1 + 1") == 2


def test_what_a_failing_cell_has_printed_is_kept(book: Book, shell: Any, kept: Any) -> None:
    assert book
    shell.run_cell("%%mlops_track --name bad\nprint('so far')\n1 / 0")
    assert kept()["output.txt"] == b"so far\n"
    assert b"ZeroDivisionError" in kept()["traceback.txt"]
    shell.run_cell(f"print('once more'){FIT}\n1 / 0")
    assert kept()["output.txt"] == b"once more\n"


def test_of_a_long_output_the_beginning_and_the_end_are_kept(book: Book, kept: Any) -> None:
    book("%%mlops_track --name one\nfor i in range(40_000): print(f'line {i} ü')")
    text = kept()["output.txt"].decode()
    assert 190_000 < len(text.encode()) <= 200_000
    lines = text.splitlines()
    assert lines[0] == "line 0 ü"
    assert lines[-1] == "line 39999 ü"
    (cut,) = [number for number, line in enumerate(lines) if line.startswith("…")]
    assert lines[cut - 1] == f"line {cut - 1} ü"
    missing = "".join(f"line {i} ü\n" for i in range(cut, 40_000 - (len(lines) - cut - 1)))
    assert lines[cut] == f"… {len(missing):,} characters are left out here …"


def test_a_progress_bar_of_many_megabytes_is_one_line(book: Book, kept: Any) -> None:
    book("%%mlops_track --name one\nfor i in range(50_000): print(f'\\r{i:>60}', end='')\nprint('\\nend')")
    assert kept()["output.txt"].decode() == f"{49_999:>60}\nend\n"


def test_a_repeated_cell_writes_nothing_new(book: Book, project: Path, helper: Any) -> None:
    helper("x = 1\n")
    cell = "%%mlops_track --name one -o run\nimport helper_x, time\nprint(time.time())\nx = 1"
    first = book(cell)
    files = {path: path.stat().st_mtime_ns for path in (project / "mlartifacts").rglob("*")}
    assert book(cell).id == first.id
    assert {path: path.stat().st_mtime_ns for path in (project / "mlartifacts").rglob("*")} == files


def test_a_capture_that_fails_fails_no_cell(book: Book, monkeypatch: pytest.MonkeyPatch, kept: Any) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    for place in (
        "mlops_magics.steps.track.kept.imported",
        "mlops_magics.tracking.machine.hardware",
        "mlops_magics.frontends.magics.printed.Printed.add",
        "mlops_magics.frontends.magics.printed.Printed.text",
        "mlops_magics.frontends.magics.pictures.Pictures.add",
    ):
        monkeypatch.setattr(place, broken)
    assert book("%%mlops_track --name one -o run\nprint(1)\nx = 1").status == "FINISHED"
    assert set(kept()) == {"cell.py", "environment.txt"}


def test_files_as_bytes_survive_the_spool(store_file: Path, kept: Any) -> None:
    assert store_file.is_file()
    settings = Settings.discover()
    spool = Spool.of(settings)
    content = {"mlops/figures/01.png": bytes(range(256)), "mlops/output.txt": b"x\n"}
    spool.add(Draft(experiment="e", name="n", begun=1, files={"mlops/cell.py": "1"}, kept=content))
    (written,) = spool.replay(open_store(settings))
    assert kept(written.run_id) == {
        "cell.py": b"1",
        "figures/01.png": bytes(range(256)),
        "output.txt": b"x\n",
    }
    assert len(spool) == 0
