"""The very steps that a workflow names, executed in a shell as a CI would, on a scratch repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output
from places import project_in
from prepared import TABLE

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.ci import ci
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
GITHUB, GITLAB = Path(".github/workflows/mlops.yml"), Path(".gitlab/mlops.yml")
FIT = """%%mlops_track flights --name baseline -o run
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C=strength()).fit(train[["age"]], train["late"])
"""
TEST = """%%mlops_test "older is later" --model run
assert model.predict_proba(train[["age"]].assign(age=AGE))[:, 1].min() > 0.5
"""
TRAINING = (
    "%load_ext mlops_magics",
    f"{TABLE}held = test[['age', 'late']]",
    "from settings_of_ours import strength",
    FIT,
    "%mlops_evaluate run held --target late --gates gates.toml",
    TEST.replace("AGE", "89.0"),
    "%mlops_register run flights",
)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(("git", *who, *words), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "A step")
    return git(folder, "rev-parse", "HEAD")


def saved(path: Path, cells: tuple[str, ...], environment: Mapping[str, str]) -> None:
    """Execute a notebook and save it, as its author does."""
    from nbclient import NotebookClient

    made = [new_code_cell(cell, id=f"cell-{place}") for place, cell in enumerate(cells)]
    book = new_notebook(cells=made, metadata=KERNEL)
    client = NotebookClient(book, resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel(env=dict(environment)):
        for place, cell in enumerate(book.cells):
            client.execute_cell(cell, place)
    nbformat.write(book, path)


@dataclass
class Runner:
    """A machine of a CI: a home of its own, no pip, and the variables that the system sets."""

    project: Path
    place: Path
    store: str
    files: dict[str, Path] = field(default_factory=dict)
    installed: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        programs = self.place / "bin"
        programs.mkdir(exist_ok=True, parents=True)
        self.program("python", f'echo "$@" >> {self.place}/installed')
        self.program("gh", 'echo "ann, ben"')
        (programs / "mlops").unlink(missing_ok=True)
        (programs / "mlops").symlink_to(Path(sys.executable).with_name("mlops"))
        kept = ("LANG", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "PYDEVD_DISABLE_FILE_VALIDATION")
        self.files = {name: self.place / name.lower() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **{name: str(path) for name, path in self.files.items()},
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(self.place / "home"),
            "CI": "true",
            "GITHUB_REPOSITORY": "ann/flights",
            "GITHUB_RUN_ID": "1",
            "RUNNER_TEMP": str(self.place),
        }

    def program(self, name: str, text: str) -> None:
        path = self.place / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def job(self, name: str, **expressions: str) -> tuple[int, str]:
        """Execute the steps of a job of GitHub's; return the code of the last, and what was said."""
        described = yaml.safe_load((self.project / GITHUB).read_text())
        known = {"secrets.MLOPS_STORE": self.store, "github.token": "t", **expressions}

        def told(value: Any) -> str:
            return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known.get(found[1], ""), str(value))

        said = ""
        for step in described["jobs"][name]["steps"]:
            if "run" not in step or "if" in step:  # what hands on the comment has tests of its own
                continue
            given = {key: told(value) for key, value in {**described["env"], **step.get("env", {})}.items()}
            code, words = self.shell(step["run"], given)
            said += words
            if code:
                return code, said
        return 0, said

    def gitlab(self, name: str, **variables: str) -> tuple[int, str]:
        job = yaml.safe_load((self.project / GITLAB).read_text())[name]
        return self.shell(
            "\n".join((*job["before_script"], *job["script"])), {**job["variables"], **variables}
        )

    def proposed(self, system: str, base: str) -> tuple[int, str, str]:
        """Validate a change; return the code, what was said, and the summary that a reviewer reads."""
        if system == "github":
            code, said = self.job("notebooks", **{BASE: base})
            return code, said, self.take("GITHUB_STEP_SUMMARY")
        summary = self.project / "notebooks.md"
        summary.unlink(missing_ok=True)
        code, said = self.gitlab("notebooks", CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
        return code, said, summary.read_text()

    def shell(self, text: str, variables: Mapping[str, str]) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],
            cwd=self.project,
            env=self.environment() | dict(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def take(self, name: str) -> str:
        """Return what a step has added to one of the system's files, and empty it."""
        path = self.files[name]
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[Runner]:
    """A repository whose training notebook was executed, saved and committed, with its workflows."""
    parent = tmp_path_factory.mktemp("ci")
    with project_in(parent) as project:
        git(project, "init", "--quiet")
        for name in ("real", "author"):
            (parent / name).mkdir()
            shutil.copy(store_template, parent / name / "mlflow.db")
        (project / ".gitignore").write_text(".mlops/\nnotebooks.md\ncomment.md\nregister.env\n__pycache__/\n")
        (project / "requirements.txt").write_text("scikit-learn\n")
        (project / "settings_of_ours.py").write_text("def strength():\n    return 1.0\n")
        (project / "gates.toml").write_text("[metrics]\nroc_auc = { min = 0.6 }\n")
        store = f"sqlite:///{parent}/author/mlflow.db"
        environment = dict(os.environ) | {"MLOPS_STORE": store, "IPYTHONDIR": str(parent / "ipython")}
        saved(project / "train.ipynb", TRAINING, environment)
        saved(project / "other.ipynb", ("1 + 1",), environment)
        for system in ("github", "gitlab"):
            ci(system=system, model="flights")  # type: ignore[call-overload]
        commit(project)
        yield Runner(project, parent / "runner", f"sqlite:///{parent}/real/mlflow.db")


@pytest.fixture
def changed(runner: Runner) -> Iterator[Callable[[str, str, str], None]]:
    """Change a text in a file of the repository; afterwards it is as before."""

    def change(name: str, before: str, after: str) -> None:
        path = runner.project / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    yield change
    git(runner.project, "checkout", "--quiet", "--", ".")


BASE = "github.event.pull_request.base.sha"


@pytest.mark.slow
def test_a_notebook_that_fails_makes_the_job_red_and_one_that_holds_does_not(
    tmp_path: Path, store_template: Path
) -> None:
    """The shortest way through the very steps; what a model fails of is tried below, on whole notebooks."""
    with project_in(tmp_path) as project:
        git(project, "init", "--quiet")
        for name, source, shown in (
            ("holds", "1 + 1", "2"),
            ("differs", "1 + 1", "3"),
            ("breaks", "1 / 0", ""),
        ):
            output = new_output("execute_result", data={"text/plain": shown}, execution_count=1)
            cell = new_code_cell(source, id=name, execution_count=1, outputs=[output] if shown else [])
            nbformat.write(new_notebook(cells=[cell], metadata=KERNEL), project / f"{name}.ipynb")
        ci()
        commit(project)
        runner = Runner(project, tmp_path / "runner", f"sqlite:///{store_template}")
        code, said = runner.job("notebooks")
        summary = runner.take("GITHUB_STEP_SUMMARY")
    assert code == 1, said
    assert "## ❌ Notebooks: 2 of 3 failed" in summary
    assert "| `holds.ipynb` | passed |" in summary
    assert "### `differs.ipynb`: `code cell 1`" in summary
    assert "ZeroDivisionError" in summary.partition("### `breaks.ipynb`")[2]


@pytest.mark.slow
def test_a_green_repository_registers_and_promotes(runner: Runner) -> None:
    """The whole way: validated, registered on main, promoted after the approval, and nothing twice."""
    sha = git(runner.project, "rev-parse", "HEAD")
    code, said = runner.job("notebooks")
    summary = runner.take("GITHUB_STEP_SUMMARY")
    assert code == 0, said + summary
    assert "## ✅ Notebooks: 2 passed" in summary
    assert re.search(r"\| `train.ipynb` \| passed \| .* \| 7 \| 1 of 1 \|", summary)
    assert re.search(
        r"\| `train.ipynb` \| `flights: baseline` \| .*`test_roc_auc` 0\.\d+.* \| \d passed \|", summary
    )
    assert not (runner.project / "mlflow.db").exists()
    assert (runner.place / "installed").read_text().splitlines() == [
        "-m pip install -r requirements.txt",
        "-m pip install mlops-magics[ci]",
    ]

    code, said = runner.job("register")
    assert code == 0, said
    assert runner.take("GITHUB_OUTPUT") == "version=1\n"
    assert "`flights/1`" in runner.take("GITHUB_STEP_SUMMARY")

    code, said = runner.job("promote", **{"needs.register.outputs.version": "1", "github.sha": sha})
    assert code == 0, said
    store = open_store(
        Settings.discover(environ={"MLOPS_STORE": runner.store, "MLOPS_STATE": str(runner.place)})
    )
    standing = registry.standing(store, "flights")
    assert standing.aliases["champion"] == "1"
    assert standing.moves[-1].reason == f"Commit {sha}, approved by ann, ben"

    code, said = runner.job("register")  # nothing has changed since
    assert code == 0, said
    assert runner.take("GITHUB_OUTPUT") == ""
    assert "2 left out" in runner.take("GITHUB_STEP_SUMMARY")
    code, said = runner.gitlab("register", MLOPS_STORE=runner.store)
    assert code == 0, said
    assert "2 left out" in (runner.project / "notebooks.md").read_text()


@pytest.mark.slow
def test_what_nothing_has_changed_for_is_left_out(runner: Runner) -> None:
    sha = git(runner.project, "rev-parse", "HEAD")
    assert runner.job("notebooks", **{BASE: sha})[0] == 0
    assert runner.take("GITHUB_STEP_SUMMARY").startswith("## ✅ Notebooks: 0 passed, 2 left out")
    (runner.project / "notebooks.md").unlink(missing_ok=True)
    assert runner.gitlab("notebooks", CI_MERGE_REQUEST_DIFF_BASE_SHA=sha)[0] == 0
    assert "0 passed, 2 left out" in (runner.project / "notebooks.md").read_text()


@pytest.mark.slow
def test_without_a_store_or_a_version_nothing_is_registered_or_promoted(runner: Runner) -> None:
    code, said = runner.job("register", **{"secrets.MLOPS_STORE": ""})
    assert code
    assert "The secret MLOPS_STORE is not set" in said
    code, said = runner.gitlab(
        "promote", MLOPS_STORE=runner.store, CI_COMMIT_SHA="a", GITLAB_USER_LOGIN="ann"
    )
    assert code
    assert "No version was registered" in said


@pytest.mark.parametrize("system", ["github", "gitlab"])
@pytest.mark.parametrize(
    ("name", "before", "after", "because", "failed"),
    [
        pytest.param(
            "gates.toml",
            "min = 0.6",
            "min = 0.999",
            "gates.toml has changed",
            "gate quality of run baseline",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "train.ipynb",
            "age=89.0",
            "age=2.0",
            "its code has changed (code cell 6 was not executed since it was changed)",
            "test older is later",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "settings_of_ours.py",
            "return 1.0",
            "raise ValueError('gone | <b>away</b>, password=\"hunter2345\"')",
            "settings_of_ours.py has changed",
            "code cell 4",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["a gate", "a test cell", "a helper module"],
)
def test_it_is_red_when_something_of_the_model_fails(  # noqa: PLR0917 - a case and its fixtures
    runner: Runner,
    changed: Callable[[str, str, str], None],
    system: str,
    name: str,
    before: str,
    after: str,
    because: str,
    failed: str,
) -> None:
    sha = git(runner.project, "rev-parse", "HEAD")
    changed(name, before, after)
    code, said, summary = runner.proposed(system, sha)
    assert code == 1, said + summary
    assert f"| `train.ipynb` | failed | `{because}` |" in summary
    assert f"### `train.ipynb`: `{failed}`" in summary
    assert "| `other.ipynb` | not run |" in summary
    assert "hunter2345" not in summary + said


@pytest.mark.slow
@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_it_is_red_when_an_output_differs(
    runner: Runner, changed: Callable[[str, str, str], None], system: str
) -> None:
    sha = git(runner.project, "rev-parse", "HEAD")
    changed("other.ipynb", '"2"', '"3"')
    code, _, summary = runner.proposed(system, sha)
    assert code == 1
    assert "## ❌ Notebooks: 1 of 1 failed, 1 left out" in summary
    assert "### `other.ipynb`: `code cell 1`" in summary


@pytest.mark.slow
@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_it_is_red_when_a_cell_of_a_notebook_fails(
    runner: Runner, changed: Callable[[str, str, str], None], system: str
) -> None:
    sha = git(runner.project, "rev-parse", "HEAD")
    changed("other.ipynb", '"1 + 1"', '"1 + 1 / 0"')
    code, said, summary = runner.proposed(system, sha)
    assert code == 1, said
    assert "### `other.ipynb`: `code cell 1`" in summary
    assert "ZeroDivisionError" in summary
    assert "| `train.ipynb` | not run |" in summary


@pytest.mark.slow
def test_what_failed_on_main_promotes_nothing_and_runs_again(
    runner: Runner, changed: Callable[[str, str, str], None]
) -> None:
    """A job that needs a red one does not begin; and the commit up to which all ran has not moved."""
    assert runner.job("register")[0] == 0
    runner.take("GITHUB_STEP_SUMMARY")
    changed("gates.toml", "min = 0.6", "min = 0.999")
    commit(runner.project)
    code, said = runner.job("register")
    assert code == 1, said
    failed = "| `train.ipynb` | failed | `gates.toml has changed` |"
    assert failed in runner.take("GITHUB_STEP_SUMMARY")
    jobs = yaml.safe_load((runner.project / GITHUB).read_text())["jobs"]
    assert jobs["promote"]["needs"] == "register"
    assert "always()" not in jobs["promote"]["if"]
    assert "failure()" not in jobs["promote"]["if"]
    (runner.project / "README.md").write_text("# Nothing that a notebook reads\n")
    commit(runner.project)
    code, said = runner.job("register")
    assert code == 1, said
    assert failed in runner.take("GITHUB_STEP_SUMMARY")
    git(runner.project, "reset", "--quiet", "--hard", "HEAD~2")


@pytest.mark.slow
def test_gates_of_a_run_that_is_there_already_are_looked_at(
    runner: Runner, changed: Callable[[str, str, str], None], tmp_path: Path, store_template: Path
) -> None:
    """A cell that is repeated on the real store makes no new run, and its gates count all the same."""
    shutil.copy(store_template, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    book = nbformat.read(runner.project / "train.ipynb", as_version=4)
    book.cells = book.cells[:5]
    book.cells[4].source += ";"  # no output tells what came of it
    book.cells[4].outputs = []
    nbformat.write(book, runner.project / "again.ipynb")
    settings = Settings.discover(environ={"MLOPS_STORE": store, "MLOPS_STATE": str(tmp_path / "state")})
    try:
        found = [ci(run=True, register=True, notebooks="again.ipynb", settings=settings)]
        changed("gates.toml", "min = 0.6", "min = 0.999")
        found.append(ci(run=True, register=True, notebooks="again.ipynb", settings=settings))
    finally:
        (runner.project / "again.ipynb").unlink()
    assert [each.holds for each in found] == [True, False], [each.failed for each in found]
    assert [[run.name for _, run in each.runs] for each in found] == [["baseline"], ["baseline"]]
    assert [failure.what for failure in found[1].notebooks[0].failures] == ["gate quality of run baseline"]


@pytest.mark.slow
def test_a_notebook_that_does_not_end_is_ended(runner: Runner) -> None:
    mark = runner.place / "alive"
    source = f"import subprocess as s, time\ns.Popen(['sleep', '987'])\nopen({str(mark)!r}, 'w').close()\n"
    cell = new_code_cell(f"{source}time.sleep(99)", id="a", execution_count=1)
    book = new_notebook(cells=[cell], metadata=KERNEL)
    nbformat.write(book, runner.project / "endless.ipynb")
    try:
        found = ci(run=True, notebooks="endless.ipynb", timeout="40s", summary=runner.place / "summary.md")
        assert not found.holds
        assert found.notebooks[0].outcome == "timed out"
        assert mark.exists()
        assert "was ended" in (runner.place / "summary.md").read_text()
        import psutil

        assert not [
            item for item in psutil.process_iter(["cmdline"]) if item.info["cmdline"] == ["sleep", "987"]
        ]
        assert json.loads(found.to_json())["notebooks"][0]["path"] == "endless.ipynb"
    finally:
        (runner.project / "endless.ipynb").unlink()


@pytest.mark.slow
def test_what_was_never_executed_is_noticed(runner: Runner) -> None:
    made = [
        new_code_cell("1", id="a", execution_count=2),
        new_code_cell("x = 2", id="b", execution_count=1),
        new_code_cell("y = 3", id="c"),
    ]
    nbformat.write(new_notebook(cells=made, metadata=KERNEL), runner.project / "orphans.ipynb")
    try:
        found = ci(run=True, notebooks="orphans.ipynb")
        assert {what for _, what in found.remarks} == {
            "never executed before it was saved: code cell 3",
            "its cells were executed in another order than they stand in",
        }
    finally:
        (runner.project / "orphans.ipynb").unlink()
