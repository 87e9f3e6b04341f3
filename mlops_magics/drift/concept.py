"""Once labels have come: does the model err more than it did. Nothing else shows that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mlops_magics.drift.base import Score
from mlops_magics.foundation.errors import UsageError

Loss = Literal["error", "log loss", "absolute error", "squared error"]

FLOOR: Final = 0.02
"""The effect up to which more errors are too few to matter."""
_LEAST: Final = 1e-15  # a probability that is surely wrong costs this, not infinity
_FEWEST: Final = 30  # labelled rows


@dataclass(frozen=True, slots=True)
class Errors:
    """How a model erred on labelled rows: sums, so that windows add up.

    Attributes:
        loss: What one row costs: "error" is 1 for a wrong label and 0 for a right one.
        rows: How many labelled rows.
        total: The sum of what they cost.
        squares: The sum of its squares.
    """

    loss: Loss
    rows: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """What a row costs on average."""
        return self.total / self.rows if self.rows else math.nan

    @property
    def variance(self) -> float:
        """How much that varies from row to row."""
        if self.rows < 2:  # noqa: PLR2004 - one row does not vary
            return 0.0
        return max(0.0, (self.squares - self.total**2 / self.rows) / (self.rows - 1))

    def __add__(self, other: Errors) -> Errors:
        if self.loss != other.loss:
            raise UsageError(f"{self.loss} and {other.loss} do not add up.", "Count both by the same loss.")
        return Errors(
            self.loss, self.rows + other.rows, self.total + other.total, self.squares + other.squares
        )


def errors_of(truth: Any, answers: Any, *, loss: Loss) -> Errors:  # noqa: ANN401 - anything with rows
    """Count what a model's answers cost, given the truth.

    Args:
        truth: What was so, a label or number a row; for "log loss" whether it was so.
        answers: What the model answered; for "log loss" how likely it said it was.
        loss: What a row costs.

    Raises:
        UsageError: There are not as many answers as truths.
    """
    true, said = np.asarray(truth), np.asarray(answers)
    if true.shape != said.shape or true.ndim != 1:
        raise UsageError(
            f"{true.size} labels and {said.size} answers do not belong together.",
            "Join them by request id first.",
        )
    costs = _costs(true, said, loss)
    costs = costs[np.isfinite(costs)]
    return Errors(loss, int(costs.size), float(costs.sum()), float((costs**2).sum()))


def _costs(true: npt.NDArray[Any], said: npt.NDArray[Any], loss: Loss) -> npt.NDArray[np.float64]:
    if loss == "error":
        return np.asarray(true.astype(str) != said.astype(str), np.float64)
    numbers, answers = true.astype(np.float64), said.astype(np.float64)
    if loss == "log loss":
        likely = np.clip(np.where(numbers > 0, answers, 1 - answers), _LEAST, 1.0)
        return np.asarray(-np.log(likely))
    away = np.abs(numbers - answers)
    return np.asarray(away if loss == "absolute error" else away**2)


def worse(then: Errors, now: Errors) -> Score | None:
    """Tell whether a model errs more than it did (Welch's test, one-sided: to err less is no alarm).

    Args:
        then: Its errors on rows that it was not fitted on, or in the windows of before.
        now: Its errors in this window.

    Returns:
        The score of the "errors"; the effect is the probability that a row now costs more than one did,
        beyond a half, doubled, as if costs were normal. None where either has too few labelled rows.
    """
    from scipy.special import ndtr, stdtr

    if then.loss != now.loss:
        raise UsageError(f"{then.loss} cannot be compared with {now.loss}.", "Count both by the same loss.")
    if min(then.rows, now.rows) < _FEWEST:
        return None
    parts = then.variance / then.rows, now.variance / now.rows
    spread = math.sqrt(sum(parts))
    apart = now.mean - then.mean
    if not spread:
        p = 1.0 if apart <= 0 else 0.0
        effect = 0.0 if apart <= 0 else 1.0
    else:
        freedom = sum(parts) ** 2 / sum(
            part**2 / (rows - 1) for part, rows in zip(parts, (then.rows, now.rows), strict=True)
        )
        p = float(stdtr(freedom, -apart / spread))
        effect = max(0.0, 2 * float(ndtr(apart / math.sqrt(then.variance + now.variance))) - 1)
    words = f"The mean {then.loss} went from {then.mean:.4g} to {now.mean:.4g}."
    return Score("errors", then.loss, apart, effect, p, words)
