"""A second version behind an endpoint: its share, who goes there, what it cannot do to a client."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import Beside, Limits
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.predictor import Predictor

TOKEN = "correct-horse"  # noqa: S105 - made up here
HEADS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
BODY = json.dumps({"inputs": {"x": [1.0]}}).encode()


class Constant:
    """Answers one number, or fails where it is asked to."""

    def __init__(self, answer: float) -> None:
        self.answer = answer
        self.fails: Callable[[int], bool] = lambda _: False
        self.asked = 0
        self.at_once = True
        self.lasts = 0.0

    def predict(self, columns: Any, rows: int, method: Any) -> Any:
        del columns, method
        self.asked += 1
        time.sleep(self.lasts)
        if self.fails(self.asked):
            raise ValueError("cannot")
        return np.full(rows, self.answer)

    def quick(self, rows: int) -> bool:
        del rows
        return self.at_once


class Stage:
    """An application with two versions, 3 and 4."""

    def __init__(
        self, role: Any, percent: float = 0.0, stopped: str = "", limits: Limits | None = None
    ) -> None:
        self.engines = (Constant(3.0), Constant(4.0))
        schema = Schema((Column("x", "double"),))
        loaded = LoadedModel(object(), schema, None, None, "predict")
        live, other = (Predictor(loaded, engine=engine) for engine in self.engines)
        told = Beside(
            role=role, percent=percent, model_path=Path(), version="4", digest="sha256:0", stopped=stopped
        )
        self.why: list[str] = []
        self.app: App = build_app(
            live,
            Access(hashlib.sha256(TOKEN.encode()).hexdigest()),
            limits=limits or Limits(),
            model="flights",
            version="3",
            name="flights",
            beside=(other, told),
            stopped=self.why.append,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1:5000"
        )

    async def ask(self, **heads: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in heads.items()}
        return await self.client.post("/invocations", content=BODY, headers=HEADS | named)

    async def infer(self, version: str, **heads: str) -> httpx.Response:
        """Ask in the Open Inference Protocol, by a path that names the version; "" names none."""
        content = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.0]}]}
        base = f"/v2/models/flights{version and f'/versions/{version}'}"
        named = {name.replace("_", "-"): value for name, value in heads.items()}
        return await self.client.post(f"{base}/infer", json=content, headers=HEADS | named)

    async def told(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=HEADS)

    async def versions(self, count: int, **heads: str) -> list[str]:
        answers = [await self.ask(x_request_id=f"r{number}", **heads) for number in range(count)]
        for answer in answers:
            assert answer.status_code == 200
            assert answer.json() == {"predictions": [float(answer.headers["x-model-version"])]}
        return [answer.headers["x-model-version"] for answer in answers]


def play(stage: Stage, scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        try:
            await scene(stage)
        finally:
            await stage.client.aclose()
            for lane in stage.app.lanes.every:
                await lane.batcher.stop()

    asyncio.run(run())


def test_a_canary_gets_its_share() -> None:
    async def scene(stage: Stage) -> None:
        found = await stage.versions(600)
        assert 20 <= found.count("4") <= 110  # 60 expected; five deviations of a binomial are 37
        assert set(found) == {"3", "4"}

    play(Stage("canary", 10), scene)


def test_who_sends_a_key_always_goes_the_same_way() -> None:
    async def scene(stage: Stage) -> None:
        ways = set()
        for user in range(30):
            found = set(await stage.versions(4, x_sticky_key=f"user {user}"))
            assert len(found) == 1
            ways |= found
        assert ways == {"3", "4"}

    play(Stage("canary", 50), scene)


def test_a_version_can_be_asked_for_by_name() -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.versions(3, x_model_version="4") == ["4"] * 3
        assert await stage.versions(3, x_model_version="3") == ["3"] * 3
        answer = await stage.ask(x_model_version="5")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "NO_SUCH_VERSION")

    play(Stage("canary", 50), scene)


def test_what_a_canary_cannot_answer_the_live_version_does_until_it_is_stopped() -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].fails = lambda _: True
        assert await stage.versions(200) == ["3"] * 200
        assert stage.why == ["version 4 could not answer 5 of 5 requests"]
        assert stage.engines[1].asked == 5

    play(Stage("canary", 50), scene)


def test_a_canary_that_fails_as_rarely_as_it_may_is_not_stopped() -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].fails = lambda asked: asked % 100 == 0
        await stage.versions(1400)
        assert stage.app.lanes.other is not None
        assert stage.app.lanes.other.failed >= 5
        assert stage.why == []

    play(Stage("canary", 50), scene)


def test_a_canary_that_was_stopped_gets_nothing() -> None:
    async def scene(stage: Stage) -> None:
        assert set(await stage.versions(50)) == {"3"}

    play(Stage("canary", 50, stopped="it failed"), scene)


def test_a_bad_request_is_not_the_canary_s_fault() -> None:
    async def scene(stage: Stage) -> None:
        for number in range(40):
            bad = json.dumps({"inputs": {"x": ["text"]}}).encode()
            heads = HEADS | {"x-request-id": f"r{number}"}
            answer = await stage.client.post("/invocations", content=bad, headers=heads)
            assert answer.status_code == 422
        assert all(lane.failed == 0 for lane in stage.app.lanes.every)

    play(Stage("canary", 50), scene)


@pytest.mark.parametrize("broken", [False, True])
def test_a_shadow_is_asked_and_never_heard(*, broken: bool) -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].fails = lambda _: broken
        assert await stage.versions(20) == ["3"] * 20
        await asyncio.sleep(0.05)
        assert stage.engines[1].asked >= 20
        assert stage.why == []
        text = (await stage.told("/metrics")).text
        outcome = "failed" if broken else "answered"
        assert f'version="4",role="shadow",outcome="{outcome}"}} 20' in text

    play(Stage("shadow"), scene)


def test_nobody_gets_a_shadow_s_answer_whichever_way_it_is_named() -> None:
    async def scene(stage: Stage) -> None:
        named = (await stage.ask(x_model_version="4"), await stage.infer("", x_model_version="4"))
        for answer in named:
            assert answer.status_code == 404
            assert "does not answer here" in answer.text
        base = "/v2/models/flights/versions/4"
        for answer in (await stage.infer("4"), await stage.told(base), await stage.told(f"{base}/ready")):
            assert answer.status_code == 404
        assert (await stage.told("/v2/models/flights")).json()["versions"] == ["3"]
        assert [engine.asked for engine in stage.engines] == [0, 0]

    play(Stage("shadow"), scene)


def test_a_shadow_is_asked_what_the_live_version_is_asked_by_its_name() -> None:
    async def scene(stage: Stage) -> None:
        for answer in (await stage.infer("3"), await stage.infer("")):
            told = answer.json()
            assert (told["model_version"], told["outputs"][0]["data"]) == ("3", [3.0])
        await asyncio.sleep(0.05)
        assert [engine.asked for engine in stage.engines] == [2, 2]

    play(Stage("shadow"), scene)


def test_a_canary_is_asked_by_the_path_that_names_it() -> None:
    async def scene(stage: Stage) -> None:
        for version, number in (("3", 3.0), ("4", 4.0)) * 10:
            answer = await stage.infer(version)
            told = answer.json()
            assert (told["model_version"], told["outputs"][0]["data"]) == (version, [number])
            assert answer.headers["x-model-version"] == version
        base = "/v2/models/flights"
        for path, versions in ((base, ["3", "4"]), (f"{base}/versions/4", ["4"])):
            assert (await stage.told(path)).json()["versions"] == versions
        assert (await stage.told(f"{base}/versions/4/ready")).json()["ready"] is True
        for path in (f"{base}/versions/4", f"{base}/versions/4/ready", f"{base}/versions/4/infer"):
            assert (await stage.client.get(path)).status_code == 401

    play(Stage("canary", 50), scene)


def test_who_names_the_canary_in_the_path_gets_no_other_version_s_answer() -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].fails = lambda _: True
        answers = [await stage.infer("4") for _ in range(6)]
        assert {answer.status_code for answer in answers} == {500}
        assert stage.engines[0].asked == 0
        assert len(stage.why) == 1  # and it is stopped all the same
        assert {(await stage.infer("")).json()["model_version"] for _ in range(20)} == {"3"}

    play(Stage("canary", 50), scene)


def test_metrics_tell_the_versions_apart() -> None:
    async def scene(stage: Stage) -> None:
        await stage.versions(2, x_model_version="4")
        text = (await stage.client.get("/metrics", headers=HEADS)).text
        assert 'endpoint="flights",version="4",role="canary",outcome="answered"} 2' in text
        assert 'endpoint="flights",version="3",role="live",outcome="answered"} 0' in text

    play(Stage("canary", 10), scene)


def test_a_canary_that_hangs_leaves_the_live_version_time_to_answer() -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].at_once, stage.engines[1].lasts = False, 1.5
        assert await stage.versions(1, x_model_version="4") == ["3"]
        assert stage.app.lanes.other is not None
        assert stage.app.lanes.other.failed == 1

    play(Stage("canary", 50, limits=Limits(seconds=1.0)), scene)


def test_who_finds_the_canary_s_queue_full_is_answered_by_the_live_version() -> None:
    async def scene(stage: Stage) -> None:
        stage.engines[1].at_once, stage.engines[1].lasts = False, 0.3
        named = {"x_model_version": "4"}
        answers = await asyncio.gather(*(stage.ask(**named) for _ in range(2)))
        assert [answer.status_code for answer in answers] == [200] * 2
        assert {answer.headers["x-model-version"] for answer in answers} == {"3", "4"}

    play(Stage("canary", 50, limits=Limits(queue=1)), scene)


def test_a_version_is_not_asked_by_name_where_another_one_s_path_is() -> None:
    async def scene(stage: Stage) -> None:
        for version, status in (("3", 400), ("4", 404)):  # the body is none of this protocol's
            heads = HEADS | {"x-model-version": version}
            path = "/v2/models/flights/versions/3/infer"
            answer = await stage.client.post(path, content=BODY, headers=heads)
            assert answer.status_code == status

    play(Stage("canary", 50), scene)
