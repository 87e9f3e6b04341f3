"""Behaviour tests: cells that run on a model as it was logged, and that promotion waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from prepared import TABLE

import mlops_magics
from mlops_magics.checks.behaviour import BrokenExpectationError
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import promote
from mlops_magics.steps.test import Behaviour
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]
OLDER = """%%mlops_test {name} --model {model}
from mlops_magics.checks.behaviour import direction
direction(model, test, {{"age": lambda age: age + 20}}, "{goes}", allowed=0.2)"""


def older(model: str, goes: str = "up", name: str = '"older is later"') -> str:
    return OLDER.format(model=model, goes=goes, name=name)


def test_a_test_is_kept_with_the_model_and_its_run(book: Book, registered: ModelVersion) -> None:
    done = book(older("flights/1"))
    assert isinstance(done, Behaviour)
    assert (done.name, done.model, done.run_id) == ("older is later", "flights/1", registered.run_id)
    assert [one.kind for one in done.expectations] == ["direction"]
    assert "goes up with age" in done.to_html()
    (kept,) = mlops_magics.test("flights/1").found
    assert (kept.name, kept.passed, kept.expectations) == ("older is later", True, 1)
    store = open_store(Settings.discover())
    (file,) = store.client.list_artifacts(registered.run_id, "mlops/tests")
    content = json.loads(Path(store.client.download_artifacts(registered.run_id, file.path)).read_text())
    assert "direction(model, test" in content["source"]
    # It is the model's: a test of the run is a test of the version that was made of it.
    book(older("run", name="again"))
    assert [one.name for one in mlops_magics.test(registered).found] == ["again", "older is later"]


def test_a_broken_expectation_fails_the_cell_and_holds_the_promotion(
    book: Book, registered: ModelVersion
) -> None:
    assert registered
    with pytest.raises(BrokenExpectationError, match="goes down with age"):
        book(older("flights/1", "down"))
    found = mlops_magics.test("flights/1")
    assert (found.holds, found.found[0].passed) == (False, False)
    assert "fails 1 of 1" in found.to_html()
    with pytest.raises(
        RefusedError, match=r"(?s)tests: 0 against a threshold of 1 \(older is later fails.*goes down"
    ):
        promote("flights", to="champion", reason="please")
    book(older("flights/1"))
    done = promote("flights", to="champion", reason="now it does")
    assert [(gate.outcome, gate.value) for gate in done.gates if gate.name == "tests"] == [("pass", 1.0)]


def test_what_the_champion_passed_its_successor_must_pass(book: Book, registered: ModelVersion) -> None:
    book(older("flights/1"))
    promote("flights", to="champion", reason="first")
    store = open_store(Settings.discover())
    made = store.client.create_model_version("flights", registered.source, registered.run_id)
    for key, value in registered.tags.items():
        store.client.set_model_version_tag("flights", made.version, key, value)
    asked = {gate.name: gate for gate in promote("flights", version=str(made.version)).gates}
    assert asked["tests"].outcome == "pass"  # the very same files
    # Other files of another model, as far as anybody can see.
    store.client.delete_model_version_tag("flights", made.version, "mlops.model_id")
    store.client.set_model_version_tag("flights", made.version, "mlops.manifest", "sha256:" + "0" * 64)
    other = registry.resolve(store, _address(str(made.version)))
    assert other.digest != registered.digest
    asked = {gate.name: gate for gate in promote("flights", version=str(made.version)).gates}
    assert asked["tests"].outcome == "fail"
    assert "never run on this version: older is later" in asked["tests"].evidence


def _address(version: str) -> Any:
    from mlops_magics.foundation.names import ModelAddress

    return ModelAddress("flights", version)


def test_a_policy_may_ask_for_tests(book: Book, registered: ModelVersion, project: Path) -> None:
    assert registered
    (project / "policy.toml").write_text('tests = ["older is later"]\n')
    assert "older is later" in book("%mlops_promote flights --policy policy.toml").to_html()
    book("%mlops_evaluate flights/1 test --target late")
    with pytest.raises(
        RefusedError, match=r"(?s)never run on this version: older.*--mlops-model flights/1 NOTEBOOK"
    ):
        promote("flights", to="champion", reason="please")
    book(older("flights/1"))
    promote("flights", to="champion", reason="tested")


def test_the_cell_sees_the_logged_model_and_leaves_the_notebooks_own(
    book: Book, registered: ModelVersion
) -> None:
    assert registered
    book("model, kept = 'mine', 0")
    book("%%mlops_test plain --model flights/1\nkept = model.predict(test.head(3))\nassert len(kept) == 3")
    assert book("model") == "mine"
    assert len(book("kept")) == 3
    book("del model")
    book("%%mlops_test plain --model flights/1\nassert hasattr(model, 'predict')")
    assert book("'model' in globals()") is False


@pytest.mark.parametrize(
    ("cell", "error", "said"),
    [
        ("%%mlops_test idle --model flights/1\nmodel.predict(test)", UsageError, "asserts nothing"),
        ("%%mlops_test '  ' --model flights/1\nassert True", UsageError, "no name for a test"),
        (f"%%mlops_test {'x' * 81} --model flights/1\nassert True", UsageError, "no name for a test"),
        ("%%mlops_test lost --model fligths/1\nassert True", NotFoundError, "flights"),
        ("%%mlops_test true --model flights/1\nassert True", UsageError, "asserts nothing"),
        ("%%mlops_test pair --model flights/1\nassert (1 == 2, 'no')", UsageError, "asserts nothing"),
        ("%%mlops_test broken --model flights/1\nnothing_there", NameError, "nothing_there"),
        ("%%mlops_test bare --model flights/1\nassert 1 == 2", AssertionError, "^$"),
    ],
)
@pytest.mark.filterwarnings("ignore:assertion is always true:SyntaxWarning")
def test_what_is_no_test_fails(
    book: Book, registered: ModelVersion, cell: str, error: Any, said: str
) -> None:
    assert registered
    with pytest.raises(error, match=said):
        book(cell)
    assert [one for one in mlops_magics.test("flights/1").found if one.passed] == []


def test_secrets_are_masked_and_names_need_no_letters_of_ours(book: Book, registered: ModelVersion) -> None:
    assert registered
    secret = "ghp_" + "a1B2c3D4e5" * 4  # made up
    for name in ("пароль", "飞行"):
        with pytest.raises(AssertionError):
            book(f"%%mlops_test {name} --model flights/1\nassert False, '{secret}'")
    found = mlops_magics.test("flights/1")
    assert {one.name for one in found.found} == {"пароль", "飞行"}
    assert secret not in found.to_html() + json.dumps(found.to_dict())


def test_a_model_that_was_never_logged_keeps_nothing(book: Book, registered: ModelVersion) -> None:
    assert registered
    done = book(older("model"))
    assert done.kept is False
    assert "Nothing was kept" in done.to_html()
    with pytest.raises(UsageError, match="was never logged"):
        mlops_magics.test(book("model"))


def test_a_record_that_cannot_be_read_counts_as_failed(book: Book, registered: ModelVersion) -> None:
    assert book
    store = open_store(Settings.discover())
    store.client.set_model_version_tag("flights", "1", "mlops.test.abc", "{}")
    found = mlops_magics.test(registered)
    assert (found.holds, found.found[0].evidence) == (False, "the record cannot be read")


@pytest.mark.slow
def test_pytest_collects_the_cells_and_runs_them_on_the_model_it_is_told(
    registered: ModelVersion, project: Path
) -> None:
    assert registered
    cells = [
        "%load_ext mlops_magics\n%config MLOps.standby = False",
        TABLE,
        older("nobody@champion"),
        "%%mlops_test wrong --model nobody@champion\nassert model.predict(test)[0] == 7, 'seven'",
        "%%mlops_test --model nobody@champion old\nassert model.predict(test[test['age'] > 80]).mean() > 0.7",
        "%%mlops_test --help\nassert False",
        "1 / 0",
        "%%mlops_test below --model nobody@champion\nassert True",
    ]
    book = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    book.cells[3].metadata["tags"] = ["raises-exception"]
    nbformat.write(book, project / "behaviour.ipynb")
    (project / "bare.ipynb").write_text(nbformat.writes(new_notebook(cells=[new_code_cell(cells[4])])))
    words = [
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "--mlops-tests",
        "--mlops-model",
        "flights/1",
        ".",
    ]
    environment = os.environ | {"PYTEST_ADDOPTS": "", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    told = done.stdout
    assert done.returncode == 1, told + done.stderr
    for line in (
        "behaviour.ipynb::older is later PASSED",
        "behaviour.ipynb::wrong FAILED",
        "behaviour.ipynb::old PASSED",
        "behaviour.ipynb::below FAILED",
        "bare.ipynb::old FAILED",  # the magics were never loaded
        "AssertionError: seven",
        "cell 7 of behaviour.ipynb fails: ZeroDivisionError: division by zero",
    ):
        assert line in told, told
    assert "3 failed, 2 passed" in told
    kept = {one.name: one.passed for one in mlops_magics.test("flights/1").found}
    assert kept == {"older is later": True, "old": True, "wrong": False}


UNDER_O = """
import sys
from pathlib import Path
from places import shell_in
with shell_in(Path(sys.argv[1])) as shell:
    done = shell.run_cell("%%mlops_test never --model flights/1\\nran = True\\nassert 1 == 2")
    print(type(done.error_in_exec).__name__, "ran" in shell.user_ns, done.error_in_exec)
"""


def test_python_that_leaves_assertions_out_runs_no_test(registered: ModelVersion, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    words = [sys.executable, "-O", "-c", UNDER_O, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert "UsageError False Python runs with -O, which leaves assertions out" in done.stdout
    assert not mlops_magics.test(registered).found  # nobody reads in the store that it passed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mlops-model", "flights/1", "."], "--mlops-model is for --mlops-tests"),
        (["--mlops-tests", "no.ipynb"], "no.ipynb is no notebook"),
        (["--mlops-tests", "two.ipynb"], "two tests are called 'a'"),
    ],
)
def test_what_pytest_cannot_do_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "no.ipynb").write_text("[1]")
    twice = [new_code_cell("%%mlops_test a --model m\nassert True")] * 2
    (tmp_path / "two.ipynb").write_text(json.dumps({"cells": twice}))
    # Only our plugin: to load all that are installed takes seconds. That it is found is seen above.
    command = [sys.executable, "-m", "pytest", "-p", "mlops_magics.testing.plugin", "-p", "no:cacheprovider"]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, *words], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
