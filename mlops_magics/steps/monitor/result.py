"""What monitoring returns: how a model does, and what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlops_magics.foundation.blocks import Block
from mlops_magics.steps.monitor.observed import Observed
from mlops_magics.steps.monitor.show import blocks


@dataclass(frozen=True)
class Monitoring(Observed):
    """What was observed of a model in a length of time, as it is shown: alerts first, then all over time."""

    def blocks(self) -> Iterable[Block]:
        """Show alerts first, then how everything went over time."""
        return blocks(self)
