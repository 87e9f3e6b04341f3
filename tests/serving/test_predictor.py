"""Answers are those of the notebook, bit by bit, for models that MLflow saved."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlops_magics.artifact import trust
from mlops_magics.artifact.loading import LoadedModel, load
from mlops_magics.serving.predictor import Predictor, joined

NUMBERS = ["distance", "taxi", "hour", "seats"]
WORDS = ["carrier", "origin"]


def flights(kind: str) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """A table with gaps in numbers and words; words as pandas 3 has them, or as objects with None."""
    random = np.random.default_rng(1)
    rows = 400
    words = {
        name: np.where(random.random(rows) < 0.15, None, random.choice(list("ABCDE"), rows)) for name in WORDS
    }
    table = pd.DataFrame(
        {
            "distance": np.where(random.random(rows) < 0.1, np.nan, random.normal(900, 300, rows)),
            "carrier": pd.Series(words["carrier"], dtype=object),
            "taxi": random.random(rows).astype("float32"),
            "hour": random.integers(0, 24, rows),
            "origin": pd.Series(words["origin"], dtype=object),
            "seats": random.integers(20, 400, rows).astype("int32"),
        }
    )
    if kind == "str":
        table = table.astype(dict.fromkeys(WORDS, pd.StringDtype(na_value=np.nan)))
    late = (table["hour"] + 8 * (table["carrier"] == "A") + random.normal(0, 3, rows)) > 14
    return table, late.to_numpy()


def pipelines(kind: str) -> dict[str, Any]:
    gap = np.nan if kind == "str" else None
    encoded = {"encoded_missing_value": -2} if kind == "str" else {}
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **encoded)
    boosted = make_pipeline(
        ColumnTransformer([("words", ordinal, WORDS), ("numbers", "passthrough", NUMBERS)]),
        HistGradientBoostingClassifier(max_iter=8, categorical_features=[0, 1], random_state=0),
    )
    hot = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=gap), OneHotEncoder(handle_unknown="ignore")
    )
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    linear = make_pipeline(
        ColumnTransformer([("words", hot, WORDS), ("numbers", scaled, NUMBERS)]), LogisticRegression()
    )
    return {"boosted": boosted, "linear": linear}


def served(estimator: Any, table: pd.DataFrame, path: Path) -> Predictor:
    import mlflow.sklearn
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            estimator,
            str(path),
            signature=infer_signature(table),
            input_example=table.head(40),  # with gaps of each kind
            pip_requirements=["scikit-learn"],
            skops_trusted_types=sorted(trust.TRUSTED),
        )
    loaded = load(path)
    example = table.head(40)
    np.testing.assert_array_equal(loaded.estimator.predict(loaded.example), estimator.predict(example))
    if hasattr(estimator, "predict_proba"):
        found = loaded.estimator.predict_proba(loaded.example)
        np.testing.assert_array_equal(found, estimator.predict_proba(example))
    return Predictor(loaded)


CASES = [(kind, name) for kind in ("str", "object") for name in ("boosted", "linear")]


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    kind, name = request.param
    table, late = flights(kind)
    fitted = pipelines(kind)[name].fit(table, late)
    return fitted, table, served(fitted, table, tmp_path_factory.mktemp("m") / "model")


def asked(table: pd.DataFrame) -> bytes:
    data = [[None if value != value else value for value in row] for row in table.astype(object).to_numpy()]  # noqa: PLR0124 - NaN is not itself
    split = {"columns": list(table.columns), "data": data}
    return json.dumps(
        {"dataframe_split": split, "params": {"method": "predict_proba"}}, default=lambda one: one.item()
    ).encode()


def hard(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Frames that a notebook would pass, of the training frame's own types."""
    unseen = table.head(20).copy()
    unseen["carrier"] = "Z"
    unseen["origin"] = "a category nobody saw"
    gaps = table.head(20).copy()
    gaps["carrier"] = None
    gaps["distance"] = np.nan
    empty = table.head(1).copy()
    empty[WORDS] = None
    empty["distance"] = np.nan
    made = {"as trained": table, "one row": table.head(1), "unseen": unseen, "gaps": gaps, "only gaps": empty}
    return {name: frame.astype(table.dtypes) for name, frame in made.items()}


@pytest.mark.parametrize("name", ["as trained", "one row", "unseen", "gaps", "only gaps"])
def test_answers_are_bit_equal_to_the_notebooks(name: str, model: Any) -> None:
    fitted, table, predictor = model
    frame = hard(table)[name]
    batch = predictor.decode(asked(frame), "application/json")
    assert (batch.rows, batch.method) == (len(frame), "predict_proba")
    found = predictor.predict(batch.columns, batch.rows, batch.method)
    np.testing.assert_array_equal(found, fitted.predict_proba(frame))
    labels = predictor.predict(batch.columns, batch.rows, "predict")
    np.testing.assert_array_equal(labels, fitted.predict(frame))


def test_requests_computed_together_answer_as_if_alone(model: Any) -> None:
    fitted, table, predictor = model
    frames = [frame.head(3) for frame in hard(table).values()]
    batches = [predictor.decode(asked(frame), "application/json") for frame in frames]
    rows = sum(batch.rows for batch in batches)
    found = predictor.predict(joined(batches), rows, "predict_proba")
    alone = np.vstack([fitted.predict_proba(frame) for frame in frames])
    np.testing.assert_array_equal(found, alone)


def test_a_forest_answers_the_same_with_one_job(tmp_path: Path) -> None:
    table = flights("str")[0][["hour", "taxi"]]
    fitted = RandomForestRegressor(5, n_jobs=2, random_state=0).fit(table, table["hour"] * 2.5)
    predictor = served(fitted, table, tmp_path / "m")
    assert predictor.methods == ("predict",)
    body = table.head(30).to_csv(index=False).encode()
    batch = predictor.decode(body, "text/csv")
    expected = fitted.set_params(n_jobs=1).predict(table.head(30))
    np.testing.assert_array_equal(predictor.predict(batch.columns, batch.rows, batch.method), expected)


def test_a_model_on_arrays_gets_an_array() -> None:
    table = np.random.default_rng(0).random((30, 2))
    fitted = LogisticRegression().fit(table, table[:, 0] > 0.5)
    predictor = Predictor(LoadedModel(fitted, None, None, None, "predict_proba"))
    assert predictor.methods == ("predict_proba", "predict")
    batch = predictor.decode(json.dumps({"inputs": table.tolist()}).encode(), "application/json")
    found = predictor.predict(batch.columns, batch.rows, batch.method)
    np.testing.assert_array_equal(found, fitted.predict_proba(table))


def test_many_alternating_types_still_make_the_same_frame() -> None:
    names = [f"c{i}" for i in range(12)]
    table = pd.DataFrame({name: [1.5, 2.5] if i % 2 else ["x", None] for i, name in enumerate(names)})
    words = names[::2]
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = ColumnTransformer([("words", ordinal, words), ("numbers", "passthrough", names[1::2])])
    fitted = make_pipeline(columns, LogisticRegression()).fit(table, [0, 1])
    predictor = Predictor(LoadedModel(fitted, None, None, table, "predict_proba"))
    predictor.warm()
    batch = predictor.decode(asked(table), "application/json")
    found = predictor.predict(batch.columns, batch.rows, batch.method)
    np.testing.assert_array_equal(found, fitted.predict_proba(table))


def test_warming_answers_the_example_by_each_method(model: Any) -> None:
    seen: list[tuple[int, str]] = []

    class Watched:
        def predict(self, columns: Any, rows: int, method: Any) -> Any:
            assert list(columns) == list(table.columns)
            seen.append((rows, method))
            return np.zeros(rows)

    _, table, _ = model
    fitted = pipelines("str")["linear"].fit(*flights("str"))
    loaded = LoadedModel(fitted, None, None, table.head(5), "predict")
    Predictor(loaded, engine=Watched()).warm()
    assert set(seen) == {(5, "predict"), (5, "predict_proba")}
