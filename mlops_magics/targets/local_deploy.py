"""One local deploy: a supervisor is started, or a living one changes its version; or all is as it was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import orjson

from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.order import Follow, JournalOrder, Mail, Order
from mlops_magics.artifact.paths import lock_path, order_path
from mlops_magics.artifact.state import Change, ChangeStatus, Fault, State
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.targets.base import Endpoint, Request
from mlops_magics.targets.call import failure, post
from mlops_magics.targets.local_address import LOOPBACK, address, trial_host
from mlops_magics.targets.local_files import Depot, Place
from mlops_magics.targets.local_plan import asked_beside
from mlops_magics.targets.standby import Standby, give, launch

_READY = 60.0  # seconds until a version must be ready
_SIGN = 10.0  # seconds until a supervisor that took its order must have written a state
_END = 15.0  # seconds until a supervisor that was asked to end is killed
_GONE = 5.0  # seconds until the workers of a supervisor that has ended must have ended too
_POLL = 0.005
_OK = 200


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One deploy while it happens.

    Attributes:
        request: What is asked.
        place: The endpoint's files.
        before: What its supervisor said last, if it ever had one.
        alive: Whether that supervisor runs.
        follow: The alias that the endpoint follows afterwards.
        reserve: For how many seconds the workers of the version before rest.
    """

    request: Request
    place: Place
    before: State | None
    alive: bool
    follow: Follow | None = None
    reserve: float = 0.0
    _token: str = field(default="", repr=False)
    _trial: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _log_begun: int = 0
    _given: bool = False

    def run(self, depot: Depot, standby: Standby | None) -> State:
        """Carry it out.

        Args:
            depot: Where copies of models are kept.
            standby: A warm process to start from.

        Returns:
            What the supervisor says when all is done.

        Raises:
            UnavailableError: It did not work, and all is as it was.
        """
        if self.request.beside and not self.alive:
            raise not_live(self.request)
        known = self.place.token_file.exists()
        kept = tuple(map(_content, (self.place.state, order_path(self.place.state))))
        try:
            order = self._order(depot)
            return self._change(order) if self.alive else self._start(order, standby)
        except BaseException as error:
            if not self.alive:
                self._undo_start(kept, known=known)
            if isinstance(error, MLOpsError):
                self._explain(error)
            raise

    def _order(self, depot: Depot) -> Order:
        request, place = self.request, self.place
        kept = JournalOrder(folder=place.journal, leave_out=request.leave_out, whole=request.log_values)
        for path in (place.state, place.log):
            private_folder(path.parent)
        model_path = depot.keep(request.model_path, request.digest)
        self._token = place.token()
        self._log_begun = place.log.stat().st_size if place.log.exists() else 0
        return Order(
            name=request.name,
            host=self._host,
            port=request.port or (self.before.port if self.before else 0),
            certificate=self._certificate,
            contract=request.contract,
            model_path=model_path,
            model=request.model,
            version=request.version,
            digest=request.digest,
            token_sha256=hashlib.sha256(self._token.encode()).hexdigest(),
            state_path=place.state,
            log_path=place.log,
            allow_pickle=request.allow_pickle,
            allow_code=request.allow_code,
            workers=request.workers,
            limits=request.limits,
            journal=kept if request.journal else None,
            follow=self.follow,
            beside=replace(asked_beside(request), model_path=model_path) if request.beside else None,
            trial_sha256=hashlib.sha256(self._trial.encode()).hexdigest(),
            reserve=self.reserve,
        )

    @property
    def _host(self) -> str:
        return self.request.host or (self.before.host if self.before else LOOPBACK)

    @property
    def _certificate(self) -> Certificate | None:
        return self.request.certificate or (self.before.certificate if self.before else None)

    # -- a supervisor is started -----------------------------------------------------------------

    def _start(self, order: Order, standby: Standby | None) -> State:
        if self.before:
            wait_for_workers(self.before)  # they hold the port
        self.place.mail.unlink(missing_ok=True)
        self._given = True
        if not (standby and standby.hand_over(order)) and not give(launch("serve"), order):
            raise UnavailableError("The server process did not start.", "Deploy again.")
        self._wait(lambda _: True, _SIGN)
        state = self._wait(
            lambda state: state.status == "failed" or len(state.workers) == order.workers, _READY
        )
        if state.status == "failed":
            raise _error(state.error)
        self._try(state.port)
        return state

    def _undo_start(self, kept: tuple[bytes | None, ...], *, known: bool) -> None:
        """End a supervisor that should not be, and leave the files as they were."""
        if self._given:
            with contextlib.suppress(MLOpsError):
                end(self._wait(lambda _: True, _SIGN))
        for path, content in zip((self.place.state, order_path(self.place.state)), kept, strict=True):
            if content is None:
                path.unlink(missing_ok=True)
            else:
                write_atomic(path, content, private=True)
        if not self.before:
            lock_path(self.place.state).unlink(missing_ok=True)
        if not known:
            self.place.token_file.unlink(missing_ok=True)

    # -- a living supervisor changes its version -------------------------------------------------

    def _change(self, order: Order) -> State:
        change = secrets.token_hex(8)
        try:
            self._send(Mail(do="load", change=change, order=order))
            waiting = self._changed(change, "waiting")[1]
            if waiting.port:  # else these very workers answered here until just now, and were tried before
                self._try(waiting.port)
            if self.request.confirm:
                self.request.confirm()
            self._send(Mail(do="take", change=change))
            return self._changed(change, "live")[0]
        except BaseException:
            with contextlib.suppress(MLOpsError):
                self._send(Mail(do="drop", change=change))
            raise

    def _changed(self, change: str, status: ChangeStatus) -> tuple[State, Change]:
        """Wait until the change has come to a status."""

        def decided(state: State) -> bool:
            now = state.change
            return now is not None and now.change == change and now.status in {status, "failed", "dropped"}

        state = self._wait(decided, _READY)
        if state.change is None or state.change.status != status:
            raise _error(state.change.error if state.change else None)
        return state, state.change

    def _send(self, mail: Mail) -> None:
        if not self.before or not self.before.process.alive():
            raise UnavailableError("The server process ended.", "Deploy again: it is then started anew.")
        write_atomic(self.place.mail, mail.to_json(), private=True)
        os.kill(self.before.pid, signal.SIGHUP)

    # -- both ways -------------------------------------------------------------------------------

    def _wait(self, done: Callable[[State], bool], seconds: float) -> State:
        """Wait until the supervisor's state is as it should be."""
        deadline = time.monotonic() + seconds
        look_at = 0.0
        while (now := time.monotonic()) < deadline:
            state = State.read(self.place.state)
            if state and (self.alive or not self.before or state.process != self.before.process):
                if done(state):
                    return state
                if now > look_at:
                    look_at = now + 20 * _POLL
                    if not state.process.alive():
                        raise UnavailableError("The server process ended.", "Deploy again.")
            time.sleep(_POLL)
        raise UnavailableError(
            f"The server was not ready within {seconds:g} seconds.", "Deploy again when the machine is idle."
        )

    def _try(self, port: int) -> None:
        """Let the new version answer the example before any client meets it."""
        request = self.request
        if request.example is None:
            return
        public = self.before.port if self.alive and self.before else port
        endpoint = _endpoint(request, address(self._host, public, self._certificate))
        if port != public:
            endpoint = replace(endpoint, at=trial_host(self._host))
        answer = post(
            endpoint,
            request.example,
            token=self._token,
            port=port,
            version=request.version,
            trial=self._trial,
        )
        if answer.status != _OK:
            raise failure(endpoint, answer)
        if request.expected is None:
            return
        wanted = orjson.loads(orjson.dumps(list(request.expected), option=orjson.OPT_SERIALIZE_NUMPY))
        if orjson.loads(answer.body)["predictions"] != wanted:
            raise RefusedError(
                "The server answers the stored example with other predictions than the model did.",
                "Compare the versions of scikit-learn and numpy here with those of the run.",
            )

    def _explain(self, error: MLOpsError) -> NoReturn:
        request = self.request
        after = "nothing is left behind"
        if self.before:
            after = f"version {self.before.version} still answers" if self.alive else "it stays down"
        said = self.place.last_words(self._log_begun)
        if not self.before:
            self.place.clear_log()
        raise UnavailableError(
            f"Version {request.version} of {request.model} was not deployed to {request.name} ({after})."
            f" {error.what}",
            f"{error.remedy}\nThe log ends with:\n{said}" if said else error.remedy,
        ) from error


def not_live(request: Request) -> RefusedError:
    """Say that nothing is live beside which a version can stand."""
    return RefusedError(
        f"{request.name} is not live, so nothing can stand beside it.",
        f"%mlops_deploy {request.model}@champion  first",
    )


def end(state: State) -> None:
    """End a supervisor with its workers: by asking first, by force when that does not help.

    Args:
        state: What the supervisor said last.

    Raises:
        UnavailableError: It does not end, or is another user's.
    """
    process = state.process
    for number, seconds in ((signal.SIGTERM, _END), (signal.SIGKILL, _GONE)):
        try:
            if process.alive():
                os.kill(process.pid, number)
        except OSError as error:
            raise UnavailableError(
                f"The process {process.pid} of {state.name} cannot be ended: {error.strerror}.",
                "End it as the user who started it.",
            ) from error
        if _until(lambda: not process.alive(), seconds):
            return wait_for_workers(state)
    raise UnavailableError(
        f"The process {process.pid} of {state.name} does not end.", "Restart the machine, or wait."
    )


def wait_for_workers(state: State) -> None:
    """Wait until no worker of a supervisor that has ended holds its port; kill what does not end.

    Args:
        state: What the supervisor said last.
    """
    while not _until(lambda: not list(_workers(state)), _GONE):
        for pid in _workers(state):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to be so, and tell whether it came to that in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _workers(state: State) -> Iterable[int]:
    """Find which of a state's workers run. Numbers are used again, so the command line must be ours."""
    import psutil

    for pid in state.workers:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            ours = "mlops_magics.serving" in process.cmdline() and state.process.may_have_started(pid)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                yield pid


def _error(fault: Fault | None) -> MLOpsError:
    if fault is None:
        return UnavailableError("The server gave the version up.", "Deploy again.")
    return UnavailableError(fault.what, fault.remedy)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _endpoint(request: Request, address: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        name=request.name,
        model=request.model,
        version=request.version,
        port=0,
        pid=0,
        started=0.0,
        status="starting",
        workers=request.workers,
        **address,
    )
