"""The follower: a small process beside an endpoint that watches where an alias points.

It knows MLflow, which nothing here does: it is started by its module's name, with the surroundings of the
deploy that asked for it. It deploys a new version as any user would, by a mail; its death harms nobody.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mlops_magics.artifact.order import Follow, Order
from mlops_magics.artifact.paths import rope_path, secrets_path
from mlops_magics.artifact.state import Fault, Following
from mlops_magics.foundation.errors import RefusedError

_log = logging.getLogger(__name__)

_FIRST_DELAY = 0.5  # seconds until a dead follower is replaced; doubled with each death
_LONGEST_DELAY = 60.0
_STEADY = 60.0  # seconds after which a death says nothing about the next one
_DISMISSAL = 4.0  # seconds after which a follower that was asked to end is killed
_STORE = "MLOPS_STORE"  # without it a follower would look into another store
_LINE = [sys.executable, "-P", "-m", "mlops_magics.frontends.follow"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a follower is at home: that of the notebook or shell which deployed.

    Attributes:
        environ: Its environment, with what the store asks of those who come.
        folder: The current folder, from which relative addresses are taken.
    """

    environ: Mapping[str, str] = field(repr=False)
    folder: str


def received(order: Order) -> Surroundings | None:
    """Take in the surroundings that a deploy offers, once; nothing of them is on any disk.

    Args:
        order: The order.

    Returns:
        The surroundings, or None where the order follows no alias.

    Raises:
        RefusedError: Nobody offers them.
    """
    if order.follow is None:
        return None
    packed = b""
    try:
        rope = os.open(rope_path(order.state_path, order.follow.mark), os.O_RDONLY | os.O_NONBLOCK)
        try:
            with contextlib.suppress(BlockingIOError):
                while some := os.read(rope, 65536):
                    packed += some
        finally:
            os.close(rope)
        told: dict[str, Any] = orjson.loads(zlib.decompress(packed))
        return Surroundings(**told)
    except (OSError, zlib.error, ValueError, TypeError) as error:
        raise RefusedError(
            f"{order.name} does not follow {order.follow.alias} by this order.", "Deploy again with --follow."
        ) from error


def withheld(order: Order, given: Mapping[str, str]) -> dict[str, str]:
    """Pick out of an environment what may be secret, and was therefore not written down with the order.

    Args:
        order: The order.
        given: An environment, usually ``os.environ``.
    """
    home = order.follow.home if order.follow else None
    return {name: given[name] for name in home.withheld if name in given} if home else {}


def recalled(order: Order, brought: Mapping[str, str]) -> Surroundings | None:
    """Put the surroundings of an endpoint that is started again of what was written down and what was not.

    Args:
        order: The order.
        brought: Variables that may be secret, from whoever starts it.

    Returns:
        The surroundings; None where it follows no alias, or where nobody says which store that is in.
    """
    home = order.follow.home if order.follow else None
    if home is None:
        return None
    missing = [name for name in home.withheld if name not in brought]
    if missing:
        _log.warning("It is started again without %s.", ", ".join(missing))
    return None if _STORE in missing else Surroundings({**home.environ, **brought}, home.folder)


def lost(order: Order) -> Following | None:
    """Say of an endpoint that was started again that it follows its alias no more.

    Args:
        order: What it serves.

    Returns:
        How it follows; None where it never did.
    """
    follow = order.follow
    if follow is None:
        return None
    again = "Deploy it again with --follow"
    why = Fault(
        what=f"It was started again after a restart, and follows {follow.alias} no more.",
        remedy=f"{again}.",
    )
    if follow.home is not None:
        why = Fault(
            what=f"It was started again without {_STORE}, which may hold a secret, and follows"
            f" {follow.alias} no more.",
            remedy=f"{again}, or write {_STORE}=ADDRESS into {secrets_path(order.state_path)}.",
        )
    return Following(alias=follow.alias, mark=follow.mark, remark=why)


class Follower:
    """A follower process, as its supervisor sees it: started, listened to, replaced when it dies, dismissed.

    Args:
        order: The endpoint.
        follow: The alias.
        surroundings: Where the process is at home.
        selector: What wakes the supervisor when it says something.
    """

    def __init__(
        self, order: Order, follow: Follow, surroundings: Surroundings, selector: selectors.BaseSelector
    ) -> None:
        self._follow = follow
        self._surroundings: Surroundings | None = surroundings
        self._selector = selector
        self._brief = orjson.dumps(
            {
                "name": order.name,
                "model": order.model,
                "alias": follow.alias,
                "mark": follow.mark,
                "state": str(order.state_path),
                "allow_pickle": order.allow_pickle,
                "allow_code": order.allow_code,
                "contract": bool(order.contract),
                "reserve": order.reserve,
            }
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._version, self._remark = "", None
        self._born = 0.0
        self._delay = _FIRST_DELAY
        self._hire_at: float | None = time.monotonic()
        self._kill_at: float | None = None

    _remark: Fault | None

    @property
    def gone(self) -> bool:
        """Whether it was dismissed and has ended."""
        return self._kill_at is not None and self._process is None

    def state(self) -> Following:
        """Say how it follows."""
        return Following(
            alias=self._follow.alias,
            mark=self._follow.mark,
            pid=self._process.pid if self._process else 0,
            version=self._version,
            remark=self._remark,
        )

    def alarms(self) -> Iterator[float]:
        """Say when :meth:`ring` has something to do."""
        for alarm in (self._hire_at, self._kill_at if self._process else None):
            if alarm is not None:
                yield alarm

    def ring(self) -> None:
        """Hear what it says, and do what is due."""
        now = time.monotonic()
        if self._process:
            self._listen(self._process)
            code = self._process.poll()
            if code is not None:
                self._bury(self._process, code)
            elif self._kill_at is not None and now >= self._kill_at:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._kill_at = now + _DISMISSAL
        elif self._hire_at is not None and now >= self._hire_at:
            self._hire()

    def nudge(self) -> None:
        """Let it look at once; one that is not there looks when it comes."""
        if self._process and self._process.stdin and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it ends at this moment, or has been told often enough
                os.write(self._process.stdin.fileno(), b"\n")

    def dismiss(self) -> None:
        """Ask it to end, and start no other one."""
        self._hire_at, self._kill_at = None, time.monotonic() + _DISMISSAL
        if self._process and self._process.stdin:
            self._process.stdin.close()  # it ends with this pipe

    def forget(self) -> None:
        """Let go, in a forked worker, of its pipes and of what its surroundings say."""
        self._surroundings = None
        for pipe in self._pipes():
            pipe.close()

    def _pipes(self) -> Iterator[Any]:
        if self._process:
            yield from (
                pipe for pipe in (self._process.stdin, self._process.stdout) if pipe and not pipe.closed
            )

    def _hire(self) -> None:
        if self._surroundings is None:  # in a forked worker, which starts none
            return None
        self._hire_at = None
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                _LINE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(self._surroundings.environ),
                cwd=self._surroundings.folder,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._remark = Fault.of(error, f"The process that follows {self._follow.alias} cannot be started")
            _log.warning("%s", self._remark.what)
            return self._hire_later()
        self._born, self._rest = time.monotonic(), b""
        if process.stdin and process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ)
            with contextlib.suppress(OSError):  # it has ended already, and is buried in the next turn
                process.stdin.write(self._brief + b"\n")
            os.set_blocking(process.stdin.fileno(), False)  # one that hangs must not hold the supervisor
        return None

    def _hire_later(self) -> None:
        self._hire_at = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _bury(self, process: subprocess.Popen[bytes], code: int) -> None:
        self._listen(process)
        if process.stdout:
            self._selector.unregister(process.stdout)
        for pipe in self._pipes():
            pipe.close()
        self._process = None
        if self._kill_at is not None:
            return
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._remark = Fault(
            what=f"The process that follows {self._follow.alias} {how}; it is started again.",
            remedy="Look at the log for what it said last.",
        )
        _log.warning("%s", self._remark.what)
        if time.monotonic() - self._born > _STEADY:
            self._delay = _FIRST_DELAY
        self._hire_later()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if not process.stdout:
            return
        with contextlib.suppress(BlockingIOError):
            while said := os.read(process.stdout.fileno(), 65536):
                self._rest += said
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            words: dict[str, Any] = orjson.loads(line)
            remark = Fault(**words["remark"]) if words["remark"] else None
            if remark and remark != self._remark:
                _log.warning("%s", remark.what)
            self._version, self._remark = words["version"], remark
