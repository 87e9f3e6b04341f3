"""The pipeline behind BentoML with adaptive batching: ``bentoml serve bentoml_app:Service``."""

import os
from pathlib import Path

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60})
class Service:
    """Answers rows."""

    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["MODELS"]) / f"{os.environ['MODEL']}.joblib")

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=64, max_latency_ms=200, route="/invocations")
    def predict(self, rows: list[dict]) -> list[int]:
        """Answer rows."""
        return self.model.predict(pd.DataFrame(rows)).tolist()
