"""The routes: a bare ASGI application that only translates between HTTP and the predictor."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from mlops_magics.artifact.order import Limits
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving import description, inference, packing
from mlops_magics.serving.access import Access
from mlops_magics.serving.batcher import Batcher, Job, whereabouts
from mlops_magics.serving.codec import Batch, Columns, RequestError
from mlops_magics.serving.inference import OpenInference
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.journal.entries import Answered, Call, Refused
from mlops_magics.serving.metrics import CONTENT_TYPE, Metrics
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Heads, Hear, Route, hears, says
from mlops_magics.serving.scoring import Scoring

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LARGE = 256 * 1024  # bytes of a body from which decoding leaves the event loop


class _GoneError(Exception):
    """The client has closed the connection; nobody is left to answer."""


@dataclass(slots=True)
class _Request:
    """One request and what is known of it so far."""

    method: str
    path: str
    heads: Heads
    receive: Receive
    id: str
    started: float = field(default_factory=time.perf_counter)
    timing: str = ""


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
        self._version = version
        self._batcher = Batcher(predictor, queue=limits.queue, note=self._note if journal else None)
        self.routes = self._table(model, version)
        self._fixed = (
            (b"x-model-version", _printable(version).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        )

    def _table(self, model: str, version: str) -> Mapping[str, Route]:
        """Make the table of all routes; what is not in it does not exist."""
        server = f"mlops-magics/{VERSION}"
        told = Answer(orjson.dumps({"model": model, "version": version, "server": server}))
        routes = {
            "/invocations": hears(Scoring(self._predictor).hear),
            "/ping": says(lambda: Answer(b"\n", "text/plain; charset=utf-8")),
            "/health": says(lambda: Answer(b'{"status":"ok"}')),
            "/version": says(lambda: told),
            "/metrics": says(
                lambda: Answer(self._metrics.render(self._batcher.waiting).encode(), CONTENT_TYPE)
            ),
            **OpenInference(self._predictor, model, version).routes(),
        }
        private = self._journal.leave_out if self._journal else ()
        return {**routes, **description.routes(self._predictor, model, version, routes, private)}

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
        heads = dict(headers)
        request = _Request(scope["method"], scope["path"], heads, receive, _request_id(heads))
        known = self.routes.get(request.path)
        route = request.path if known else "other"
        try:
            self._access.check(request.method, request.path, headers, known.scope if known else "read")
            answer = await self._answer(request, known)
        except RequestError as error:
            answer = _refusal(error, request, known)
        except _GoneError:
            self._metrics.count(route, 499)  # nobody hears it; the number is the usual one for it
            return
        except Exception as error:  # noqa: BLE001 - an error in our own code is an answer, too
            _log.error("request %s on %s: %s", request.id, route, whereabouts(error))
            failed = RequestError(500, "INTERNAL", "The server failed; its log names the id.")
            answer = _refusal(failed, request, known)
        self._metrics.count(route, answer.status)
        try:
            await self._send(request, answer, send)
        except OSError:
            _log.info("request %s: the client left before its answer", request.id)

    async def _answer(self, request: _Request, route: Route | None) -> Answer:
        if route is None:
            raise RequestError(404, "NOT_FOUND", "There is no such route.")
        if request.method not in route.methods:
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"Use {' or '.join(route.methods)}.")
        if route.hear is not None:
            return await self._invoke(request, route.hear)
        assert route.say is not None  # noqa: S101 - a route does one of both
        return await asyncio.to_thread(route.say) if route.slow else route.say()

    async def _invoke(self, request: _Request, hear: Hear) -> Answer:
        """Answer a request for predictions, and note it where it is refused."""
        call = Call(request.id, 1, request.started)
        try:
            return await self._predict(request, hear, call)
        except RequestError as error:
            if self._journal:
                self._journal.note(Refused(call, error.status, error.code, self._version))
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
            self._journal.note(Answered(calls, columns, found, method, self._version))

    async def _predict(self, request: _Request, hear: Hear, call: Call) -> Answer:
        """Decode, queue, predict, encode."""
        body = await self._body(request)
        clock = time.perf_counter()
        batch = await self._decode(body, request.heads, hear)
        decoded = time.perf_counter()
        call.rows, call.decode = batch.rows, decoded - clock
        job = self._batcher.submit(batch, request.id, call)
        await self._wait(job, request)
        predicted = time.perf_counter()
        found = job.answer.result()
        if batch.reply is None:
            answer = Answer(self._predictor.encode(found))
        else:
            more = [
                await self._more(replace(batch, method=method), request, call) for method in batch.reply.also
            ]
            answer = batch.reply.write([found, *more])
        if len(answer.body) >= packing.LARGE and packing.wants_gzip(request.heads.get(b"accept-encoding")):
            answer = await asyncio.to_thread(packing.packed, answer)
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
        return answer

    async def _more(self, batch: Batch, request: _Request, call: Call) -> np.ndarray[Any, Any]:
        """Ask the model for one thing more about the same rows; it is noted beside the first."""
        job = self._batcher.submit(batch, request.id, replace(call))
        await self._wait(job, request)
        return job.answer.result()

    async def _decode(self, body: bytes, heads: Heads, hear: Hear) -> Batch:
        coding = heads.get(b"content-encoding")
        if coding is not None:  # a small body may hide a large one: never on the event loop
            body = await asyncio.to_thread(packing.unpacked, body, coding, self._limits.body_bytes)
        if len(body) > _LARGE:
            return await asyncio.to_thread(hear, body, heads)
        return hear(body, heads)

    async def _body(self, request: _Request) -> bytes:
        """Read the body, never more of it than is allowed."""
        most = self._limits.body_bytes
        length = request.heads.get(b"content-length")
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

    async def _send(self, request: _Request, answer: Answer, send: Send) -> None:
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


def _request_id(heads: Heads) -> str:
    """Take the client's own id if it is harmless in a log and a header, else make one."""
    given = heads.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _refusal(error: RequestError, request: _Request, route: Route | None) -> Answer:
    """Write an error as the protocol of the route has it."""
    headers: dict[int, tuple[bytes, bytes]] = {
        401: (b"www-authenticate", b"Bearer"),
        405: (b"allow", ", ".join(route.methods if route else ()).encode()),
        408: (b"connection", b"close"),
        413: (b"connection", b"close"),  # the rest of the body is not read
        415: (b"accept-encoding", b"gzip"),
        429: (b"retry-after", b"1"),
    }
    extra = (headers[error.status],) if error.status in headers else ()
    write = inference.refusal if inference.speaks(request.path) else _refused
    return Answer(write(error, request.id), status=error.status, headers=extra)


def _refused(error: RequestError, request_id: str) -> bytes:
    body = {
        "error_code": error.code,
        "message": error.message,
        "column": error.column,
        "row": error.row,
        "request_id": request_id,
    }
    return orjson.dumps(body)


def _printable(text: str) -> str:
    """Write a text so that it can neither break a header or log line nor hide in one."""
    return text.encode("unicode_escape").decode()
