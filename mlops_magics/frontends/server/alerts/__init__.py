"""What asks for attention: a room of those that look, each for its own part of the road."""

from __future__ import annotations

from mlops_magics.foundation.rooms import Room
from mlops_magics.frontends.server.alerts.base import Alert, Look

__all__ = ["ALERTS", "Alert", "Look"]

ALERTS: Room[Look] = Room(
    "alerts",
    {
        "endpoints": "mlops_magics.frontends.server.alerts.endpoints:look",
        "models": "mlops_magics.frontends.server.alerts.models:look",
        "monitor": "mlops_magics.frontends.server.alerts.monitor:look",
        "runs": "mlops_magics.frontends.server.alerts.runs:look",
    },
)
