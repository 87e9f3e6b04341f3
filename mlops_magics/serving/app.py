"""The routes: a bare ASGI application that only translates between HTTP and the predictor."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from mlops_magics.artifact.order import Limits
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving.access import Access
from mlops_magics.serving.batcher import Batcher, Job, whereabouts
from mlops_magics.serving.codec import Batch, Columns, RequestError
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.journal.entries import Answered, Call, Refused
from mlops_magics.serving.metrics import CONTENT_TYPE, Metrics
from mlops_magics.serving.predictor import Predictor

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/ping": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/version": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
    "/invocations": ("POST",),
}
"""Every route and its methods. What is not here does not exist."""

_log = logging.getLogger(__name__)
_JSON = "application/json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LARGE = 256 * 1024  # bytes of a body from which decoding leaves the event loop


class _GoneError(Exception):
    """The client has closed the connection; nobody is left to answer."""


@dataclass(slots=True)
class _Request:
    """One request and what is known of it so far."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    receive: Receive
    id: str
    started: float = field(default_factory=time.perf_counter)
    timing: str = ""

    def header(self, name: bytes) -> bytes | None:
        return next((value for known, value in self.headers if known == name), None)


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    kind: str = _JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


def build_app(
    predictor: Predictor,
    access: Access,
    *,
    limits: Limits,
    model: str,
    version: str,
    name: str,
    journal: Journal | None = None,
) -> App:
    """Put an application around a predictor.

    Args:
        predictor: What answers.
        access: Who may ask.
        limits: What one request may cost.
        model: The registered model's name.
        version: Its version.
        name: The endpoint's name.
        journal: What notes requests and answers.

    Returns:
        An ASGI 3 application.
    """
    predictor.limit(limits)
    return App(
        predictor,
        access,
        limits=limits,
        metrics=Metrics(name, model, version),
        model=model,
        version=version,
        journal=journal,
    )


class App:
    """The ASGI application of one endpoint; made by `build_app`."""

    def __init__(
        self,
        predictor: Predictor,
        access: Access,
        *,
        limits: Limits,
        metrics: Metrics,
        model: str,
        version: str,
        journal: Journal | None = None,
    ) -> None:
        self._predictor = predictor
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._journal = journal
        self._version_name = version
        self._batcher = Batcher(predictor, queue=limits.queue, note=self._note if journal else None)
        server = f"mlops-magics/{VERSION}"
        self._version = orjson.dumps({"model": model, "version": version, "server": server})
        self._fixed = (
            (b"x-model-version", _printable(version).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or follow the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:  # a websocket, which nothing here speaks
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.to_thread(self._predictor.warm)
        except Exception as error:  # noqa: BLE001 - the server must hear of it, whatever it is
            _log.error("The model cannot answer its own example: %s", whereabouts(error))
            await send({"type": "lifespan.startup.failed", "message": "The model cannot be warmed."})
            return
        if self._journal:
            self._journal.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._batcher.stop()
        if self._journal:
            await asyncio.to_thread(self._journal.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; no error leaves this method."""
        headers = list(scope["headers"])
        request = _Request(scope["method"], scope["path"], headers, receive, _request_id(headers))
        route = request.path if request.path in ROUTES else "other"
        try:
            answer = await self._answer(request)
        except RequestError as error:
            answer = _refusal(error, request)
        except _GoneError:
            self._metrics.count(route, 499)  # nobody hears it; the number is the usual one for it
            return
        except Exception as error:  # noqa: BLE001 - an error in our own code is an answer, too
            _log.error("request %s on %s: %s", request.id, route, whereabouts(error))
            answer = _refusal(
                RequestError(500, "INTERNAL", "The server failed; its log names the id."), request
            )
        self._metrics.count(route, answer.status)
        try:
            await self._send(request, answer, send)
        except OSError:
            _log.info("request %s: the client left before its answer", request.id)

    async def _answer(self, request: _Request) -> _Answer:
        self._access.check(request.method, request.path, request.headers)
        allowed = ROUTES.get(request.path)
        if allowed is None:
            raise RequestError(404, "NOT_FOUND", "There is no such route.")
        if request.method not in allowed:
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"Use {' or '.join(allowed)}.")
        match request.path:
            case "/ping":
                return _Answer(b"\n", "text/plain; charset=utf-8")
            case "/health":
                return _Answer(b'{"status":"ok"}')
            case "/version":
                return _Answer(self._version)
            case "/metrics":
                return _Answer(self._metrics.render(self._batcher.waiting).encode(), CONTENT_TYPE)
            case _:
                return await self._invoke(request)

    async def _invoke(self, request: _Request) -> _Answer:
        """Answer a request for predictions, and note it where it is refused."""
        call = Call(request.id, 1, request.started)
        try:
            return await self._predict(request, call)
        except RequestError as error:
            if self._journal:
                self._journal.note(Refused(call, error.status, error.code, self._version_name))
            raise

    def _note(self, jobs: Sequence[Job], columns: Columns, found: np.ndarray[Any, Any]) -> None:
        """Note what was computed together."""
        ended = time.perf_counter()
        for job in jobs:
            if job.call:
                job.call.queue, job.call.predict = job.started - job.queued, ended - job.started
        calls = [job.call for job in jobs if job.call]
        if self._journal:
            method = jobs[0].batch.method
            self._journal.note(Answered(calls, columns, found, method, self._version_name))

    async def _predict(self, request: _Request, call: Call) -> _Answer:
        """Decode, queue, predict, encode."""
        body = await self._body(request)
        kind = request.header(b"content-type")
        clock = time.perf_counter()
        batch = await self._decode(body, kind.decode("latin-1") if kind else None)
        decoded = time.perf_counter()
        call.rows, call.decode = batch.rows, decoded - clock
        job = self._batcher.submit(batch, request.id, call)
        await self._wait(job, request)
        predicted = time.perf_counter()
        content = self._predictor.encode(job.answer.result())
        ended = time.perf_counter()
        call.encode = ended - predicted
        spans = (
            ("decode", decoded - clock),
            ("queue", job.started - job.queued),
            ("predict", job.ended - job.started),
            ("encode", ended - predicted),
        )
        request.timing = ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in spans)
        self._metrics.predicted(batch.rows, ended - request.started)
        return _Answer(content)

    async def _decode(self, body: bytes, kind: str | None) -> Batch:
        if len(body) > _LARGE:
            return await asyncio.to_thread(self._predictor.decode, body, kind)
        return self._predictor.decode(body, kind)

    async def _body(self, request: _Request) -> bytes:
        """Read the body, never more of it than is allowed."""
        most = self._limits.body_bytes
        length = request.header(b"content-length")
        too_large = RequestError(413, "BODY_TOO_LARGE", f"The body has more than {most} bytes.")
        if length is not None and (not length.isdigit() or int(length) > most):
            raise too_large
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                while True:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > most:
                        raise too_large
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise RequestError(408, "BODY_TIMEOUT", "The body did not come in time.") from None

    async def _wait(self, job: Job, request: _Request) -> None:
        """Wait for an answer, for the client to leave, or for the time to be up."""
        if job.quick:  # answered in this turn of the event loop, or the next
            await job.answer
            return
        left = self._limits.seconds - (time.perf_counter() - request.started)
        client = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait(
                (job.answer, client), timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED
            )
            if job.answer.done():
                return
            if client.done():
                raise _GoneError
            raise RequestError(504, "TIMEOUT", f"No answer within {self._limits.seconds:g} seconds.")
        finally:
            client.cancel()
            job.answer.cancel()  # drops a request that still waits; does nothing to one that is answered

    async def _send(self, request: _Request, answer: _Answer, send: Send) -> None:
        headers = [
            (b"content-type", answer.kind.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request.id.encode()),
            *self._fixed,
            *answer.headers,
        ]
        if request.timing:
            headers.append((b"server-timing", request.timing.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Take the client's own id if it is harmless in a log and a header, else make one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _refusal(error: RequestError, request: _Request) -> _Answer:
    body = {
        "error_code": error.code,
        "message": error.message,
        "column": error.column,
        "row": error.row,
        "request_id": request.id,
    }
    headers: dict[int, tuple[bytes, bytes]] = {
        401: (b"www-authenticate", b"Bearer"),
        405: (b"allow", ", ".join(ROUTES.get(request.path, ())).encode()),
        408: (b"connection", b"close"),
        413: (b"connection", b"close"),  # the rest of the body is not read
        429: (b"retry-after", b"1"),
    }
    extra = (headers[error.status],) if error.status in headers else ()
    return _Answer(orjson.dumps(body), status=error.status, headers=extra)


def _printable(text: str) -> str:
    """Write a text so that it can neither break a header or log line nor hide in one."""
    return text.encode("unicode_escape").decode()
