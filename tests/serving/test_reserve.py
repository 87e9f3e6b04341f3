"""The workers of the version before: told to rest, kept for a while, and handed out for their very order."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.artifact.order import Follow, Order
from mlops_magics.serving import reserve as module
from mlops_magics.serving.crew import Crew, Worker
from mlops_magics.serving.reserve import Reserve

ORDER = Order(
    name="flights",
    model_path=Path("model-1"),
    model="flights",
    version="1",
    digest="sha256:1",
    token_sha256="0" * 64,
    state_path=Path("flights.json"),
    log_path=Path("flights.log"),
    follow=Follow(alias="champion", mark="1"),
    workers=2,
    reserve=60.0,
)
SECOND = replace(ORDER, model_path=Path("model-2"), version="2", digest="sha256:2")

Make = Callable[[Order], Crew]
ENDS: dict[int, tuple[int, int]] = {}
"""A worker's own ends of its pipes, by the supervisor's end of the one that tells it what to do."""


@pytest.fixture
def make() -> Iterator[Make]:
    """Make crews of an order, whose workers are only pipes: what they are told can be read."""
    told: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as public:

        def made(order: Order) -> Crew:
            crew = Crew(order=order, public=public, forget=lambda _: None)
            for _ in range(order.workers):
                (report, end), (heard, control) = os.pipe(), os.pipe()
                told.extend((report, end, heard, control))
                os.set_blocking(report, False)
                os.set_blocking(heard, False)
                one = Worker(pid=os.getpid(), control=control, report=report, born=time.monotonic())
                os.write(end, b'{"ready":true}\n')
                one.listen()
                ENDS[control] = (end, heard)
                crew.workers.append(one)
            return crew

        yield made
    for number in told:
        os.close(number)
    ENDS.clear()


def test_it_rests_and_begins_again_for_its_own_order(make: Make) -> None:
    old, live, kept = make(ORDER), make(SECOND), Reserve()
    assert len(old.serving) == 2
    assert kept.keep(old, live) is None
    assert (kept.crews, old.serving, kept.over()) == ([old], (), None)
    others = (
        SECOND,
        replace(ORDER, allow_pickle=True),
        replace(ORDER, contract="{}"),
        replace(ORDER, workers=3),
    )
    for other in others:
        assert kept.take(other) is None
    again = replace(ORDER, trial_sha256="1" * 64, port=8000)  # it is tried and found by other words
    assert kept.take(again) is old
    assert (kept.crews, old.order, list(kept.alarms())) == ([], again, [])


def test_one_version_rests_at_most(make: Make) -> None:
    first, second, third, kept = make(ORDER), make(SECOND), make(ORDER), Reserve()
    kept.keep(first, second)
    assert kept.keep(second, third) is first
    assert kept.crews == [second]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ORDER, replace(SECOND, follow=None)),
        (ORDER, replace(SECOND, reserve=0.0)),
        (ORDER, replace(ORDER, allow_pickle=True)),
    ],
    ids=["follows nothing", "turned off", "the same version"],
)
def test_nobody_rests_where_it_would_not_go_back(make: Make, before: Order, after: Order) -> None:
    kept = Reserve()
    assert kept.keep(make(before), make(after)) is None
    assert kept.crews == []


def test_it_rests_for_a_while_only(make: Make) -> None:
    old, kept = make(ORDER), Reserve()
    kept.keep(old, make(replace(SECOND, reserve=0.05)))
    assert kept.over() is None
    (alarm,) = kept.alarms()
    time.sleep(max(0.0, alarm - time.monotonic()))
    assert kept.over() is old
    assert kept.crews == []


def test_it_gives_memory_back_that_is_short(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    old, kept = make(ORDER), Reserve()
    monkeypatch.setattr(module, "free_memory", lambda: 2**20)
    kept.keep(old, make(SECOND))
    assert kept.over() is old


def test_of_those_that_rest_none_is_replaced(make: Make) -> None:
    old, kept = make(ORDER), Reserve()
    kept.keep(old, make(SECOND))
    old.workers.pop()
    assert kept.take(ORDER) is None
    assert kept.over() is old


def test_workers_that_begin_again_serve_once_they_say_so(make: Make) -> None:
    old, kept = make(ORDER), Reserve()
    kept.keep(old, make(SECOND))
    old.open()
    assert old.serving == ()
    for one in old.workers:
        says, hears = ENDS[one.control]
        assert os.read(hears, 100) == b"rest\nopen\n"
        os.write(says, b'{"open":true}\n')
        one.listen()
    assert len(old.serving) == 2
