from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def test_a_version_is_proved_before_it_exists(registered: ModelVersion, shell: Any) -> None:
    fitted = shell.user_ns["run"]
    assert (registered.version, registered.aliases, registered.format) == ("1", ("candidate",), "skops")
    assert (registered.run_id, registered.model_id) == (fitted.id, fitted.model_id)
    assert registered.digest is not None
    assert registered.digest.startswith("sha256:")
    checks = dict(registered.checks)
    assert checks["fresh process"] == "5 example rows predicted alike, probabilities too"
    assert checks["signature"] == "3 columns"
    assert "passed" in checks["evaluation"]


def test_the_newest_version_is_the_candidate(book: Book, registered: ModelVersion) -> None:
    second = book("%mlops_register run flights")
    assert (second.version, second.aliases) == ("2", ("candidate",))
    store = open_store(Settings.discover())
    assert registry.aliases_of(store, registered.model) == {"candidate": "2"}


@pytest.mark.parametrize("name", ["../x", "a/b", "x; import os", "n" * 300, "<b>"])
def test_a_name_that_is_not_allowed_makes_nothing(book: Book, fitted: Run, name: str) -> None:
    assert fitted
    with pytest.raises(UsageError):
        book(f"%mlops_register run '{name}'")
    assert registry.models(open_store(Settings.discover())) == {}


def test_tampered_files_of_the_run_are_refused_when_they_no_longer_load(
    book: Book, fitted: Run, project: Path
) -> None:
    assert fitted
    (file,) = project.glob("mlartifacts/**/model.skops")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(Exception, match="model"):
        book("%mlops_register run flights")
    assert registry.models(open_store(Settings.discover())) == {}


def test_a_pickle_needs_consent_each_time(book: Book) -> None:
    cell = (
        "%%mlops_track --allow-pickle -o custom\n"
        "from sklearn.preprocessing import FunctionTransformer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "def double(x):\n    return x * 2\n"
        "m = make_pipeline(FunctionTransformer(double), LogisticRegression())\n"
        "m.fit(train[['age']], train['late'])"
    )
    refused = book(cell.replace(" --allow-pickle", ""))
    assert refused.model_id is None
    assert "double" in refused.notes[0]
    assert book(cell).model_id is not None
    with pytest.raises(RefusedError, match="pickle"):
        book("%mlops_register custom flights")
    made = book("%mlops_register custom flights --allow-pickle")
    assert made.tags["mlops.consent.pickle"] == "yes"


def test_a_version_of_plain_mlflow_is_completed_in_place(book: Book, fitted: Run) -> None:
    store = open_store(Settings.discover())
    source = store.client.get_logged_model(fitted.model_id).artifact_location
    store.client.create_registered_model("theirs")
    store.client.create_model_version("theirs", source)
    with pytest.raises(Exception, match="no manifest"):
        book("%mlops_deploy theirs/1")
    made = book("%mlops_register models:/theirs/1")
    assert (made.model, made.version) == ("theirs", "1")
    assert made.digest is not None


def test_what_is_no_model_is_said(book: Book, fitted: Run) -> None:
    assert fitted
    with pytest.raises(UsageError, match="DataFrame is not a model"):
        book("%mlops_register test flights")
    with pytest.raises(UsageError, match="was never logged"):
        book("%mlops_register model flights")
    with pytest.raises(UsageError, match="Which model"):
        book("%mlops_register run")
