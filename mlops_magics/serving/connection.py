"""One connection over HTTP/1.1: httptools reads requests, an ASGI application answers them in their order.

Nothing here is done for each request that is needed once a connection, or never: no timer, no check that a
later write could fail. What a client may send is bounded all the same: a piece is read at a time, and none
while requests wait; what all of them together sent ahead is counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import MutableSequence
from typing import Final, cast

import httptools

from mlops_magics.serving.ahead import SLIGHT, weight
from mlops_magics.serving.asgi import CLOSE, Exchange, Message, Shared, Standing, written
from mlops_magics.serving.url import parts

_log = logging.getLogger(__name__)
_PIECE: Final = 16 * 1024  # bytes that are read at once: no more than some hundred requests are in them
_HEAD: Final = 64 * 1024  # bytes that may come in a row which are no body
_HEADERS: Final = 256  # of one request
_APART: Final = 64 * 1024  # bytes of an answer from which a copy costs more than a second write
_LINGER: Final = 2.0  # seconds in which who is refused over TLS may still be sending
_BLOCK: Final = 64 * 1024  # bytes that a slow client must have read to be as far as another one
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_EMPTY: Final = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0"), CLOSE]
_UNHEARD: Final[deque[tuple[bytes, bytes]]] = deque(maxlen=0)  # keeps nothing of what it is given
_BAD, _TOO_MUCH, _HEAD_TOO_LARGE, _FAILED, _OTHER_VERSION = 400, 429, 431, 500, 505
_THERE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"  # means nothing, and comes back from who has left
_ASKED: Final = (0.1, 0.2, 1.0)  # seconds until one who says no more is asked whether it is there


class _Body:
    """What a parser tells that reads no more than a body."""

    def __init__(self, connection: Connection) -> None:
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete


def _parser(listener: Connection | _Body) -> httptools.HttpRequestParser:
    made = httptools.HttpRequestParser(listener)
    # What comes after a request that is the last one is no error of that request.
    made.set_dangerous_leniencies(lenient_data_after_close=True)
    return made


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        shared: What it shares with the others.
    """

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._answers = 0
        self._loop = asyncio.get_running_loop()
        self._parser = _parser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._scheme = "http"
        self._url = b""
        self._headers: MutableSequence[tuple[bytes, bytes]] = []
        self._head = 0
        self._rest: deque[bytes] = deque()
        self._ahead = 0
        self._coming: Exchange | None = None
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._paused = False
        self._over = False
        self._ended = False
        self._wrong = _BAD
        self._room: asyncio.Future[None] | None = None

    @property
    def standing(self) -> Standing | None:
        """How far it is; None while the application makes an answer."""
        stuck = self._room is not None or self._transport.is_closing()
        if self._answering is not None and not stuck:
            return None
        unread = 1 + self._transport.get_write_buffer_size() // _BLOCK if stuck else 0
        partly = self._coming is not None and not self._coming.whole
        return Standing(self._answers, unread, begun=self._over or self._head > 0 or partly)

    def close(self) -> None:
        """Close the connection once all that was written has left."""
        self._over = True
        self._transport.close()

    def abort(self) -> None:
        """Close the connection, whatever was written."""
        self._over = True
        self._transport.abort()

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
        self.shared.left()
        self._over = True
        for exchange in (self._answering, self._coming):
            if exchange is not None:
                exchange.leave()
        self._drop()
        self.resume_writing()
        del self._parser  # it holds this connection, too: nobody should have to look for the circle

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._over:
            return
        if len(data) > _PIECE or self._rest:
            self._rest.extend(data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
            self._read_rest()
        else:
            self._read(data)

    def eof_received(self) -> bool:
        """Answer what was asked, where a client only says that it sends no more; tells whether it is kept.

        Who has closed the whole connection looks alike. So one who waits for long is sent a word that means
        nothing; from who has left it comes back, and the next one is an error, which ends the connection.
        """
        broken = self._coming
        if broken is not None and not broken.whole:  # no more of it comes
            if broken in self._waiting:
                self._waiting.remove(broken)
            elif broken is self._answering:
                return False
        if self._answering is None or self._scheme == "https":  # TLS knows no half of an end
            return False
        self._ended = True
        self._loop.call_later(_ASKED[0], self._ask, 0)
        return True

    def _ask(self, times: int) -> None:
        """Ask one who says no more whether it is there."""
        if self._answering is None or self._transport.is_closing():
            return
        if self._room is None and self._answering.scope["http_version"] == "1.1":  # 1.0 knows no such word
            self._transport.write(_THERE)
        times = min(times + 1, len(_ASKED) - 1)
        self._loop.call_later(_ASKED[times], self._ask, times)

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
        """Let the application answer; its body may still be under way.

        Raises:
            ValueError: It is no HTTP/1, or is meant for somebody else, or has too many headers.
        """
        parser, headers = self._parser, self._headers
        self._headers = _UNHEARD  # what stands behind the body is no header, whatever it is named
        if len(headers) > _HEADERS:
            self._wrong = _HEAD_TOO_LARGE
            raise ValueError("too many headers")
        path, raw, query, host = parts(self._url)
        version = parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            self._wrong = _OTHER_VERSION
            raise ValueError("another version of HTTP")
        if host is not None and [value for name, value in headers if name == b"host"] != [host]:
            raise ValueError("the URL and the header name two hosts")
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
        keep = version == "1.1" and parser.should_keep_alive()
        self._coming = exchange = Exchange(self, scope, keep=keep)
        if self._answering is None:
            self._begin(exchange)
        else:  # the client does not wait for answers: no more of it before those are given
            self._waiting.append(exchange)
            self._pause()

    def on_body(self, body: bytes) -> None:
        """Take a part of a request's body; nobody needs it after the answer."""
        self._head = 0
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
        self._answers += 1
        self._answering = None
        if last:
            self._part()
        elif self._waiting:
            self._begin(self._waiting.popleft())
        elif self._over:
            self._refuse()
        elif self._ended:
            self._part()
        if not self._waiting:
            self.read_on()

    def read_on(self) -> None:
        """Read on, where that was paused: first what is there already."""
        if self._paused and not (self._ended or self._transport.is_closing()):
            self._paused = False
            self._read_rest()
            if self._ahead:
                self._weigh()
            if not self._paused:
                self._transport.resume_reading()

    def _read_rest(self) -> None:
        while self._rest and not (self._paused or self._over):
            self._read(self._rest.popleft())

    def _read(self, data: bytes) -> None:
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            self._decline(data[wish.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
        else:
            if self._head > SLIGHT or self._waiting or self._ahead:
                self._weigh()

    def _weigh(self) -> None:
        """Count what is held of this client ahead of its turn; where that is too much, hold none of it."""
        text, lines, waiting = self._head, len(self._headers), self._waiting
        if text > _HEAD or lines > _HEADERS:
            self._wrong = _HEAD_TOO_LARGE
            self._refuse()
            return
        if waiting:
            text += _PIECE + sum(map(len, self._rest))
            lines += sum(len(one.scope["headers"]) for one in waiting)
        held = self.shared.ahead.hold(self._ahead, weight(text, lines, len(waiting)))
        if held is None:
            self._wrong = _TOO_MUCH
            self._drop()
            self._refuse()
        else:
            self._ahead = held

    def _drop(self) -> None:
        """Let go of what was read ahead."""
        self._waiting.clear()
        self._rest.clear()
        self._url, self._headers = b"", _UNHEARD
        self._ahead = self.shared.ahead.hold(self._ahead, 0) or 0

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        self.shared.tasks.add(self._loop.create_task(self._answer(exchange)))

    async def _answer(self, exchange: Exchange) -> None:
        """Let the application answer a request; what it does not answer is a 500."""
        try:
            await self.shared.app(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            _log.exception("The application failed.")
        finally:
            self.shared.tasks.discard(cast("asyncio.Task[None]", asyncio.current_task(self._loop)))
        if not exchange.answered and not exchange.gone:
            self._end(_FAILED)

    def _decline(self, rest: bytes) -> None:
        """Answer a request whose client would rather speak otherwise as what it is; no other one may follow.

        Java's own client asks for HTTP/2 with each request. The parser stops behind such a head, so that
        another one must read the body.
        """
        exchange = cast("Exchange", self._coming)
        exchange.keep = False
        told = [one for one in exchange.scope["headers"] if one[0] in _FRAMING]
        if not told:
            self._over = True
            return
        exchange.whole = False
        self._parser = _parser(_Body(self))
        head = b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % one for one in (*told, CLOSE))
        self._read(head + b"\r\n" + rest)

    def _refuse(self) -> None:
        """Read no further in what is not HTTP; what came before it is answered."""
        self._over = True
        broken = self._coming
        if broken is not None and not broken.whole:  # in the middle of its body
            if broken.answered:  # a second answer would be taken for that of another request
                self._part()
                return
            broken.leave()
            if broken in self._waiting:
                self._waiting.remove(broken)
            elif broken is self._answering:
                self._answering = None
        if self._answering is None:
            self._end(self._wrong)

    def _end(self, status: int) -> None:
        """Say that nothing more is answered on this connection."""
        self._answering = None
        self.shared.refused(status)
        self.write(written(status, self.shared.date, _EMPTY))
        self._part()

    def _part(self) -> None:
        """Close after the last answer; who may still be sending must get to read it first.

        To close while something is unread would reset the connection, and take back what was written.
        """
        sending = self._over or self._paused or (self._coming is not None and not self._coming.whole)
        sending = sending and not self._ended
        self._over = True
        self._drop()
        if not sending:
            self._transport.close()
        elif not self._transport.is_closing():
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:  # TLS knows no half of an end
                self._loop.call_later(_LINGER, self._transport.close)
            self.read_on()
