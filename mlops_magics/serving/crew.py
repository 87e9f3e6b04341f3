"""The workers of one order: started, listened to, replaced when they die, dismissed."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.state import Fault
from mlops_magics.serving import worker
from mlops_magics.serving.posix import can_fork

_log = logging.getLogger(__name__)

_FIRST_DELAY = 0.1  # seconds until a dead worker is replaced; doubled with each death
_LONGEST_DELAY = 30.0
_STEADY = 60.0  # seconds after which a worker's death says nothing about the next one's
_DISMISSAL = 12.0  # seconds after which a worker that was asked to end is killed
_HELD = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker process, as its supervisor sees it.

    Attributes:
        pid: Its process number.
        control: Our end of the pipe that tells it what to do.
        report: Our end of the pipe that tells how it went.
        born: When it was started, on the monotonic clock.
        ready: Whether it accepts connections.
        public: Whether clients can have met it at the endpoint's own port.
        resting: Whether it accepts none there for now.
        engine: What computes in it, once it said so.
        stopped: Why it gives a canary no more requests.
        fault: Why it could not serve, if it said so.
    """

    pid: int
    control: int
    report: int
    born: float
    ready: bool = False
    public: bool = False
    resting: bool = False
    engine: str = ""
    stopped: str = ""
    fault: Fault | None = None
    _rest: bytes = b""

    def listen(self) -> None:
        """Take in what the worker has reported so far."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self.report, 65536):
                self._rest += said
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._note(orjson.loads(line))

    def _note(self, words: dict[str, Any]) -> None:
        self.ready = self.ready or "ready" in words
        if "open" in words:
            self.public, self.resting = True, False
        self.engine = words.get("engine", self.engine)
        self.stopped = words.get("stopped", self.stopped)
        if error := words.get("error"):
            self.fault = Fault(**error)

    def tell(self, word: str) -> None:
        """Tell it one word; a worker that has ended meanwhile hears nothing."""
        with contextlib.suppress(OSError):
            os.write(self.control, word.encode() + b"\n")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal. It is our child and not yet reaped, so the number is still its own."""
        os.kill(self.pid, number)

    def close(self) -> None:
        """Close our ends of its pipes."""
        os.close(self.control)
        os.close(self.report)


@dataclass(slots=True, kw_only=True)
class Crew:
    """The workers that serve one order.

    Attributes:
        order: What they serve.
        public: The endpoint's listening socket.
        private: A socket at which they are tried first.
        forget: What a forked worker calls to let go of the supervisor's own descriptors.
        workers: Those that run.
        fault: Why the last one ended.
        failing: Whether the last one ended before it could serve, so that the next may fare no better.
        kill_at: When those that were asked to end are killed, on the monotonic clock.
    """

    order: Order
    public: socket.socket
    private: socket.socket | None = None
    forget: Callable[[worker.Wires], None]
    workers: list[Worker] = field(default_factory=list)
    fault: Fault | None = None
    failing: bool = False
    kill_at: float | None = None
    _delay: float = _FIRST_DELAY
    _hire_at: float | None = None

    @property
    def ready(self) -> bool:
        """Whether there are as many workers as ordered, and each accepts connections."""
        return len(self.workers) == self.order.workers and all(one.ready for one in self.workers)

    @property
    def serving(self) -> tuple[int, ...]:
        """The process numbers of those that accept connections at the endpoint's own port."""
        met = (one for one in self.workers if one.public or (one.ready and not self.private))
        return tuple(one.pid for one in met if not one.resting)

    def hire(self) -> None:
        """Start as many workers as are missing."""
        self._hire_at = None
        while len(self.workers) < self.order.workers:
            try:
                self.workers.append(self._start())
            except OSError as error:  # no memory, no process number, no descriptor: later perhaps
                _log.exception("A worker cannot be started.")
                self.fault, self.failing = Fault.of(error, "A worker process cannot be started"), True
                return self._hire_later()
        return None

    def lose(self, one: Worker, code: int) -> None:
        """Note that a worker has ended.

        Args:
            one: The worker; its report has been read to the end.
            code: How it ended, as ``os.waitpid`` tells it.
        """
        self.workers.remove(one)
        one.close()
        if self.kill_at is not None:
            return
        self.failing = not one.ready
        self.fault = one.fault or Fault(what=_ending(code), remedy="Look at the log for what it said last.")
        _log.warning("Worker %s of version %s: %s", one.pid, self.order.version, self.fault.what)
        if time.monotonic() - one.born > _STEADY:
            self._delay = _FIRST_DELAY
        self._hire_later()

    def _hire_later(self) -> None:
        self._hire_at = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def open(self) -> None:
        """Let the workers accept at the endpoint's own port, and no longer at the private one."""
        for one in self.workers:
            one.tell("open")

    def rest(self) -> None:
        """Let the workers accept nobody, and stay; ``open`` lets them begin again."""
        self.settle()
        for one in self.workers:
            one.public = one.resting = True
            one.tell("rest")

    def settle(self) -> None:
        """Be public from now on: those hired later need no trial."""
        if self.private:
            self.private.close()
            self.private = None

    def dismiss(self, word: str) -> None:
        """Ask the workers to end, and start no others.

        Args:
            word: ``drain`` where others answer from now on, ``stop`` where nobody does, ``kill`` where
                they were only tried; one that clients have met by then is drained all the same.
        """
        self._hire_at = None
        self.kill_at = time.monotonic() + _DISMISSAL
        self.settle()
        for one in self.workers:
            if (word == "kill" and not one.public) or not one.ready:  # a loading one would hear nothing
                one.signal(signal.SIGKILL)
            elif word in {"drain", "kill"}:
                one.tell("drain")
            else:
                one.signal(signal.SIGTERM)

    def alarms(self) -> Iterator[float]:
        """Say when :meth:`ring` has something to do."""
        if self._hire_at is not None:
            yield self._hire_at
        if self.kill_at is not None:
            yield self.kill_at

    def ring(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._hire_at is not None and now >= self._hire_at:
            self.hire()
        if self.kill_at is not None and now >= self.kill_at:
            for one in self.workers:
                one.signal(signal.SIGKILL)
            self.kill_at = now + _DISMISSAL

    def _start(self) -> Worker:
        control_end, control = os.pipe()
        report, report_end = os.pipe()
        wires = worker.Wires(
            public=self.public,
            private=self.private,
            control=control_end,
            report=report_end,
            parent=os.getpid(),
        )
        try:
            if can_fork():
                pid = self._fork(wires, (control, report))
            else:
                pid = _execute(wires)
                os.write(control, self.order.to_json() + b"\n")
        except OSError:
            os.close(control)
            os.close(report)
            raise
        finally:
            os.close(control_end)
            os.close(report_end)
        os.set_blocking(report, False)
        os.set_blocking(control, False)
        return Worker(pid=pid, control=control, report=report, born=time.monotonic())

    def _fork(self, wires: worker.Wires, ours: tuple[int, int]) -> int:
        """Fork a worker. Signals wait meanwhile: the supervisor's handlers are not the worker's."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            if pid := os.fork():
                return pid
            code = 1
            try:
                for descriptor in ours:
                    os.close(descriptor)
                self.forget(wires)
                for number in _HELD:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
                code = worker.run(self.order, wires)
            except BaseException:  # noqa: BLE001 - the last place where it can be told
                _log.exception("A worker ended.")
            finally:
                os._exit(code)  # never back into the supervisor's code
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _execute(wires: worker.Wires) -> int:
    """Start a worker as a fresh program, where forking is not safe."""
    sockets = [wires.public.fileno(), wires.private.fileno() if wires.private else -1]
    passed = [number for number in (*sockets, wires.control, wires.report) if number >= 0]
    line = [sys.executable, "-P", "-m", "mlops_magics.serving", "worker"]
    try:
        for number in passed:
            os.set_inheritable(number, True)  # noqa: FBT003 - positional only
        return os.posix_spawn(
            sys.executable, [*line, *map(str, (*sockets, wires.control, wires.report))], os.environ
        )
    finally:
        for number in passed:
            os.set_inheritable(number, False)  # noqa: FBT003 - same


def _ending(code: int) -> str:
    number = os.waitstatus_to_exitcode(code)
    if number < 0:
        return f"The worker process was ended by {signal.Signals(-number).name}."
    return f"The worker process ended with code {number}."
