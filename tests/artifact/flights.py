"""A small table of flights, and MLflow's own way of saving a model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.artifact import trust


def frame(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "distance": np.where(random.random(rows) < 0.1, np.nan, random.normal(900, 300, rows)),
            "hour": random.integers(0, 24, rows),
            "carrier": random.choice(["AA", "BA", "OS"], rows),
            "delayed": random.random(rows) < 0.5,
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows) % 30, "D"),
        }
    )


def save(estimator: Any, path: Path, data: pd.DataFrame | None, **options: Any) -> Path:
    import mlflow.sklearn
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = None if data is None else infer_signature(data.head(20))
        mlflow.sklearn.save_model(
            estimator,
            str(path),
            signature=signature,
            input_example=None if data is None else data.head(3),
            pip_requirements=["scikit-learn"],
            **{"skops_trusted_types": sorted(trust.TRUSTED), **options},
        )
    return path
