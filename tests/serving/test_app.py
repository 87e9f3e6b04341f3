"""The application through its own door, ASGI: routes, guards, limits, errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_magics.artifact.guard import Token
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.engines import PipelineEngine
from mlops_magics.serving.predictor import Predictor

TOKEN = "correct-horse"  # noqa: S105 - made up here
BEARER = {"authorization": f"Bearer {TOKEN}"}
SECRET = "s3cr3t-value"  # noqa: S105 - what must never come back
TABLE = pd.DataFrame({"a": np.linspace(0, 1, 20), "b": np.linspace(1, 0, 20)})
GOOD = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.9, 0.1], [0.1, 0.9]]}}
LIMITS = Limits(body_bytes=2000, rows=5, queue=2, seconds=5)


class Held:
    """The model's own answers, which a test can hold up or spoil."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._engine = PipelineEngine(loaded)
        self.gate = threading.Event()
        self.gate.set()
        self.calls: list[int] = []

    def predict(self, columns: Any, rows: int, method: Any) -> Any:
        assert self.gate.wait(5)
        self.calls.append(rows)
        if (columns["a"] < 0).any():
            raise ValueError(SECRET)
        return self._engine.predict(columns, rows, method)

    def quick(self, rows: int) -> bool:
        del rows
        return False


class Stage:
    """One application, a client of it, and the engine behind it."""

    def __init__(self, limits: Limits) -> None:
        fitted = LogisticRegression().fit(TABLE, np.where(TABLE["a"] > 0.5, "late", "on time"))
        schema = Schema((Column("a", "double"), Column("b", "double")))
        loaded = LoadedModel(fitted, schema, None, TABLE.head(2), "predict")
        self.fitted = fitted
        self.engine = Held(loaded)
        access = Access(hashlib.sha256(TOKEN.encode()).hexdigest())
        predictor = Predictor(loaded, engine=self.engine)
        self.app: App = build_app(
            predictor, access, limits=limits, model='fl"ights\n', version="3", name="endpoint"
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1:5000"
        )

    async def post(self, body: object = GOOD, **options: Any) -> httpx.Response:
        headers = {**BEARER, "content-type": "application/json", **options.pop("headers", {})}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post("/invocations", content=content, headers=headers, **options)


def play(scene: Callable[[Stage], Coroutine[Any, Any, None]], limits: Limits = LIMITS) -> None:
    async def run() -> None:
        stage = Stage(limits)
        try:
            await asyncio.wait_for(scene(stage), 15)
        finally:
            stage.engine.gate.set()
            await stage.client.aclose()
            await stage.app.lanes.live.batcher.stop()

    asyncio.run(run())


def test_an_answer_carries_all_that_a_client_may_ask_for() -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.post(headers={"x-request-id": "my-id.1"})
        assert answer.status_code == 200
        assert answer.json() == {"predictions": ["late", "on time"]}
        assert answer.headers["x-request-id"] == "my-id.1"
        assert answer.headers["x-model-version"] == "3"
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        spans = [span.split(";dur=") for span in answer.headers["server-timing"].split(", ")]
        assert [name for name, _ in spans] == ["decode", "queue", "predict", "encode"]
        assert all(float(duration) >= 0 for _, duration in spans)
        asked = {**GOOD, "params": {"method": "predict_proba"}}
        found = np.array((await stage.post(asked)).json()["predictions"])
        frame = pd.DataFrame(GOOD["dataframe_split"]["data"], columns=["a", "b"])
        np.testing.assert_array_equal(found, stage.fitted.predict_proba(frame))

    play(scene)


ROUTES = {path: route.methods for path, route in Stage(LIMITS).app.routes.items()}
OPEN = {"/ping", "/health", "/v2/health/live", "/v2/health/ready"}
UNKNOWN = ["/", "/nowhere", "/invocations/", "/v2/", "/v2/models", "/v2/models/other/infer"]


def test_the_table_has_these_routes() -> None:
    model = '/v2/models/fl"ights\n'
    parts = ["", "/ready", "/infer"]
    assert set(ROUTES) == {
        "/ping", "/health", "/version", "/metrics", "/invocations", "/openapi.json", "/docs",
        "/v2", "/v2/health/live", "/v2/health/ready",
        *(f"{base}{part}" for base in (model, f"{model}/versions/3") for part in parts),
    }  # fmt: skip


@pytest.mark.parametrize("path", [*ROUTES, *UNKNOWN])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_no_route_answers_without_the_token(path: str, method: str) -> None:
    allowed = ROUTES.get(path, ())
    is_open = path in OPEN and method in {"GET", "HEAD"}
    path = quote(path)

    async def scene(stage: Stage) -> None:
        bare = await stage.client.request(method, path)
        assert bare.status_code == (200 if is_open else 401)
        if not is_open:
            assert bare.headers["www-authenticate"] == "Bearer"
        wrong = await stage.client.request(method, path, headers={"authorization": f"Bearer {TOKEN}x"})
        assert wrong.status_code == bare.status_code
        for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
            assert (
                await stage.client.request(method, path, headers={**BEARER, **headers})
            ).status_code == 403
        known = await stage.client.request(method, path, headers=BEARER)
        if not allowed:
            assert known.status_code == 404
        elif method not in allowed:
            assert known.status_code == 405
            assert known.headers["allow"] == ", ".join(allowed)
        else:
            without_body = 415 if path == "/invocations" else 400
            assert known.status_code == (without_body if method == "POST" else 200)
        assert known.headers["x-request-id"]
        assert not stage.engine.calls

    play(scene)


def test_each_route_needs_its_scope() -> None:
    async def scene(stage: Stage) -> None:
        digests = {scope: hashlib.sha256(scope.encode()).hexdigest() for scope in ("predict", "read")}
        tokens = [Token(sha256=digest, scopes=(scope,)) for scope, digest in digests.items()]  # type: ignore[arg-type]
        stage.app._access = Access(hashlib.sha256(TOKEN.encode()).hexdigest(), tokens=tokens)
        for path, (method, *_) in ROUTES.items():
            needs = "predict" if method == "POST" else "read"
            for scope in digests:
                headers = {"authorization": f"Bearer {scope}"}
                answer = await stage.client.request(method, quote(path), headers=headers)
                assert (answer.status_code == 403) == (scope != needs and path not in OPEN)
        answer = await stage.client.post("/nowhere", headers={"authorization": "Bearer predict"})
        assert answer.json()["error_code"] == "OUT_OF_SCOPE"
        assert (await stage.post(headers={"authorization": "Bearer predict"})).status_code == 200

    play(scene)


def test_the_small_routes_say_what_they_should() -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.client.get("/ping")).content == b"\n"
        assert (await stage.client.get("/health")).json() == {"status": "ok"}
        version = await stage.client.get("/version", headers=BEARER)
        assert version.json()["version"] == "3"
        assert version.json()["model"] == 'fl"ights\n'
        head = await stage.client.head("/version", headers=BEARER)
        assert head.content == b""
        assert head.headers["content-length"] == str(len(version.content))

    play(scene)


BAD: list[tuple[bytes, int, str, str | None]] = [
    (b"{", 400, "BAD_REQUEST", None),
    (b'{"inputs": [NaN]}', 400, "BAD_REQUEST", None),
    (b'{"inputs": {"a": [1]}}', 400, "MISSING_COLUMN", "b"),
    (b'{"inputs": {"a": [1], "b": ["%s"]}}' % SECRET.encode(), 422, "INVALID_CELL", "b"),
    (json.dumps({"inputs": [[1, 2]] * 6}).encode(), 413, "TOO_MANY_ROWS", None),
    (b" " * 2001, 413, "BODY_TOO_LARGE", None),
    (b'{"inputs": [[-1, 2]]}', 500, "PREDICTION_FAILED", None),
]


@pytest.mark.parametrize(("body", "status", "code", "column"), BAD)
def test_errors_are_json_without_values_and_the_next_request_is_answered(
    body: bytes, status: int, code: str, column: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.post(body)
        assert answer.status_code == status
        told = answer.json()
        assert told.keys() == {"error_code", "message", "column", "row", "request_id"}
        assert (told["error_code"], told["column"]) == (code, column)
        assert told["request_id"] == answer.headers["x-request-id"]
        assert SECRET not in answer.text
        assert (await stage.post()).status_code == 200

    with caplog.at_level(logging.DEBUG):
        play(scene)
    assert SECRET not in caplog.text


def test_a_body_in_pieces_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 500

    async def scene(stage: Stage) -> None:
        headers = {**BEARER, "content-type": "application/json"}
        answer = await stage.client.post("/invocations", content=pieces(), headers=headers)
        assert answer.status_code == 413
        assert sent < 10

    play(scene)


def test_ids_that_could_hurt_a_log_are_replaced() -> None:
    async def scene(stage: Stage) -> None:
        for bad in ("a b", "a" * 65, "ä", "a;b", "${jndi}"):
            answer = await stage.post(headers={"x-request-id": bad.encode()})
            assert len(answer.headers["x-request-id"]) == 32

    play(scene)


def test_a_slow_model_is_a_504_and_a_full_queue_a_429() -> None:
    async def scene(stage: Stage) -> None:
        stage.engine.gate.clear()
        running = asyncio.ensure_future(stage.post())
        await asyncio.sleep(0.1)
        waiting = [asyncio.ensure_future(stage.post()) for _ in range(2)]
        await asyncio.sleep(0.05)
        full = await stage.post()
        assert full.status_code == 429
        assert full.headers["retry-after"] == "1"
        assert (await stage.client.get("/ping")).status_code == 200
        assert {(await one).status_code for one in (running, *waiting)} == {504}
        stage.engine.gate.set()
        assert (await stage.post()).status_code == 200
        assert stage.engine.calls == [2, 2]  # those that waited in vain were not computed

    play(scene, Limits(seconds=0.5, queue=2))


def scope(path: str = "/invocations", method: str = "POST") -> dict[str, Any]:
    headers = {"host": "localhost", "content-type": "application/json", **BEARER}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": raw}


def test_a_client_that_leaves_is_not_computed() -> None:
    async def scene(stage: Stage) -> None:
        left = asyncio.Event()
        messages = [{"type": "http.request", "body": json.dumps(GOOD).encode(), "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            pytest.fail(f"nobody hears {message}")

        stage.engine.gate.clear()
        running = asyncio.ensure_future(stage.post())
        await asyncio.sleep(0.1)
        leaving = asyncio.ensure_future(stage.app(scope(), receive, send))
        await asyncio.sleep(0.05)
        left.set()
        await leaving
        stage.engine.gate.set()
        assert (await running).status_code == 200
        assert (await stage.post()).status_code == 200
        assert stage.engine.calls == [2, 2]
        metrics = (await stage.client.get("/metrics", headers=BEARER)).text
        assert 'route="/invocations",status="499"} 1' in metrics

    play(scene)


def test_no_error_reaches_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stage: Stage) -> None:
        async def broken() -> Any:
            raise RuntimeError(SECRET)

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await stage.app(scope(), broken, send)
        assert sent[0]["status"] == 500
        assert SECRET.encode() not in sent[1]["body"]

        async def deaf(_: Any) -> None:
            raise ConnectionResetError

        await stage.app(scope("/ping", "GET"), broken, deaf)

    play(scene)
    assert SECRET not in caplog.text
    assert "RuntimeError" in caplog.text


def test_metrics_count_and_escape() -> None:
    async def scene(stage: Stage) -> None:
        await stage.post()
        await stage.post(b"{")
        await stage.client.get('/made-up"%0Apath', headers=BEARER)
        answer = await stage.client.get("/metrics", headers=BEARER)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        labels = r'endpoint="endpoint",model="fl\"ights\n",version="3"'
        lines = answer.text.splitlines()
        assert f'mlops_requests_total{{{labels},route="/invocations",status="200"}} 1' in lines
        assert f'mlops_requests_total{{{labels},route="/invocations",status="400"}} 1' in lines
        assert f'mlops_requests_total{{{labels},route="other",status="404"}} 1' in lines
        assert f"mlops_request_seconds_count{{{labels}}} 1" in lines
        assert f'mlops_request_seconds_bucket{{{labels},le="+Inf"}} 1' in lines
        assert f"mlops_rows_total{{{labels}}} 2" in lines
        assert all(line.startswith(("# ", "mlops_")) for line in lines)

    play(scene)


async def _life(app: App, stop: asyncio.Event) -> list[str]:
    told: list[str] = []
    wanted = [{"type": "lifespan.startup"}]

    async def receive() -> Any:
        if wanted:
            return wanted.pop()
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        told.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    return told


def test_the_application_warms_at_its_start_and_drains_at_its_end() -> None:
    async def scene(stage: Stage) -> None:
        stop = asyncio.Event()
        life = asyncio.ensure_future(_life(stage.app, stop))
        for _ in range(500):
            if len(stage.engine.calls) == 4:  # each method twice
                break
            await asyncio.sleep(0.01)
        stage.engine.gate.clear()
        running = asyncio.ensure_future(stage.post())
        await asyncio.sleep(0.05)
        stop.set()
        await asyncio.sleep(0.05)
        assert (await stage.post()).status_code == 503
        stage.engine.gate.set()
        assert (await running).status_code == 200
        assert await life == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    play(scene)


def test_a_model_that_cannot_answer_its_example_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Predictor) -> None:
        raise ValueError(SECRET)

    async def scene(stage: Stage) -> None:
        monkeypatch.setattr(Predictor, "warm", broken)
        assert await _life(stage.app, asyncio.Event()) == ["lifespan.startup.failed"]

    play(scene)


def test_a_websocket_is_closed() -> None:
    async def scene(stage: Stage) -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await stage.app({"type": "websocket", "path": "/invocations", "headers": []}, receive, send)
        assert [message["type"] for message in sent] == ["websocket.close"]

    play(scene)


def test_many_clients_at_once_each_get_their_own_answer() -> None:
    random = np.random.default_rng(0)
    rows = random.random((60, 2))

    async def scene(stage: Stage) -> None:
        bodies = [{"inputs": [row], "params": {"method": "predict_proba"}} for row in rows.tolist()]
        answers = await asyncio.gather(*(stage.post(body) for body in bodies))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = stage.fitted.predict_proba(pd.DataFrame(rows, columns=["a", "b"]))
        found = np.vstack([answer.json()["predictions"] for answer in answers])
        np.testing.assert_array_equal(found, expected)
        assert len(stage.engine.calls) < 60

    play(scene, Limits())
