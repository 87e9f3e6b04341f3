"""What is kept with a version: its card, and the slice and the evaluation of its run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_magics.artifact.reference import NAME, Reference
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import belongings, registry, subject
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def _card(version: ModelVersion) -> dict[str, Any]:
    told = json.loads(belongings.get(open_store(Settings.discover()), version, "card.json"))
    return {part["title"]: part for part in told["sections"]}


def test_the_card_has_what_was_recorded(registered: ModelVersion, shell: Any) -> None:
    run, evaluated = shell.user_ns["run"], shell.user_ns["evaluated"]
    card = _card(registered)
    model = dict(card["Model"]["rows"])
    assert model["kind"] == "HistGradientBoostingClassifier"
    assert model["manifest"] == registered.digest
    assert run.id in model["run"]
    metrics = {row[0]: row for row in card["Metrics"]["rows"]}
    (measured,) = [one for one in evaluated.assessment.metrics if one.name == "roc_auc"]
    assert metrics["roc_auc"][1:4] == [measured.value, measured.low, measured.high]
    assert metrics["accuracy"]
    gates = {row[0]: row[1] for row in card["Gates"]["rows"]}
    assert gates == {one.name: one.outcome for one in evaluated.assessment.verdicts}
    assert [row[:2] for row in card["Columns"]["rows"]] == [
        ["town", "string"], ["size", "double"], ["age", "double"],
    ]  # fmt: skip
    assert {row[0]: row[2] for row in card["Data"]["rows"]}["train"] == run.datasets[0].digest
    changed = {name for name, _ in card["Parameters that differ from their defaults"]["rows"]}
    assert changed == set(run.chosen) - {"depth"}  # the cell's own constant
    assert any(row[0].startswith("scikit-learn==") for row in card["Packages"]["rows"])
    assert "of" in dict(card["Code"]["rows"])["cells that made it"]


def test_the_rows_that_it_was_fitted_on_are_sketched(registered: ModelVersion, shell: Any) -> None:
    train = shell.user_ns["train"]
    rows = {row[0]: row for row in _card(registered)["What it was fitted on"]["rows"]}
    assert list(rows) == ["town", "size", "age"]
    assert rows["age"][1:4] == ["0.0%", train["age"].min(), train["age"].max()]
    assert rows["town"][1] == f"{train['town'].isna().mean():.1%}"
    assert rows["town"][4] == 3
    assert registered.model_id is not None
    store = open_store(Settings.discover())
    with subject.files(store, subject.of_version(registered)) as folder:
        reference = Reference.from_json((folder / NAME).read_bytes())
    assert reference.rows == len(train)
    assert reference.predictions is not None
    assert sum(reference.predictions.labels.values()) == len(train)


def test_a_search_keeps_a_reference_too(book: Book) -> None:
    book("from sklearn.tree import DecisionTreeClassifier")
    book("features, late, tree = train[['age']], train['late'], DecisionTreeClassifier()")
    book("%mlops_tune tree features late --trials 2 --folds 2 --timeout 60s -o study")
    made = book("%mlops_register study flights")
    part = _card(made)["What it was fitted on"]
    assert [row[0] for row in part["rows"]] == ["age"]
    assert "Most used, by feature_importances_: age 100%." in part["notes"]


def test_sketching_draws_nothing_from_the_users_generators(book: Book, shell: Any) -> None:
    book(
        "import numpy as np\n"
        "from sklearn.tree import DecisionTreeClassifier\n"
        "class Drawing(DecisionTreeClassifier):\n"
        "    def predict_proba(self, X):\n        np.random.random(); return super().predict_proba(X)\n"
        "np.random.seed(0)"
    )
    book("features = train[['age']]")
    book("%%mlops_track --allow-pickle -o drawn\nm = Drawing(random_state=0).fit(features, train['late'])")
    book("after = np.random.random()")
    assert shell.user_ns["after"] == np.random.RandomState(0).random()


def test_a_later_evaluation_of_the_version_renews_its_card_and_files(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    (project / "strict.toml").write_text("[metrics]\nroc_auc = { min = 0.999 }\n")
    before = _card(registered)
    book("some = test[:150]")
    found = book("%mlops_evaluate models:/flights/1 some --target late --gates strict.toml")
    store = open_store(Settings.discover())
    again = registry.resolve(store, ModelAddress("flights", "1"))
    card, gates = _card(again), {one.name: one.outcome for one in found.assessment.verdicts}
    assert gates["quality"] == "fail"
    assert {row[0]: row[1] for row in card["Gates"]["rows"]} == gates
    assert card["Gates"]["notes"][0].startswith("On 150 rows")
    assert "quality" in dict(card["Model"]["rows"])["checked: evaluation"]
    (measured,) = [one for one in found.assessment.metrics if one.name == "roc_auc"]
    assert {row[0]: row[1:4] for row in card["Metrics"]["rows"]}["roc_auc"] == [
        measured.value, measured.low, measured.high,
    ]  # fmt: skip
    assert "gate quality" in dict(card["Limits"]["rows"])
    (judged,) = [row for row in card["Data"]["rows"] if row[0] == "evaluation"]
    assert judged == ["evaluation", "150 rows to judge by", found.data.digest]
    # All else is as it was: what no evaluation measured, the other parts, the files, the manifest.
    told = ("Metrics", "Gates", "Data", "Limits", "Model")
    assert {name: part for name, part in card.items() if name not in told} == {
        name: part for name, part in before.items() if name not in told
    }
    own = [
        [row for row in part["Metrics"]["rows"] if row[-1] == "the cell itself"] for part in (before, card)
    ]
    assert own[0] == own[1] != []
    assert again.digest == registered.digest
    assert belongings.names(again) == belongings.names(registered)
    assert belongings.get(store, again, "slice.py") == belongings.get(store, registered, "slice.py")
    assert json.loads(belongings.get(store, again, "evaluation.json"))["data"]["digest"] == found.data.digest
    assert "150 rows" in store.client.get_model_version("flights", "1").description
    assert book("%mlops_evaluate flights/1 test --target late").passed  # its files hold against the manifest
    # The run's files may be gone: what the version keeps is enough for the page.
    Path(store.client.download_artifacts(registered.run_id, "mlops/evaluation.json")).unlink()
    book("%mlops_promote flights --page review.html;")
    assert "ROC curve" in (project / "review.html").read_text()


def test_what_is_not_known_says_so(book: Book, fitted: Run) -> None:
    made = book("%mlops_register run flights")
    card = _card(made)
    assert card["Gates"]["rows"] == []
    assert "Never evaluated" in card["Gates"]["notes"][0]
    store = open_store(Settings.discover())
    source = store.client.get_logged_model(fitted.model_id).artifact_location
    store.client.create_registered_model("theirs")
    store.client.create_model_version("theirs", source)
    theirs = book("%mlops_register models:/theirs/1")
    assert "does not know which run" in _card(theirs)["Code"]["notes"][0]
    assert _card(theirs)["Metrics"]["rows"] == []


def test_mlflows_own_page_shows_the_card(book: Book, registered: ModelVersion) -> None:
    store = open_store(Settings.discover())
    shown = store.client.get_model_version("flights", registered.version).description
    assert shown.startswith(belongings.OURS)
    assert "| roc\\_auc |" in shown
    assert len(shown) <= 5_000
    assert registered.model_id is not None
    (folder,) = store.client.list_logged_model_artifacts(registered.model_id, "mlops/kept")
    names = {
        Path(item.path).name
        for item in store.client.list_logged_model_artifacts(registered.model_id, folder.path)
    }
    assert {
        "card.html",
        "card.json",
        "slice.py",
        "slice.ipynb",
        "evaluation.json",
        "evaluation.html",
    } <= names
    assert names == set(belongings.names(registered))
    store.client.update_model_version("flights", "1", "ours alone")
    book("%mlops_register models:/flights/1")
    assert store.client.get_model_version("flights", "1").description == "ours alone"


def test_a_second_version_of_the_same_model_leaves_the_first_whole(
    book: Book, registered: ModelVersion
) -> None:
    second = book("%mlops_register run flights")
    assert second.digest == registered.digest
    assert dict(second.checks)["manifest"] == dict(registered.checks)["manifest"]
    model = dict(_card(second)["Model"]["rows"])
    assert model["bytes"] == dict(_card(registered)["Model"]["rows"])["bytes"]
    store = open_store(Settings.discover())
    assert belongings.get(store, registered, "card.json") != belongings.get(store, second, "card.json")
    again = book("%mlops_register models:/flights/1")
    assert again.digest == registered.digest


def test_a_file_that_was_changed_is_refused(registered: ModelVersion, project: Path) -> None:
    store = open_store(Settings.discover())
    (file,) = project.glob("mlartifacts/**/mlops/kept/*/card.json")
    file.write_text(file.read_text().replace("HistGradient", "Perfect"))
    with pytest.raises(RefusedError, match=r"card\.json of flights/1 is not what was kept"):
        belongings.get(store, registered, "card.json")
    with pytest.raises(NotFoundError, match=r"has no contract\.json"):
        belongings.get(store, registered, "contract.json")


def test_files_that_cannot_be_written_leave_no_version(book: Book, fitted: Run, project: Path) -> None:
    assert fitted
    (model,) = project.glob("mlartifacts/**/MLmodel")
    (model.parent / "mlops" / "kept").write_text("in the way")
    with pytest.raises(UnavailableError, match="The files of"):
        book("%mlops_register run flights")
    assert registry.models(open_store(Settings.discover())) == {}


def test_names_of_columns_are_text_in_the_card(book: Book) -> None:
    book("wide = train.rename(columns={'age': '<img src=x onerror=alert(1)>|`*_'})")
    book("from sklearn.tree import DecisionTreeClassifier")
    book(
        "%%mlops_track -o hostile\nfeatures = wide.iloc[:, [2]]\n"
        "m = DecisionTreeClassifier().fit(features, wide['late'])"
    )
    made = book("%mlops_register hostile flights")
    store = open_store(Settings.discover())
    page = belongings.get(store, made, "card.html").decode()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    shown = store.client.get_model_version("flights", made.version).description
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)>\\|\\`\\*\\_" in shown
