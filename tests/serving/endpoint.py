"""An endpoint of a model with columns of every type, in this process or behind a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import quote

import httpx
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.front import Front
from mlops_magics.serving.identity import Identity
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.predictor import Predictor

TOKEN = "correct-horse"  # noqa: S105 - made up here
BEARER = {"authorization": f"Bearer {TOKEN}"}
SECRET = "s3cr3t-value"  # noqa: S105 - what must never come back
MODEL, VERSION = "flights", "3"
BASE = f"/v2/models/{quote(MODEL)}"
SCHEMA = Schema(
    (
        Column("distance", "double"),
        Column("delay", "double", required=False),
        Column("load", "float"),
        Column("stops", "long"),
        Column("rank", "long", required=False),
        Column("gate", "integer"),
        Column("night", "boolean"),
        Column("carrier", "string"),
        Column("note", "string", required=False),
        Column("departs", "datetime"),
        Column("blob", "binary"),
    )
)
ROWS: dict[str, list[Any]] = {
    "distance": [100.5, 900.25, 400.0],
    "delay": [None, 3.5, 0.0],
    "load": [0.5, 0.25, 1.0],
    "stops": [0, 2, 1],
    "rank": [1, None, 3],
    "gate": [-5, 7, 2**31 - 1],
    "night": [True, False, True],
    "carrier": ["AA", "ÜA", "AA"],
    "note": [None, "x", ""],
    "departs": ["2026-01-02T03:04:05", "2026-06-02T00:00:00", "2025-01-02T03:04:05.25"],
    "blob": ["aGk=", "", "AP8="],
}
TENSORS = {
    "distance": "FP64",
    "delay": "FP64",
    "load": "FP32",
    "stops": "INT64",
    "rank": "INT64",
    "gate": "INT32",
    "night": "BOOL",
    "carrier": "BYTES",
    "note": "BYTES",
    "departs": "BYTES",
    "blob": "BYTES",
}


@functools.cache
def loaded() -> LoadedModel:
    """Fit the model: it looks at numbers and one text, and drops the other columns."""
    table = pd.DataFrame(ROWS)
    numbers, texts = ["distance", "delay", "stops"], ["carrier"]
    columns = make_column_transformer(
        (SimpleImputer(), numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
    )
    many = pd.concat([table] * 20, ignore_index=True)
    target = ["late" if row % 3 == 1 else "on time" for row in range(len(many))]
    fitted = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(many, target)
    outputs = Schema((Column("0", "string"),))
    return LoadedModel(fitted, SCHEMA, outputs, table.head(2), "predict")


def application(
    model: LoadedModel | None = None,
    limits: Limits | None = None,
    journal: Journal | None = None,
    *,
    compiled: bool = False,
) -> App:
    """Put the application around the model."""
    predictor = Predictor(model or loaded())
    if compiled:
        predictor.compile()
    access = Access(hashlib.sha256(TOKEN.encode()).hexdigest())
    return build_app(
        predictor,
        access,
        limits=limits or Limits(),
        model=MODEL,
        version=VERSION,
        name="endpoint",
        journal=journal,
    )


class Caller:
    """Asks an application in this process, until the end of the block."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run(self.app.lanes.live.batcher.stop())

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send one request; a body that is no bytes goes as JSON."""

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
                kind = {} if body is None else {"content-type": "application/json"}
                return await client.request(
                    method, path, content=content, headers={**BEARER, **kind, **named}
                )

        return asyncio.run(sent())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.ask("POST", path, body, **headers)


@contextlib.contextmanager
def served(
    app: App,
    make: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    identity: Identity | None = None,
) -> Iterator[tuple[str, int]]:
    """Serve an application at a real socket of loopback, in such a loop, until the end of the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    ready, stop = threading.Event(), asyncio.Event()
    loop = make()

    async def answer() -> None:
        front = Front(app, identity, refused=app.refused)
        await front.start()
        await front.accept(listening)
        ready.set()
        await stop.wait()
        await front.drain(linger=0, seconds=1)

    thread = threading.Thread(target=loop.run_until_complete, args=(answer(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield listening.getsockname()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def tensor(name: str, **other: Any) -> dict[str, Any]:
    """One column of the good request."""
    return {"name": name, "datatype": TENSORS[name], "shape": [3], "data": ROWS[name], **other}


def question(*others: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The good request; tensors that are given stand in the place of its own."""
    other = {one["name"]: one for one in others}
    return {"inputs": [other.pop(name, None) or tensor(name) for name in ROWS] + list(other.values()), **more}
