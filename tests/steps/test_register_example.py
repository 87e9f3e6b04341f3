"""Versions that plain MLflow made without example rows, completed with rows that are given."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def _logged(estimator: Any, name: str, **options: Any) -> None:
    """Log and register a model as plain MLflow does it, without an input example."""
    import mlflow

    store = open_store(Settings.discover())
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment(experiment_id=store.experiment_id("e"))
    with warnings.catch_warnings(), mlflow.start_run():
        warnings.simplefilter("ignore")
        mlflow.sklearn.log_model(
            estimator, name="m", registered_model_name=name, pip_requirements=["scikit-learn"], **options
        )


@pytest.fixture
def people() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mail": [f"someone{i}@mail.example" for i in range(60)],
            "age": random.integers(20, 60, 60).astype(float),
            "late": random.integers(0, 2, 60),
        }
    )


@pytest.mark.parametrize(("form", "consent"), [("skops", ""), ("pickle", " --allow-pickle")])
def test_a_model_without_an_example_is_completed_with_rows(
    book: Book, shell: Any, people: pd.DataFrame, form: str, consent: str
) -> None:
    shell.user_ns["people"] = people
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = make_pipeline(encoder, LogisticRegression()).fit(people[["mail", "age"]], people["late"])
    _logged(model, "theirs", serialization_format=form)
    with pytest.raises(RefusedError, match="--example ROWS"):
        book(f"%mlops_register models:/theirs/1{consent}")
    made = book(f"%mlops_register models:/theirs/1 --example people{consent}")
    assert (made.model, made.version, made.format) == ("theirs", "1", form)
    assert dict(made.checks)["fresh process"] == "60 example rows predicted alike, probabilities too"
    assert made.digest is not None
    kept = json.loads(made.tags["mlops.example.request"])["dataframe_split"]
    assert kept["columns"] == ["mail", "age"]
    assert [row[0] for row in kept["data"]] == ["****"] * 5
    assert [row[1] for row in kept["data"]] == people["age"].head(5).tolist()
    assert len(json.loads(made.tags["mlops.example.predictions"])) == 5


def test_nobody_elses_address_is_in_the_store(
    book: Book, shell: Any, people: pd.DataFrame, project: Path
) -> None:
    shell.user_ns["people"] = people.assign(note=people["mail"].map(lambda mail: f"write to {mail} soon"))
    taken = shell.user_ns["people"][["note", "age"]]
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(taken[["age"]].assign(note="x")[["note", "age"]], people["late"])
    _logged(model, "theirs")
    assert book("%mlops_register models:/theirs/1 --example people").digest is not None
    stored = [path for path in project.rglob("*") if path.is_file()]
    assert any(path.name == "card.json" for path in stored)
    assert [path for path in stored if b"@mail.example" in path.read_bytes()] == []


def test_rows_that_the_model_does_not_take_masked_are_not_kept(
    book: Book, shell: Any, people: pd.DataFrame
) -> None:
    shell.user_ns["people"] = people
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(people[["mail"]], people["late"])
    _logged(model, "theirs")
    made = book("%mlops_register models:/theirs/1 --example people")
    assert "mlops.example.request" not in made.tags
    assert dict(made.checks)["fresh process"].startswith("60 example rows")


def test_a_model_without_names_takes_its_columns_by_place(book: Book, shell: Any, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(30, 2))
    _logged(LogisticRegression().fit(numbers, numbers[:, 0] > 0), "theirs")
    file = tmp_path / "rows.csv"
    pd.DataFrame(numbers, columns=["a", "b"]).to_csv(file, index=False)
    made = book(f"%mlops_register models:/theirs/1 --example {file}")
    assert dict(made.checks)["signature"].startswith("none")
    shell.user_ns["wide"] = pd.DataFrame(np.ones((3, 5)))
    with pytest.raises(UsageError, match="has 5 columns; the model was fitted on 2"):
        book("%mlops_register models:/theirs/1 --example wide")


def test_rows_that_do_not_fit_are_named(book: Book, shell: Any, people: pd.DataFrame) -> None:
    shell.user_ns |= {"people": people, "none": people.head(0), "less": people[["age"]]}
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(people[["mail", "age"]], people["late"])
    _logged(model, "theirs")
    with pytest.raises(UsageError, match="lacks columns of the model: mail"):
        book("%mlops_register models:/theirs/1 --example less")
    with pytest.raises(UsageError, match="has no rows"):
        book("%mlops_register models:/theirs/1 --example none")


def test_probabilities_that_differ_in_a_fresh_process_are_refused(book: Book) -> None:
    cell = (
        "%%mlops_track --allow-pickle -o custom\n"
        "import os\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "class Moody(LogisticRegression):\n"
        "    def predict_proba(self, X):\n"
        "        found = super().predict_proba(X)\n"
        "        return found / 2 if os.environ.get('OMP_NUM_THREADS') == '1' else found\n"
        "m = Moody().fit(train[['age']], train['late'])"
    )
    assert book(cell).model_id is not None
    with pytest.raises(RefusedError, match="does not give probabilities for the example"):
        book("%mlops_register custom flights --allow-pickle")


def test_a_completed_version_can_be_deployed(book: Book, shell: Any, people: pd.DataFrame) -> None:
    shell.user_ns["people"] = people
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    _logged(model.fit(people[["mail", "age"]], people["late"]), "theirs")
    book("%mlops_register models:/theirs/1 --example people")
    try:
        book("%mlops_deploy theirs/1")
        book("asked = people[['mail', 'age']].head(4)")
        found = book("%mlops_predict theirs asked").to_dict()["values"]
        assert found == model.predict(people[["mail", "age"]].head(4)).tolist()
    finally:
        book("%mlops_deploy theirs --remove")
