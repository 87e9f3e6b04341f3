"""Small tables and models with known faults, shared by the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops_magics.checks.assess import assess
from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.base import Verdict


def table(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Two numbers, a category and a target ``late`` that depends on them."""
    rng = np.random.default_rng(seed)
    hour, humid = rng.uniform(0, 24, rows), rng.uniform(0, 1, rows)
    carrier = rng.choice(["AA", "B6", "UA"], rows)
    chance = 1 / (1 + np.exp(-(hour - 14) / 3 - (carrier == "B6")))
    return pd.DataFrame(
        {"hour": hour, "humid": humid, "carrier": carrier, "late": rng.uniform(size=rows) < chance}
    )


class Said:
    """A model whose probability is a column of the table."""

    def __init__(self, column: str = "said") -> None:
        self.column = column
        self.classes_ = np.array([False, True])
        self.feature_names_in_ = np.array([column])
        self.calls: list[str] = []

    def predict_proba(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        self.calls.append("predict_proba")
        said = rows[self.column].to_numpy(dtype=float)
        return np.column_stack([1 - said, said])

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        self.calls.append("predict")
        return np.asarray(rows[self.column].to_numpy(dtype=float) > 0.5)


class Steady(Said):
    """The same, and a missing probability is a half."""

    def predict_proba(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        return super().predict_proba(rows.fillna(0.5))


class Number:
    """A regression that answers a column of the table."""

    def __init__(self, column: str = "said") -> None:
        self.feature_names_in_ = np.array([column])
        self.column = column
        self.n_features_in_ = 1

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(rows[self.column].fillna(0.0).to_numpy(dtype=float))


def said_table(rows: int = 4000, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    """Calibrated probabilities ``said``, and ``noisy`` ones with noise on the log odds."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=rows) * 1.5
    said = 1 / (1 + np.exp(-odds))
    noisy = 1 / (1 + np.exp(-(odds + rng.normal(size=rows) * noise)))
    return pd.DataFrame({"said": said, "noisy": noisy, "late": rng.uniform(size=rows) < said})


def verdict(assessment: Assessment, name: str) -> Verdict:
    return next(one for one in assessment.verdicts if one.name == name)


def judged(name: str, model: Any, frame: Any, target: str = "late", **options: Any) -> Verdict:
    return verdict(assess(model, frame, target, gates=options.pop("gates", [name]), **options), name)


def fitted(frame: pd.DataFrame | None = None) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    frame = table() if frame is None else frame
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((encoder, ["carrier"]), remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, random_state=0))
    return model.fit(frame[["hour", "humid", "carrier"]], frame["late"])
