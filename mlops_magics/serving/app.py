"""The routes: a bare ASGI application that only translates between HTTP and the predictor."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from mlops_magics.artifact.order import Beside, Limits
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving import description, packing
from mlops_magics.serving.access import Access
from mlops_magics.serving.batcher import Batcher, Job, whereabouts
from mlops_magics.serving.codec import Batch, RequestError
from mlops_magics.serving.exchange import (
    GoneError,
    Message,
    Receive,
    Request,
    read_body,
    refusal,
    request_id,
)
from mlops_magics.serving.inference import OpenInference
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.journal.entries import Refused
from mlops_magics.serving.journal.sheets import Group
from mlops_magics.serving.lanes import Lane, Lanes, Role
from mlops_magics.serving.metrics import CONTENT_TYPE, Metrics
from mlops_magics.serving.patience import Patience
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Hear, Route, hears, says
from mlops_magics.serving.rows import Columns
from mlops_magics.serving.scoring import Scoring
from mlops_magics.serving.terms import BreachError, Terms

Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)
_LARGE = 256 * 1024  # bytes of a body from which decoding leaves the event loop
_FAILURES = frozenset({500, 504})  # a version that fails, or takes too long
_SHADOWS = 64  # requests that may wait for a shadow; more are not worth what they cost
_TIMING = b"decode;dur=%.3f, queue;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f"
_FIXED = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def build_app(
    predictor: Predictor,
    access: Access,
    *,
    limits: Limits,
    model: str,
    version: str,
    name: str,
    journal: Journal | None = None,
    beside: tuple[Predictor, Beside] | None = None,
    terms: Terms | None = None,
    stopped: Callable[[str], None] = _log.warning,
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
        beside: A second version, and what it answers for.
        terms: What requests are held against; what a shadow answers unheard is not.
        stopped: What is told when a canary is stopped, and why.

    Returns:
        An ASGI 3 application.
    """
    predictor.limit(limits)
    if beside:
        beside[0].limit(limits)
    return App(
        predictor,
        access,
        limits=limits,
        metrics=Metrics(name, model, version),
        model=model,
        version=version,
        journal=journal,
        beside=beside,
        terms=terms,
        stopped=stopped,
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
        beside: tuple[Predictor, Beside] | None = None,
        terms: Terms | None = None,
        stopped: Callable[[str], None] = _log.warning,
    ) -> None:
        self._predictor = predictor
        self._access = access
        self._limits = limits
        self._patience = Patience(limits.seconds)
        self._metrics = metrics
        self._journal = journal
        self._terms = terms
        live, other = self._lane("live", predictor, model, version), None
        if beside:
            other = self._lane(beside[1].role, beside[0], model, beside[1].version)
        percent = 0.0 if beside is None or beside[1].stopped else beside[1].percent
        self.lanes = Lanes(live, other, percent=percent, stopped=stopped)
        self.routes = self._table(model, version)

    def _lane(self, role: Role, predictor: Predictor, model: str, version: str) -> Lane:
        """Make all that one version's requests go through."""
        reads: dict[str, Hear] = {"/invocations": Scoring(predictor).hear}
        for path, route in OpenInference(predictor, model, version).routes().items():
            if route.hear:
                reads[path] = route.hear
        hears = {path: self._terms.heard(read) if self._terms else read for path, read in reads.items()}

        def note(jobs: Sequence[Job], columns: Columns, found: np.ndarray[Any, Any]) -> None:
            self._note(lane, jobs, columns, found)

        batcher = Batcher(predictor, queue=self._limits.queue, note=note if self._journal else None)
        lane = Lane(role, version, predictor, batcher, hears, reads)
        return lane

    def _table(self, model: str, version: str) -> Mapping[str, Route]:
        """Make the table of all routes; what is not in it does not exist."""
        server = f"mlops-magics/{VERSION}"
        told = Answer(orjson.dumps({"model": model, "version": version, "server": server}))
        routes = {
            "/invocations": hears(self.lanes.live.hears["/invocations"]),
            "/ping": says(lambda: Answer(b"\n", "text/plain; charset=utf-8")),
            "/health": says(lambda: Answer(b'{"status":"ok"}')),
            "/version": says(lambda: told),
            "/metrics": says(
                lambda: Answer(self._metrics.render(self.lanes.every, self._terms).encode(), CONTENT_TYPE)
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
            for lane in self.lanes.every:
                await asyncio.to_thread(lane.predictor.warm)
        except Exception as error:  # noqa: BLE001 - the server must hear of it, whatever it is
            _log.error("The model cannot answer its own example: %s", whereabouts(error))
            await send({"type": "lifespan.startup.failed", "message": "The model cannot be warmed."})
            return
        if self._journal:
            self._journal.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for lane in self.lanes.every:
            await lane.batcher.stop()
        if self._journal:
            await asyncio.to_thread(self._journal.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; no error leaves this method."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        heads = dict(headers)
        request = Request(scope["method"], scope["path"], heads, receive, request_id(heads))
        known = self.routes.get(request.path)
        route = request.path if known else "other"
        try:
            self._access.check(request.method, request.path, headers, known.scope if known else "read")
            request.trial = self._access.trial.tells(heads)
            answer = await self._answer(request, known)
        except RequestError as error:
            answer = refusal(error, request, known)
        except GoneError:
            if not request.trial:
                self._metrics.count(route, 499)  # nobody hears it; the number is the usual one for it
            return
        except Exception as error:  # noqa: BLE001 - an error in our own code is an answer, too
            _log.error("request %s on %s: %s", request.id, route, whereabouts(error))
            failed = RequestError(500, "INTERNAL", "The server failed; its log names the id.")
            answer = refusal(failed, request, known)
        if not request.trial:
            self._metrics.count(route, answer.status)
        try:
            await self._send(request, answer, send)
        except OSError:
            _log.info("request %s: the client left before its answer", request.id)

    async def _answer(self, request: Request, route: Route | None) -> Answer:
        if route is None:
            raise RequestError(404, "NOT_FOUND", "There is no such route.")
        if request.method not in route.methods:
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"Use {' or '.join(route.methods)}.")
        if route.hear is not None:
            return await self._invoke(request)
        assert route.say is not None  # noqa: S101 - a route does one of both
        return await asyncio.to_thread(route.say) if route.slow else route.say()

    async def _invoke(self, request: Request) -> Answer:
        """Answer a request for predictions; what a canary cannot answer the live version does."""
        live = self.lanes.live
        try:
            request.body = await read_body(request, self._limits, self._patience)
            request.lane = self.lanes.choose(request.path, request.heads, request.id)
        except RequestError as error:
            self._note_refusal(live, request, error)
            raise
        if request.lane is not live:
            try:
                return await self._noted(request, request.lane)
            except RequestError as error:
                if request.trial or (error.status < 500 and error.status != 429):  # noqa: PLR2004 - the request is at fault, not the version
                    raise
                request.lane = live
        answer = await self._noted(request, live)
        if self.lanes.shadow and not request.trial:
            asyncio.get_running_loop().call_soon(self._shadow, request, self.lanes.shadow)
        return answer

    async def _noted(self, request: Request, lane: Lane) -> Answer:
        """Answer a request in its lane, and note it where it is refused."""
        try:
            answer = await self._predict(request, lane)
        except RequestError as error:
            self._note_refusal(lane, request, error)
            if error.status in _FAILURES and not request.trial:
                self.lanes.failed(lane)
            raise
        lane.answered += not request.trial
        return answer

    def _shadow(self, request: Request, lane: Lane) -> None:
        """Let the shadow answer a request that was answered; nobody hears it, and nothing it does matters."""
        hear = lane.reads.get(request.path)
        if hear is None or len(request.body) > _LARGE or lane.batcher.waiting > _SHADOWS:
            return
        try:
            if request.heads.get(b"content-encoding") is None:
                batch = hear(request.body, request.heads)
                job = lane.batcher.submit(batch, request.id, time.perf_counter(), math.nan)
                job.answer.add_done_callback(lane.unheard)
        except RequestError:
            lane.failed += 1

    def _note_refusal(self, lane: Lane, request: Request, error: RequestError) -> None:
        if request.trial:
            return
        rule = error.rule if isinstance(error, BreachError) else None
        if self._terms and isinstance(error, BreachError):
            self._terms.count(error)
        if self._journal:
            told = (error.status, error.code, lane.version, error.column, rule)
            self._journal.note_refusal(Refused(request.id, request.started, request.decode, *told))

    def _note(self, lane: Lane, jobs: Sequence[Job], columns: Columns, found: np.ndarray[Any, Any]) -> None:
        """Note what was computed together."""
        spent = time.perf_counter() - jobs[0].started
        noted = [job for job in jobs if not job.trial]
        if self._journal and noted:
            method = jobs[0].batch.method
            if len(noted) < len(jobs):  # some of them only tried the version
                kept = np.repeat([not job.trial for job in jobs], [job.rows for job in jobs])
                columns, found = {name: cells[kept] for name, cells in columns.items()}, found[kept]
            self._journal.note(Group(noted, spent, columns, found, method, lane.version, lane.role))

    async def _predict(self, request: Request, lane: Lane) -> Answer:
        """Decode, queue, predict, encode."""
        clock = time.perf_counter()
        hears = lane.reads if request.trial and lane.role == "shadow" else lane.hears
        batch = await self._decode(request, hears[request.path])
        decoded = time.perf_counter()
        request.decode = decoded - clock
        job = lane.batcher.submit(batch, request.id, request.started, request.decode, trial=request.trial)
        await self._wait(job, request)
        predicted = time.perf_counter()
        found = job.answer.result()
        if batch.reply is None:
            answer = Answer(lane.predictor.encode(found))
        else:
            more = [
                await self._more(replace(batch, method=method), request, lane) for method in batch.reply.also
            ]
            answer = batch.reply.write([found, *more])
        if len(answer.body) >= packing.LARGE and packing.wants_gzip(request.heads.get(b"accept-encoding")):
            answer = await asyncio.to_thread(packing.packed, answer)
        ended = time.perf_counter()
        job.encode = ended - predicted
        request.timing = _TIMING % (
            request.decode * 1e3,
            (job.started - job.queued) * 1e3,
            (job.ended - job.started) * 1e3,
            (ended - predicted) * 1e3,
        )
        if not request.trial:
            self._metrics.predicted(batch.rows, ended - request.started)
        return answer

    async def _more(self, batch: Batch, request: Request, lane: Lane) -> np.ndarray[Any, Any]:
        """Ask the model for one thing more about the same rows; it is noted beside the first."""
        job = lane.batcher.submit(batch, request.id, request.started, request.decode, trial=request.trial)
        await self._wait(job, request)
        return job.answer.result()

    async def _decode(self, request: Request, hear: Hear) -> Batch:
        body, heads = request.body, request.heads
        coding = heads.get(b"content-encoding")
        if coding is not None:  # a small body may hide a large one: never on the event loop
            body = await asyncio.to_thread(packing.unpacked, body, coding, self._limits.body_bytes)
        if len(body) > _LARGE:
            return await asyncio.to_thread(hear, body, heads)
        return hear(body, heads)

    async def _wait(self, job: Job, request: Request) -> None:
        """Wait for an answer, for the client to leave, or for the time to be up."""
        if job.quick:  # answered in this turn of the event loop, or the next
            await job.answer
            return
        seconds = self._limits.seconds
        if request.lane and request.lane.role == "canary" and not request.trial:
            seconds /= 2  # the live version must have time left to answer in its place
        left = seconds - (time.perf_counter() - request.started)
        client = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait(
                (job.answer, client), timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED
            )
            if job.answer.done():
                return
            if client.done():
                raise GoneError
            raise RequestError(504, "TIMEOUT", f"No answer within {seconds:g} seconds.")
        finally:
            client.cancel()
            job.answer.cancel()  # drops a request that still waits; does nothing to one that is answered

    async def _send(self, request: Request, answer: Answer, send: Send) -> None:
        headers = [
            (b"content-type", answer.kind.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request.id.encode()),
            (request.lane or self.lanes.live).header,
            *_FIXED,
            *answer.headers,
        ]
        if request.timing:
            headers.append((b"server-timing", request.timing))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
