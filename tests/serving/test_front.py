from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from mlops_magics.serving.front import Front

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers each request when it is allowed to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = asyncio.Event()
        self.ended = False

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.ended = True
            await send({"type": "lifespan.shutdown.complete"})
            return
        if not self.gate.is_set():
            self.held.set()
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\nok")


def test_a_drain_answers_all_that_comes_and_resets_nobody() -> None:
    async def scene() -> None:
        app = App()
        front = Front(app)
        await front.start()
        listening = socket.create_server(("127.0.0.1", 0))
        address = listening.getsockname()
        await front.accept(listening)
        idle, late, busy = [await asyncio.open_connection(*address) for _ in range(3)]
        for reader, writer in (idle, late):
            writer.write(HEAD)
            answer = await read_answer(reader)
            assert b"connection: close" not in answer
            assert b"date: " in answer
            assert b"server: " not in answer
        app.gate.clear()
        busy[1].write(HEAD)
        await asyncio.wait_for(app.held.wait(), 5)

        drained = asyncio.create_task(front.drain(linger=0.3, seconds=5))
        await asyncio.sleep(0.1)
        late[1].write(HEAD)  # on a kept connection, after the drain began
        await asyncio.sleep(0.4)
        assert await idle[0].read() == b""  # quiet for long enough: closed, not reset
        assert not drained.done()
        app.gate.set()
        for reader, _ in (late, busy):
            assert b"connection: close" in await read_answer(reader)
            assert await reader.read() == b""
        await asyncio.wait_for(drained, 2)
        assert app.ended
        for _, writer in (idle, late, busy):
            writer.close()
        listening.close()

    asyncio.run(scene())


def test_a_drain_does_not_wait_for_ever() -> None:
    async def scene() -> None:
        app = App()
        app.gate.clear()
        front = Front(app)
        await front.start()
        listening = socket.create_server(("127.0.0.1", 0))
        await front.accept(listening)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(HEAD)
        await asyncio.wait_for(app.held.wait(), 5)
        await asyncio.wait_for(front.drain(linger=0, seconds=0.2), 2)
        assert app.ended
        writer.close()
        listening.close()

    asyncio.run(scene())


def test_one_connection_too_many_is_told_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mlops_magics.serving.front.room", lambda: 2)

    async def scene() -> None:
        front = Front(App())
        await front.start()
        listening = socket.create_server(("127.0.0.1", 0))
        address = listening.getsockname()
        await front.accept(listening)
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        for reader, writer in held:
            writer.write(HEAD)
            await read_answer(reader)
        reader, writer = await asyncio.open_connection(*address)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        held[0][1].close()
        await asyncio.sleep(1.2)  # until it is noticed, and said
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD)
        await read_answer(reader)
        for one in (writer, held[1][1]):
            one.close()
        await front.drain(linger=0, seconds=0.5)
        listening.close()

    asyncio.run(scene())
    assert "Turned away for want of room: 1" in caplog.text
