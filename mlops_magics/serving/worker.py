"""A worker: it checks its order's model, loads it, answers, and ends when it is told or left alone."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson

from mlops_magics.artifact.order import Beside, Order
from mlops_magics.artifact.state import Fault
from mlops_magics.foundation.machine import processors
from mlops_magics.serving.posix import die_with

if TYPE_CHECKING:
    from mlops_magics.serving.access import Access
    from mlops_magics.serving.app import App
    from mlops_magics.serving.front import Front
    from mlops_magics.serving.lanes import Lanes
    from mlops_magics.serving.predictor import Predictor

_log = logging.getLogger(__name__)

_DRAIN = 10.0  # seconds for requests that are under way
_LINGER = 1.0  # seconds of quiet before a connection is closed at a change of version
_TURNS = 0.0005  # seconds until a thread lets another one in: the journal's must not hold requests up
_GARBAGE = (
    50_000,
    20,
    100,
)  # a request leaves few cycles: they are looked for more rarely
_ORPHAN = 1.0  # seconds for requests that are under way when the supervisor is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """What ties a worker to its supervisor.

    Attributes:
        public: The endpoint's listening socket.
        private: A socket at which the worker is tried first; without it the worker is public at once.
        control: The pipe that tells what to do; it ends when the supervisor ends.
        report: The pipe that tells how it went.
        parent: The supervisor's process number.
    """

    public: socket.socket
    private: socket.socket | None
    control: int
    report: int
    parent: int

    def tell(self, **words: object) -> None:
        """Report one thing to the supervisor."""
        os.write(self.report, orjson.dumps(words) + b"\n")


@dataclass(slots=True)
class _Ear:
    """Listens to the control pipe on a thread of its own, from the worker's first moment."""

    control: int
    words: asyncio.Queue[str] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def attach(self, words: asyncio.Queue[str], loop: asyncio.AbstractEventLoop) -> None:
        with self.guard:
            self.words, self.loop = words, loop

    def hear(self, word: str) -> None:
        with self.guard:
            if self.loop and self.words:
                self.loop.call_soon_threadsafe(self.words.put_nowait, word)

    def _listen(self) -> None:
        while said := os.read(self.control, 4096):
            for word in said.decode().split():
                self.hear(word)
        self.hear("orphaned")
        time.sleep(_ORPHAN + 0.5 if self.loop else 0)
        os._exit(1)  # the supervisor is gone, and so must this be, whatever its event loop does


def run(order: Order, wires: Wires) -> int:
    """Serve an order until told to stop.

    Args:
        order: What to serve.
        wires: What ties this process to its supervisor.

    Returns:
        The process's exit code.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # meant for the supervisor, or seen as errors where they arise
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with(wires.parent)
    ear = _Ear(wires.control)
    ear.start()
    try:
        _serve(order, wires, ear)
    except Exception as error:  # noqa: BLE001 - whatever a model does while it is loaded
        _log.exception("Version %s of %s is not served.", order.version, order.model)
        fault = Fault.of(error, f"Version {order.version} of {order.model} cannot be loaded")
        wires.tell(error=asdict(fault))
        return 1
    return 0


def _serve(order: Order, wires: Wires, ear: _Ear) -> None:
    import uvloop

    from mlops_magics.serving.front import Front
    from mlops_magics.serving.identity import Identity

    identity = Identity(order.certificate) if order.certificate else None
    app = _app(order, wires)
    sys.setswitchinterval(_TURNS)
    gc.collect()
    gc.freeze()  # what is loaded stays: nothing in it need be looked through again
    gc.set_threshold(*_GARBAGE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answer(Front(app, identity, refused=app.refused), wires, ear, app.lanes))


def _app(order: Order, wires: Wires) -> App:
    """Load what an order names, and put the application around it."""
    from mlops_magics.artifact.contract import Contract
    from mlops_magics.serving.app import build_app
    from mlops_magics.serving.journal import Journal
    from mlops_magics.serving.terms import Terms

    threads = max(processors() // order.workers, 1)
    beside = order.beside
    if beside and beside.version == order.version:  # its alias points to the live one: it waits for another
        beside = None
    return build_app(
        _ready(order, threads),
        _access(order),
        limits=order.limits,
        model=order.model,
        version=order.version,
        name=order.name,
        journal=Journal(order.journal) if order.journal else None,
        beside=(_ready(beside, threads), beside) if beside else None,
        terms=Terms(Contract.from_json(order.contract)) if order.contract else None,
        stopped=lambda why: wires.tell(stopped=why),
    )


def _access(order: Order) -> Access:
    from mlops_magics.artifact.guard import Book
    from mlops_magics.artifact.paths import tokens_path
    from mlops_magics.serving.access import Access
    from mlops_magics.serving.trial import Trial

    names = order.certificate.names if order.certificate else ()
    hosts = (order.host, "localhost", *names)
    book, trial = Book(tokens_path(order.state_path)), Trial(order.trial_sha256)
    return Access(order.token_sha256, hosts, order.tokens, book, trial=trial)


def _ready(one: Order | Beside, threads: int) -> Predictor:
    from mlops_magics.artifact.loading import load
    from mlops_magics.artifact.manifest import verify
    from mlops_magics.serving.foreign import opened
    from mlops_magics.serving.predictor import Predictor

    verify(one.model_path, one.digest)
    model = load(one.model_path, allow_pickle=one.allow_pickle, allow_code=one.allow_code, opens=opened)
    made = Predictor(model)
    made.compile(threads=threads)
    made.warm()
    return made


async def _answer(front: Front, wires: Wires, ear: _Ear, lanes: Lanes) -> None:
    words: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, words.put_nowait, "stop")
    ear.attach(words, loop)
    await front.start()
    await front.accept(wires.private or wires.public)
    wires.tell(ready=True, engine=lanes.live.predictor.engine)
    while True:
        word = await words.get()
        if word == "open":
            await front.accept(wires.public)
            if wires.private:
                front.refuse(wires.private)
            wires.tell(open=True)
        elif word == "rest":
            front.rest(linger=_LINGER)
        elif word == "steady":
            lanes.stop()
        elif word == "drain":
            return await front.drain(linger=_LINGER, seconds=_DRAIN)
        elif word == "stop":
            return await front.drain(linger=0, seconds=_DRAIN)
        elif word == "orphaned":
            return await front.drain(linger=0, seconds=_ORPHAN)
