"""The hand: a process that deploys for the one that watches: MLflow is in memory only while it is used."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time

from mlops_magics.artifact.state import Fault
from mlops_magics.frontends.follow.job import Job, Outcome

_LINE = [sys.executable, "-P", "-m", "mlops_magics.frontends.follow", "renew"]
_ATTEMPT = 300.0  # seconds that one attempt may take
_REST = 60.0  # seconds at least until it ends: who takes a promotion back does so soon, and then it is fast
_GRACE = 2.0  # seconds for an attempt that is ended to put away what it holds


class Hand:
    """Deploys what an alias points to, in a process that is started for it and ends when it is not needed.

    Args:
        job: The endpoint.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._used = 0.0

    def renew(self, which: bytes) -> Outcome:
        """Deploy what an alias points to now.

        Args:
            which: LIVE for the endpoint's own version, BESIDE for the one beside it.

        Returns:
            What came of it.
        """
        told = self._asked(which)
        if told is None:
            what = f"A version for {self._job.name} was not deployed: the process for it ended early."
            return Outcome(version="", fault=Fault(what=what, remedy="It is tried again by itself."))
        self._used = time.monotonic()
        return told

    def rest(self) -> None:
        """End the process when it has had nothing to do for long."""
        if self._process and time.monotonic() - self._used > max(_REST, self._job.reserve):
            self.stop()

    def stop(self) -> None:
        """End the process, and with it what it is doing."""
        process, self._process = self._process, None
        if not process:
            return
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._folder:
            self._folder.cleanup()

    def _asked(self, which: bytes) -> Outcome | None:
        """Ask the process once; None where it does not answer, and then it is no more."""
        try:
            process = self._process or self._started()
            limit = threading.Timer(_ATTEMPT, process.kill)
            limit.start()
            try:
                if process.stdin and process.stdout:
                    process.stdin.write(which)
                    return Outcome.from_json(process.stdout.readline())
            finally:
                limit.cancel()
        except (OSError, ValueError, TypeError, KeyError):
            self.stop()
        return None

    def _started(self) -> subprocess.Popen[bytes]:
        # What it copies lies in a folder of ours: were it killed, nobody else would delete that.
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-follow-", ignore_cleanup_errors=True)
        self._process = process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            _LINE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": self._folder.name},
            bufsize=0,
        )
        if process.stdin:
            process.stdin.write(self._job.to_json())
        return process
