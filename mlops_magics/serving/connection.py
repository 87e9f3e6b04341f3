"""One connection over HTTP/1.1: httptools reads requests, an ASGI application answers them in their order.

An answer is known whole before any of it is sent, so that its head and its body leave together, and nothing
here is done for each request that is needed once a connection, or never: no timer, no check that a later
write could fail.
"""

from __future__ import annotations

import asyncio
import functools
import http
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

CLOSE: Final = (b"connection", b"close")

_log = logging.getLogger(__name__)
_HEAD: Final = 64 * 1024  # bytes that a request may have before its body
_AHEAD: Final = 64 * 1024  # bytes of a body that are kept before the application asks for them
_APART: Final = 64 * 1024  # bytes of an answer from which a copy costs more than a second write
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_LINES: Final = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\ndate: ".encode() for one in http.HTTPStatus
}


@dataclass(slots=True)
class Shared:
    """What the connections of one server share.

    Attributes:
        app: The application.
        date: What goes into the header of that name.
        leaving: Whether each answer is the last one on its connection.
        open: The connections.
        tasks: What answers; a task that nobody else holds could be collected while it waits.
    """

    app: App
    date: bytes = b""
    leaving: bool = False
    open: set[Connection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@functools.lru_cache(maxsize=32)  # clients ask few paths
def _parts(url: bytes) -> tuple[str, bytes, bytes]:
    """Take a URL apart: the path that is meant, as it was written, and what is asked."""
    parsed = httptools.parse_url(url)
    raw = parsed.path or b"/"
    return unquote(raw.decode("ascii")), raw, parsed.query or b""


class _Exchange:
    """One request and its answer, as an ASGI application sees them."""

    __slots__ = (
        "_asked", "_connection", "_head", "_news", "_parts", "_size", "_told",
        "answered", "gone", "keep", "scope", "whole",
    )  # fmt: skip

    def __init__(self, connection: Connection, scope: Message, *, keep: bool) -> None:
        self._connection = connection
        self._asked = False
        self._head: Message | None = None
        self._news: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._told = False
        self.scope = scope
        self.keep = keep
        self.whole = False
        self.answered = False
        self.gone = False

    def add(self, part: bytes) -> bool:
        """Take a part of the body; tells whether that is enough for now."""
        self._parts.append(part)
        self._size += len(part)
        self.wake()
        return self._size > _AHEAD

    def end(self) -> None:
        """Say that all of the body is there."""
        self.whole = True
        self.wake()

    def leave(self) -> None:
        """Say that nobody waits for the answer any more."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        """Give what has come of the body, or tell that the client has left."""
        while not (self.gone or self.answered):
            if self._parts or (self.whole and not self._told):
                parts, self._parts, self._size = self._parts, [], 0
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                self._told = self.whole
                if not self.whole:
                    self._connection.read_on()
                return {"type": "http.request", "body": body, "more_body": not self.whole}
            if not self._asked and not self.whole:
                self._asked = True
                if any(name == b"expect" for name, _ in self.scope["headers"]):
                    self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take an answer: first its head, then its body, whole."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        if self.answered or self._head is None or message.get("more_body"):
            raise RuntimeError("an answer is one head and one body")
        await self._connection.writable()
        if self.gone:
            return
        headers = self._head["headers"]
        shared = self._connection.shared
        last = not self.keep or shared.leaving or CLOSE in headers
        if last and CLOSE not in headers:
            headers = [*headers, CLOSE]
        head = _written(self._head["status"], shared.date, headers)
        self.answered = True
        self._parts.clear()
        self._connection.answer(head, message["body"], last=last)
        self.wake()


def _written(status: int, date: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Write the head of an answer.

    Raises:
        ValueError: A header holds the end of a line, and so would become two.
    """
    head = b"\r\n".join([_LINES[status] + date, *map(b": ".join, headers), b"\r\n"])
    lines = len(headers) + 3
    if head.count(b"\n") != lines or head.count(b"\r") != lines:
        raise ValueError("a header holds the end of a line")
    return head


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        shared: What it shares with the others.

    Attributes:
        answers: How many requests were answered on it.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.answers = 0
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # What comes after a request that is the last one is no error of that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._scheme = "http"
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head = 0
        self._coming: _Exchange | None = None
        self._answering: _Exchange | None = None
        self._waiting: deque[_Exchange] = deque()
        self._paused = False
        self._over = False
        self._room: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._answering is not None

    def close(self) -> None:
        """Close the connection once all that was written has left."""
        self._over = True
        self._transport.close()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("ssl_object") is not None:
            self._scheme = "https"
        self.shared.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those that still wait for something of the client."""
        del exc
        self.shared.open.discard(self)
        self._over = True
        for exchange in (self._answering, self._coming):
            if exchange is not None:
                exchange.leave()
        self._waiting.clear()
        self.resume_writing()
        del self._parser  # it holds this connection, too: nobody should have to look for the circle

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._over:
            return
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to what is not spoken here: nobody knows what the rest is
            self._over = True
            if self._coming is not None:
                self._coming.keep = False
        except httptools.HttpParserError:
            self._refuse()
        else:
            if self._coming is None and self._head > _HEAD:
                self._refuse()

    def pause_writing(self) -> None:
        """Wait with answers: the client does not read."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on with answers."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url, self._headers = b"", []
        self._coming = None

    def on_url(self, url: bytes) -> None:
        """Take a part of its URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one of its headers."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Let the application answer; its body may still be under way."""
        parser, headers = self._parser, self._headers
        path, raw, query = _parts(self._url)
        version = parser.get_http_version()
        scope: Message = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "path": path,
            "raw_path": raw,
            "query_string": query,
            "headers": headers,
        }
        keep = version != "1.0" and parser.should_keep_alive()
        self._coming = exchange = _Exchange(self, scope, keep=keep)
        if self._answering is None:
            self._begin(exchange)
        else:  # the client does not wait for answers: no more of it before those are given
            self._waiting.append(exchange)
            self._pause()

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body; nobody needs it after the answer."""
        exchange = self._coming
        if exchange is not None and not exchange.answered and exchange.add(body):
            self._pause()

    def on_message_complete(self) -> None:
        """End a request."""
        self._head = 0
        if self._coming is not None:
            self._coming.end()

    # What an exchange calls.

    def write(self, data: bytes) -> None:
        """Write something, where there still is somebody to read it."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def writable(self) -> None:
        """Wait until the client reads, where it has left much unread."""
        if self._room is not None:
            await self._room

    def answer(self, head: bytes, body: bytes, *, last: bool) -> None:
        """Write an answer, and go on with the next request."""
        if len(body) < _APART:
            self.write(head + body)
        else:
            self.write(head)
            self.write(body)
        self.answers += 1
        self._answering = None
        if last:
            self.close()
        elif self._waiting:
            self._begin(self._waiting.popleft())
        elif self._over:
            self._refuse()
        if not self._waiting:
            self.read_on()

    def read_on(self) -> None:
        """Read on, where that was paused."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _begin(self, exchange: _Exchange) -> None:
        self._answering = exchange
        self.shared.tasks.add(self._loop.create_task(self._answer(exchange)))

    async def _answer(self, exchange: _Exchange) -> None:
        """Let the application answer a request; what it does not answer is a 500."""
        try:
            await self.shared.app(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("The application failed.")
        finally:
            self.shared.tasks.discard(cast("asyncio.Task[None]", asyncio.current_task(self._loop)))
        if not exchange.answered and not exchange.gone:
            self._end(500)

    def _refuse(self) -> None:
        """Read no further in what is not HTTP; what came before it is answered."""
        self._over = True
        broken = self._coming
        if broken is not None and not broken.whole:  # in the middle of its body
            broken.leave()
            if broken in self._waiting:
                self._waiting.remove(broken)
            elif broken is self._answering:
                self._answering = None
        if self._answering is None:
            self._end(400)

    def _end(self, status: int) -> None:
        """Say that nothing more is answered on this connection."""
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0"), CLOSE]
        self.write(_written(status, self.shared.date, headers))
        self.close()
