"""The gate that asks whether a probability means what it says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.intervals import Z
from mlops_magics.checks.model import Numbers
from mlops_magics.foundation.blocks import shown

_BINS = 10
_ROWS_A_BIN = 50  # with fewer, noise alone looks like a gap
_STEPS = 50
_CLIP = 1e-6
_ONE_SIDED = 1.6448536269514722


class Reliability(NamedTuple):
    """Bins of equally many rows: what was said, what happened, and how many rows."""

    said: Numbers
    happened: Numbers
    rows: Numbers

    @property
    def error(self) -> float:
        """The expected calibration error: Naeini, Cooper and Hauskrecht, AAAI (2015)."""
        return float(self.rows @ np.abs(self.said - self.happened) / self.rows.sum())

    @property
    def spread(self) -> float:
        """The standard error of that, each bin being a proportion (or mean) of its own."""
        return float(np.sqrt(np.sum(self.rows * self.happened * (1 - self.happened))) / self.rows.sum())


def reliability(said: Numbers, happened: npt.NDArray[np.bool_]) -> Reliability:
    """Put rows into bins of equally many by the probability that was said.

    Args:
        said: The probabilities.
        happened: Whether it was so.
    """
    bins = max(1, min(_BINS, len(said) // _ROWS_A_BIN))
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, bins)
    return Reliability(
        np.array([said[part].mean() for part in parts]),
        np.array([happened[part].mean() for part in parts]),
        np.array([float(len(part)) for part in parts]),
    )


def slope(said: Numbers, happened: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Fit how the log odds that were said relate to what happened; 1 is right, below 1 overconfident.

    Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958), by Newton's
    method.

    Args:
        said: The probabilities.
        happened: Whether it was so.

    Returns:
        The slope and its 95 % interval; None where the fit does not settle.
    """
    clipped = np.clip(said, _CLIP, 1 - _CLIP)
    design = np.column_stack([np.ones_like(said), np.log(clipped / (1 - clipped))])
    found = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(information, design.T @ (happened - fitted))
        found = found + step
        if np.abs(step).max() < 1e-9:  # noqa: PLR2004 - settled
            half = Z * math.sqrt(np.linalg.inv(information)[1, 1])
            return float(found[1]), float(found[1] - half), float(found[1] + half)
    return None


class Calibration:
    """The expected calibration error is not surely above the bound.

    For several classes the probability of the class that was chosen is judged.
    """

    name = "calibration"

    def judge(self, facts: Facts) -> Verdict:
        """Judge probabilities; a model without them is not asked."""
        if facts.given.proba is None:
            return not_applicable(self.name, "The model gives no probabilities.")
        if facts.given.unusable:
            return failed(self.name, None, None, "Probabilities are missing or not finite.")
        proba = facts.given.proba
        if facts.given.score is not None:
            said, happened = proba[:, 1], facts.truth == 1
        else:
            said, happened = proba.max(axis=1), proba.argmax(axis=1) == facts.truth
        if len(said) < _ROWS_A_BIN:
            return not_applicable(self.name, f"Fewer than {_ROWS_A_BIN} rows show no calibration.")
        bins = reliability(said, happened)
        low = max(0.0, bins.error - _ONE_SIDED * bins.spread)
        bound = facts.policy.calibration_error
        words = f"Said and seen differ by {shown(bins.error)} on average{_slope_words(said, happened)}."
        if low > bound:
            return failed(self.name, bins.error, bound, words)
        more = " Not surely above the bound." if bins.error > bound else ""
        return passed(self.name, bins.error, bound, words + more)


def _slope_words(said: Numbers, happened: npt.NDArray[np.bool_]) -> str:
    if (found := slope(said, happened)) is None:
        return ""
    value, low, high = found
    return f"; slope {shown(value)} ({shown(low)} to {shown(high)})"


GATE = Calibration()
