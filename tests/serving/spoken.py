"""An application that says what it was asked, behind a real front, and clients that speak to it by hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from mlops_magics.serving.front import Front

LARGE = 1_000_000
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Echo:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.free = asyncio.Event()
        self.seen: list[str] = []
        self.answered = 0

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        path = scope["path"]
        self.asked.set()
        self.seen.append(f"{scope['method']} {path} {scope['query_string'].decode()}")
        if path == "/fails":
            raise RuntimeError("on purpose")
        if path == "/nothing":
            return
        if path == "/held":
            await self.free.wait()
        if path == "/waited":  # for the client to leave
            await self.body(receive)
            assert (await receive())["type"] == "http.disconnect"
            self.left.set()
            return
        body = b"" if path in {"/early", "/large"} else await self.body(receive)
        if body is None:
            self.left.set()
            return
        body = b"x" * LARGE if path == "/large" else body
        headers = [(b"content-length", b"%d" % len(body))]
        if path == "/split":
            headers.append((b"x-told", b"a\r\nset-cookie: b"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self.answered += 1

    async def body(self, receive: Callable[[], Awaitable[Any]]) -> bytes | None:
        found: bytes = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            found += message["body"]
            if not message["more_body"]:
                return found


class Client:
    """One connection to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def says(self, text: str) -> None:
        self.writer.write(text.replace("\n", "\r\n").encode())

    async def hears(self) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:-2])
        body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), 5)
        return int(head[0].split()[1]), headers, body

    async def is_closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 5) == b""


def play(
    scene: Callable[[Echo, Client], Coroutine[Any, Any, None]],
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> list[int]:
    """Play a scene; return the statuses of the answers that the application did not give."""
    refused: list[int] = []

    async def run() -> None:
        app = Echo()
        front = Front(app, refused=refused.append)
        await front.start()
        listening = socket.create_server(("127.0.0.1", 0))
        await front.accept(listening)
        client = Client(*await asyncio.open_connection(*listening.getsockname()))
        try:
            await asyncio.wait_for(scene(app, client), 20)
        finally:
            client.writer.close()
            await front.drain(linger=0, seconds=0.5)
            listening.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    return refused
