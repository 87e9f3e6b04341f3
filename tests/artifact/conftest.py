"""A model as a notebook makes it, saved by MLflow itself; each test gets a copy that it may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flights import frame, save


@pytest.fixture(scope="session")
def fitted() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    data = frame()
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer(
        [("plain", "passthrough", ["distance", "hour", "delayed"]), ("carrier", encoder, ["carrier"])]
    )
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5))
    return model.fit(data, np.where(data["hour"] > 12, "late", "on time"))


@pytest.fixture(scope="session")
def saved(fitted: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(fitted, tmp_path_factory.mktemp("saved") / "model", frame())


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))
