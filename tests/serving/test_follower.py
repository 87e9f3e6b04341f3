"""A follower as its supervisor sees it: nudged, and never waited for."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from pathlib import Path

import pytest

from mlops_magics.artifact.order import Follow, Order
from mlops_magics.serving import follower as module
from mlops_magics.serving.follower import Follower, Surroundings

sys.path.append(str(Path(__file__).parent.parent / "targets"))

from served import until

_COUNTS = """
import os, json
brief = b""
while not brief.endswith(b"\\n"):
    brief += os.read(0, 1)
seen = 0
while said := os.read(0, 1):
    seen += 1
    os.write(1, json.dumps({"version": str(seen), "remark": None}).encode() + b"\\n")
"""


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follower:
    """One whose process counts how often it was nudged, and calls that a version."""
    monkeypatch.setattr(module, "_LINE", [sys.executable, "-c", _COUNTS])
    follow = Follow(alias="champion", mark="1")
    order = Order(
        name="flights",
        model_path=tmp_path,
        model="flights",
        version="1",
        digest="sha256:1",
        token_sha256="0" * 64,
        state_path=tmp_path / "flights.json",
        log_path=tmp_path / "flights.log",
        follow=follow,
    )
    return Follower(order, follow, Surroundings(dict(os.environ), str(tmp_path)), selectors.DefaultSelector())


def test_it_is_told_to_look_and_a_hanging_one_is_not_waited_for(follower: Follower) -> None:
    def seen() -> int:
        follower.ring()
        return int(follower.state().version or 0)

    follower.nudge()  # nobody is there: nothing is to be done
    follower.ring()
    follower.nudge()
    follower.nudge()
    until(lambda: seen() == 2)
    pid = follower.state().pid
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    for _ in range(100_000):  # more than a pipe holds
        follower.nudge()
    assert time.monotonic() - begun < 30
    os.kill(pid, signal.SIGCONT)
    until(lambda: seen() > 2)
    os.kill(pid, signal.SIGKILL)
    until(lambda: (follower.ring(), follower.state().pid)[1] != pid)
    follower.nudge()
    follower.dismiss()
    until(lambda: (follower.ring(), follower.gone)[1])
