"""The workflow that ``ci`` writes: its text, and what happens when its very steps are executed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.cli.command import main
from mlops_magics.steps.ci import Workflow, ci
from mlops_magics.steps.ci.book import parse
from mlops_magics.steps.ci.choosing import Choice, choose
from mlops_magics.steps.ci.repository import compared
from mlops_magics.steps.ci.summary import block, code
from mlops_magics.steps.ci.validating import Asked, _forgotten, _verdicts
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.since import Tracked
from mlops_magics.tracking.store import open_store

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
GITHUB, GITLAB = Path(".github/workflows/mlops.yml"), Path(".gitlab/mlops.yml")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(("git", *who, *words), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "A step")
    return git(folder, "rev-parse", "HEAD")


def write(path: Path, *cells: str | Any) -> Path:
    """Write a notebook; a text is a code cell that was executed and shows nothing."""
    made = [
        new_code_cell(cell, execution_count=place) if isinstance(cell, str) else cell
        for place, cell in enumerate(cells, 1)
    ]
    for place, cell in enumerate(made):
        cell["id"] = f"cell-{place}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=made, metadata=KERNEL), path)
    return path


def shows(source: str, text: str, count: int = 1) -> Any:
    output = new_output("execute_result", data={"text/plain": text}, execution_count=count)
    return new_code_cell(source, outputs=[output], execution_count=count)


# -- which notebooks must run ------------------------------------------------------------------------


@pytest.fixture
def scratch(project: Path) -> Path:
    """A repository with a few notebooks, each of which reads something else."""
    git(project, "init", "--quiet")
    (project / "data").mkdir()
    (project / "data" / "rows.csv").write_text("a\n1\n")
    (project / "data" / "other.csv").write_text("a\n1\n")
    (project / "notebooks" / "inner").mkdir(parents=True)
    (project / "notebooks" / "helper.py").write_text("from inner.deep import depth\n")
    (project / "notebooks" / "inner" / "__init__.py").write_text("")
    (project / "notebooks" / "inner" / "deep.py").write_text("depth = 3\n")
    (project / "requirements.txt").write_text("pandas\n")
    (project / "README.md").write_text("# A project\n")
    folder = project / "notebooks"
    write(folder / "plain.ipynb", new_markdown_cell("# Title"), shows("1 + 1", "2"))
    write(folder / "data.ipynb", "import pandas as pd", "pd.read_csv('../data/rows.csv')")
    write(
        folder / "joined.ipynb",
        "from pathlib import Path\nDATA = Path('..') / 'data'",
        "with (DATA / 'rows.csv').open() as file:\n    file.read()",
    )
    write(folder / "module.ipynb", "%load_ext mlops_magics", "import helper\nhelper.depth")
    commit(project)
    return project


def chosen(project: Path, since: str = "HEAD", *, register: bool = False) -> dict[str, str]:
    """Return the notebooks that must run, each with the reason."""
    paths = sorted(path.relative_to(project).as_posix() for path in project.glob("notebooks/*.ipynb"))
    found: tuple[Choice, ...] = choose(paths, project, compared(project, since), scratch=not register)
    return {Path(item.path).stem: item.because for item in found if item.runs}


def edit(path: Path, change: Any) -> None:
    book = nbformat.read(path, as_version=4)
    change(book)
    nbformat.write(book, path)


def test_nothing_has_changed(scratch: Path) -> None:
    assert chosen(scratch) == {}
    (scratch / "README.md").write_text("# Another title\n")
    assert chosen(scratch) == {}


def test_prose_metadata_and_numbers_of_executions_do_not_count(scratch: Path) -> None:
    def change(book: Any) -> None:
        book.cells[0].source = "# Another title"
        book.cells.append(new_markdown_cell("An end"))
        book.cells[1].execution_count = 9
        book.cells[1].outputs[0].execution_count = 9
        book.cells[1].metadata["collapsed"] = True
        book.metadata["author"] = "A"

    edit(scratch / "notebooks" / "plain.ipynb", change)
    assert chosen(scratch) == {}


def test_a_result_about_the_moment_does_not_count(scratch: Path) -> None:
    book = scratch / "notebooks" / "plain.ipynb"

    def moment(text: str) -> Any:
        def change(read: Any) -> None:
            about = {"mlops_magics": {"type": "Deployment", "volatile": True}}
            read.cells[1].outputs = [
                new_output("execute_result", data={"text/plain": text}, metadata=about, execution_count=1)
            ]

        return change

    edit(book, moment("port 1"))
    commit(scratch)
    edit(book, moment("port 2"))
    assert chosen(scratch) == {}


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda book: book.cells[1].update(source="1 + 2"), "its code has changed"),
        (lambda book: book.cells.pop(), "its code has changed"),
        (
            lambda book: book.cells[1].outputs[0].data.update({"text/plain": "3"}),
            "its outputs have changed",
        ),
        (
            lambda book: book.cells[1].metadata.update(tags=["nbval-skip"]),
            "its outputs have changed",
        ),
    ],
    ids=["code", "a cell gone", "an output", "a tag of nbval's"],
)
def test_what_is_executed_or_compared_counts(scratch: Path, change: Any, because: str) -> None:
    edit(scratch / "notebooks" / "plain.ipynb", change)
    assert chosen(scratch) == {"plain": because}


def test_a_new_notebook_runs(scratch: Path) -> None:
    write(scratch / "notebooks" / "new.ipynb", "1")
    assert chosen(scratch) == {"new": "it is new"}


def test_a_file_that_is_read_by_its_path_counts(scratch: Path) -> None:
    (scratch / "data" / "rows.csv").write_text("a\n2\n")
    told = "data/rows.csv has changed"
    assert chosen(scratch) == {"data": told, "joined": told}
    (scratch / "data" / "rows.csv").unlink()
    assert chosen(scratch) == {"data": told, "joined": told}


def test_modules_count_directly_and_in_turn(scratch: Path) -> None:
    inner = scratch / "notebooks" / "inner" / "deep.py"
    inner.write_text("depth = 4\n")
    assert chosen(scratch) == {"module": "notebooks/inner/deep.py has changed"}
    git(scratch, "checkout", "--quiet", "--", ".")
    (scratch / "notebooks" / "helper.py").unlink()
    assert chosen(scratch) == {"module": "notebooks/helper.py has changed"}


def test_an_extension_of_the_projects_own_counts(scratch: Path) -> None:
    write(scratch / "notebooks" / "extended.ipynb", "%load_ext ours")
    (scratch / "notebooks" / "ours.py").write_text("def load_ipython_extension(shell):\n    pass\n")
    commit(scratch)
    assert chosen(scratch) == {}
    (scratch / "notebooks" / "ours.py").write_text("")
    assert chosen(scratch) == {"extended": "notebooks/ours.py has changed"}


def test_a_file_that_a_module_reads_counts(scratch: Path) -> None:
    helper = scratch / "notebooks" / "helper.py"
    helper.write_text("from pathlib import Path\nrows = Path('../data/other.csv').read_text()\n")
    commit(scratch)
    assert chosen(scratch) == {}
    (scratch / "data" / "other.csv").write_text("a\n3\n")
    assert chosen(scratch) == {"module": "data/other.csv has changed"}


def test_the_pins_concern_each_notebook(scratch: Path) -> None:
    (scratch / "requirements.txt").write_text("pandas==3\n")
    assert chosen(scratch) == dict.fromkeys(
        ("data", "joined", "module", "plain"), "requirements.txt has changed"
    )


@pytest.mark.parametrize(
    ("cells", "because"),
    [
        (["!make data"], "a shell line may read anything (code cell 1)"),
        (["%%bash\ncat x"], "what %%bash reads is not known (code cell 1)"),
        (["%run ../train.py"], "what is read by %run or after it is not known (code cell 1)"),
        (["%cd .."], "what is read by %cd or after it is not known (code cell 1)"),
        (["import os\nos.chdir('..')"], "it goes to another folder"),
        (["%%sql\nselect 1"], "what %%sql reads is not known (code cell 1)"),
        (["path = input()\nopen(path)"], "the path that open() reads is made while it runs"),
        (["import duckdb\nduckdb.sql('from x')"], "what sql() reads is not known"),
        (
            ["import pandas as pd\npd.read_csv('https://example.org/x.csv')"],
            "it reads https://example.org/x.csv, which is not in the repository",
        ),
        (["open('/etc/hosts')"], "it reads /etc/hosts, which is not in the repository"),
        (["open('ignored.csv')"], "it reads ignored.csv, which git does not keep"),
        (["exec(open('../data/rows.csv').read())"], "exec() may execute anything"),
        (["import subprocess\nsubprocess.run(['x'])"], "it starts a program, which may read anything"),
        (["1 +"], "code cell 1 cannot be read as Python"),
        (["import sys\nsys.path.append(name)"], "it puts a folder on Python's path that is not known"),
    ],
)
def test_what_cannot_be_known_runs(scratch: Path, cells: list[str], because: str) -> None:
    (scratch / ".gitignore").write_text("*ignored.csv\n")
    (scratch / "notebooks" / "ignored.csv").write_text("a\n")
    write(scratch / "notebooks" / "unsure.ipynb", *cells)
    commit(scratch)
    assert chosen(scratch) == {"unsure": because}


@pytest.mark.parametrize(
    "cells",
    [
        ["%pip install pandas", "!pip install pandas"],
        ["%%writefile made.txt\nx", "open('made.txt').read()"],
        ["open('made.txt', 'w').write('x')", "open('made.txt').read()"],
        ["%%time\nfrom sklearn.datasets import load_iris\nload_iris()"],
        ["x = %who", "print?"],
        ["import json\nwith open('../data/rows.csv') as file:\n    json.load(file)"],
    ],
)
def test_what_reads_nothing_else_is_left_out(scratch: Path, cells: list[str]) -> None:
    write(scratch / "notebooks" / "sure.ipynb", *cells)
    commit(scratch)
    assert chosen(scratch) == {}


def test_what_asks_for_a_model_runs_with_what_registers_it(scratch: Path) -> None:
    folder = scratch / "notebooks"
    write(folder / "a_train.ipynb", "%mlops_register run flights")
    write(folder / "b_serve.ipynb", "%mlops_deploy flights@champion")
    commit(scratch)
    assert chosen(scratch) == {}
    write(folder / "a_train.ipynb", shows("%mlops_register run flights;", "flights/2"))
    told = "notebooks/a_train.ipynb, which registers flights, runs"
    changed = "its code has changed (code cell 1: {})"
    assert chosen(scratch) == {"a_train": changed.format("%mlops_register"), "b_serve": told}
    git(scratch, "checkout", "--quiet", "--", ".")
    write(folder / "b_serve.ipynb", shows("%mlops_deploy flights@champion;", "flights"))
    asked = "it registers flights, which notebooks/b_serve.ipynb asks for"
    assert chosen(scratch) == {"a_train": asked, "b_serve": changed.format("%mlops_deploy")}
    assert chosen(scratch, register=True) == {"b_serve": changed.format("%mlops_deploy")}


@pytest.mark.parametrize(
    ("since", "because"),
    [
        ("", "no commit was named to compare with"),
        ("gone", "there is no commit gone here"),
        ("--output=x", "there is no commit --output=x here"),
        ("0" * 40, f"there is no commit {'0' * 40} here"),
    ],
)
def test_without_a_commit_all_run(scratch: Path, since: str, because: str) -> None:
    assert set(chosen(scratch, since).values()) == {because}
    assert len(chosen(scratch, since)) == 4


def test_a_branch_is_compared_with_where_it_began(scratch: Path) -> None:
    git(scratch, "checkout", "--quiet", "-b", "mine")
    (scratch / "data" / "other.csv").write_text("mine\n")
    commit(scratch)
    git(scratch, "checkout", "--quiet", "main")
    (scratch / "data" / "rows.csv").write_text("theirs\n")
    commit(scratch)
    git(scratch, "checkout", "--quiet", "mine")
    assert chosen(scratch, "main") == {}  # what main has won meanwhile is no change of mine


# -- the text of the workflow ------------------------------------------------------------------------


def steps(job: Any) -> list[Any]:
    found: list[Any] = job["steps"]
    return found


def runs(described: Any) -> list[str]:
    return [step["run"] for job in described["jobs"].values() for step in steps(job) if "run" in step]


@pytest.mark.parametrize(("system", "path"), [("github", GITHUB), ("gitlab", GITLAB)])
@pytest.mark.parametrize("model", [None, "flights"])
def test_the_text_fits_the_systems_own_schema(scratch: Path, system: Any, path: Path, model: Any) -> None:
    made = ci(system=system, model=model, notebooks="notebooks/*.ipynb", secrets=("AWS_ACCESS_KEY_ID",))
    assert isinstance(made, Workflow)
    schema = "vendor.github-workflows" if system == "github" else "vendor.gitlab-ci"
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    words += ["--data-transform", "gitlab-ci"] if system == "gitlab" else []
    done = subprocess.run([*words, str(scratch / path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_workflow_keeps_the_rules(scratch: Path) -> None:
    ci(model="flights")
    text = (scratch / GITHUB).read_text()
    described = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts only
    assert described["permissions"] == {"contents": "read"}
    assert set(described["on"]) == {"pull_request", "push", "workflow_dispatch"}  # never pull_request_target
    jobs = described["jobs"]
    assert jobs["promote"]["permissions"] == {"contents": "read", "actions": "read"}
    assert jobs["promote"]["environment"] == {"name": "production"}
    assert jobs["promote"]["needs"] == "register"
    assert jobs["register"]["needs"] == "notebooks"
    assert "default_branch" in jobs["register"]["if"]
    assert jobs["register"]["concurrency"]["cancel-in-progress"] == "false"
    used = [step["uses"] for job in jobs.values() for step in steps(job) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", name) for name in used)
    assert all("${{" not in line for line in runs(described))  # nothing is put into a shell's text
    assert "secrets." not in json.dumps(jobs["notebooks"])  # what a pull request brings sees none
    assert "permissions" not in jobs["notebooks"]
    assert "://" not in text
    checkouts = [
        step["with"] for job in jobs.values() for step in steps(job) if "checkout" in step.get("uses", "")
    ]
    assert checkouts == [{"fetch-depth": "0", "persist-credentials": "false"}] * 3


def test_words_of_a_user_are_values_and_stay_texts(scratch: Path) -> None:
    ci(model="flights")
    same = runs(yaml.safe_load((scratch / GITHUB).read_text()))
    for model, glob in (("y", "no/*.ipynb"), ("0123", "on"), ("null", "1e3"), ("a - b", "a b/[!x]*.ipynb")):
        ci(model=model, notebooks=glob)
        for loader in (yaml.SafeLoader, yaml.BaseLoader):
            described = yaml.load((scratch / GITHUB).read_text(), Loader=loader)  # noqa: S506 - both are safe
            assert described["env"]["NOTEBOOKS"] == glob
            assert steps(described["jobs"]["register"])[-1]["env"]["MODEL"] == model
            assert runs(described) == same


@pytest.mark.parametrize(
    "words",
    [
        {"notebooks": "${{ secrets.MLOPS_STORE }}"},
        {"notebooks": "$(id)"},
        {"notebooks": "x\nenv: y"},
        {"notebooks": "../*.ipynb"},
        {"notebooks": "/etc/*.ipynb"},
        {"notebooks": "--all"},
        {"notebooks": ""},
        {"model": "a\n  permissions: write-all"},
        {"model": "${{ x }}"},
        {"model": "../x"},
        {"secrets": ("A }} ${{ secrets.B",)},
        {"secrets": ("token",)},
        {"timeout": "$(id)"},
        {"timeout": "0"},
    ],
)
@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_what_a_workflow_would_read_something_into_is_refused(scratch: Path, system: Any, words: Any) -> None:
    with pytest.raises(UsageError):
        ci(system=system, **words)
    assert not (scratch / ".github").exists()
    assert not (scratch / ".gitlab").exists()


def test_a_plan_writes_nothing_and_says_what_would_change(scratch: Path) -> None:
    planned = ci(plan=True)
    assert [(item.what, item.where) for item in planned.differences] == [("added", GITHUB.as_posix())]
    assert not (scratch / GITHUB).exists()
    ci()
    assert ci(plan=True).differences == ()
    changed = {item.where: (item.what, item.after) for item in ci(plan=True, timeout="5m").differences}
    assert changed == {f"{GITHUB}: env.TIMEOUT": ("changed", '"5m"')}
    assert any("jobs.promote" in item.where for item in ci(plan=True, model="flights").differences)


def test_what_was_changed_by_hand_is_left_alone(scratch: Path) -> None:
    ci()
    ci(timeout="5m")  # what is ours is written anew
    path = scratch / GITHUB
    path.write_text(path.read_text() + "# mine\n")
    kept = path.read_text()
    for words in ({}, {"timeout": "9m"}, {"remove": True}):
        with pytest.raises(RefusedError, match="changed by hand"):
            ci(**words)  # type: ignore[call-overload]
    path.write_text("name: mine\n")
    with pytest.raises(RefusedError, match="was not written by mlops ci"):
        ci()
    assert path.read_text() == "name: mine\n"
    assert kept.endswith("# mine\n")


def test_removing_takes_the_file_and_empty_folders(scratch: Path) -> None:
    ci()
    assert ci(remove=True).done == "removed"
    assert not (scratch / ".github").exists()
    with pytest.raises(NotFoundError):
        ci(remove=True)
    ci()
    (scratch / ".github" / "mine").write_text("x")
    ci(remove=True)
    assert [path.name for path in (scratch / ".github").iterdir()] == ["mine"]


def test_a_project_below_the_top_runs_there(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scratch / "inner" / ".mlops").mkdir(parents=True)
    monkeypatch.chdir(scratch / "inner")
    ci()
    described = yaml.safe_load((scratch / GITHUB).read_text())
    assert described["defaults"] == {"run": {"working-directory": "inner"}}
    ci(system="gitlab")
    job = yaml.safe_load((scratch / GITLAB).read_text())["notebooks"]
    assert job["variables"]["FOLDER"] == "inner"
    assert job["before_script"][0] == 'cd "$FOLDER"'
    assert job["artifacts"]["paths"] == ["inner/notebooks.md", "inner/comment.md"]


def test_installing_follows_the_projects_own_files(scratch: Path) -> None:
    ci()
    (scratch / "constraints.txt").write_text("pandas==3\n")
    (scratch / "pyproject.toml").write_text("[build-system]\nrequires = []\n")
    ci()
    described = yaml.safe_load((scratch / GITHUB).read_text())
    assert steps(described["jobs"]["notebooks"])[2]["run"].splitlines() == [
        "python -m pip install -r requirements.txt -c constraints.txt",
        "python -m pip install -e . -c constraints.txt",
        'python -m pip install "mlops-magics[ci]" -c constraints.txt',
    ]
    (scratch / "requirements.txt").unlink()
    (scratch / "pyproject.toml").unlink()
    assert any("No requirements.txt" in sentence for sentence in ci().then)


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "main"],
        ["--register"],
        ["--summary", "x.md"],
        ["--run", "--plan"],
        ["--run", "--remove"],
        ["--plan", "--remove"],
        ["--run", "--secrets", "A"],
        ["--system", "jenkins"],
    ],
)
def test_options_that_contradict_each_other(scratch: Path, words: list[str]) -> None:
    assert scratch
    assert main(["ci", *words]) == 2


# -- what is looked at beside the cells ------------------------------------------------------------------


def test_a_gate_that_fails_counts_unless_the_notebook_says_that_it_may(project: Path) -> None:
    gate = Gate("quality", "fail", 0.5, 0.6, "roc_auc 0.5")
    run = Tracked("baseline", "flights", "FINISHED", "x.ipynb", {}, (gate,))
    book = parse(write(project / "x.ipynb", "1").read_bytes())
    assert [item.what for item in _verdicts(book, [run])] == ["gate quality of run baseline"]
    edit(project / "x.ipynb", lambda read: read.cells[0].metadata.update(tags=["gates-may-fail"]))
    book = parse((project / "x.ipynb").read_bytes())
    assert list(_verdicts(book, [run])) == []


def test_a_test_that_cannot_fail_fails(project: Path) -> None:
    write(project / "x.ipynb", '%%mlops_test "older is later" --model run\nassert False')
    edit(project / "x.ipynb", lambda read: read.cells[0].metadata.update(tags=["raises-exception"]))
    book = parse((project / "x.ipynb").read_bytes())
    assert [item.what for item in _verdicts(book, [])] == ["test older is later"]


def test_a_test_of_the_champion_that_no_notebook_holds_is_noticed(
    book: Any, registered: ModelVersion, project: Path
) -> None:
    assert registered
    cell = '%%mlops_test "older is later" --model flights/1\nassert model is not None'
    book(cell)
    asked = Asked("*.ipynb", "", register=True, model="flights", timeout=60.0)
    store = open_store(Settings.discover())
    held = [
        Choice("x.ipynb", runs=True, because="", book=parse(write(project / "x.ipynb", cell).read_bytes()))
    ]
    assert list(_forgotten(store, [], asked)) == []  # there is no champion yet
    book('%mlops_promote flights --to champion --reason "The first one";')
    assert list(_forgotten(store, held, asked)) == []
    told = ("flights@champion", "its test 'older is later' is in no notebook")
    assert list(_forgotten(store, [], asked)) == [told]


# -- the summary -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a`b", "``", "a | b", "<b>x</b>", "[x](y)", "a\nb\n\n# c", "\u202ex", ""])
def test_a_name_means_nothing_to_markdown(text: str) -> None:
    written = code(text)
    assert "\n" not in written
    assert "|" not in written
    ticks = re.match("`+", written)
    assert ticks is not None
    assert ticks[0] not in written[len(ticks[0]) : -len(ticks[0])].replace(" ", "x")
    assert "\u202e" not in written


def test_an_error_cannot_leave_its_block_and_shows_no_secret() -> None:
    first, body, last = block('x\n````\n</details>\napi_key = "sk-abcdefghijklmnop1234"\n')
    assert first == "`````text"
    assert last == "`````"
    assert "sk-abc" not in body
    assert len("\n".join(block("x" * 99_999))) < 5_000
    assert len("\n".join(block("x\n" * 999)).splitlines()) < 50
