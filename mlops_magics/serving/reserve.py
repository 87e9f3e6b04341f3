"""The version before: its workers rest for a while, so that to go back to it takes no loading."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mlops_magics.artifact.order import Order
from mlops_magics.foundation.machine import free_memory
from mlops_magics.foundation.processes import held_memory
from mlops_magics.serving.crew import Crew

_log = logging.getLogger(__name__)

_LOOK: Final = 5.0  # seconds between two looks at the memory that is left
_SPARE: Final = 4  # so many times what they hold must be free on this machine


class Reserve:
    """Keeps the workers of one version that answered before: they accept nobody, and can begin at once."""

    def __init__(self) -> None:
        self._crew: Crew | None = None
        self._until = 0.0
        self._look_at = 0.0

    @property
    def crews(self) -> list[Crew]:
        """Whom it keeps."""
        return [self._crew] if self._crew else []

    def keep(self, old: Crew, live: Crew) -> Crew | None:
        """Let the workers of the version before rest, in the place of those that rest by now.

        Only an endpoint that follows an alias goes back by itself, and only to another version.

        Args:
            old: Its workers.
            live: Those that answer now.

        Returns:
            Whoever has to go: the ones before, if there are any.
        """
        gone, self._crew = self._crew, None
        wanted = live.order.reserve if live.order.follow else 0.0
        known = (old.order.version, old.order.digest) != (live.order.version, live.order.digest)
        if wanted > 0 and known and old.ready:
            now = time.monotonic()
            self._crew, self._until, self._look_at = old, now + wanted, now
            old.rest()
        return gone

    def take(self, order: Order) -> Crew | None:
        """Hand out those who serve this very order, if they rest here.

        Args:
            order: What shall be served.
        """
        crew = self._crew
        if crew is None or not crew.ready or not _same(crew.order, order):
            return None
        self._crew, crew.order, crew.fault = None, order, None
        return crew

    def alarms(self) -> Iterator[float]:
        """Say when :meth:`over` has something to tell."""
        if self._crew:
            yield min(self._until, self._look_at)

    def over(self) -> Crew | None:
        """Hand out those whose time is over, of whom one has died, or who hold memory that is short."""
        crew, now = self._crew, time.monotonic()
        if crew is None:
            return None
        short = False
        if now >= self._look_at:
            self._look_at = now + _LOOK
            short = free_memory() < _SPARE * held_memory([one.pid for one in crew.workers])
            if short:
                _log.info("Version %s rests no longer: memory is short.", crew.order.version)
        if not (short or now >= self._until or not crew.ready):
            return None
        self._crew = None
        return crew


def _same(one: Order, other: Order) -> bool:
    """Tell whether two orders ask for the same answers; how they were tried is over."""
    return replace(one, trial_sha256="", port=0) == replace(other, trial_sha256="", port=0)
