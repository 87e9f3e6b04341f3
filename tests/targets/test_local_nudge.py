"""Who moves an alias tells the endpoints that follow it, and nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.artifact.state import Following, State
from mlops_magics.foundation.platform import ProcessId
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.local_nudge import nudge

_TOLD = 7
_WAITS = f"""
import os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: os._exit({_TOLD}))
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that ends when it is nudged."""
    line = [sys.executable, "-c", _WAITS]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == b"there\n"
        yield made


def _state(process: subprocess.Popen[bytes]) -> State:
    known = ProcessId.of(process.pid)
    return State(
        name="flights",
        pid=known.pid,
        started=known.started,
        node=known.host,
        birth=known.birth,
        host="127.0.0.1",
        port=1,
        model="flights",
        version="1",
        digest="sha256:1",
        workers=(),
        wanted=1,
        status="ready",
        since=0.0,
        follow=Following(alias="champion", mark="1"),
    )


def test_only_who_follows_this_model_is_told(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    settings = Settings(root=tmp_path, store="sqlite:///mlflow.db", state=tmp_path / "state")
    nudge(settings, "flights")  # there is no folder yet
    folder = settings.state / "endpoints"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{")
    told, path = _state(process), folder / "flights-1.json"
    others = (
        replace(told, follow=None),
        replace(told, model="other"),
        replace(told, node="elsewhere", birth=""),
        replace(told, started=told.started - 3600.0, birth=""),  # its number was another process's
    )
    for other in others:
        path.write_bytes(other.to_json())
        nudge(settings, "flights")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    path.write_bytes(told.to_json())
    nudge(settings, "flights")
    assert process.wait(10) == _TOLD
    nudge(settings, "flights")  # it has ended meanwhile
