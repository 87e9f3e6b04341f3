"""A notebook's namespace with a small real table, a fitted run, and a registered model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.tracking.records import ModelVersion, Run

TABLE = """
import numpy as np
import pandas as pd
random = np.random.default_rng(0)
rows = 600
table = pd.DataFrame({
    "town": random.choice(["Oslo", "Rome", "Lima"], rows),
    "size": random.normal(size=rows),
    "age": random.integers(1, 90, rows).astype(float),
})
table.loc[::7, "town"] = None
table.loc[::5, "size"] = None
table["late"] = (table["age"] + 20 * random.normal(size=rows) > 45).astype(int)
train, test = table[:400], table[400:]
"""

FIT = """%%mlops_track --name {name} -o run
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
depth = {depth}
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
trees = HistGradientBoostingClassifier(max_iter=10, max_depth=depth, random_state=0)
model = make_pipeline(columns, trees).fit(train[["town", "size", "age"]], train["late"])
accuracy = model.score(test[["town", "size", "age"]], test["late"])
"""


@pytest.fixture
def book(shell: Any, run: Callable[..., Any], store_file: Path) -> Callable[[str], Any]:
    """Run cells of a notebook whose experiment is chosen and whose table is there."""
    assert store_file.is_file()
    run(shell, "%config MLOps.standby = False")
    run(shell, "%mlops_track e")
    run(shell, TABLE)

    def cell(source: str) -> Any:
        return run(shell, source).result

    return cell


@pytest.fixture
def fit(book: Callable[[str], Any]) -> Callable[..., Run]:
    """Fit a pipeline in a tracked cell; the run is bound to ``run``."""

    def fitted_run(name: str = "baseline", depth: int = 3) -> Run:
        made = book(FIT.format(name=name, depth=depth))
        assert isinstance(made, Run)
        return made

    return fitted_run


@pytest.fixture
def fitted(fit: Callable[..., Run]) -> Run:
    return fit()


@pytest.fixture
def registered(book: Callable[[str], Any], fitted: Run) -> ModelVersion:
    assert fitted.model_id
    book("%mlops_evaluate run test --target late")
    made = book("%mlops_register run flights")
    assert isinstance(made, ModelVersion)
    return made
