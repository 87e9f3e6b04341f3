"""The interactive cards: one Python class a card, found by the type of the Result it shows.

Nothing here imports a widget library; :meth:`Room.get` imports the one card that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_magics.foundation.result import Result
from mlops_magics.foundation.rooms import Room

CARDS: Room[Callable[[Result], Any]] = Room(
    "cards",
    {
        "Leaderboard": "mlops_magics.frontends.widgets.track:card",
        "Monitoring": "mlops_magics.frontends.widgets.monitor:card",
        "Profile": "mlops_magics.frontends.widgets.profile:card",
        "Review": "mlops_magics.frontends.widgets.promote:card",
    },
)
