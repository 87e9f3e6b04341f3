"""A process in an endpoint's place that ends when it is told to look where its alias points."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from mlops_magics.artifact.state import Following, State
from mlops_magics.foundation.processes import ProcessId

TOLD = 7
_WAITS = f"""
import os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: os._exit({TOLD}))
print("there", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def waiting() -> Iterator[tuple[subprocess.Popen[bytes], State]]:
    """Start one, and say what its state would be: it follows the champion of flights."""
    line = [sys.executable, "-c", _WAITS]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == b"there\n"
        known = ProcessId.of(made.pid)
        yield (
            made,
            State(
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
            ),
        )
