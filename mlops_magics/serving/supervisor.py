"""The supervisor: it holds the port, keeps workers behind it, and changes versions without losing a request.

It answers no request and loads no model itself, so that nothing a model does can end it. Everything
happens on one thread, in turns: what workers report, signals, what is due.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mlops_magics.artifact.order import Mail, Order
from mlops_magics.artifact.paths import mail_path
from mlops_magics.artifact.state import Change, Fault
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.serving.admission import admitted
from mlops_magics.serving.crew import Crew, Worker
from mlops_magics.serving.follower import Follower, Surroundings, lost, recalled, received
from mlops_magics.serving.posix import guarded, listen
from mlops_magics.serving.reserve import Reserve
from mlops_magics.serving.state import Board, held
from mlops_magics.serving.worker import Wires

_log = logging.getLogger(__name__)

_PATIENCE = 60.0  # seconds until a change that nobody takes or drops is dropped
_LOOK = 15.0  # seconds between two looks at whether the state folder is still there
_PAUSE = 0.2  # seconds after an error of our own, so that it cannot spin
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True, kw_only=True)
class _Trial:
    """A new version's workers, beside the ones that answer."""

    crew: Crew
    change: Change
    until: float
    surroundings: Surroundings | None = None
    taken: bool = False


class Supervisor:
    """Keeps one endpoint alive.

    Args:
        order: The endpoint.
        brought: What it was given along where it is started again, by the names of variables; None where a
            deploy starts it, which says itself where the store is.

    Raises:
        UnavailableError: Its port is taken, or another process serves it.
        RefusedError: It shall follow an alias, and nobody says in what surroundings.
    """

    def __init__(self, order: Order, *, brought: Mapping[str, str] | None = None) -> None:
        self._lock = held(order)  # before the board: that is the other one's, where there is one
        self._board = Board(order)
        self._mail = mail_path(order.state_path)
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_rope = os.pipe()
        self._ring_on_signals()
        try:
            surroundings = received(order) if brought is None else recalled(order, brought)
            guarded(order.host, tls=order.certificate is not None)
            self._socket = listen(order.host, order.port)
        except MLOpsError as error:
            self._board.post(status="failed", error=Fault.of(error, ""))
            raise
        self._live = Crew(order=order, public=self._socket, forget=self._forget)
        self._trial: _Trial | None = None
        self._reserve = Reserve()
        self._leaving: list[Crew] = []
        self._follower = self._following(order, surroundings)
        self._parting: list[Follower] = []
        self._answered = False
        self._look_at = time.monotonic() + _LOOK
        self._code: int | None = None

    def run(self, warming: Iterable[object] = ()) -> int:
        """Serve until SIGTERM.

        Args:
            warming: Steps to take before the first worker is forked: imports that all will share.

        Returns:
            The process's exit code: 1 where the first worker never came up.
        """
        self._board.post(port=self._socket.getsockname()[1])
        for _ in warming:
            pass
        self._live.hire()
        while self._code is None or any(crew.workers for crew in self._crews()) or self._parting:
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - a supervisor that dies takes the endpoint with it
                _log.exception("A turn of the supervisor failed.")
                time.sleep(_PAUSE)
        return self._code

    def _turn(self) -> None:
        self._watch()
        ringing: list[Crew | Follower] = [*self._crews(), *self._followers()]
        alarms = [self._look_at, *self._reserve.alarms()]
        alarms += (alarm for one in ringing for alarm in one.alarms())
        if self._trial:
            alarms.append(self._trial.until)
        for key, _ in self._selector.select(max(0.0, min(alarms) - time.monotonic())):
            if key.fd == self._bell:
                for number in os.read(self._bell, 4096):
                    self._heed(number)
        for crew in self._crews():
            for worker in crew.workers:
                worker.listen()
        self._steady()
        self._reap()
        for one in ringing:
            one.ring()
        self._parting = [follower for follower in self._parting if not follower.gone]
        self._leaving = [crew for crew in self._leaving if crew.workers]
        self._release(self._reserve.over())
        self._advance()
        self._look()
        if self._code is None:
            self._publish()

    def _look(self) -> None:
        """End where nobody can find this endpoint any more: its state folder was deleted."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK
        if self._code is None and not self._mail.parent.is_dir():
            _log.warning("The state folder is gone.")
            self._stop(0)

    def _crews(self) -> list[Crew]:
        trial = [self._trial.crew] if self._trial else []
        return [self._live, *trial, *self._reserve.crews, *self._leaving]

    def _heed(self, number: int) -> None:
        if number == signal.SIGTERM and self._code is None:
            self._stop(0)
        elif number == signal.SIGHUP and self._code is None:
            self._open_mail()
            if self._follower:  # an alias may have been moved; one look more than needed harms nobody
                self._follower.nudge()

    def _stop(self, code: int, error: Fault | None = None) -> None:
        """Begin to end: no new connections, and no new workers."""
        self._code = code
        self._board.post(status="failed" if error else "stopping", error=error, workers=())
        self._socket.close()
        self._part()
        for crew in self._crews():
            if crew.kill_at is None:
                crew.dismiss("stop")

    def _reap(self) -> None:
        for crew in self._crews():
            for one in list(crew.workers):
                with contextlib.suppress(ChildProcessError):
                    pid, code = os.waitpid(one.pid, os.WNOHANG)
                    if pid:
                        self._bury(crew, one, code)

    def _bury(self, crew: Crew, one: Worker, code: int) -> None:
        one.listen()
        if one.report in self._selector.get_map():
            self._selector.unregister(one.report)
        crew.lose(one, code)
        if self._trial and crew is self._trial.crew:
            self._end_trial("failed", crew.fault)
        elif crew is self._live and not self._answered and self._code is None:
            self._stop(1, crew.fault)

    # -- a change of version ---------------------------------------------------------------------

    def _open_mail(self) -> None:
        try:
            mail = Mail.from_json(self._mail.read_bytes())
            self._mail.unlink()
        except FileNotFoundError:
            return
        except (OSError, MLOpsError) as error:
            self._board.post(error=Fault.of(error, "A mail cannot be read"))
            self._mail.unlink(missing_ok=True)
            return
        if mail.do == "load" and mail.order:
            self._load(mail.change, mail.order)
        elif self._trial and self._trial.change.change == mail.change:
            if mail.do == "drop":
                self._end_trial("dropped", None)
            elif self._trial.change.status == "waiting":
                self._trial.taken = True
                self._trial.crew.open()

    def _load(self, change: str, order: Order) -> None:
        """Start a new order's workers at a private port."""
        if self._trial:
            self._end_trial("dropped", None)
        try:
            order, surroundings = admitted(self._live.order, order)
            guarded(order.host, tls=order.certificate is not None)
            if rested := self._reserve.take(order):
                return self._resume(change, rested, surroundings)
            private = listen("::1" if ":" in order.host else "127.0.0.1", 0)  # nobody beyond is to meet it
        except MLOpsError as error:
            failed = Change(change=change, status="failed", error=Fault.of(error, ""))
            self._board.post(change=failed)
            return None
        crew = Crew(order=order, public=self._socket, private=private, forget=self._forget)
        begun = Change(change=change, status="loading", port=private.getsockname()[1])
        until = time.monotonic() + _PATIENCE
        self._trial = _Trial(crew=crew, change=begun, until=until, surroundings=surroundings)
        self._board.post(change=begun)
        crew.hire()
        return None

    def _resume(self, change: str, crew: Crew, surroundings: Surroundings | None) -> None:
        """Let workers that rest wait for their word; they answered here, and were tried before that."""
        waiting = Change(change=change, status="waiting")
        until = time.monotonic() + _PATIENCE
        self._trial = _Trial(crew=crew, change=waiting, until=until, surroundings=surroundings)
        self._board.post(change=waiting)

    def _release(self, crew: Crew | None) -> None:
        """Let workers end that rest no longer."""
        if crew:
            if crew.kill_at is None:
                crew.dismiss("drain")
            self._leaving.append(crew)

    def _steady(self) -> None:
        """Where one worker has stopped the canary, let all of them stop it, and those that come after."""
        beside = self._live.order.beside
        why = next((one.stopped for one in self._live.workers if one.stopped), "")
        if not (beside and why) or beside.stopped:
            return
        _log.warning("The canary is stopped: %s.", why)
        self._live.order = replace(self._live.order, beside=replace(beside, stopped=why))
        self._board.keep(self._live.order)
        for one in self._live.workers:
            one.tell("steady")

    def _advance(self) -> None:
        """Take the trial's next step, if it has come to one."""
        trial = self._trial
        if not trial:
            if self._live.ready and not self._answered:
                self._answered = True
                self._board.keep(self._live.order)
        elif trial.crew.fault:
            self._end_trial("failed", trial.crew.fault)
        elif trial.taken and trial.crew.ready and len(trial.crew.serving) == trial.crew.order.workers:
            self._swap(trial)
        elif time.monotonic() > trial.until:
            self._end_trial("dropped", None)
        elif trial.change.status == "loading" and trial.crew.ready:
            trial.change = Change(change=trial.change.change, status="waiting", port=trial.change.port)
            trial.until = time.monotonic() + _PATIENCE
            self._board.post(change=trial.change)

    def _swap(self, trial: _Trial) -> None:
        """The new workers already accept at the endpoint's port: only now the old ones may go."""
        old, self._live, self._trial = self._live, trial.crew, None
        if self._live.order.follow != old.order.follow:
            self._part()
            self._follower = self._following(self._live.order, trial.surroundings)
        self._live.settle()
        self._release(self._reserve.keep(old, self._live))
        if old not in self._reserve.crews:
            self._release(old)
        order = self._live.order
        self._board.keep(order)
        _log.info("Version %s of %s answers.", order.version, order.model)
        self._publish(change=Change(change=trial.change.change, status="live"))

    def _end_trial(self, status: str, error: Fault | None) -> None:
        trial, self._trial = self._trial, None
        if trial:
            trial.crew.dismiss("kill")
            self._leaving.append(trial.crew)
            ended = Change(
                change=trial.change.change, status="failed" if status == "failed" else "dropped", error=error
            )
            self._board.post(change=ended)

    # -- following an alias ----------------------------------------------------------------------

    def _following(self, order: Order, surroundings: Surroundings | None) -> Follower | None:
        if not (order.follow and surroundings):
            return None
        return Follower(order, order.follow, surroundings, self._selector)

    def _followers(self) -> list[Follower]:
        return [*([self._follower] if self._follower else []), *self._parting]

    def _part(self) -> None:
        """Ask the follower to end, if there is one."""
        if self._follower:
            self._follower.dismiss()
            self._parting.append(self._follower)
            self._follower = None

    # -- telling and hearing ---------------------------------------------------------------------

    def _publish(self, **changes: object) -> None:
        live = self._live
        serving = live.serving
        changes["follow"] = self._follower.state() if self._follower else lost(live.order)
        if serving:
            self._board.post(
                status="ready",
                workers=serving,
                error=None,
                model=live.order.model,
                version=live.order.version,
                digest=live.order.digest,
                wanted=live.order.workers,
                engine=live.workers[0].engine,
                beside=live.order.beside,
                certificate=live.order.certificate,
                **changes,
            )
        else:
            status = "failed" if live.failing else "starting"
            self._board.post(status=status, workers=(), error=live.fault, **changes)

    def _watch(self) -> None:
        """Listen to workers that were hired since."""
        watched = self._selector.get_map()
        for crew in self._crews():
            for one in crew.workers:
                if one.report not in watched:
                    self._selector.register(one.report, selectors.EVENT_READ)

    def _ring_on_signals(self) -> None:
        for end in (self._bell, self._bell_rope):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._bell_rope, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)  # the bell rings; the turn does the work
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def _forget(self, wires: Wires) -> None:
        """Let go, in a forked worker, of all that is not its own.

        A worker that kept a sibling's pipe open would keep the sibling from noticing the supervisor's end.
        """
        signal.set_wakeup_fd(-1)
        self._lock.close()  # this copy alone: the lock stays the supervisor's
        self._selector.close()
        for follower in self._followers():
            follower.forget()
        for descriptor in self._descriptors():
            os.close(descriptor)
        for crew in self._crews():
            if crew.private and crew.private is not wires.private:
                crew.private.close()

    def _descriptors(self) -> Iterator[int]:
        yield from (self._bell, self._bell_rope)
        for crew in self._crews():
            for one in crew.workers:
                yield from (one.control, one.report)
