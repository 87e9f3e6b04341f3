"""HTTP as clients really speak it: in pieces, ahead of the answers, wrongly, and then no more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable

import pytest
from spoken import LARGE, LOOPS, Client, Echo, play

from mlops_magics.serving.asgi import Exchange


def test_requests_that_are_sent_ahead_are_answered_in_their_order() -> None:
    async def scene(app: Echo, client: Client) -> None:
        asked = "".join(f"POST /a%20b?n={n} HTTP/1.1\nHost: x\nContent-Length: 1\n\n{n}" for n in range(5))
        client.says(asked[:-1])
        assert [(await client.hears())[2] for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        client.says(asked[-1])
        assert (await client.hears())[2] == b"4"
        assert app.seen == [f"POST /a b n={n}" for n in range(5)]

    play(scene)


def test_a_body_comes_in_pieces_once_it_was_asked_for() -> None:
    async def scene(app: Echo, client: Client) -> None:
        del app
        client.says("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nExpect: 100-continue\n\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        for piece in ("3\nab", "c\n2\nde\n", "0\n", "\n"):
            client.says(piece)
            await asyncio.sleep(0.01)
        status, headers, body = await client.hears()
        assert (status, body) == (200, b"abcde")
        assert "date" in headers
        assert "connection" not in headers

    play(scene)


def test_a_large_body_is_not_kept_ahead_of_its_reader() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says(f"POST / HTTP/1.1\nHost: x\nContent-Length: {LARGE}\n\n" + "x" * LARGE)
        assert (await client.hears())[2] == b"x" * LARGE
        client.says(f"POST /early HTTP/1.1\nHost: x\nContent-Length: {LARGE}\n\n" + "x" * (LARGE - 1))
        assert (await client.hears())[0] == 200  # before all of the body is there
        client.says("xGET /next HTTP/1.1\nHost: x\n\n")
        assert (await client.hears())[0] == 200
        assert app.seen[-1] == "GET /next "

    play(scene)


@pytest.mark.parametrize("asked", ["GET / HTTP/1.1\nHost: x\nConnection: close\n\n", "GET / HTTP/1.0\n\n"])
def test_the_last_answer_says_so(asked: str) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says(asked + asked)
        assert (await client.hears())[1]["connection"] == "close"
        assert await client.is_closed()
        assert len(app.seen) == 1

    play(scene)


@pytest.mark.parametrize(
    "wrong",
    [
        "NOT HTTP\n\n",
        "GET / HTTP/1.1\nHost : x\n\n",
        "CONNECT other.example:443 HTTP/1.1\nHost: x\n\n",
        "GET /\u00fc HTTP/1.1\nHost: x\n\n",
        "POST / HTTP/1.1\nHost: x\nContent-Length: 1\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n",
    ],
)
def test_what_is_not_http_is_told_so_after_what_was(wrong: str) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /good HTTP/1.1\nHost: x\n\n" + wrong)
        assert (await client.hears())[0] == 200
        status, headers, _ = await client.hears()
        assert (status, headers["connection"]) == (400, "close")
        assert app.seen == ["GET /good "]

    assert play(scene) == [400]


def test_a_head_without_end_is_not_kept() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET / HTTP/1.1\nHost: x\nX-Long: " + "x" * 70_000)
        assert (await client.hears())[0] == 431
        assert not app.seen

    assert play(scene) == [431]


def test_a_body_that_breaks_off_ends_its_request() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3\nabc\nwrong\n")
        assert (await client.hears())[0] == 400
        await asyncio.wait_for(app.left.wait(), 5)
        assert app.answered == 0

    play(scene)


def test_an_application_hears_that_the_client_has_left() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("POST / HTTP/1.1\nHost: x\nContent-Length: 9\n\nabc")
        await asyncio.wait_for(app.asked.wait(), 5)
        client.writer.close()
        await asyncio.wait_for(app.left.wait(), 5)

    play(scene)


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_says_no_more_is_answered_even_if_that_takes_long(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("POST /held HTTP/1.1\nHost: x\nContent-Length: 1\n\na")
        client.writer.write_eof()
        await asyncio.wait_for(app.asked.wait(), 5)
        await asyncio.sleep(0.4)  # it is asked meanwhile whether it is there
        app.free.set()
        heard = await asyncio.wait_for(client.reader.read(), 5)
        asked, word, answer = heard.rpartition(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert word
        assert (asked + word).replace(word, b"") == b""
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\na")

    assert play(scene, loop) == []


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_all_that_was_asked_before_the_last_word_is_answered(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /held HTTP/1.1\nHost: x\n\nPOST /b HTTP/1.1\nHost: x\nContent-Length: 1\n\nc")
        client.says("POST /broken HTTP/1.1\nHost: x\nContent-Length: 2\n\nx")
        client.writer.write_eof()
        await asyncio.wait_for(app.asked.wait(), 5)
        app.free.set()
        heard = await asyncio.wait_for(client.reader.read(), 5)
        assert heard.count(b"HTTP/1.1 ") == heard.count(b"HTTP/1.1 200 OK") == 2
        assert heard.endswith(b"\r\n\r\nc")
        await asyncio.wait_for(app.left.wait(), 5)  # the one that is not whole

    assert play(scene, loop) == []


def test_who_says_no_more_by_the_older_protocol_hears_nothing_but_the_answer() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /held HTTP/1.0\n\n")
        client.writer.write_eof()
        await asyncio.wait_for(app.asked.wait(), 5)
        await asyncio.sleep(0.4)
        app.free.set()
        assert (await client.hears())[0] == 200
        assert await client.is_closed()

    play(scene)


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_has_left_while_an_answer_is_made_is_noticed(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /waited HTTP/1.1\nHost: x\n\n")
        await asyncio.wait_for(app.asked.wait(), 5)
        client.writer.close()
        await asyncio.wait_for(app.left.wait(), 5)

    play(scene, loop)


@pytest.mark.parametrize("body", ["", "GET /hidden HTTP/1.1\nHost: x\n\n"])
def test_what_follows_a_wish_to_speak_otherwise_is_no_request(body: str) -> None:
    async def scene(app: Echo, client: Client) -> None:
        upgrade = f"Connection: Upgrade\nUpgrade: h2c\nContent-Length: {len(body) + body.count(chr(10))}\n"
        client.says(f"POST / HTTP/1.1\nHost: x\n{upgrade}\n{body}")
        status, headers, echo = await client.hears()
        assert (status, headers["connection"]) == (200, "close")
        assert echo == body.replace("\n", "\r\n").encode()
        assert await client.is_closed()
        assert app.seen == ["POST / "]

    play(scene)


@pytest.mark.parametrize("path", ["/split", "/fails", "/nothing"])
def test_what_an_application_does_not_answer_is_a_500(path: str) -> None:
    async def scene(app: Echo, client: Client) -> None:
        del app
        client.says(f"GET {path} HTTP/1.1\nHost: x\n\n")
        status, headers, _ = await client.hears()
        assert status == 500
        assert "set-cookie" not in headers
        assert await client.is_closed()

    play(scene)


def test_answers_wait_for_a_client_that_does_not_read() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /large HTTP/1.1\nHost: x\n\n" * 50)
        await asyncio.sleep(0.5)
        assert 0 < app.answered < 40, "more than 40 MB wait for a client that reads nothing"
        for _ in range(50):
            assert len((await client.hears())[2]) == LARGE

    play(scene)


def test_no_more_is_read_while_requests_wait() -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /held HTTP/1.1\n\n" + "GET / HTTP/1.1\n\n" * 5000)
        await asyncio.sleep(0.3)
        assert sum(isinstance(one, Exchange) for one in gc.get_objects()) < 1500
        app.free.set()
        for _ in range(5001):
            assert (await client.hears())[0] == 200
        assert len(app.seen) == 5001

    play(scene)


def test_a_client_that_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.front._STALLED", 0.5)

    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /large HTTP/1.1\nHost: x\n\n" * 50)
        await asyncio.sleep(3.5)
        size = 0
        with contextlib.suppress(ConnectionResetError):
            while part := await asyncio.wait_for(client.reader.read(LARGE), 5):
                size += len(part)
        assert size < 50 * LARGE
        assert app.answered < 50

    play(scene)


def test_a_head_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.front._STALLED", 0.5)

    async def scene(app: Echo, client: Client) -> None:
        client.says("GET /first HTTP/1.1\nHost: x\n\n")
        assert (await client.hears())[0] == 200
        client.says("GET / HTTP/1.1\nX: ")

        async def dribbles() -> None:
            while True:
                await asyncio.sleep(0.1)
                client.says("y")

        dribbling = asyncio.create_task(dribbles())
        try:
            with contextlib.suppress(ConnectionResetError):
                assert await client.is_closed()
        finally:
            dribbling.cancel()
        assert app.seen == ["GET /first "]

    play(scene)


def test_a_connection_that_only_rests_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.front._KEEP_ALIVE", 1.5)

    async def scene(app: Echo, client: Client) -> None:
        del app
        client.says("GET / HTTP/1.1\nHost: x\n\nGET / HT")
        assert (await client.hears())[0] == 200
        assert await client.is_closed()

    play(scene)
