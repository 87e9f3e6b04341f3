"""The routes: a bare ASGI application that only translates between HTTP and what answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import orjson

from mlops_magics.artifact.order import Beside, Limits
from mlops_magics.foundation.version import VERSION
from mlops_magics.serving import description
from mlops_magics.serving.access import Access
from mlops_magics.serving.answering import Answering, Served
from mlops_magics.serving.batcher import whereabouts
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.exchange import GoneError, Message, Receive, Request, refusal, request_id
from mlops_magics.serving.inference import OpenInference
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.metrics import CONTENT_TYPE, Metrics
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.reply import Answer
from mlops_magics.serving.routes import Route, hears, says
from mlops_magics.serving.terms import Terms

Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)
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
    served = Served(
        predictor=predictor,
        model=model,
        version=version,
        limits=limits,
        journal=journal,
        beside=beside,
        terms=terms,
    )
    return App(served, access, Metrics(name, model, version), stopped)


class App:
    """The ASGI application of one endpoint; made by `build_app`."""

    def __init__(
        self, served: Served, access: Access, metrics: Metrics, stopped: Callable[[str], None]
    ) -> None:
        self._access = access
        self._metrics = metrics
        self._journal = served.journal
        self._answering = Answering(served, metrics, stopped)
        self.lanes = self._answering.lanes
        self.routes = self._table(served)

    def _table(self, served: Served) -> Mapping[str, Route]:
        """Make the table of all routes; what is not in it does not exist."""
        predictor, model, version, canary = served.predictor, served.model, served.version, self.lanes.canary
        server = f"mlops-magics/{VERSION}"
        told = Answer(orjson.dumps({"model": model, "version": version, "server": server}))
        also = (canary.version,) if canary else ()
        routes = {
            "/invocations": hears(self.lanes.live.hears["/invocations"]),
            "/ping": says(lambda: Answer(b"\n", "text/plain; charset=utf-8")),
            "/health": says(lambda: Answer(b'{"status":"ok"}')),
            "/version": says(lambda: told),
            "/metrics": says(
                lambda: Answer(self._metrics.render(self.lanes.every, served.terms).encode(), CONTENT_TYPE)
            ),
            **OpenInference(predictor, model, version, also).routes(),
        }
        private = self._journal.leave_out if self._journal else ()
        table = {**routes, **description.routes(predictor, model, version, routes, private)}
        if canary:  # the paths that name its version; the others are the live one's
            table = {**OpenInference(canary.predictor, model, canary.version).routes(), **table}
        return table

    def refused(self, status: int) -> None:
        """Count an answer that was given in the place of this application: to what is no HTTP, say."""
        self._metrics.count("unread", status)

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
            return await self._answering.answer(request)
        assert route.say is not None  # noqa: S101 - a route does one of both
        return await asyncio.to_thread(route.say) if route.slow else route.say()

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
