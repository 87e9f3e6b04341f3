"""Searching for the best parameters: spaces, folds, workers, and the only door to Optuna."""

from __future__ import annotations

from mlops_magics.foundation.rooms import Room
from mlops_magics.tuners.base import MakeCrew

TUNERS: Room[MakeCrew] = Room(
    "tuners",
    {"local": "mlops_magics.tuners.local:LocalCrew", "ray": "mlops_magics.tuners.ray:RayCrew"},
)
