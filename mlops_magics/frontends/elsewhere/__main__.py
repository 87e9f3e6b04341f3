"""`python -P -m mlops_magics.frontends.elsewhere serve | health FOLDER`: what an image runs.

serve    answers at the port of ``served.json`` until SIGTERM; the processes that answer are its children
         where there are several, and all end when one does: starting anew is the platform's work
health   asks the port whether it answers, and ends with 0 if so
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_magics.artifact.served import Served
from mlops_magics.foundation.errors import MLOpsError, UsageError

if TYPE_CHECKING:
    from mlops_magics.serving.front import Front

_BIND: Final = "MLOPS_BIND"  # an address; all of the container's by default
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - a container's own network
_LINGER: Final = "MLOPS_LINGER"  # seconds of answering on after SIGTERM: a service learns late that we leave
_DRAIN: Final = 10.0  # seconds for requests that are under way
_PATIENCE: Final = 3.0  # seconds for an answer to the health check
_LONGEST: Final = 3600.0  # seconds of answering on
_OK: Final = 200
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def main(words: list[str]) -> int:
    """Serve, or say whether something is served.

    Args:
        words: The command line without the program's name.

    Returns:
        The exit code.
    """
    try:
        match words:
            case ["serve", folder]:
                logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
                return _serve(Path(folder))
            case ["health", folder]:
                return _health(Served.read(Path(folder)).port)
    except MLOpsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write("usage: python -m mlops_magics.frontends.elsewhere serve | health FOLDER\n")
    return 2


def _serve(folder: Path) -> int:
    from mlops_magics.serving.posix import listen

    served = Served.read(folder)
    _lingering()  # a word that is no number shows now, and not at the end
    sock = listen(os.environ.get(_BIND, _EVERYWHERE), served.port)
    if served.workers == 1:
        return _answer(folder, sock)
    return _Family().run(folder, sock, served.workers)


class _Family:
    """Several processes at one socket: a signal goes on to all, and the end of one is the end of all."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._leaving = False

    def run(self, folder: Path, sock: socket.socket, count: int) -> int:
        for number in _ENDING:
            signal.signal(number, self._leave)
        while len(self._pids) < count and not self._leaving:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until it is known who shall end
            try:
                self._pids.add(_forked(folder, sock, held))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
        sock.close()
        code = 0
        while self._pids:
            pid, status = os.wait()  # as the container's first process we reap strangers, too
            if pid in self._pids:
                self._pids.discard(pid)
                code = max(code, self._judged(os.waitstatus_to_exitcode(status)))
                self._leave()
        return code

    def _judged(self, ended: int) -> int:
        """Take no offence at a process that was still loading when it was asked to leave."""
        if self._leaving:
            return 0 if ended == -signal.SIGTERM else abs(ended)
        return abs(ended) or 1

    def _leave(self, *_: object) -> None:
        self._leaving = True
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):  # it has ended at this moment
                os.kill(pid, signal.SIGTERM)


def _forked(folder: Path, sock: socket.socket, signals: set[int | signal.Signals]) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        code = _answer(folder, sock)
    except MLOpsError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(code)


def _answer(folder: Path, sock: socket.socket) -> int:
    import uvloop

    from mlops_magics.frontends.elsewhere.app import make
    from mlops_magics.serving.front import Front

    app = make(folder, os.environ)
    front = Front(app, refused=app.refused)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_asked(front, sock))
    return 0


async def _until_asked(front: Front, sock: socket.socket) -> None:
    asked = asyncio.Event()
    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await front.start()
    await front.accept(sock)
    await asked.wait()
    await asyncio.sleep(_lingering())
    await front.drain(linger=0, seconds=_DRAIN)


def _lingering() -> float:
    """Read how long to answer on after SIGTERM.

    Raises:
        UsageError: That is no number of seconds.
    """
    text = os.environ.get(_LINGER, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST:
        raise UsageError(f"{_LINGER} is no number of seconds: {text[:40]!r}.", f"Write {_LINGER}=5.")
    return seconds


def _health(port: int) -> int:
    bound = os.environ.get(_BIND, _EVERYWHERE)
    asked = {_EVERYWHERE: "127.0.0.1", "::": "::1"}.get(bound, bound)
    connection = http.client.HTTPConnection(asked, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/ping", headers={"Host": "localhost"})
        return 0 if connection.getresponse().status == _OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
