"""Fit the pipelines of the serving benchmarks in whatever environment runs this, and write what clients send.

``python train.py FOLDER``: per model ``NAME.joblib``, ``NAME_expected.json`` (1,000 labels), and the first row and
the first 1,000 in the forms that the servers take. Where MLflow is installed, also ``mlflow_NAME``.
"""

import importlib.util
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, QuantileTransformer, StandardScaler

ROWS = 20_000
FLOATS = [f"x{i}" for i in range(8)]
WHOLE = ["age", "visits"]
WORDS = {"city": 30, "plan": 4, "device": 6, "channel": 8}
KINDS = {"f": "FP64", "i": "INT64", "O": "BYTES"}


def table() -> tuple[pd.DataFrame, np.ndarray]:
    """Make the rows: 8 floats, 2 whole numbers, 4 words; and a label that hangs on some of them."""
    random = np.random.default_rng(7)
    made: dict = {name: random.normal(size=ROWS) for name in FLOATS}
    made["age"], made["visits"] = random.integers(18, 90, ROWS), random.integers(0, 50, ROWS)
    for name, many in WORDS.items():
        words = np.array([f"{name} {i}" for i in range(many)], dtype=object)
        made[name] = pd.Series(words[random.integers(0, many, ROWS)], dtype=object)
    frame = pd.DataFrame(made)
    odd = frame["city"].str[-1].isin(list("135")).astype(float)
    score = frame["x0"] - frame["x1"] * frame["x2"] / 2 + (frame["age"] - 50) / 30 + odd
    return frame, (score + random.normal(size=ROWS) / 2 > 0.4).astype(int).to_numpy()


def pipelines() -> dict:
    """Name the pipelines, not fitted, with the columns that each takes."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    boosted = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    numbers, words = [*FLOATS, *WHOLE], list(WORDS)
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    hot = ColumnTransformer([("n", scaled, numbers), ("w", OneHotEncoder(handle_unknown="ignore"), words)])
    forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
    analysis = QuadraticDiscriminantAnalysis()  # asked itself, behind a plan of what stands before it
    coded = ColumnTransformer([("w", codes, words)], remainder="passthrough")
    ranks = ColumnTransformer([("n", QuantileTransformer(), numbers), ("w", codes, words)])  # nor this step
    return {
        "hgb": (Pipeline([("columns", coded), ("model", boosted)]), numbers + words),
        "rf": (Pipeline([("columns", hot), ("model", forest)]), numbers + words),
        "qda": (Pipeline([("columns", coded), ("model", analysis)]), numbers + words),
        "ranks": (Pipeline([("columns", ranks), ("model", clone(boosted))]), numbers + words),
        "function": (Pipeline([("columns", coded), ("model", analysis)]), numbers + words),
        "lr": (LogisticRegression(max_iter=500), numbers),
    }


def function(pipeline: Pipeline):
    """Hide a pipeline in a function, as MLflow keeps models that it has no flavor for."""
    import mlflow.pyfunc

    class Function(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: pd.DataFrame):  # noqa: ARG002 - MLflow's names
            return pipeline.predict(model_input)

    return Function()


def bodies(rows: pd.DataFrame) -> dict[str, dict | list]:
    """Write rows in each form that a server takes."""
    records = rows.to_dict(orient="records")
    tensors = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": KINDS[rows[name].dtype.kind],
            "data": rows[name].tolist(),
            **({"parameters": {"content_type": "str"}} if rows[name].dtype == object else {}),
        }
        for name in rows
    ]
    return {
        "split": {"dataframe_split": rows.to_dict(orient="split", index=False)},
        "records": {"dataframe_records": records},
        "list": records,
        "data": {"data": records},
        "rows": {"rows": records},
        "v2": {"inputs": tensors, "parameters": {"content_type": "pd"}},
    }


def main(folder: Path) -> None:
    """Write everything."""
    folder.mkdir(parents=True, exist_ok=True)
    frame, labels = table()
    for name, (pipeline, columns) in pipelines().items():
        rows = frame[columns]
        pipeline.fit(rows, labels)
        joblib.dump(pipeline, folder / f"{name}.joblib")
        thousand = rows.head(1000)
        (folder / f"{name}_expected.json").write_text(json.dumps(pipeline.predict(thousand).tolist()))
        for many in (1, 1000):
            for form, body in bodies(rows.head(many)).items():
                (folder / f"{name}_{form}_{many}.json").write_text(json.dumps(body))
        if importlib.util.find_spec("mlflow"):
            from mlflow import pyfunc, sklearn
            from mlflow.models import infer_signature

            place = folder / f"mlflow_{name}"
            signature = infer_signature(rows.head(100), pipeline.predict(rows.head(100)))
            told = {"signature": signature, "pip_requirements": ["scikit-learn"]}
            if name == "function":
                pyfunc.save_model(place, python_model=function(pipeline), **told)
            else:
                sklearn.save_model(pipeline, place, serialization_format="cloudpickle", **told)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
