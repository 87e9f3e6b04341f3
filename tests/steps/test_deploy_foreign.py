"""Models that only MLflow can load, beside a live version: as a shadow, as a canary, code of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from plain_mlflow import BOTH, RANKS, state_of

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.follow.job import BESIDE, Job
from mlops_magics.frontends.follow.renewing import renewed
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

# Each version brings a module of the same name, and imports it only when it is asked.
OWN = """
import mlflow
import pandas as pd

class Own(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame):
        import own_table
        return [own_table.VALUE] * len(model_input)

mlflow.models.set_model(Own())
"""


@pytest.fixture
def both(theirs: Book, shell: Any, project: Path) -> Book:
    """The champion answers numbers, the challenger objects."""
    (project / "ranks.py").write_text(RANKS)
    theirs("log(Late(), input_example=taken.head(3))")
    theirs("log('ranks.py', input_example=taken.head(3))")
    for version in (1, 2):
        theirs(f"%mlops_register models:/theirs/{version} {BOTH}")
    client = open_store(Settings.discover()).client
    client.set_registered_model_alias("theirs", "champion", "1")
    client.set_registered_model_alias("theirs", "challenger", "2")
    shell.user_ns["asked"] = shell.user_ns["taken"].head(5)
    return theirs


def _until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _noted(book: Book, rows: int) -> pd.DataFrame:
    """Wait until so many rows are in the journal."""
    deadline = time.monotonic() + 30
    while True:
        found: pd.DataFrame = book("%mlops_deploy theirs --traffic 10m").frame
        if len(found) >= rows:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_a_shadow_answers_unheard_and_its_answers_are_in_the_journal(
    both: Book, shell: Any, project: Path
) -> None:
    line = "%mlops_deploy theirs@champion --shadow @challenger"
    for less in ("", " --allow-pickle", " --allow-code"):
        with pytest.raises(RefusedError, match="MLflow itself loads it") as caught:
            both(line + less)
        assert caught.value.remedy.endswith(f"{line} {BOTH}")
    assert both("%mlops_deploy").endpoints == ()

    live = both(f"{line} {BOTH}")
    assert live.beside == "version 2 as a shadow"
    asked = shell.user_ns["asked"]
    late = (asked["age"] > 45).astype(int).tolist()
    assert list(both("%mlops_predict theirs asked").values) == late
    found = _noted(both, 10)
    told = {role: rows.sort_values("row") for role, rows in found.groupby("role")}
    assert {role: set(rows["version"]) for role, rows in told.items()} == {"live": {"1"}, "shadow": {"2"}}
    assert [int(each) for each in told["live"]["prediction"]] == late
    ranks = asked["age"].rank().tolist()
    assert told["shadow"]["prediction"].tolist() == [
        str([rank, town]) for rank, town in zip(ranks, asked["town"], strict=True)
    ]
    _is_told_how_to_agree(project / "state.json")


def _is_told_how_to_agree(path: Path) -> None:
    """Let a following look without the consents: it says the line that keeps what stands beside."""
    state = state_of()
    assert state.beside is not None
    lines = {
        "shadow": "%mlops_deploy theirs@champion --shadow @challenger --follow",
        "canary": "%mlops_deploy theirs@challenger --canary 10 --follow",
    }
    for role, line in lines.items():
        beside = replace(state.beside, role=role, percent=10.0, alias="challenger", allow_pickle=False)
        path.write_bytes(replace(state, beside=beside).to_json())
        job = Job(
            name="theirs", model="theirs", alias="champion", mark="m", state=str(path),
            allow_pickle=True, allow_code=True,
        )  # fmt: skip
        fault = renewed(job, BESIDE).fault
        assert fault is not None
        assert fault.remedy.endswith(f"{line} {BOTH}")


@pytest.mark.slow
def test_versions_that_bring_modules_of_one_name_are_kept_apart(
    theirs: Book, shell: Any, project: Path
) -> None:
    (project / "own.py").write_text(OWN)
    for value in (1, 2):
        (project / "own_table.py").write_text(f"VALUE = {value}\n")
        theirs("log('own.py', input_example=taken.head(3), code_paths=['own_table.py'])")
        theirs("import sys; sys.modules.pop('own_table', None);")
        theirs(f"%mlops_register models:/theirs/{value} {BOTH}")
    shell.user_ns["asked"] = shell.user_ns["taken"].head(3)
    theirs(f"%mlops_deploy theirs/1 {BOTH}")
    for role in ("--canary 50", "--shadow 2"):
        line = "theirs/2 --canary 50" if "canary" in role else f"theirs/1 {role}"
        with pytest.raises(UnavailableError, match="each bring a module own_table of their own") as caught:
            theirs(f"%mlops_deploy {line} {BOTH}")
        assert "%mlops_deploy theirs/2 --name theirs-2" in str(caught.value)
    assert all(list(theirs("%mlops_predict theirs asked").values) == [1] * 3 for _ in range(5))

    (project / "own.py").write_text(OWN + "# changed\n")
    (project / "own_table.py").write_text("VALUE = 1\n")
    theirs("log('own.py', input_example=taken.head(3), code_paths=['own_table.py'])")
    theirs(f"%mlops_register models:/theirs/3 {BOTH}")
    theirs(f"%mlops_deploy theirs/3 --canary 50 {BOTH}")  # what it brings is the same
    assert {theirs("%mlops_predict theirs asked").version for _ in range(20)} == {"1", "3"}

    client = open_store(Settings.discover()).client
    client.set_registered_model_alias("theirs", "champion", "1")
    theirs(f"%mlops_deploy theirs@champion --follow --shadow 3 {BOTH}")
    client.set_registered_model_alias("theirs", "champion", "2")
    _until(lambda: state_of().version == "2")
    assert state_of().beside is None
    assert list(theirs("%mlops_predict theirs asked").values) == [2] * 3


FAILS = """
import mlflow
import pandas as pd

class Fails(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame):
        if (model_input["age"] < 0).any():
            raise RuntimeError("on purpose")
        return [7] * len(model_input)

mlflow.models.set_model(Fails())
"""


@pytest.mark.slow
def test_it_stands_beside_a_pipeline_and_a_pipeline_beside_it(
    theirs: Book, shell: Any, project: Path, fitted: Any
) -> None:
    assert fitted
    (project / "fails.py").write_text(FAILS)
    theirs("log('fails.py', input_example=taken.head(3))")
    theirs(f"%mlops_register models:/theirs/1 {BOTH}")
    theirs("%mlops_register run theirs")
    asked = shell.user_ns["asked"] = shell.user_ns["test"].head(3)
    shell.user_ns["odd"] = asked.assign(age=-1.0)

    theirs(f"%mlops_deploy theirs/2 --workers 2 --shadow 1 {BOTH}")
    said = theirs("%mlops_predict theirs asked")
    assert said.version == "2"
    found = _noted(theirs, 6)
    assert found.loc[found["role"] == "shadow", "prediction"].tolist() == [7] * 3

    theirs(f"%mlops_deploy theirs/1 --canary 50 {BOTH}")
    told = [theirs("%mlops_predict theirs asked") for _ in range(20)]
    assert {one.version for one in told} == {"1", "2"}
    assert all(list(one.values) == ([7] * 3 if one.version == "1" else list(said.values)) for one in told)
    told = [theirs("%mlops_predict theirs odd") for _ in range(20)]
    assert {one.version for one in told} == {"2"}  # what the canary cannot answer
    found = _noted(theirs, 6 + 60 + 60 + 1)
    failed = found[found["error"] == "PREDICTION_FAILED"]
    assert set(zip(failed["version"], failed["role"], strict=True)) == {("1", "canary")}

    theirs(f"%mlops_deploy theirs/1 --shadow 2 {BOTH}")
    assert list(theirs("%mlops_predict theirs asked").values) == [7] * 3
