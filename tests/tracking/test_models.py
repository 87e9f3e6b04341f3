from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlops_magics.artifact.loading import load
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.tracking import models, runs, subject
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import Store

FEATURES = ["town", "size", "age"]


def test_a_logged_model_comes_back_identical_with_signature_example_and_pins(
    store: Store, model: Any, table: pd.DataFrame
) -> None:
    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name="n", source=Source("x"), git=None)
    logged = models.log_model(store, run_id, experiment, model, data=table[FEATURES])
    assert (logged.kind, logged.format) == ("HistGradientBoostingClassifier", "skops")

    found = subject.of_run(store, run_id)
    assert found.model_id == logged.model_id
    with subject.files(store, found) as folder:
        back = load(folder)
        pins = (folder / "requirements.txt").read_text().split()
    np.testing.assert_array_equal(
        back.estimator.predict_proba(table[FEATURES]), model.predict_proba(table[FEATURES])
    )
    assert back.schema is not None
    required = {column.name: (column.type, column.required) for column in back.schema.columns}
    assert required == {"town": ("string", False), "size": ("double", False), "age": ("long", True)}
    assert list(back.example.columns) == FEATURES
    assert any(pin.startswith("scikit-learn==") for pin in pins)
    entity = store.client.get_logged_model(logged.model_id)
    assert (str(entity.status), entity.source_run_id) == ("READY", run_id)


def test_plain_mlflow_can_load_what_we_logged(store: Store, model: Any, table: pd.DataFrame) -> None:
    import mlflow

    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name="n", source=Source("x"), git=None)
    logged = models.log_model(store, run_id, experiment, model, data=table[FEATURES])
    mlflow.set_tracking_uri(store.uri)
    theirs = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    np.testing.assert_array_equal(theirs.predict(table[FEATURES]), model.predict(table[FEATURES]))


def test_a_function_of_the_notebook_is_refused_by_name_until_pickle_is_allowed(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def double(x):\n    return x * 2\n", namespace)  # noqa: S102 - as a notebook's cell defines it
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    made = make_pipeline(FunctionTransformer(namespace["double"]), LogisticRegression())
    made.fit(frame, [0, 0, 1, 1])
    with pytest.raises(RefusedError, match="double"):
        models.save(made, tmp_path / "a", data=frame)
    assert not (tmp_path / "a").exists()
    assert models.save(made, tmp_path / "b", data=frame, allow_pickle=True) == "pickle"


def test_polars_and_arrays_give_a_signature_too(tmp_path: Path) -> None:
    array = np.arange(20.0).reshape(10, 2)
    made = LogisticRegression().fit(array, [0, 1] * 5)
    models.save(made, tmp_path / "array", data=array)
    assert load(tmp_path / "array").estimator.predict(array).shape == (10,)
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", None, "z"]})
    dummy = DummyClassifier().fit(frame.to_pandas(), [0, 1, 1])
    models.save(dummy, tmp_path / "polars", data=frame)
    schema = load(tmp_path / "polars").schema
    assert schema is not None
    assert [(column.name, column.required) for column in schema.columns] == [("a", False), ("b", False)]


def test_an_estimator_that_cannot_predict_its_own_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot predict the rows"):
        models.save(LogisticRegression(), tmp_path / "m", data=pd.DataFrame({"a": [1.0, 2.0]}))
