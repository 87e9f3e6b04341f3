"""Many large bodies at once: what a process holds of them is bounded, and small requests do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from endpoint import ROWS, TOKEN, application, served

from mlops_magics.artifact.order import Limits
from mlops_magics.serving.bodies import SMALL, Bodies
from mlops_magics.serving.errors import RequestError

MOST = 1_000_000
LIMITS = Limits(body_bytes=MOST, held_bytes=2 * MOST, seconds=20)
ROW = {name: cells[0] for name, cells in ROWS.items()}
SHORT = json.dumps({"dataframe_records": [ROW]}).encode()
LONG = SHORT + b" " * (900_000 - len(SHORT))
PACKED = gzip.compress(LONG)
OPEN = ("/ping", "/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/version")


class Client:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.line = socket.create_connection(address, timeout=10)

    def asks(self, size: int | None, sent: bytes, *more: str) -> None:
        """Send a request with a body of such a size, or in chunks, and so much of it."""
        length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
        head = ["POST /invocations HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}", length]
        head += ["Content-Type: application/json", *more, "\r\n"]
        self.line.sendall("\r\n".join(head).encode() + sent)

    def hears(self) -> tuple[int, dict[str, str], bytes]:
        heard = b""
        while b"\r\n\r\n" not in heard:
            part = self.line.recv(65536)
            assert part, heard
            heard += part
        head, _, body = heard.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        heads = dict(one.split(": ", 1) for one in lines)
        while len(body) < int(heads["content-length"]):
            body += self.line.recv(65536)
        return int(first.split()[1]), heads, body

    def gets(self, path: str) -> int:
        self.line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        return self.hears()[0]

    def is_refused(self) -> None:
        status, heads, body = self.hears()
        assert (status, json.loads(body)["error_code"]) == (429, "BODIES_FULL")
        assert (heads["retry-after"], heads["connection"]) == ("1", "close")


@pytest.fixture(
    scope="module", params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    with served(application(limits=LIMITS), request.param) as found:
        yield found


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[Callable[[], Client]]:
    with contextlib.ExitStack() as stack:

        def connect() -> Client:
            made = Client(address)
            stack.enter_context(contextlib.closing(made.line))
            return made

        yield connect


def passes(connect: Callable[[], Client]) -> None:
    """Wait until all that was held is let go of: two large bodies have room again."""
    over = time.monotonic() + 10
    while True:
        first, second = connect(), connect()
        first.asks(len(LONG), LONG[:-1])
        second.asks(len(LONG), LONG)
        if second.hears()[0] == 200:
            first.line.sendall(LONG[-1:])
            if first.hears()[0] == 200:  # else it came a moment too early
                return
        assert time.monotonic() < over
        first.line.close()
        time.sleep(0.02)


def test_beyond_the_limit_large_bodies_are_refused_and_all_else_is_answered(
    client: Callable[[], Client],
) -> None:
    held = [client(), client()]
    for one in held:
        one.asks(len(LONG), LONG[:200_000])
    small = client()
    assert [small.gets(path) for path in OPEN] == [200] * len(OPEN)  # they were read before what follows
    for _ in range(20):
        refused = client()
        refused.asks(len(LONG), b"")  # what is told beforehand counts before it comes
        refused.is_refused()
    growing = client()
    growing.asks(None, b"%x\r\n%b\r\n" % (len(LONG), LONG))
    growing.is_refused()
    packed = client()
    packed.asks(len(PACKED), PACKED, "Content-Encoding: gzip")
    packed.is_refused()
    assert [small.gets(path) for path in OPEN] == [200] * len(OPEN)
    small.asks(len(SHORT), SHORT)
    assert small.hears()[0] == 200
    for one in held:
        one.line.sendall(LONG[200_000:])
        assert one.hears()[0] == 200
    passes(client)


def test_who_leaves_in_the_middle_gives_its_room_back(client: Callable[[], Client]) -> None:
    for _ in range(3):
        gone = [client(), client()]
        for one in gone:
            one.asks(len(LONG), LONG[:300_000])
        for one in gone:
            one.line.close()
        passes(client)


def test_whatever_becomes_of_a_body_its_room_is_free_again(client: Callable[[], Client]) -> None:
    odd: list[tuple[int | None, bytes, tuple[Any, ...], int]] = [
        (len(LONG), b"{" * len(LONG), (), 400),
        (len(LONG), LONG, ("X-Model-Version: 99",), 404),
        (len(PACKED), PACKED, ("Content-Encoding: gzip",), 200),
        (len(LONG), LONG, ("Content-Encoding: gzip",), 400),
        (len(LONG), LONG, ("Content-Encoding: br",), 415),
        (None, b"%x\r\n%b\r\nwrong\r\n" % (len(LONG), LONG), (), 400),
        (MOST + 1, b"", (), 413),
        (None, b"%x\r\n%b\r\n" % (MOST + 1, b" " * (MOST + 1)), (), 413),
    ]
    for size, sent, more, status in odd * 2:
        one = client()
        one.asks(size, sent, *more)
        assert one.hears()[0] == status
        one.line.close()
    passes(client)


def test_small_bodies_are_not_counted_and_the_largest_one_always_fits() -> None:
    bodies = Bodies(Limits(body_bytes=MOST, held_bytes=0))
    for _ in range(1000):
        assert bodies.hold(0, SMALL) == 0
    held = bodies.hold(bodies.hold(0, MOST), 2 * MOST)  # packed, and then unpacked
    with pytest.raises(RequestError, match="BODIES_FULL"):
        bodies.hold(0, SMALL + 1)
    assert bodies.hold(0, SMALL) == 0
    bodies.release(held)
    assert bodies.hold(0, 2 * MOST) == 2 * MOST
