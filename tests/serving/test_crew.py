"""The workers of an endpoint: one that dies is replaced, and later each time where it dies at once."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_magics.artifact.order import Order
from mlops_magics.serving.crew import Crew, Worker

KILLED = 9  # as os.waitpid tells it


@pytest.fixture
def crew() -> Iterator[Crew]:
    order = Order(
        name="flights",
        model_path=Path(),
        model="flights",
        version="1",
        digest="sha256:0",
        token_sha256="0" * 64,
        state_path=Path("flights.json"),
        log_path=Path("flights.log"),
    )
    with socket.create_server(("127.0.0.1", 0)) as public:
        yield Crew(order=order, public=public, forget=lambda _: None)


def lost(crew: Crew, *, after: float, ready: bool = True) -> float:
    """Let a worker die so long after its start; return in how many seconds it is replaced."""
    (report, report_end), (control_end, control) = os.pipe(), os.pipe()
    os.close(report_end)
    os.close(control_end)
    now = time.monotonic()
    one = Worker(pid=1, control=control, report=report, born=now - after, ready=ready)
    crew.workers.append(one)
    crew.lose(one, KILLED)
    (alarm,) = crew.alarms()
    return alarm - now


def test_who_dies_at_once_is_replaced_later_each_time(crew: Crew) -> None:
    pauses = [lost(crew, after=0.0) for _ in range(12)]
    assert pauses == pytest.approx([min(0.1 * 2**turn, 30.0) for turn in range(12)], abs=0.05)
    assert lost(crew, after=3600.0) == pytest.approx(0.1, abs=0.05)  # it has long done well
    assert lost(crew, after=0.0) == pytest.approx(0.2, abs=0.05)


def test_why_the_last_one_ended_is_kept_and_whether_it_ever_served(crew: Crew) -> None:
    lost(crew, after=0.0, ready=False)
    assert crew.failing
    assert crew.fault is not None
    assert "SIGKILL" in crew.fault.what
    lost(crew, after=0.0)
    assert not crew.failing


def test_nobody_is_replaced_once_all_were_asked_to_end(crew: Crew) -> None:
    lost(crew, after=0.0)
    crew.dismiss("stop")
    assert list(crew.alarms()) == [crew.kill_at]
    crew.ring()
    assert crew.workers == []
