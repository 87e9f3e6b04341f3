"""The pipeline behind Ray Serve with batching: ``python ray_app.py``."""

import os
from itertools import pairwise
from pathlib import Path

import joblib
import pandas as pd
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=128, ray_actor_options={"num_cpus": 0.5})
class Service:
    """Answers rows."""

    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["MODELS"]) / f"{os.environ['MODEL']}.joblib")

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def many(self, lists: list) -> list:
        """Answer several requests at once."""
        found = self.model.predict(pd.DataFrame([row for rows in lists for row in rows])).tolist()
        ends = [0]
        for rows in lists:
            ends.append(ends[-1] + len(rows))
        return [found[start:stop] for start, stop in pairwise(ends)]

    async def __call__(self, request: Request) -> dict:
        """Answer one request."""
        return {"predictions": await self.many((await request.json())["dataframe_records"])}


ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, logging_level="ERROR")
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
serve.run(Service.bind(), route_prefix="/", blocking=True)
