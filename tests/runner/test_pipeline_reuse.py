"""Pipelines: a stage is reused where all is known and nothing changed, and executed everywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from headless_runs import notebook, saved

from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.locks import try_lock
from mlops_magics.runner import Executed, Failure, Job, Touched
from mlops_magics.runner.pipeline import Passed, Stage, run_pipeline


class Lab:
    """Two stages, a -> b -> c by files, executed by a function in place of a kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, []
        self.outcome = "finished"
        self.touched: Touched | None = None
        (folder / "a.csv").write_text("1")
        self.first = self._stage("first", ("a.csv",), ("b.csv",), "copy a to b")
        self.second = self._stage("second", ("b*.csv",), ("c.csv",), "copy b to c")

    def _stage(self, name: str, reads: tuple[str, ...], writes: tuple[str, ...], source: str) -> Stage:
        book = saved(self.folder, (f"days = 7\n'{source}'", "parameters"), name=f"{name}.ipynb")
        job = Job(notebook=book, into=self.folder / f"{name}.done.ipynb")
        return Stage(name=name, job=job, reads=reads, writes=writes)

    def execute(self, job: Job) -> Executed:
        assert isinstance(job.notebook, Path)
        self.ran.append(job.notebook.stem)
        before, after = {"first": ("a.csv", "b.csv"), "second": ("b.csv", "c.csv")}[job.notebook.stem]
        (self.folder / after).write_text((self.folder / before).read_text()[:1])
        failure = None if self.outcome == "finished" else Failure("ValueError", "no")
        return Executed(
            status=self.outcome,
            failure=failure,
            seconds=0.0,
            notebook=job.into,
            sha256="",
            parameters={},
            touched=self.touched,
        )  # type: ignore[arg-type]

    def run(self, *stages: Stage, force: bool = False) -> list[str]:
        """Return which stages ran."""
        self.ran.clear()
        self.passed: tuple[Passed, ...] = run_pipeline(
            stages or (self.first, self.second),
            record=self.folder / "record.json",
            force=force,
            execute=self.execute,
        )
        assert [item.name for item in self.passed if not item.reused] == self.ran
        return list(self.ran)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    assert made.run() == ["first", "second"]
    assert made.run() == []
    return made


def test_nothing_is_executed_twice_without_a_reason(lab: Lab) -> None:
    assert [item.because for item in lab.passed] == ["Nothing that it depends on has changed."] * 2
    assert lab.run(force=True) == ["first", "second"]


def test_it_leaves_the_rights_of_the_folder_alone(lab: Lab) -> None:
    lab.folder.chmod(0o755)
    assert lab.run() == []
    assert lab.folder.stat().st_mode & 0o777 == 0o755


def test_who_runs_it_does_not_matter(lab: Lab) -> None:
    lab.first = replace(lab.first, job=replace(lab.first.job, variables={"MLFLOW_RUN_CONTEXT": "another"}))
    assert lab.run() == []


def test_what_is_kept_of_runs_is_no_module(lab: Lab) -> None:
    for name in ("mlartifacts", "mlruns"):
        (lab.folder / name / "1").mkdir(parents=True)
        (lab.folder / name / "1" / "cell.py").write_text("x = 1")
    assert lab.run() == []


def test_what_follows_is_executed_only_where_its_own_input_changed(lab: Lab) -> None:
    (lab.folder / "a.csv").write_text("1 and more")  # only its beginning is copied
    assert lab.run() == ["first"]
    (lab.folder / "a.csv").write_text("2")
    assert lab.run() == ["first", "second"]
    assert lab.passed[0].because == "Executed: what it reads changed."
    assert lab.run() == []


def _parameters(lab: Lab) -> None:
    lab.first = replace(lab.first, job=replace(lab.first.job, parameters={"days": 8}))


def _variables(lab: Lab) -> None:
    lab.first = replace(lab.first, job=replace(lab.first.job, variables={"A": "1"}))


def _cells(lab: Lab) -> None:
    saved(lab.folder, ("days = 8", "parameters"), name="first.ipynb")


def _module(lab: Lab) -> None:
    (lab.folder / "package").mkdir()
    (lab.folder / "package" / "tools.py").write_text("x = 1")


def _output_gone(lab: Lab) -> None:
    (lab.folder / "b.csv").unlink()


def _output_changed(lab: Lab) -> None:
    (lab.folder / "b.csv").write_text("by hand")


def _another_input(lab: Lab) -> None:
    lab.first = replace(lab.first, reads=("a.csv", "first.ipynb"))


def _record_torn(lab: Lab) -> None:
    whole = (lab.folder / "record.json").read_bytes()
    (lab.folder / "record.json").write_bytes(whole[: len(whole) // 2])


def _always(lab: Lab) -> None:
    lab.first = replace(lab.first, always=True)


@pytest.mark.parametrize(
    "change",
    [_parameters, _variables, _cells, _module, _output_gone, _output_changed, _another_input, _record_torn,
     _always],
)  # fmt: skip
def test_a_stage_is_executed_where_something_changed_or_is_not_known(
    lab: Lab, change: Callable[[Lab], None]
) -> None:
    change(lab)
    assert lab.run()[0] == "first"
    assert lab.passed[0].because.startswith("Executed: ")


def test_outputs_of_the_notebook_itself_do_not_count(lab: Lab) -> None:
    book = notebook(("days = 7\n'copy a to b'", "parameters"))
    book["cells"][0]["execution_count"] = 7
    (lab.folder / "first.ipynb").write_text(json.dumps(book))
    assert lab.run() == []


def test_a_file_that_is_not_there_is_no_input(lab: Lab) -> None:
    lab.second = replace(lab.second, reads=("b.csv", "nowhere/*.csv"))
    for _ in range(2):
        assert lab.run() == ["second"]
    assert lab.passed[1].because == "Executed: nowhere/*.csv is not there."


def test_a_stage_that_changes_what_it_reads_is_never_reused(lab: Lab) -> None:
    lab.first = replace(lab.first, reads=("a.csv", "b.csv"))
    for _ in range(2):
        (lab.folder / "b.csv").write_text("older")
        assert lab.run()[0] == "first"
    assert lab.passed[0].because == "Executed: something that it reads changed while it ran."


A, B, OTHER = "a.csv", "b.csv", "other.csv"


@pytest.mark.parametrize(
    ("how", "touched", "because"),
    [
        ("recorded", None, "what it reads and writes is neither declared nor recorded"),
        (
            False,
            Touched((A,), (B,), network=False, unknown="cell 2 reads the clock"),
            "cell 2 reads the clock",
        ),
        ("recorded", Touched((A,), (B,), network=True, unknown=""), "it talks to a host"),
        ("declared", Touched((A,), (B,), network=True, unknown=""), "it talks to a host"),
        (
            "declared",
            Touched((A, OTHER), (B,), network=False, unknown=""),
            "other.csv, which is not declared",
        ),
        ("recorded", Touched((A,), (), network=False, unknown=""), "it writes nothing"),
        ("declared", Touched((A, B), (B,), network=False, unknown="cell 1 looks for files"), ""),
        ("recorded", Touched((A,), (B,), network=False, unknown=""), ""),
        ("declared", None, ""),
    ],
)
def test_what_was_recorded_is_held_against_what_is_declared(
    lab: Lab, how: str, touched: Touched | None, because: str
) -> None:
    (lab.folder / OTHER).write_text("x")
    if touched is not None:
        read, written = (
            [str(lab.folder / name) for name in names] for names in (touched.read, touched.written)
        )
        touched = replace(touched, read=tuple(read), written=tuple(written))
    lab.touched = touched
    lab.first = lab.first if how == "declared" else replace(lab.first, reads=None, writes=None)
    lab.run(lab.first, force=True)
    assert lab.run(lab.first) == (["first"] if because else [])
    assert because in lab.passed[0].because
    if not because:
        (lab.folder / A).write_text("another")
        assert lab.run(lab.first) == ["first"]


def test_the_first_that_fails_ends_it_and_is_executed_again(lab: Lab) -> None:
    (lab.folder / "a.csv").write_text("3")
    lab.outcome = "failed"
    assert lab.run() == ["first"]
    assert len(lab.passed) == 1
    lab.outcome = "finished"
    assert lab.run() == ["first", "second"]


def test_a_stage_that_was_killed_is_executed_again(lab: Lab) -> None:
    (lab.folder / "a.csv").write_text("4")

    def killed(job: Job) -> Executed:
        raise KeyboardInterrupt(job.into.name)

    with pytest.raises(KeyboardInterrupt):
        run_pipeline([lab.first], record=lab.folder / "record.json", execute=killed)
    (lab.folder / "a.csv").write_text("1")  # all is as it was when it was recorded
    assert lab.run() == ["first"]


def test_one_name_is_one_stage_and_one_record_has_one_user(lab: Lab) -> None:
    with pytest.raises(UsageError, match="one name"):
        lab.run(lab.first, replace(lab.second, name="first"))
    held = try_lock(lab.folder / ".record.json.lock")
    assert held is not None
    with held, pytest.raises(UnavailableError):
        lab.run()


def test_no_value_of_a_parameter_is_recorded(lab: Lab) -> None:
    lab.first = replace(lab.first, job=replace(lab.first.job, parameters={"days": "hunter22-secret"}))
    lab.run()
    assert "hunter22" not in (lab.folder / "record.json").read_text()
    assert (lab.folder / "record.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("quiet_jupyter")
def test_real_notebooks_are_reused_by_what_was_recorded(project: Path) -> None:
    cells = (
        "%load_ext mlops_magics",
        "import pandas as pd",
        "table = pd.read_csv('a.csv')",
        "table.to_csv('b.csv', index=False)",
    )
    job = Job(notebook=saved(project, *cells, name="one.ipynb"), into=project / "one.done.ipynb")
    record = project / "record.json"
    (project / "a.csv").write_text("x\n1\n")
    (first,) = run_pipeline([Stage(name="one", job=job)], record=record)
    assert first.executed is not None
    assert first.executed.touched == Touched(
        (str(project / "a.csv"),), (str(project / "b.csv"),), network=False, unknown=""
    )
    (second,) = run_pipeline([Stage(name="one", job=job)], record=record)
    assert second.reused
    (project / "a.csv").write_text("x\n2\n")
    (third,) = run_pipeline([Stage(name="one", job=job)], record=record)
    assert not third.reused
    assert (project / "b.csv").read_text() == "x\n2\n"
