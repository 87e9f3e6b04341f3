"""What clients send ahead of its turn is bounded for all of them together; usual requests do not notice."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from spoken import LOOPS, Client, Echo, play

from mlops_magics.serving import ahead
from mlops_magics.serving.ahead import Ahead

USUAL = "GET /usual HTTP/1.1\nHost: x\n\n"
HELD = "GET /held HTTP/1.1\nHost: x\n\n"
MANY = USUAL * 2000  # 60 KB
BEGUN = "GET / HTTP/1.1\nHost: x\n" + "".join(f"X-{n}: {'y' * 200}\n" for n in range(240))


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_MOST", 2_000_000)


async def another(stack: contextlib.ExitStack, first: Client) -> Client:
    made = Client(*await asyncio.open_connection(*first.writer.get_extra_info("peername")))
    stack.callback(made.writer.close)
    return made


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_ahead_of_their_turn_are_bounded_and_the_first_is_answered(loop: object) -> None:
    async def scene(app: Echo, client: Client) -> None:
        with contextlib.ExitStack() as stack:
            greedy = [await another(stack, client) for _ in range(8)]
            for one in greedy:
                one.says(HELD + MANY)
            await asyncio.sleep(0.2)
            client.says(USUAL)
            assert (await client.hears())[0] == 200  # who sends one at a time does not notice
            app.free.set()
            refused = 0
            for one in greedy:
                assert (await one.hears())[0] == 200
                status, headers, _ = await one.hears()
                if status == 200:
                    assert [(await one.hears())[0] for _ in range(1999)] == [200] * 1999
                else:
                    refused += 1
                    assert (status, headers["connection"]) == (429, "close")
            assert 4 <= refused < 8
            late = await another(stack, client)  # what is answered counts no more
            late.says(MANY)
            assert [(await late.hears())[0] for _ in range(2000)] == [200] * 2000

    assert set(play(scene, loop)) == {429}  # type: ignore[arg-type] - one of two


@pytest.mark.parametrize("loop", LOOPS)
def test_heads_that_do_not_end_are_bounded(loop: object) -> None:
    async def scene(app: Echo, client: Client) -> None:
        del app
        with contextlib.ExitStack() as stack:
            greedy = [await another(stack, client) for _ in range(30)]
            for one in greedy:
                one.says(BEGUN)
            await asyncio.sleep(0.2)
            client.says(USUAL)
            assert (await client.hears())[0] == 200
            for one in greedy:
                one.says("\n")
            told = [(await one.hears())[0] for one in greedy]
            assert set(told) == {200, 429}
            late = await another(stack, client)
            late.says(BEGUN + "\n")
            assert (await late.hears())[0] == 200

    assert set(play(scene, loop)) == {429}  # type: ignore[arg-type] - one of two


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_head_of_many_small_headers_is_refused(end: str) -> None:
    async def scene(app: Echo, client: Client) -> None:
        client.says("GET / HTTP/1.1\nHost: x\n" + "a:b\n" * 1000 + end)
        assert (await client.hears())[0] == 431
        assert not app.seen

    assert play(scene) == [431]


def test_who_holds_little_is_never_refused() -> None:
    held = Ahead()
    full = held.hold(0, 1_950_000)
    assert full == 1_950_000
    assert held.hold(0, 100_000) is None
    assert [held.hold(0, 32_000) for _ in range(1000)] == [0] * 1000
    assert held.hold(full, 0) == 0
    assert held.hold(0, 100_000) == 100_000
