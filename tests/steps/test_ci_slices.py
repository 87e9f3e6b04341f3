"""Which changes of a notebook's cells are reasons to run it: a repository with a notebook for each change."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import project_in

from mlops_magics.steps.ci.choosing import Choice, choose
from mlops_magics.steps.ci.repository import compared
from mlops_magics.steps.ci.showing import _IMPORTS

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PATCH = "pd.DataFrame.tail = pd.DataFrame.pop"
LOADS = "%load_ext mlops_magics\n%mlops_track flights"
IMPORTS = """import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from sklearn.linear_model import SGDClassifier"""
DATA = """rows = pd.DataFrame({"age": np.arange(60.0), "late": np.arange(60) % 7 > 3})
folds = iter(range(9))
extra = {"seen": 0}
axes = plt.figure().subplots()
more = list(map(str, rows["age"]))"""
LOOKS = "rows.head()"
SHUFFLES = "def shuffled(table):\n    return table.sample(frac=1.0)"
SPLITS = "train = shuffled(rows)"
FITS = "model = SGDClassifier().fit(train[['age']], train['late'])"
REGISTERS = "%mlops_register model flights"
CELLS = (LOADS, IMPORTS, DATA, LOOKS, SHUFFLES, SPLITS, FITS, REGISTERS)
LOOKED = CELLS.index(LOOKS)

SHOWS = {
    "a loop over axes": (
        "fig, parts = plt.subplots(1, 2)\n"
        "for part, column in zip(parts, ['age', 'late']):\n"
        "    part.hist(rows[column].astype(float))\n"
        "    part.set_title(column)"
    ),
    "another table": "print(rows.describe())",
    "a plot": "rows['age'].plot.hist(bins=9)\nplt.title('Ages')",
    "axes of its own": "fig, ax = plt.subplots()\nax.plot(rows['age'], rows['late'])\nax.set_title('Ages')",
    "a loop": "for column in rows.columns:\n    print(column, rows[column].mean())",
    "a name that nobody reads": "summary = rows.groupby('late')['age'].mean()\nsummary",
    "a text": "f'{len(rows):,} rows, {rows.shape[1]} columns'",
    "how long": "%%time\nrows.corr()",
    "a comprehension": "[round(value, 1) for value in rows['age'].head()]",
    "a table of two": "pd.crosstab(rows['late'], rows['age'] > 30)",
    "a mapping": "print(extra['seen'], extra.get('gone'))",
    "a list": "print(sorted(more)[:3], max(more))",
    "what was made of an iterator": "print(len(more))",
    "names of the module": "plt.plot(np.linspace(0, 1, 5))\nplt.grid()",
    "a function that nobody calls": "def unused(table):\n    table.pop('late')\nrows.tail()",
}
COUNTS = {
    "in place": ("rows['age'] = rows['age'] * 2", "an assignment to a part of something"),
    "in place, by a word": ("rows.sort_values('age', inplace=True)", "rows.sort_values(inplace=...)"),
    "in place, by a method": ("rows.pop('late')", "rows.pop()"),
    "a method of a mapping": ("extra.update(seen=1)", "extra.update()"),
    "columns": ("rows.columns = ['age', 'late']", "an assignment to a part of something"),
    "deleted": ("del rows", "a statement (delete)"),
    "a random number": ("rows.sample(3)", "rows.sample()"),
    "a seed": ("np.random.seed(1)", "np.random.seed()"),
    "an iterator": ("next(folds)", "next()"),
    "an iterator that is emptied": ("list(folds)", "what folds is cannot be known"),
    "an iterator under another name": ("same = folds\nprint(max(same))", "what folds is cannot be known"),
    "axes of another cell": ("axes.plot([1, 2])", "axes.plot()"),
    "a place that is written to": ("np.exp(rows['age'], extra)", "np.exp()"),
    "a place of a method": ("rows['age'].to_numpy().round(2, extra)", ".round()"),
    "onto axes of another cell": ("rows.plot(ax=axes)", "rows.plot(ax=...)"),
    "a method handed on": ("rows.groupby(extra.pop)", ".pop"),
    "a method handed on by a name": ("take = extra.pop\nprint(rows.groupby(take))", ".pop"),
    "an annotation": ("def noted(x: rows.pop('late')):\n    pass", "rows.pop()"),
    "a name that is read": ("rows = rows.head(20)", ", which reads rows of a cell that changed: "),
    "a function that is called": (
        "def shuffled(table):\n    return table",
        ", which reads shuffled of a cell that changed: shuffled()",
    ),
    "a global": ("def put():\n    global rows\n    rows = 1\nput()", "put()"),
    "a function handed on": ("rows.groupby(shuffled)", "shuffled is handed on, and may be called"),
    "a patched library": ("pd.DataFrame.sample = pd.DataFrame.head", "pd.DataFrame.sample is patched"),
    "a patched library, by setattr": ("setattr(pd, 'x', 1)", "setattr may read or change any name"),
    "the environment": ("import os\nos.environ['X'] = '1'", "import os"),
    "a star": ("from numpy import *", "import * may read or change any name"),
    "%run": ("%run other.py", "what is read by %run or after it is not known"),
    "a shell line": ("!touch made", "a shell line may read anything"),
    "a magic of others": ("%unknown_magic rows", "runs %unknown_magic rows"),
    "a cell magic of others": ("%%unknown\nrows", "what %%unknown reads is not known"),
    "a magic of ours": ("%mlops_profile rows", "%mlops_profile"),
    "a measured line": ("%time rows.pop('late')", "%time"),
    "exec": ("exec('rows = 1')", "exec may read or change any name"),
    "globals": ("globals()['rows'] = 1", "globals may read or change any name"),
    "IPython": ("get_ipython().user_ns['rows'] = 1", "reads get_ipython"),
    "what was shown before": ("print(_)", "reads _"),
    "a name from nowhere": ("print(nowhere)", "nothing says where nowhere comes from"),
    "a file that is written": ("rows.to_csv('made.csv')", "rows.to_csv()"),
    "a file that is opened": ("with open('made') as file:\n    pass", "a statement (with)"),
    "a picture that is saved": ("plt.savefig('made.png')", "plt.savefig()"),
    "an assertion": ("assert len(rows) > 3", "a statement (assert)"),
    "an error of its own": ("raise ValueError('no')", "a statement (raise)"),
    "what may be swallowed": ("try:\n    rows.head()\nexcept Exception:\n    pass", "a statement (try)"),
    "a class": ("class Odd:\n    pass", "a statement (classdef)"),
    "a builtin": ("print = repr", "print = ..."),
    "options by name": ("rows.head(**{'n': 3})", "rows.head(**=...)"),
    "a private name": ("rows._mgr", "._mgr"),
    "added in place": ("extra['seen'] += 1", "a statement (augassign)"),
    "no Python": ("1 +", "cannot be read as Python"),
    "an import of who knows what": ("import surprising", "import surprising"),
    "a lambda": ("print((lambda: rows.pop('late'))())", ": ()"),
}


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(("git", *who, *words), cwd=folder, check=True, capture_output=True)


def book(cells: Sequence[Any], *, begin: int = 1) -> Any:
    """Make a notebook whose cells were executed: a text shows itself."""
    made = []
    for place, cell in enumerate(cells, begin):
        if isinstance(cell, str):
            output = new_output("stream", text=cell.partition("  #")[0])
            made.append(new_code_cell(cell, execution_count=place, outputs=[output]))
        else:
            made.append(cell)
    for place, cell in enumerate(made):
        cell["id"] = f"cell-{place}"
    return new_notebook(cells=made, metadata=KERNEL)


@dataclass
class Scratch:
    """A repository in which each notebook is committed as it was, and lies as it is."""

    project: Path
    books: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def case(self, name: str, new: Sequence[Any], old: Sequence[Any] = CELLS) -> None:
        self.books[name] = (book(old), book(new))

    def chosen(self) -> dict[str, Choice]:
        for place, (old, _) in enumerate(self.books.values()):
            nbformat.write(old, self.project / f"case_{place:03}.ipynb")
        git(self.project, "init", "--quiet")
        git(self.project, "add", "--all")
        git(self.project, "commit", "--quiet", "--message", "As it was")
        for place, (_, new) in enumerate(self.books.values()):
            nbformat.write(new, self.project / f"case_{place:03}.ipynb")
        return self.judged()

    def judged(self) -> dict[str, Choice]:
        paths = [f"case_{place:03}.ipynb" for place in range(len(self.books))]
        repository = compared(self.project, "HEAD")
        # One by one: notebooks that register the same model are otherwise chosen together.
        found = [choose([path], self.project, repository, scratch=True)[0] for path in paths]
        return dict(zip(self.books, found, strict=True))


def with_(cell: Any) -> list[Any]:
    """Put another cell in the place of the one that looks at the data."""
    return [*CELLS[:LOOKED], cell, *CELLS[LOOKED + 1 :]]


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Choice]:
    with project_in(tmp_path_factory.mktemp("slices")) as project:
        scratch = Scratch(project)
        for name, source in SHOWS.items():
            scratch.case(f"shows {name}", with_(source))
        for name, (source, _) in COUNTS.items():
            scratch.case(f"counts {name}", with_(source))
        for name, (new, old) in _whole().items():
            scratch.case(name, new, old)
        return scratch.chosen()


def _whole() -> dict[str, tuple[list[Any], Sequence[Any]]]:
    """Changes of more than one cell, and of what is not code."""
    raised = new_code_cell("print(rows['gone'])", execution_count=4)
    raised.outputs = [new_output("error", ename="KeyError", evalue="gone", traceback=[])]
    tagged = new_code_cell("rows.tail()", execution_count=4)
    tagged.metadata["tags"] = ["nbval-skip"]
    stale = book(CELLS).cells[LOOKED]
    stale.source = "rows.tail()"
    shown = book(CELLS).cells[LOOKED]
    shown.outputs = [new_output("stream", text="something else")]
    limited = ("limit = 30", "older = rows['age'] > limit", "%mlops_evaluate model rows --slices older")
    query = ("limit = 30", "older = rows.query('age > @limit')", "%mlops_test older")
    picture = "from tools import savefig\nsavefig(plt.gcf(), 'x.png')"
    return {
        "an inserted look": ([*CELLS[:5], "print(rows.shape)", *CELLS[5:]], CELLS),
        "an inserted change": ([*CELLS[:5], "rows.pop('late')", *CELLS[5:]], CELLS),
        "three looks": ([*with_("rows.tail()"), "print(train.shape)", "print(model)"], CELLS),
        "prose": ([new_markdown_cell("# A title"), *CELLS], CELLS),
        "a comment": (with_("rows.head()  # the first of them"), CELLS),
        "a cell gone": ([*CELLS[:LOOKED], *CELLS[LOOKED + 1 :]], CELLS),
        "cells moved": ([*CELLS[:3], SHUFFLES, LOOKS, *CELLS[5:]], CELLS),
        "a cell repeated": ([*CELLS[:5], SPLITS, *CELLS[5:]], CELLS),
        "the fit": ([*CELLS[:6], FITS.replace("()", "(alpha=0.1)", 1), REGISTERS], CELLS),
        "a cell that raises": (with_(raised), CELLS),
        "a tag of nbval's": (with_(tagged), CELLS),
        "never executed": (with_(new_code_cell("rows.tail()")), CELLS),
        "executed before it was changed": (with_(stale), CELLS),
        "an output of a cell that is the same": (with_(shown), CELLS),
        "what a gate reads": ([*CELLS, "limit = 40", *limited[1:]], [*CELLS, *limited]),
        "what a text reads": ([*CELLS, "limit = 40", *query[1:]], [*CELLS, *query]),
        "a figure that is logged": ([*with_("plt.plot([1])"), picture], [*CELLS, picture]),
        "a patch elsewhere": ([*with_("rows.tail()"), PATCH], [*CELLS, PATCH]),
        "globals elsewhere": ([*with_("rows.tail()"), "known = globals()"], [*CELLS, "known = globals()"]),
        "no model": (["import math", "math.pi"], ["import math", "math.e"]),
        "it began to make a model": (list(CELLS), ["rows = 3"]),
        "a plot made the model": (with_("rows.tail()"), with_("rows.pop('late')")),
    }


@pytest.mark.parametrize("name", SHOWS)
def test_what_only_shows_is_no_reason(chosen: dict[str, Choice], name: str) -> None:
    found = chosen[f"shows {name}"]
    told = "unchanged: the cell that changed is not part of what makes flights"
    assert (found.runs, found.because) == (False, told)


@pytest.mark.parametrize("name", COUNTS)
def test_what_may_do_more_is_one(chosen: dict[str, Choice], name: str) -> None:
    found = chosen[f"counts {name}"]
    assert found.runs
    assert found.because.startswith("its code has changed (")
    assert COUNTS[name][1] in found.because


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("an inserted look", "unchanged: the cell that changed is not part of what makes flights"),
        ("three looks", "unchanged: the 3 cells that changed are not part of what makes flights"),
        ("prose", "nothing that it executes, shows or reads has changed"),
        ("a comment", "nothing that it executes, shows or reads has changed"),
    ],
)
def test_other_changes_that_are_no_reason(chosen: dict[str, Choice], name: str, because: str) -> None:
    assert (chosen[name].runs, chosen[name].because) == (False, because)


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("an inserted change", "its code has changed (code cell 6: rows.pop())"),
        ("a cell gone", "its code has changed (a cell is gone)"),
        ("cells moved", "its code has changed (code cell 4 was moved or repeated)"),
        ("a cell repeated", "its code has changed (code cell 7 was moved or repeated)"),
        ("the fit", "its code has changed (code cell 7: SGDClassifier())"),
        ("a cell that raises", "its code has changed (code cell 4 raises)"),
        (
            "a tag of nbval's",
            "its code has changed (code cell 4 has a tag that steers how it is validated)",
        ),
        ("never executed", "its code has changed (code cell 4 was not executed since it was changed)"),
        (
            "executed before it was changed",
            "its code has changed (code cell 4 was not executed since it was changed)",
        ),
        ("an output of a cell that is the same", "its outputs have changed"),
        (
            "what a gate reads",
            "its code has changed (code cell 11, which reads older of a cell that changed: %mlops_evaluate)",
        ),
        (
            "what a text reads",
            "its code has changed (code cell 10, which reads limit of a cell that changed: rows.query())",
        ),
        (
            "a figure that is logged",
            "its code has changed (code cell 9, which reads the figure of a cell that changed: import tools)",
        ),
        (
            "globals elsewhere",
            "its code has changed (code cell 9: globals may read or change any name)",
        ),
        ("a patch elsewhere", "its code has changed (pd.DataFrame.tail is patched)"),
        ("no model", "its code has changed"),
        ("it began to make a model", "its code has changed"),
        ("a plot made the model", "its code has changed (code cell 4: rows.pop())"),
    ],
)
def test_changes_of_the_whole_that_are(chosen: dict[str, Choice], name: str, because: str) -> None:
    assert (chosen[name].runs, chosen[name].because) == (True, because)


# -- beside the notebook -----------------------------------------------------------------------------


OWN = "def strength():\n    return 1.0\n"


def test_data_modules_and_their_values_count(project: Path) -> None:
    """A look at what a module of the project's own has made, by what that module says."""
    uses = f"from ours import strength\nvalue = strength()\nlevel = pd.read_csv('level.csv')\n{DATA}"
    (project / "level.csv").write_text("a\n1\n")
    modules = {
        "plain": OWN,
        "a class": f"class Odd:\n    def __repr__(self):\n        return str(self.x.pop())\n{OWN}",
        "a generator": "def strength():\n    yield 1.0\n",
        "of others": f"import surprising\n{OWN}",
        "looks in": f"import inspect\n{OWN}",
    }
    scratch = Scratch(project)
    old, new = [*CELLS[:2], uses, *CELLS[3:]], [*CELLS[:2], uses, "print(value)", *CELLS[4:]]
    scratch.case("it", new, old)
    (project / "ours.py").write_text(OWN)
    assert not scratch.chosen()["it"].runs
    for name, text in modules.items():
        (project / "ours.py").write_text(text)
        git(project, "add", "ours.py")
        git(project, "commit", "--quiet", "--allow-empty", "--message", name)
        nbformat.write(scratch.books["it"][1], project / "case_000.ipynb")
        found = scratch.judged()["it"]
        assert found.runs == (name != "plain"), (name, found.because)
    (project / "ours.py").write_text(OWN)
    git(project, "commit", "--quiet", "--all", "--message", "Both")
    assert not scratch.judged()["it"].runs
    nbformat.write(book([*CELLS[:2], uses, "print(value, 1)", *CELLS[4:]]), project / "case_000.ipynb")
    (project / "level.csv").write_text("a\n2\n")
    assert scratch.judged()["it"].because == "level.csv has changed"
    git(project, "checkout", "--quiet", "level.csv")
    (project / "ours.py").write_text(f"{OWN}# changed\n")
    assert scratch.judged()["it"].runs


def test_all_still_runs_all(project: Path) -> None:
    """What a page of outputs shows is compared where everything runs: on the main branch, and with --all."""
    scratch = Scratch(project)
    scratch.case("it", with_("print(rows.describe())"))
    assert not scratch.chosen()["it"].runs
    (found,) = choose(["case_000.ipynb"], project, compared(project, None), scratch=True)
    assert found.runs


# -- what is proved is so ----------------------------------------------------------------------------


def _made(cells: Sequence[str]) -> tuple[Any, ...]:
    """Execute the cells, but for magics; return what the model and the random generator hold then."""
    import matplotlib as mpl
    import numpy as np

    mpl.use("agg")
    names: dict[str, Any] = {"display": print}
    np.random.seed(7)  # noqa: NPY002 - the process's own generator, which the notebook draws from
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            code = "\n".join(line for line in cell.splitlines() if not line.startswith("%"))
            exec(compile(code, "<cell>", "exec"), names)  # noqa: S102 - the cells above
    names["plt"].close("all")
    state = np.random.get_state()[1].tobytes()  # noqa: NPY002 - likewise
    return names["model"].coef_.tobytes(), names["rows"].to_json(), next(names["folds"]), state


def test_what_is_left_out_makes_the_same_model() -> None:
    expected = _made(CELLS)
    for name, source in SHOWS.items():
        assert _made(with_(source)) == expected, name


@pytest.mark.parametrize("name", ["in place, by a method", "a random number", "a seed", "an iterator"])
def test_what_counts_can_make_another(name: str) -> None:
    expected = _made(CELLS)
    try:
        found: tuple[Any, ...] = _made(with_(COUNTS[name][0]))
    except KeyError:  # the column that was taken away
        found = ()
    assert found != expected


def test_the_imports_that_only_show_draw_no_number() -> None:
    """A cell that is left out may import these for the first time."""
    names = ", ".join(sorted(_IMPORTS))
    text = (
        "import random, numpy\nkept = random.getstate(), numpy.random.get_state()[1].tobytes()\n"
        f"import {names}\nmatplotlib.pyplot.figure().subplots().plot([1])\n"
        "import pandas\npandas.DataFrame({'a': [1, 2]}).plot.hist()\n"
        "pandas.DataFrame({'a': [1, 2]})._repr_html_()\n"
        "assert kept == (random.getstate(), numpy.random.get_state()[1].tobytes())"
    )
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
