"""Moments whose distance does not depend on the clock on the wall, where that can be had."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_magics.foundation.machine import boot


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, by the clock on the wall and by the machine's own count since it was started.

    Attributes:
        wall: Seconds since the epoch, as the clock said.
        boot: Which start of which machine the count is of; "" where the system does not tell.
        ticks: Seconds since that start. Setting the clock does not change it.
    """

    wall: float
    boot: str
    ticks: float

    @classmethod
    def now(cls) -> Moment:
        """Return the moment of asking."""
        count = getattr(time, "CLOCK_BOOTTIME", None)  # it goes on while the machine sleeps
        ticks = time.monotonic() if count is None else time.clock_gettime(count)
        return cls(time.time(), boot(), ticks)

    @classmethod
    def of_fields(cls, content: Mapping[str, Any]) -> Moment:
        """Make a moment of the fields that it was written with.

        Raises:
            ValueError: They are not those of a moment.
        """
        try:
            return cls(float(content["wall"]), str(content["boot"]), float(content["ticks"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no moment: {error}") from error

    def until(self, later: Moment) -> float | None:
        """Return how many seconds lie between this moment and a later one.

        By the machine's own count where both are of one start of one machine; by the clock elsewhere.

        Args:
            later: The later moment.

        Returns:
            The seconds; None where the clock says that the later one came first, so that one of the two was
            set in between.
        """
        if self.boot and self.boot == later.boot:
            return max(0.0, later.ticks - self.ticks)
        passed = later.wall - self.wall
        return passed if passed >= 0 else None
