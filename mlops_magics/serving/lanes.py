"""Two versions behind one endpoint: a canary answers some requests, a shadow all of them, unheard."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mlops_magics.serving.batcher import Batcher
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.routes import Heads, Hear

Role = Literal["live", "canary", "shadow"]

_FEWEST: Final = 5  # failures: fewer prove nothing
_BEARABLE: Final = 0.01  # failures a request that a live version may have before a canary is held to less
_SURE: Final = 1e-3  # how unlikely so many failures must be if the canary were no worse
_PARTS: Final = 10_000


@dataclass(slots=True, eq=False)
class Lane:
    """One version, and all that its requests go through.

    Attributes:
        role: What it answers for.
        version: The version.
        predictor: What computes.
        batcher: What computes several requests at once.
        hears: What reads its requests, by path, and holds them against the contract.
        reads: What only reads them, for those that nobody asks.
        answered: How many requests it has answered.
        failed: How many it could not answer, through no fault of theirs.
        header: The header of its answers that names it.
    """

    role: Role
    version: str
    predictor: Predictor
    batcher: Batcher
    hears: Mapping[str, Hear]
    reads: Mapping[str, Hear]
    answered: int = 0
    failed: int = 0
    header: tuple[bytes, bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Make the header of its answers that names it."""
        self.header = (b"x-model-version", printable(self.version).encode())

    def unheard(self, told: asyncio.Future[Any]) -> None:
        """Count what came of a request whose answer nobody waits for."""
        if told.cancelled():
            return
        if told.exception():
            self.failed += 1
        else:
            self.answered += 1


class Lanes:
    """Chooses which version answers a request.

    Args:
        live: The endpoint's own version.
        other: The one beside it.
        percent: How many of a hundred requests a canary answers.
        stopped: What is told when the canary is stopped, and why.
    """

    def __init__(
        self, live: Lane, other: Lane | None = None, *, percent: float = 0.0, stopped: Callable[[str], None]
    ) -> None:
        self.live = live
        self.other = other
        self._share = round(percent * _PARTS / 100)
        self._stopped = stopped

    @property
    def shadow(self) -> Lane | None:
        """The version that answers unheard, where there is one."""
        return self.other if self.other and self.other.role == "shadow" else None

    @property
    def canary(self) -> Lane | None:
        """The version that answers some requests, where there is one."""
        return self.other if self.other and self.other.role == "canary" else None

    @property
    def every(self) -> tuple[Lane, ...]:
        """The versions that are there."""
        return (self.live, self.other) if self.other else (self.live,)

    def choose(self, path: str, heads: Heads, request_id: str, *, trial: bool = False) -> Lane:
        """Choose the version that answers a request.

        ``X-Model-Version`` names one, and so may the path. Otherwise a canary gets its share: requests with
        the same ``X-Sticky-Key``, a user's id say, always go the same way, others by their id. A shadow's
        answers are there to be compared: nobody gets one, except a deploy that tries it.

        Args:
            path: What is asked.
            heads: The request's headers.
            request_id: Its id.
            trial: Whether a deploy tries a version with it.

        Raises:
            RequestError: The version that was named does not answer here.
        """
        canary = self.canary
        named = heads.get(b"x-model-version")
        if named is not None:
            for lane in self.every:
                asked = trial or lane.role != "shadow"
                if asked and lane.version.encode() == named and path in lane.hears:
                    return lane
            raise RequestError(404, "NO_SUCH_VERSION", "The version that was asked for does not answer here.")
        if canary is None or path not in canary.hears:
            return self.live
        if path not in self.live.hears:
            return canary
        if not self._share:
            return self.live
        key = heads.get(b"x-sticky-key") or request_id.encode()
        return canary if _part(key, canary.version) < self._share else self.live

    def failed(self, lane: Lane) -> None:
        """Count a failure of the canary, and stop it where it surely fails more often than it may."""
        lane.failed += 1
        if lane is self.live or not self._share or lane.failed < _FEWEST:
            return
        told = self.live.answered + self.live.failed
        bearable = max(self.live.failed / max(told, 1), _BEARABLE)
        asked = lane.answered + lane.failed
        if _chance(lane.failed, asked, bearable) < _SURE:
            why = f"version {lane.version} could not answer {lane.failed} of {asked} requests"
            self.stop()
            self._stopped(why)

    def stop(self) -> None:
        """Give the canary no more requests."""
        self._share = 0


def _part(key: bytes, version: str) -> int:
    """Place a key between 0 and 10,000, otherwise for each version, so that not the same users are first."""
    return int.from_bytes(hashlib.blake2b(version.encode() + b"\0" + key, digest_size=8).digest()) % _PARTS


def _chance(failed: int, asked: int, bearable: float) -> float:
    """Say how likely so many failures or more are, if each request fails with a bearable chance."""
    from scipy.special import bdtrc

    return float(bdtrc(failed - 1, asked, bearable))


def printable(text: str) -> str:
    """Write a text so that it can neither break a header or log line nor hide in one."""
    return text.encode("unicode_escape").decode()
