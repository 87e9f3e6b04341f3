"""Requests that try a version beside ones that are traffic: what is computed together is told apart."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import Beside, JournalOrder, Limits
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.terms import Terms
from mlops_magics.serving.trial import Trial
from mlops_magics.steps.deploy.traffic import read

TOKEN, WORD = "correct-horse", "only-the-deploy-knows"
HEADS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
TRYING = {**HEADS, "x-mlops-trial": WORD}


class Twice:
    """Answers twice its number, in a thread; fails at 13."""

    def predict(self, columns: Any, rows: int, method: Any) -> Any:
        del method
        values = columns["x"]
        if (values == 13.0).any():
            raise ValueError("cannot")
        assert len(values) == rows
        return values * 2.0

    def quick(self, rows: int) -> bool:
        return rows == 1


def _app(journal: Journal | None = None, role: Any = "canary", terms: Terms | None = None) -> App:
    loaded = LoadedModel(object(), Schema((Column("x", "double"),)), None, None, "predict")
    live, other = (Predictor(loaded, engine=Twice()) for _ in range(2))
    told = Beside(role=role, percent=0.0, model_path=Path(), version="4", digest="sha256:0")
    trial = Trial(hashlib.sha256(WORD.encode()).hexdigest())
    return build_app(
        live,
        Access(hashlib.sha256(TOKEN.encode()).hexdigest(), trial=trial),
        limits=Limits(seconds=5),
        model="flights",
        version="3",
        name="flights",
        journal=journal,
        beside=(other, told),
        terms=terms,
    )


async def _asked(app: App, *asked: tuple[list[float], dict[str, str]]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    "/invocations", content=json.dumps({"inputs": {"x": cells}}).encode(), headers=heads
                )
                for cells, heads in asked
            )
        )
        for lane in app.lanes.every:
            await lane.batcher.stop()
        return answers


def test_what_is_computed_together_is_told_apart_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.start()
    app = _app(journal)
    asked: list[tuple[list[float], dict[str, str]]] = []
    for place in range(12):
        cells = [float(place)] * (1 + place % 3)
        asked.append((cells, TRYING if place % 2 else HEADS))
    answers = asyncio.run(_asked(app, *asked))
    journal.close()
    for (cells, _), answer in zip(asked, answers, strict=True):
        assert answer.json() == {"predictions": [cell * 2 for cell in cells]}
    frame = read("flights", tmp_path, 600.0).frame
    wanted = sorted(cell for cells, heads in asked if heads is HEADS for cell in cells)
    assert sorted(frame["input.x"]) == wanted
    np.testing.assert_array_equal(frame["prediction"], frame["input.x"] * 2)
    assert app.lanes.live.answered == 6


def test_a_trial_that_fails_is_counted_nowhere_and_nobody_answers_in_its_place(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path))
    journal.start()
    contract = Contract("small", (ColumnRule("x", "number", maximum=100.0),), rows=10)
    app = _app(journal, terms=Terms(contract))
    named = {**TRYING, "x-model-version": "4"}
    bad, out = ([13.0], named), ([500.0], TRYING)
    answers = asyncio.run(_asked(app, bad, out, ([13.0], HEADS), ([500.0], HEADS)))
    assert [answer.status_code for answer in answers] == [500, 422, 500, 422]
    assert [lane.failed for lane in app.lanes.every] == [1, 0]
    journal.close()
    frame = read("flights", tmp_path, 600.0).frame
    assert sorted(frame["status"]) == [422, 500]
    transport = httpx.ASGITransport(app)

    async def metrics() -> str:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as client:
            return (await client.get("/metrics", headers=HEADS)).text

    told = asyncio.run(metrics())
    assert 'route="/invocations",status="500"} 1' in told
    assert 'column="x",rule="range"} 1' in told


def test_only_a_deploy_asks_a_shadow_by_its_name_and_past_the_contract() -> None:
    contract = Contract("small", (ColumnRule("x", "number", maximum=100.0),), rows=10)
    app = _app(role="shadow", terms=Terms(contract))
    named = {"x-model-version": "4"}
    answers = asyncio.run(_asked(app, ([500.0], HEADS | named), ([500.0], TRYING | named)))
    assert [answer.status_code for answer in answers] == [404, 200]
    assert answers[1].headers["x-model-version"] == "4"
