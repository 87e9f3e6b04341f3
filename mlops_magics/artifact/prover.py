"""A process that never saw the notebook and forks for each proof: imports, which take long, are done once.

It imports what models usually need and nothing of the caller's, keeps no model, and each proof runs in a
child of its own. It ends with its caller, and by itself when nobody asked for two minutes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

WAIT: Final = "--wait"
_IDLE: Final = "120"  # seconds without an order, after which it ends
_CHUNK: Final = 1 << 16
_FORKS: Final = sys.platform.startswith("linux")  # elsewhere libraries do not bear it


class Prover:
    """The waiting process of this one; it is started when it is first wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._made_for: object = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process, unless one waits already, so that its imports are done when it is asked.

        Args:
            environment: All that it may know of this process's environment.
        """
        if not _FORKS or not self._lock.acquire(blocking=False):
            return
        try:
            with contextlib.suppress(OSError):  # the proof will be made from cold
                self._ready(environment)
        finally:
            self._lock.release()

    def ask(
        self, words: list[str], environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes] | None:
        """Run ``python -m mlops_magics.artifact WORDS`` in a child of the waiting process.

        Args:
            words: The words of the command.
            environment: All that it may know of this process's environment.
            timeout: The most seconds to wait.

        Returns:
            How it ended; None where this way cannot be gone and a process must be started from cold.

        Raises:
            TimeoutExpired: It did not end in time; it was killed.
        """
        if not _FORKS or not self._lock.acquire(blocking=False):
            return None
        try:
            until = time.monotonic() + timeout
            for _ in range(2):  # the first may have ended by itself just now
                try:
                    return self._asked(words, environment, until)
                except OSError:
                    self.stop()
                except subprocess.TimeoutExpired:
                    self.stop()
                    raise
        finally:
            self._lock.release()
        return None

    def stop(self) -> None:
        """End the process, and a proof that it is at."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return  # what this process was forked from ends its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _ready(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # Of a package that was installed anew since it started, the waiting process may hold the old one.
        wanted = (os.getpid(), dict(environment), _installed())
        if self._made_for != wanted or (self._process is not None and self._process.poll() is not None):
            self.stop()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", "mlops_magics.artifact", WAIT, _IDLE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
            self._owner, self._made_for = os.getpid(), wanted
        return self._process

    def _asked(
        self, words: list[str], environment: Mapping[str, str], until: float
    ) -> subprocess.CompletedProcess[bytes]:
        process = self._ready(environment)
        if process.stdin is None or process.stdout is None:
            raise BrokenPipeError
        order = orjson.dumps({"words": words, "folder": str(Path.cwd())}) + b"\n"
        process.stdin.write(order)
        source, said = process.stdout.fileno(), b""
        while b"\n" not in said:
            said += _more(source, until)
        head, _, body = said.partition(b"\n")
        told = orjson.loads(head)
        while len(body) < told["out"] + told["err"]:
            body += _more(source, until)
        return subprocess.CompletedProcess(words, told["code"], body[: told["out"]], body[told["out"] :])


def _more(source: int, until: float) -> bytes:
    """Read what there is.

    Raises:
        TimeoutExpired: There is nothing in time.
        BrokenPipeError: There will be nothing: the process has ended.
    """
    left = max(0.0, until - time.monotonic())
    readable, _, _ = select.select([source], [], [], left)
    if not readable:
        raise subprocess.TimeoutExpired("a proof", left)
    said = os.read(source, _CHUNK)
    if not said:
        raise BrokenPipeError
    return said


def _installed() -> int:
    """Say when packages were last installed or removed."""
    try:
        return Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    except OSError:
        return 0


PROVER: Final = Prover()
atexit.register(PROVER.stop)
