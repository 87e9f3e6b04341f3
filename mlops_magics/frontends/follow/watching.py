"""The watch: it looks where the alias points, and has a version deployed when the endpoint is elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from mlops_magics.artifact.order import Beside
from mlops_magics.artifact.state import Fault, State
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.follow.hand import Hand
from mlops_magics.frontends.follow.job import BESIDE, LIVE, Job
from mlops_magics.tracking.pointer import Pointed, pointed

_LOOK = 1.0  # seconds between two looks, and up to half as much again: endpoints must not ask all at once
_LONGEST = 10.0  # seconds between two looks at a store that cannot be reached
_PATIENCE = 2  # looks in vain before that is told
_FIRST_DELAY = 15.0  # seconds until a version that was refused is tried again; doubled with each refusal
_SHORT_DELAY = 1.0  # the same where it did not come to the version: nothing was said against it
_LONGEST_DELAY = 900.0
_FILES = 500  # of a refused version that are watched


@dataclass(slots=True, kw_only=True)
class _Refused:
    """A version that did not take over, and when it may try again."""

    goal: Pointed
    version: str
    fault: Fault
    folder: str
    seen: tuple[tuple[str, int, int], ...]
    delay: float
    until: float


class Watch:
    """Keeps one endpoint where its alias points, and the version beside it where its own one does.

    Args:
        job: The endpoint.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._settings = Settings.discover()
        self._refused: dict[bytes, _Refused] = {}
        self._remarks: dict[bytes, tuple[str, Fault]] = {}
        self._vain = 0
        self._told: bytes | None = None
        self._hand = Hand(job)
        self._bell = threading.Event()

    def run(self) -> None:
        """Look and act until the process ends."""
        while True:
            self._bell.wait(self._look())
            self._bell.clear()  # before the look: who rings while it is under way is heard after it
            self._hand.rest()

    def nudge(self) -> None:
        """Look at once: somebody has moved an alias."""
        self._bell.set()

    def stop(self) -> None:
        """End an attempt that is under way; the endpoint drops what it has half loaded."""
        self._hand.stop()

    def _look(self) -> float:
        """Look once, act where that is due; return the seconds until the next look."""
        state = State.read(self._job.state_path)
        if state is None or state.follow is None or state.follow.mark != self._job.mark:
            return _LOOK  # it follows no more: the supervisor ends this process, or has not begun to say so
        beside = state.beside if state.beside and state.beside.alias else None
        try:
            self._lead(LIVE, self._job.address, state)
            if beside:
                self._lead(BESIDE, ModelAddress(self._job.model, alias=beside.alias), beside)
        except MLOpsError as error:
            return self._in_vain(state, error)
        self._vain = 0
        if beside is None:
            self._settled(BESIDE)
        self._tell()
        return _LOOK * random.uniform(1.0, 1.5)  # noqa: S311 - no secret

    def _lead(self, which: bytes, address: ModelAddress, held: State | Beside) -> None:
        """Bring one version where its alias points.

        Raises:
            MLOpsError: The store does not say where that is.
        """
        goal = pointed(self._settings, address)
        if goal is None:
            self._settled(which)
            goes_on = "still answers" if which == LIVE else "stays beside it"
            what = f"{address.model} has no {address.alias} any more; version {held.version} {goes_on}."
            self._remarks[which] = "", Fault(what=what, remedy=f"%mlops_promote {address.model} makes one.")
        elif goal.version == held.version and goal.digest in {None, held.digest}:
            self._settled(which)
        elif self._due(which, goal):
            self._try(which, goal)

    def _settled(self, which: bytes) -> None:
        self._refused.pop(which, None)
        self._remarks.pop(which, None)

    def _in_vain(self, state: State, error: MLOpsError) -> float:
        self._vain += 1
        if self._vain >= _PATIENCE:
            what = f"{masked(error.what)} Version {state.version} still answers, and is followed up later."
            self._remarks[LIVE] = "", Fault(what=what, remedy=masked(error.remedy))
            self._tell()
        for refused in self._refused.values():  # it may have been for the same reason
            refused.until = 0.0
        return min(_LOOK * 2.0**self._vain, _LONGEST) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _due(self, which: bytes, goal: Pointed) -> bool:
        """Tell whether a version is to be tried: it is new, has changed, or was left alone long."""
        refused = self._refused.get(which)
        if refused is None or refused.goal != goal:
            self._refused.pop(which, None)
            return True
        if _files(refused.folder) != refused.seen:
            return True
        self._remarks[which] = refused.version, refused.fault  # should the store have been away meanwhile
        return time.monotonic() >= refused.until

    def _try(self, which: bytes, goal: Pointed) -> None:
        outcome = self._hand.renew(which)
        if outcome.fault is None:
            self._refused.pop(which, None)
            return  # the next look says whether the alias is there still
        delay = _FIRST_DELAY if outcome.version else _SHORT_DELAY
        if refused := self._refused.get(which):
            delay = min(max(delay, refused.delay * 2), _LONGEST_DELAY)
        version = outcome.version or goal.version
        self._refused[which] = _Refused(
            goal=goal,
            version=version,
            fault=outcome.fault,
            folder=outcome.folder,
            seen=_files(outcome.folder),
            delay=delay,
            until=time.monotonic() + delay,
        )
        self._remarks[which] = version, outcome.fault

    def _tell(self) -> None:
        """Tell the supervisor how things stand, when that has changed: of the live version first."""
        version, remark = self._remarks.get(LIVE) or self._remarks.get(BESIDE) or ("", None)
        told = orjson.dumps({"version": version, "remark": remark and asdict(remark)}) + b"\n"
        if told != self._told:
            self._told = told
            os.write(1, told)


def _files(folder: str) -> tuple[tuple[str, int, int], ...]:
    """Look at the files of a folder: names, sizes, when they were changed; nothing where there is none."""
    if not folder:
        return ()
    found = []
    for path in itertools.islice(Path(folder).rglob("*"), _FILES):
        with contextlib.suppress(OSError):
            stat = path.lstat()
            found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))
