"""Drift: do new rows look as those that the model was fitted on. Each test is a small part, found by name."""

from __future__ import annotations

from mlops_magics.drift.base import DriftTest
from mlops_magics.foundation.rooms import Room

DRIFT_TESTS: Room[DriftTest] = Room(
    "drift",
    {
        name: f"mlops_magics.drift.{name}:TEST"
        for name in (
            "ks",
            "chi2",
            "dates",
            "missing",
            "unseen",
            "outside",
            "kinds",
            "lengths",
            "vocabulary",
            "wasserstein",
            "psi",
            "jensen_shannon",
        )
    },
)
