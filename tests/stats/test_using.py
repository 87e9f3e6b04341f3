"""How much a model uses each column: the same whatever the units, the levels and the kind of model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from mlops_magics.artifact.reference import NAME, Reference
from mlops_magics.stats.reference import kept_of

ROWS = 4_000


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Draw rows of which a number tells most, a hundred levels little, and a column nothing."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "dest": random.choice([f"D{place:02}" for place in range(100)], ROWS),
            "temp": 12 + 8 * random.normal(size=ROWS),
            "noise": random.normal(size=ROWS),
        }
    )


@pytest.fixture(scope="module")
def truth(rows: pd.DataFrame) -> pd.Series[float]:
    random = np.random.default_rng(1)
    levels = dict(zip(sorted(rows["dest"].unique()), 0.5 * random.normal(size=100), strict=True))
    return (rows["temp"] - 12) / 8 + rows["dest"].map(levels) + 0.3 * random.normal(size=ROWS)


def _kept(rows: Any, model: Any) -> Reference:
    return Reference.from_json(kept_of(rows, model)[NAME])


def _columns() -> Any:
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["dest"]), (StandardScaler(), ["temp", "noise"])
    )


def test_many_levels_do_not_outweigh_a_number_that_tells_more(rows: pd.DataFrame, truth: Any) -> None:
    for model, wanted in (
        (make_pipeline(_columns(), LinearRegression()), truth),
        (make_pipeline(_columns(), LogisticRegression(max_iter=2_000)), truth > 0),
    ):
        fitted = model.fit(rows, wanted)
        assert np.abs(fitted[-1].coef_).ravel()[:100].sum() > 10 * np.abs(fitted[-1].coef_).ravel()[100]
        found = _kept(rows, fitted)
        assert found.measured == "coef_"
        assert found.importance["temp"] > found.importance["dest"] > 5 * found.importance["noise"]
        # temp moves the answer by 1, the levels by 0.5: 2 to 1, as it was drawn, and more where it is shrunk
        assert 1.7 < found.importance["temp"] / found.importance["dest"] < 4


def test_units_change_nothing(rows: pd.DataFrame, truth: Any) -> None:
    numbers = rows[["temp", "noise"]]
    grams = numbers.assign(temp=numbers["temp"] * 1_000)
    one, two = (_kept(table, LinearRegression().fit(table, truth)) for table in (numbers, grams))
    assert one.importance == pytest.approx(two.importance, abs=1e-4)
    assert one.importance["temp"] > 0.95


def test_a_model_that_says_nothing_is_asked_with_shuffled_columns(rows: pd.DataFrame, truth: Any) -> None:
    numbers = rows[["noise", "temp"]]
    boosted = HistGradientBoostingClassifier(max_iter=30).fit(numbers, truth > 0)
    for table, model in (
        (numbers, boosted),
        (numbers.to_numpy(), HistGradientBoostingClassifier(max_iter=30).fit(numbers.to_numpy(), truth > 0)),
        (numbers, make_pipeline(StandardScaler(), PCA(2), LinearRegression()).fit(numbers, truth)),
    ):
        found = _kept(table, model)
        assert found.measured == "shuffling"
        assert list(found.importance.values())[1] > 0.8
        assert sum(found.importance.values()) == pytest.approx(1, abs=1e-5)
    assert _kept(numbers, boosted).importance == _kept(numbers, boosted).importance


def test_steps_that_do_not_say_what_they_make_cost_no_reference(rows: pd.DataFrame, truth: Any) -> None:
    numbers = rows[["temp", "noise"]]
    found = _kept(
        numbers, make_pipeline(FunctionTransformer(np.asarray), LinearRegression()).fit(numbers, truth)
    )
    assert found.measured == "shuffling"
    assert found.importance["temp"] > 0.9


def test_what_trees_say_of_levels_adds_up(rows: pd.DataFrame, truth: Any) -> None:
    model = make_pipeline(_columns(), RandomForestRegressor(10, random_state=0)).fit(
        rows[:1_000], truth[:1_000]
    )
    found = _kept(rows[:1_000], model)
    assert found.measured == "feature_importances_"
    assert found.importance["dest"] == pytest.approx(model[-1].feature_importances_[:-2].sum(), abs=1e-5)
