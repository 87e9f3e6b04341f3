"""One request and its answer, as an ASGI application sees them, and what they need of their connection.

An answer is known whole before any of it is sent, so that its head and its body leave together.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from mlops_magics.serving.ahead import Ahead

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

CLOSE: Final = (b"connection", b"close")

_AHEAD: Final = 64 * 1024  # bytes of a body that are kept before the application asks for them
_LINES: Final = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\ndate: ".encode() for one in http.HTTPStatus
}


class Standing(NamedTuple):
    """How far a connection is: while this stays as it is, nothing moves on it.

    Attributes:
        answers: How many requests were answered.
        unread: How much the client has left unread, in blocks; 0 where it keeps up.
        begun: Whether a part of a request is there, or the connection is about to end.
    """

    answers: int
    unread: int
    begun: bool


class Wire(Protocol):
    """A connection, as its requests and its server see it."""

    shared: Shared

    @property
    def standing(self) -> Standing | None:
        """How far it is; None while the application makes an answer."""
        ...

    def read_on(self) -> None:
        """Read on, where that was paused."""
        ...

    def write(self, data: bytes) -> None:
        """Write something."""
        ...

    async def writable(self) -> None:
        """Wait until the client reads."""
        ...

    def answer(self, head: bytes, body: bytes, *, last: bool) -> None:
        """Write an answer."""
        ...

    def close(self) -> None:
        """Close it once all that was written has left."""
        ...

    def abort(self) -> None:
        """Close it, whatever was written."""
        ...


@dataclass(slots=True)
class Shared:
    """What the connections of one server share.

    Attributes:
        app: The application.
        most: How many of them there may be.
        date: What goes into the header of that name.
        leaving: Whether each answer is the last one on its connection.
        refused: What is told of an answer that no application gave, with its status.
        open: The connections.
        beginning: What lets further ones begin: each of them takes its room already.
        knocking: What is called once there is room for one more; while somebody waits for that, each answer
            is the last one on its connection.
        tasks: What answers; a task that nobody else holds could be collected while it waits.
        ahead: What counts what they have read ahead of its turn.
    """

    app: App
    most: int
    date: bytes = b""
    leaving: bool = False
    refused: Callable[[int], None] = lambda _: None
    open: set[Wire] = field(default_factory=set)
    beginning: set[asyncio.Task[None]] = field(default_factory=set)
    knocking: list[Callable[[], None]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ahead: Ahead = field(default_factory=Ahead)

    @property
    def room(self) -> int:
        """How many more there may be."""
        return self.most - len(self.open) - len(self.beginning)

    def left(self) -> None:
        """Let in who knocks, where somebody has left."""
        if self.knocking and self.room > 0:
            knocking, self.knocking = self.knocking, []
            for again in knocking:
                again()


class Exchange:
    """One request and its answer.

    Args:
        wire: The connection.
        scope: What is known of the request before its body.
        keep: Whether another request may follow it.

    Attributes:
        scope: The same.
        keep: The same.
        whole: Whether all of the body is there.
        answered: Whether the answer was written.
        gone: Whether nobody waits for it any more.
    """

    __slots__ = (
        "_asked", "_head", "_news", "_parts", "_size", "_told", "_wire",
        "answered", "gone", "keep", "scope", "whole",
    )  # fmt: skip

    def __init__(self, wire: Wire, scope: Message, *, keep: bool) -> None:
        self._wire = wire
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
        self._wake()
        return self._size > _AHEAD

    def end(self) -> None:
        """Say that all of the body is there."""
        self.whole = True
        self._wake()

    def leave(self) -> None:
        """Say that nobody waits for the answer any more."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        """Give what has come of the body, or tell that the client has left."""
        while not (self.gone or self.answered):
            if self._parts or (self.whole and not self._told):
                parts, self._parts, self._size = self._parts, [], 0
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                whole = self._told = self.whole
                if not whole:
                    self._wire.read_on()  # more of it may come at once
                return {"type": "http.request", "body": body, "more_body": not whole}
            if not self._asked and not self.whole:
                self._asked = True
                if self._expects():
                    self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
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
        await self._wire.writable()
        if self.gone:
            return
        headers = self._head["headers"]
        shared = self._wire.shared
        away = shared.leaving or bool(shared.knocking)
        last = not self.keep or away or CLOSE in headers or not (self.whole or self._certain())
        if last and CLOSE not in headers:
            headers = [*headers, CLOSE]
        head = written(self._head["status"], shared.date, headers)
        self.answered = True
        self._parts.clear()
        self._wire.answer(head, message["body"], last=last)
        self._wake()

    def _certain(self) -> bool:
        """Tell whether a body that is not there yet will come: who was not told to go on may not send it."""
        return self._asked or not self._expects()

    def _expects(self) -> bool:
        """Tell whether the client waits for a word before it sends the body."""
        return self.scope["http_version"] == "1.1" and any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in self.scope["headers"]
        )


def written(status: int, date: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Write the head of an answer.

    Args:
        status: Its status.
        date: What goes into the header of that name.
        headers: The other ones.

    Raises:
        ValueError: A header holds the end of a line, and so would become two.
    """
    head = b"\r\n".join([_LINES[status] + date, *map(b": ".join, headers), b"\r\n"])
    lines = len(headers) + 3
    if head.count(b"\n") != lines or head.count(b"\r") != lines:
        raise ValueError("a header holds the end of a line")
    return head
