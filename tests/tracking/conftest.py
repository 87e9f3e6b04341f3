"""A small real model on a small real table, and a store to log it to."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import Store, open_store


@pytest.fixture
def store(store_file: Path) -> Store:
    assert store_file.is_file()
    return open_store(Settings.discover())


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = 300
    frame = pd.DataFrame(
        {
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "size": random.normal(size=rows),
            "age": random.integers(1, 90, rows),
        }
    )
    frame.loc[::7, "town"] = None
    frame.loc[::5, "size"] = None
    frame["late"] = (frame["age"] + 20 * random.normal(size=rows) > 45).astype(int)
    return frame


@pytest.fixture(scope="session")
def model(table: pd.DataFrame) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
    made = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    return made.fit(table[["town", "size", "age"]], table["late"])
