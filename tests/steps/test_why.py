"""From an answer, a version or a run back to the cell and the data, and forward to what came of it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.why import Why
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


@pytest.fixture
def live(book: Book, registered: ModelVersion) -> Iterator[ModelVersion]:
    book('%mlops_promote flights --to champion --reason "beats guessing"')
    book("%mlops_deploy flights@champion")
    yield registered
    book("%mlops_deploy flights --remove")


def test_what_tells_of_a_run_is_no_run_to_prove(
    book: Book, monkeypatch: pytest.MonkeyPatch, shell: Any
) -> None:
    book("%%mlops_track --name told\nfilled = train[['age']]\ntotal = float(filled['age'].sum())")
    monkeypatch.setenv("MLOPS_VERIFY", "true")
    found = book("%mlops_why told")
    assert isinstance(found, Why)
    assert found.recipe is not None
    assert found.recipe.steps
    assert shell.mlops_magics_extension.verifying()._thread is None


def test_an_answer_leads_to_its_cell_and_data(book: Book, live: ModelVersion, shell: Any) -> None:
    book("%mlops_predict flights test -o answer")
    found = book("%mlops_why answer")
    assert isinstance(found, Why)
    assert found.endpoints == (("flights", "ready"),)
    assert found.version is not None
    assert (found.version.model, found.version.version) == ("flights", live.version)
    assert [(move.alias, move.reason) for move in found.moves] == [
        ("candidate", "registered"),
        ("champion", "beats guessing"),
    ]
    assert found.evaluation is not None
    assert found.evaluation.gates
    assert found.run is not None
    assert found.run.run_id == shell.user_ns["run"].id
    assert set(found.run.tables) == {"train", "test"}
    assert "make_pipeline(columns, trees)" in found.run.files["cell.py"]
    text = str(found)
    for word in (
        "endpoint flights",
        "flights/1 (candidate, champion)",
        "beats guessing",
        "train",
        "depth = 3",
        "baseline",
    ):
        assert word in text, word
    assert "<script" not in found.to_html()


@pytest.mark.parametrize("named", ["flights", "flights/1", "made", "run", "baseline"])
def test_each_way_to_name_it_leads_to_the_same(book: Book, registered: ModelVersion, named: str) -> None:
    found = book(f"%mlops_why {named}")
    assert found.versions == (f"flights/{registered.version}",)
    assert found.version.version == registered.version
    assert found.run.name == "baseline"
    assert not found.endpoints
    assert [move.kind for move in found.moves] == ["registration"]


def test_a_logged_model_leads_to_its_run(book: Book, registered: ModelVersion) -> None:
    for named in (registered.model_id, f"models:/{registered.model_id}"):
        found = book(f"%mlops_why {named}")
        assert found.run.name == "baseline"
        assert found.versions == ("flights/1",)


def test_the_digest_of_files_leads_to_the_version(book: Book, registered: ModelVersion) -> None:
    assert registered.digest is not None
    told = dict(book("%mlops_why flights/1")._serving())["files"]
    for named in (told, registered.digest, registered.digest.removeprefix("sha256:")):
        found = book(f"%mlops_why {named}")
        assert (found.version.model, found.version.version, found.run.name) == ("flights", "1", "baseline")
        assert found.moves
    book("%mlops_register run flights")  # two versions of the same files
    found = book(f"%mlops_why {told}")
    assert (found.version, found.versions) == (None, ("flights/2", "flights/1"))


def test_a_tables_digest_leads_to_who_read_it(book: Book, registered: ModelVersion, shell: Any) -> None:
    assert registered
    run = shell.user_ns["run"]
    digest = book("%mlops_why run").run.tables["train"]
    for part in (digest, digest[:12]):
        found = book(f"%mlops_why {part}")
        assert found.readers == (("baseline", run.id),)
        assert run.id in str(found)
        assert found.run is None
    with pytest.raises(NotFoundError):
        book("%mlops_why abcdefab")


def test_what_approvers_said_is_on_the_way(book: Book, registered: ModelVersion, project: Path) -> None:
    assert registered
    (project / "policy.toml").write_text(f'approvals = 1\napprovers = ["{getpass.getuser()}", "bob"]\n')
    book("%mlops_promote flights --policy policy.toml;")
    book('%mlops_promote flights --approve --reason "read <i>all</i> of it";')
    found = book("%mlops_why flights/1")
    assert [(one.who, one.approved) for one in found.said] == [(getpass.getuser(), True)]
    assert "read &lt;i&gt;all" in found.to_html()


TEST = "%%mlops_test {name} --model {model}\nassert model.predict(test).mean() {bound}, 'too <i>many</i>'"


def test_behaviour_tests_are_on_the_way_from_all_that_leads_to_the_model(
    book: Book, registered: ModelVersion
) -> None:
    book(TEST.format(name="few", model="flights/1", bound="< 0.9"))
    with pytest.raises(AssertionError):
        book(TEST.format(name="none", model="run", bound="== 0"))
    found = book("%mlops_why flights/1")
    assert [(one.name, one.passed) for one in found.tests] == [("few", True), ("none", False)]
    assert "too &lt;i&gt;many" in found.to_html()
    # Of two versions of a run neither is meant: then it is what the run logged that was tested.
    store = open_store(Settings.discover())
    store.client.create_model_version("flights", registered.source, registered.run_id)
    again = book("%mlops_why run")
    assert (again.version, again.tests) == (None, found.tests)
    digest = found.run.tables["train"]
    read = book(f"%mlops_why {digest}")
    assert read.tests_of == {registered.run_id: found.tests}
    assert "fails 1 of 2" in str(read)


def test_a_run_of_plain_mlflow_tells_what_is_known(book: Book, registered: ModelVersion) -> None:
    assert registered
    store = open_store(Settings.discover())
    plain = store.client.create_run(store.experiment_id("e"), run_name="plain")
    store.client.log_metric(plain.info.run_id, "f1", 0.5)
    found = book(f"%mlops_why {plain.info.run_id}")
    assert (found.version, found.versions, found.recipe, found.tests) == (None, (), None, ())
    assert found.run.metrics == {"f1": 0.5}
    assert "f1" in str(found)


def test_what_is_not_there_is_said(book: Book, registered: ModelVersion) -> None:
    assert registered
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        book("%mlops_why nothing")
    with pytest.raises(NotFoundError, match="no version 9"):
        book("%mlops_why flights/9")
    with pytest.raises(NotFoundError):
        book(f"%mlops_why {'0' * 32}")
    with pytest.raises(UsageError, match="DataFrame has no history"):
        book("%mlops_why test")


def test_it_is_json_too(book: Book, registered: ModelVersion) -> None:
    found = json.loads(book("%mlops_why flights/1").to_json())
    assert found["version"]["version"] == registered.version
    assert found["run"]["name"] == "baseline"
    assert found["evaluation"]["gates"][0]["outcome"] in {"pass", "fail", "not applicable"}
