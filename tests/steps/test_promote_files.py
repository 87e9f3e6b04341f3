"""What was judged, what people approved of and what is promoted are the files that were registered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mlops_magics
from mlops_magics.foundation.errors import ChangedError, RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import Desk, promote
from mlops_magics.steps.promote.files import intact
from mlops_magics.tracking import evaluations, registry, rights, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store
from mlops_magics.tracking.subject import of_version

Book = Callable[[str], Any]


@pytest.fixture
def be(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Be another user of the operating system: it is all that a store without authentication knows."""
    return lambda name: monkeypatch.setattr(rights, "user", lambda: name)


def folder_of(version: ModelVersion) -> Path:
    with subject.files(open_store(Settings.discover()), of_version(version)) as folder:
        return folder


def change(version: ModelVersion) -> None:
    """Let one file of a version be another, though it still loads and answers the same."""
    file = folder_of(version) / "requirements.txt"
    file.write_text(file.read_text() + "# another\n")


def holders() -> dict[str, str]:
    return dict(registry.aliases_of(open_store(Settings.discover()), "flights"))


def test_a_version_whose_files_were_changed_is_not_judged_tested_or_promoted(
    book: Book, registered: ModelVersion
) -> None:
    change(registered)
    with pytest.raises(ChangedError, match="flights/1 are not those that were registered"):
        book("%mlops_evaluate flights/1 test --target late")
    with pytest.raises(ChangedError):
        book("%%mlops_test kind --model flights/1\nran = True\nassert model.predict(test).mean() < 1")
    assert book("'ran' in globals()") is False
    assert mlops_magics.test("flights/1").found == ()
    for alias in ("challenger", "champion"):
        with pytest.raises(
            RefusedError, match="flights/1 fails the gate files: The files of flights/1 are not"
        ):
            promote("flights", to=alias, reason="please")  # type: ignore[call-overload]
    desk = StoreDesk(Desk(open_store(Settings.discover()), "flights", "champion"))
    with pytest.raises(RefusedError, match="the gate files"):
        desk.promote("1", "champion", "by a click")
    assert holders() == {"candidate": "1"}


def test_an_evaluation_of_other_files_does_not_count(book: Book, registered: ModelVersion) -> None:
    before = evaluations.read(open_store(Settings.discover()), registered)
    assert before is not None
    assert before.files == registered.digest, "the run was evaluated with the files that were registered"
    change(registered)
    made = book("%mlops_register models:/flights/1")  # whoever may, registers what is there now
    assert made.digest != registered.digest
    with pytest.raises(RefusedError, match=r"(?s)was evaluated with other files.*%mlops_evaluate flights/1"):
        promote("flights", to="champion", reason="please")
    book("%mlops_evaluate flights/1 test --target late")
    done = promote("flights", to="champion", reason="judged as it is")
    (files,) = [gate for gate in done.gates if gate.name == "files"]
    assert (files.outcome, files.evidence) == ("pass", "those that were registered, each by its sha256")


def test_nothing_rolls_back_to_files_that_were_changed(book: Book, challenged: Desk) -> None:
    assert book
    promote("flights", version="2", to="champion", reason="as good")
    (first,) = [each for each in registry.versions(challenged.store, "flights") if each.version == "1"]
    change(first)
    with pytest.raises(RefusedError, match="flights/1 fails the gate files"):
        promote("flights", reason="complaints", rollback=True)
    assert holders()["champion"] == "2"


def test_files_that_are_gone_hold_a_version_back_and_those_of_another_machine_do_not(
    registered: ModelVersion,
) -> None:
    shutil.rmtree(folder_of(registered))
    with pytest.raises(RefusedError, match="the gate files: The model's files are not at"):
        promote("flights", to="champion", reason="please")
    local = open_store(Settings.discover())
    far = Store("http://127.0.0.1:9", local.client, local.settings)
    told = intact(far, registered)
    assert (told.outcome, told.evidence[:34]) == ("not applicable", "they cannot be read from here: The")


def test_a_lost_champion_is_replaced_where_people_approve(
    book: Book, challenged: Desk, project: Path, be: Callable[[str], None]
) -> None:
    (first,) = [each for each in registry.versions(challenged.store, "flights") if each.version == "1"]
    shutil.rmtree(folder_of(first))
    found = book("%mlops_evaluate flights/2 test --target late --against flights@champion")
    assert found.summary.lost
    assert found.assessment.failed == ("champion",)
    with pytest.raises(RefusedError, match=r"(?s)flights/1 could not be loaded.*asks for approvals"):
        promote("flights", version="2", to="champion", reason="the first is lost")
    (project / "policy.toml").write_text('approvals = 1\napprovers = ["ann"]\n')
    book("%mlops_promote flights --policy policy.toml;")
    with pytest.raises(RefusedError, match="approvals: 0 against a threshold of 1"):
        promote("flights", version="2", to="champion", reason="the first is lost")
    be("ann")
    promote("flights", version="2", reason="nothing else answers", approve=True)
    be("carol")
    done = promote("flights", version="2", to="champion", reason="the first is lost")
    told = {gate.name: gate for gate in done.gates}
    assert (told["champion"].outcome, told["approvals"].outcome) == ("not applicable", "pass")
    assert "version 1, the champion, is lost" in told["champion"].evidence


def test_a_champion_that_only_lacks_a_consent_is_not_lost(
    book: Book, challenged: Desk, project: Path, be: Callable[[str], None]
) -> None:
    """Who leaves out --allow-pickle does not get round the comparison, with approvals neither."""
    (project / "policy.toml").write_text('approvals = 1\napprovers = ["ann"]\n')
    book("%mlops_promote flights --policy policy.toml;")
    book(
        "%%mlops_track --name pickled -o pickled --allow-pickle\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import FunctionTransformer\n"
        "odd = make_pipeline(FunctionTransformer(lambda rows: rows * 2), LogisticRegression())\n"
        "odd.fit(train[['age']], train['late'])"
    )
    found = book("%mlops_evaluate flights/2 test --target late --against pickled")
    assert (found.summary.lost, found.summary.against) == (False, "run pickled")
    assert challenged.alias == "champion"
    be("ann")
    promote("flights", version="2", reason="why not", approve=True)
    be("carol")
    with pytest.raises(RefusedError, match="not compared with version 1"):
        promote("flights", version="2", to="champion", reason="nobody asked the champion")


def test_a_run_that_is_called_like_the_champion_is_not_the_champion(book: Book, challenged: Desk) -> None:
    client = challenged.store.client
    (second,) = [each for each in registry.versions(challenged.store, "flights") if each.version == "2"]
    client.set_tag(second.run_id, "mlflow.runName", "flights/1")
    book(f"%mlops_evaluate flights/2 test --target late --against runs:/{second.run_id}")
    with pytest.raises(RefusedError, match="not compared with version 1"):
        promote("flights", version="2", to="champion", reason="as good as itself")


def test_a_test_of_another_source_is_named(book: Book, challenged: Desk) -> None:
    cell = "%%mlops_test kind --model flights/{}\nassert model.predict(test).mean() < {}"
    book(cell.format(1, 0.9))
    book(cell.format(2, 0.99))
    (gate,) = [one for one in challenged.review("2").gates if one.name == "tests"]
    assert gate.outcome == "pass"
    assert gate.evidence == "passes kind; of another source than the champion passed: kind"
    book(cell.format(2, 0.9))
    (gate,) = [one for one in challenged.review("2").gates if one.name == "tests"]
    assert gate.evidence == "passes kind"


def test_another_target_than_the_champions_is_named(book: Book, challenged: Desk) -> None:
    assert "target" not in {gate.name for gate in challenged.review("2").gates}
    book("renamed = test.rename(columns={'late': 'delayed'})")
    book("%mlops_evaluate flights/2 renamed --target delayed --against flights@champion")
    (gate,) = [one for one in challenged.review("2").gates if one.name == "target"]
    assert gate.outcome == "not applicable"
    assert gate.evidence == "delayed is predicted, and it was late where the champion was evaluated last"


def test_a_policy_without_the_champions_gate_says_what_is_wanted(
    book: Book, challenged: Desk, project: Path
) -> None:
    assert challenged
    (project / "policy.toml").write_text('[gates]\ngates = ["quality"]\n')
    book("%mlops_promote flights --policy policy.toml;")
    book("%mlops_evaluate flights/2 test --target late --against flights@champion")
    with pytest.raises(RefusedError, match=r'(?s)not compared.*Name "champion" among the gates'):
        promote("flights", version="2", to="champion", reason="please")
