"""Gates: each a small part behind one Protocol, found by name."""

from __future__ import annotations

from mlops_magics.checks.base import Check
from mlops_magics.foundation.rooms import Room

CHECKS: Room[Check] = Room(
    "checks",
    {
        name: f"mlops_magics.checks.{name}:GATE"
        for name in (
            "quality",
            "champion",
            "signature",
            "slices",
            "calibration",
            "robustness",
            "leakage",
            "latency",
            "size",
            "loadback",
            "format",
            "fairness",
        )
    },
)
