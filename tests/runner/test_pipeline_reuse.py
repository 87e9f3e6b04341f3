"""Pipelines: a stage is reused where all is known and nothing changed, and executed everywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from executing import notebook, saved

from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.platform import try_lock
from mlops_magics.runner import Executed, Failure, Job
from mlops_magics.runner.pipeline import Passed, Stage, run_pipeline


class Lab:
    """Two stages, a -> b -> c by files, executed by a function in place of a kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, []
        self.outcome = "finished"
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
            status=self.outcome, failure=failure, seconds=0.0, notebook=job.into, sha256="", parameters={}
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


def _undeclared(lab: Lab) -> None:
    lab.first = replace(lab.first, reads=None)


def _always(lab: Lab) -> None:
    lab.first = replace(lab.first, always=True)


@pytest.mark.parametrize(
    "change",
    [_parameters, _variables, _cells, _module, _output_gone, _output_changed, _another_input, _record_torn,
     _undeclared, _always],
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
    assert lab.run() == ["second"]
    assert lab.run() == ["second"]
    assert lab.passed[1].because == "Executed: nowhere/*.csv is not there."


def test_a_stage_that_changes_what_it_reads_is_never_reused(lab: Lab) -> None:
    lab.first = replace(lab.first, reads=("a.csv", "b.csv"))
    (lab.folder / "b.csv").write_text("older")
    assert lab.run()[0] == "first"
    assert lab.passed[0].because == "Executed: what it reads changed."
    (lab.folder / "b.csv").write_text("older")
    assert lab.run()[0] == "first"


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
def test_real_notebooks_are_reused_too(tmp_path: Path) -> None:
    saved(tmp_path, "open('b.txt', 'w').write(open('a.txt').read())", name="one.ipynb")
    (tmp_path / "a.txt").write_text("x")
    stage = Stage(
        name="one",
        job=Job(notebook=tmp_path / "one.ipynb", into=tmp_path / "one.done.ipynb"),
        reads=("a.txt",),
        writes=("b.txt",),
    )
    record = tmp_path / "record.json"
    (first,) = run_pipeline([stage], record=record)
    assert first.executed is not None
    assert first.executed.finished
    (second,) = run_pipeline([stage], record=record)
    assert second.reused
