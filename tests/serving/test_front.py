from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from certificates import make

from mlops_magics.artifact.certificate import checked, trusting
from mlops_magics.serving.front import Front
from mlops_magics.serving.identity import Identity

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers each request when it is allowed to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = asyncio.Event()
        self.ended = False
        self.answered = 0

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
        self.answered += 1


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


@asynccontextmanager
async def opened(listening: socket.socket, app: App | None = None, tls: Identity | None = None) -> Any:
    """A front that accepts at a copy of the socket, as each worker of an endpoint has one."""
    front = Front(app or App(), tls)
    await front.start()
    await front.accept(listening.dup())
    try:
        yield front
    finally:
        await front.drain(linger=0, seconds=0.5)


async def met(address: Any, **tls: Any) -> Client:
    """Connect, and be answered."""
    made = await asyncio.open_connection(*address, **tls)
    made[1].write(HEAD)
    await asyncio.wait_for(read_answer(made[0]), 10)
    return made


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_is_one_too_many_waits_until_there_is_room(
    loop: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("mlops_magics.serving.front.room", lambda: 2)

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            async with opened(listening):
                first, second = [await met(address) for _ in range(2)]
                third = await asyncio.open_connection(*address)
                third[1].write(HEAD)
                answer = asyncio.create_task(read_answer(third[0]))
                done, _ = await asyncio.wait({answer}, timeout=1.2)  # until it is said, too
                assert not done
                first[1].write(HEAD)  # where somebody waits, an answer is the last one on its connection
                assert b"connection: close" in await read_answer(first[0])
                assert await first[0].read() == b""
                assert b"200 OK" in await asyncio.wait_for(answer, 5)
                second[1].write(HEAD)
                assert b"connection: close" not in await read_answer(second[0])
                for _, writer in (first, second, third):
                    writer.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())
    assert "There is no room for another connection; open: 2." in caplog.text


def test_who_rests_makes_room_for_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.front.room", lambda: 1)
    monkeypatch.setattr("mlops_magics.serving.front._SHORT", 0.1)

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            async with opened(listening):
                resting = await met(listening.getsockname())
                second = await met(listening.getsockname())
                assert await resting[0].read() == b""
                for _, writer in (resting, second):
                    writer.close()

    asyncio.run(scene())


def test_a_process_that_is_full_leaves_the_next_one_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.front.room", lambda: 3)

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            full, other = App(), App()
            for app in (full, other):
                app.gate.clear()
            async with opened(listening, full):
                made = [await asyncio.open_connection(*address) for _ in range(3)]
                for _, writer in made:
                    writer.write(HEAD)
                await asyncio.wait_for(full.held.wait(), 5)
                async with opened(listening, other):
                    made += [await asyncio.open_connection(*address) for _ in range(3)]
                    for _, writer in made[3:]:
                        writer.write(HEAD)
                    await asyncio.wait_for(other.held.wait(), 5)
                    for app in (full, other):
                        app.gate.set()
                    for reader, writer in made:
                        assert b"200 OK" in await asyncio.wait_for(read_answer(reader), 5)
                        writer.close()
            assert (full.answered, other.answered) == (3, 3)

    asyncio.run(scene())


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_never_begins_tls_takes_room_for_a_while_and_no_more(
    loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mlops_magics.serving.front.room", lambda: 3)
    monkeypatch.setattr("mlops_magics.serving.door._HANDSHAKE", 1.0)
    file, key = make(tmp_path / "tls", "localhost")
    identity = Identity(checked(file, key))

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            async with opened(listening, tls=identity) as front:
                silent = [await asyncio.open_connection(*address) for _ in range(20)]
                await asyncio.sleep(0.3)
                shared = front._shared
                assert (len(shared.open), len(shared.beginning), shared.room) == (0, 3, 0)
                for _, writer in silent[3:]:
                    writer.close()
                reader, writer = await met(address, ssl=trusting(file), server_hostname="localhost")
                writer.close()
                for reader, one in silent[:3]:  # let go
                    with contextlib.suppress(ConnectionError):
                        assert await asyncio.wait_for(reader.read(), 5) == b""
                    one.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


def test_a_front_that_rests_accepts_nobody_and_begins_again() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            own = listening.dup()
            front = Front(App())
            await front.start()
            await front.accept(own)
            known = await met(address)
            front.rest(linger=0.5)
            known[1].write(HEAD)  # what is open is answered, for the last time
            assert b"connection: close" in await read_answer(known[0])
            assert await known[0].read() == b""
            waiting = await asyncio.open_connection(*address)
            waiting[1].write(HEAD)
            answer = asyncio.create_task(read_answer(waiting[0]))
            done, _ = await asyncio.wait({answer}, timeout=0.3)
            assert not done
            await front.accept(own)
            assert b"connection: close" not in await asyncio.wait_for(answer, 5)
            await asyncio.sleep(0.7)  # nobody is closed for being quiet any more
            waiting[1].write(HEAD)
            await asyncio.wait_for(read_answer(waiting[0]), 5)
            for _, writer in (known, waiting):
                writer.close()
            await front.drain(linger=0, seconds=0.5)

    asyncio.run(scene())
