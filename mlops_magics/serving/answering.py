"""What answers a request for predictions: a lane is chosen, the body read, computed, written and noted."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_magics.artifact.order import Beside, Limits
from mlops_magics.serving import packing
from mlops_magics.serving.batcher import REQUESTS, Batcher, Job
from mlops_magics.serving.bodies import Bodies
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.exchange import GoneError, Request, read_body
from mlops_magics.serving.inference import OpenInference
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.journal.entries import Refused
from mlops_magics.serving.journal.sheets import Group
from mlops_magics.serving.lanes import Lane, Lanes, Role
from mlops_magics.serving.metrics import Metrics
from mlops_magics.serving.patience import Patience
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Hear
from mlops_magics.serving.rows import Columns
from mlops_magics.serving.scoring import Scoring
from mlops_magics.serving.terms import BreachError, Terms

_LARGE = 256 * 1024  # bytes of a body from which decoding leaves the event loop
_FAILURES = frozenset({500, 504})  # a version that fails, or takes too long
_SOON = 0.01  # seconds in which most answers are there; until then nobody asks whether the client is
_SHADOWS = 64  # requests that may wait for a shadow; more are not worth what they cost
_TIMING = b"decode;dur=%.3f, queue;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What an endpoint serves, and under which conditions.

    Attributes:
        predictor: What answers.
        model: The registered model's name.
        version: Its version.
        limits: What one request may cost.
        journal: What notes requests and answers.
        beside: A second version, and what it answers for.
        terms: What requests are held against; what a shadow answers unheard is not.
    """

    predictor: Predictor
    model: str
    version: str
    limits: Limits
    journal: Journal | None = None
    beside: tuple[Predictor, Beside] | None = None
    terms: Terms | None = None


class Answering:
    """Answers requests for predictions, each in the lane of the version that is to answer it.

    Args:
        served: What is served.
        metrics: What counts predictions.
        stopped: What is told when a canary is stopped, and why.

    Attributes:
        lanes: The versions that are served.
    """

    def __init__(self, served: Served, metrics: Metrics, stopped: Callable[[str], None]) -> None:
        self._served = served
        self._limits = served.limits
        self._patience = Patience(served.limits.seconds)
        self._bodies = Bodies(served.limits)
        self._metrics = metrics
        self._journal = served.journal
        self._terms = served.terms
        live, other, beside = self._lane("live", served.predictor, served.version), None, served.beside
        if beside:
            other = self._lane(beside[1].role, beside[0], beside[1].version)
        percent = 0.0 if beside is None or beside[1].stopped else beside[1].percent
        self.lanes = Lanes(live, other, percent=percent, stopped=stopped)

    def _lane(self, role: Role, predictor: Predictor, version: str) -> Lane:
        """Make all that one version's requests go through."""
        # Nobody asks for a shadow by its name: it reads what the live version is asked by its own.
        named = self._served.version if role == "shadow" else version
        reads: dict[str, Hear] = {"/invocations": Scoring(predictor).hear}
        for path, route in OpenInference(predictor, self._served.model, named).routes().items():
            if route.hear:
                reads[path] = route.hear
        hears = {path: self._terms.heard(read) if self._terms else read for path, read in reads.items()}

        def note(jobs: Sequence[Job], columns: Columns, found: np.ndarray[Any, Any]) -> None:
            self._note(lane, jobs, columns, found)

        batcher = Batcher(
            predictor,
            queue=self._limits.queue,
            requests=REQUESTS if predictor.together else 1,
            note=note if self._journal else None,
        )
        lane = Lane(role, version, predictor, batcher, hears, reads)
        return lane

    async def answer(self, request: Request) -> Answer:
        """Answer a request; what a canary cannot answer the live version does.

        A request whose path names the canary's version gets no other one's answer.

        Args:
            request: The request; its body is read here.

        Raises:
            RequestError: It gets no prediction.
            GoneError: The client has left.
        """
        live = self.lanes.live
        try:
            try:
                request.body = await read_body(request, self._limits, self._patience, self._bodies)
                request.lane = lane = self._chosen(request)
            except RequestError as error:
                self._note_refusal(live, request, error)
                raise
            if lane is not live and (told := await self._by_canary(request, lane)):
                return told
            answer = await self._noted(request, live)
            if self.lanes.shadow and not request.trial:
                asyncio.get_running_loop().call_soon(self._shadow, request, self.lanes.shadow)
            return answer
        finally:
            if request.held:
                self._bodies.release(request.held)

    async def _by_canary(self, request: Request, lane: Lane) -> Answer | None:
        """Let a version answer that is not the live one; None where that one answers in its place."""
        try:
            return await self._noted(request, lane)
        except RequestError as error:
            named = request.trial or request.path not in self.lanes.live.hears
            if named or (error.status < 500 and error.status != 429):  # noqa: PLR2004 - the request is at fault, not the version
                raise
            request.lane = self.lanes.live
            return None

    def _chosen(self, request: Request) -> Lane:
        return self.lanes.choose(request.path, request.heads, request.id, trial=request.trial)

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
            told = (error.status, error.code, lane.version, error.column, rule, lane.role)
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
            request.held = self._bodies.hold(request.held, len(request.body) + len(body))
        if len(body) > _LARGE:
            return await asyncio.to_thread(hear, body, heads)
        return hear(body, heads)

    async def _wait(self, job: Job, request: Request) -> None:
        """Wait for an answer, for the client to leave, or for the time to be up."""
        if job.quick:  # answered in one of the next turns of the event loop
            await job.answer
            return
        seconds = self._limits.seconds
        if request.lane and request.lane.role == "canary" and not request.trial:
            seconds /= 2  # the live version must have time left to answer in its place
        left = seconds - (time.perf_counter() - request.started)
        waited: set[asyncio.Future[Any]] = {job.answer}
        try:
            if left > _SOON:
                await asyncio.wait(waited, timeout=_SOON)
                left -= _SOON
            if not job.answer.done():
                client = asyncio.ensure_future(request.receive())
                waited.add(client)
                await asyncio.wait(waited, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
                if not job.answer.done():
                    if client.done():
                        raise GoneError
                    raise RequestError(504, "TIMEOUT", f"No answer within {seconds:g} seconds.")
        finally:
            for one in waited:  # drops a request that still waits; does nothing to one that is answered
                one.cancel()
