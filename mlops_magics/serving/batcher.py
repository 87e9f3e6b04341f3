"""Natural micro-batching: whatever queued while the last prediction ran goes next, as one frame.

Nothing ever waits for a timer. A prediction's cost is nearly all fixed, so that under load sixty requests
cost little more than one, and an idle server adds no wait at all. Requests that a plan answers in
microseconds are computed on the event loop itself, all that came in one turn of it together; where several
came, it looks once or twice more for those that are just coming. What takes longer goes to a thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlops_magics.serving.codec import Batch
from mlops_magics.serving.engines import Engine
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.predictor import joined
from mlops_magics.serving.rows import Columns

_log = logging.getLogger(__name__)
_ROWS = 4096  # a request with more rows goes alone
_SEVERAL = 4  # requests in a turn; fewer do not tell that others are coming
_TURNS = 2  # more of the event loop; each costs some microseconds

REQUESTS = 64
"""The most requests at once: more gain little and make the first one wait for the last."""


@dataclass(slots=True, eq=False)
class Job:
    """One request on its way.

    Attributes:
        batch: What it asks.
        request_id: Its id, for the log.
        answer: Its answer, or the RequestError that it ends with; cancel it to drop the request.
        queued: When it came.
        quick: Whether it is answered on the event loop, before anything else can happen to it.
        began: When its request came.
        decode: How long reading it took.
        trial: Whether it only tries the version, and is no traffic.
        started: When its computation started.
        ended: When its computation ended.
        encode: How long writing the answer took; NaN until it is written.
    """

    batch: Batch
    request_id: str
    answer: asyncio.Future[np.ndarray[Any, Any]]
    quick: bool = False
    began: float = 0.0
    decode: float = 0.0
    trial: bool = False
    queued: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    ended: float = 0.0
    encode: float = math.nan

    @property
    def rows(self) -> int:
        """How many rows it asks about."""
        return self.batch.rows


Note = Callable[[Sequence[Job], Columns, np.ndarray[Any, Any]], None]
"""Is told of jobs that were computed together, their rows and their answers."""


class Batcher:
    """Computes queued requests several at once: quick ones at the end of the turn, others on one thread.

    Args:
        predictor: What computes.
        queue: The most requests that may wait.
        requests: The most requests that are computed at once.
        rows: The most rows that are computed at once, if they are of several requests.
        note: What is told of all that was computed: the jobs, their rows and the answers.
    """

    def __init__(
        self,
        predictor: Engine,
        *,
        queue: int = 1024,
        requests: int = REQUESTS,
        rows: int = _ROWS,
        note: Note | None = None,
    ) -> None:
        self._note = note
        self._predictor = predictor
        self._queue = queue
        self._requests = requests
        self._rows = rows
        self._waiting: deque[Job] = deque()
        self._quick: list[Job] = []
        self._seen = 0
        self._turns = 0
        self._draining: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlops-predict")
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests wait and have not been dropped."""
        return sum(not job.answer.done() for job in (*self._waiting, *self._quick))

    def submit(
        self, batch: Batch, request_id: str, began: float = 0.0, decode: float = 0.0, *, trial: bool = False
    ) -> Job:
        """Queue a request.

        Args:
            batch: What it asks.
            request_id: Its id, for the log.
            began: When its request came.
            decode: How long reading it took.
            trial: Whether it only tries the version.

        Returns:
            The job; await its ``answer``, cancel it when nobody waits for it any more.

        Raises:
            RequestError: The queue is full (429), or the server is stopping (503).
        """
        if self._closed:
            raise RequestError(503, "STOPPING", "The server is stopping; send the request again.")
        if len(self._waiting) + len(self._quick) >= self._queue and self.waiting >= self._queue:
            raise RequestError(429, "QUEUE_FULL", "Too many requests wait; send it again a little later.")
        loop = asyncio.get_running_loop()
        quick = self._predictor.quick(batch.rows)
        job = Job(batch, request_id, loop.create_future(), quick, began, decode, trial)
        if job.quick:
            if not self._quick:
                loop.call_soon(self._answer_quick)
            self._quick.append(job)
            return job
        self._waiting.append(job)
        if self._draining is None:
            self._draining = loop.create_task(self._drain())
        return job

    async def stop(self) -> None:
        """Take no more requests, answer those that wait, and end the thread."""
        self._closed = True
        if self._draining is not None:
            await self._draining
        self._thread.shutdown()  # idle by now: it ends at once

    async def _drain(self) -> None:
        """Compute group after group until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while group := self._take():
                _tell(group, await loop.run_in_executor(self._thread, self._compute, group))
        finally:
            self._draining = None

    def _answer_quick(self) -> None:
        """Compute what came in this turn of the event loop, or in it and the next ones while more comes."""
        came = len(self._quick)
        if max(self._seen, _SEVERAL - 1) < came < self._requests and self._turns < _TURNS:
            self._seen = came
            self._turns += 1
            asyncio.get_running_loop().call_soon(self._answer_quick)
            return
        self._seen = self._turns = 0
        jobs, self._quick = deque(self._quick), []
        while group := self._take(jobs):
            _tell(group, self._compute(group))

    def _take(self, waiting: deque[Job] | None = None) -> list[Job]:
        """Take the next requests for one method; the others keep their place."""
        waiting = self._waiting if waiting is None else waiting
        group: list[Job] = []
        rows = 0
        kept: list[Job] = []
        while waiting and len(group) < self._requests:
            job = waiting.popleft()
            if job.answer.done():
                continue  # dropped before it was computed
            if group and (job.batch.method != group[0].batch.method or rows + job.batch.rows > self._rows):
                kept.append(job)
                continue
            group.append(job)
            rows += job.batch.rows
        waiting.extendleft(reversed(kept))
        return group

    def _compute(self, group: Sequence[Job]) -> list[np.ndarray[Any, Any] | RequestError]:
        """Compute a group; when it fails, its halves, down to single requests."""
        started = time.perf_counter()
        for job in group:
            job.started = started
        try:
            found = self._together(group)
        except Exception as error:  # noqa: BLE001 - whatever an estimator raises must not end the thread
            if len(group) == 1:
                return [_failed(group[0], error)]
            half = len(group) // 2
            return self._compute(group[:half]) + self._compute(group[half:])
        ended = time.perf_counter()
        for job in group:
            job.ended = ended
        return found

    def _together(self, group: Sequence[Job]) -> list[np.ndarray[Any, Any] | RequestError]:
        batches = [job.batch for job in group]
        rows = sum(batch.rows for batch in batches)
        columns = joined(batches)
        found = self._predictor.predict(columns, rows, batches[0].method)
        if len(found) != rows:
            raise ValueError(f"{len(found)} answers to {rows} rows")
        if self._note:
            self._note(group, columns, found)
        if len(group) == 1:
            return [found]
        parts: list[np.ndarray[Any, Any] | RequestError] = []
        start = 0
        for batch in batches:
            parts.append(found[start : start + batch.rows])
            start += batch.rows
        return parts


def _tell(group: Sequence[Job], answers: Sequence[np.ndarray[Any, Any] | RequestError]) -> None:
    """Give each job its answer, unless its client has gone meanwhile."""
    for job, answer in zip(group, answers, strict=True):
        if job.answer.done():
            continue
        if isinstance(answer, RequestError):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)


def whereabouts(error: BaseException) -> str:
    """Say what kind of error it is and where it arose, without its message.

    An estimator's message may repeat values of a request, which do not belong in a log.

    Args:
        error: The error, as caught.

    Returns:
        Its class and the innermost functions, innermost first.
    """
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
    return f"{type(error).__name__} in {places}"


def _failed(job: Job, error: Exception) -> RequestError:
    job.ended = time.perf_counter()
    _log.error("request %s: %s", job.request_id, whereabouts(error))
    return RequestError(
        500, "PREDICTION_FAILED", "The model could not answer; the server's log names the request's id."
    )
