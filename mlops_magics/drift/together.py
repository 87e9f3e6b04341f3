"""Columns together: can a model tell new rows from old ones, where each column alone is as it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from mlops_magics.drift.base import Score
from mlops_magics.stats.coded import FEWEST, MOST, CodedRows

FLOOR: Final = 0.05
"""The effect up to which rows that can be told apart are too alike to matter."""
NOT_APPLICABLE: Final = (
    "Columns together are not compared: no rows that the version was fitted on were kept with it. "
    "%%mlops_track --reference-rows 2000 keeps some, as numbers only."
)
TOGETHER: Final = "columns together"
"""What they are called where a column has its name."""

_SEED: Final = 20
_SHOWN: Final = 3
_REPEATS: Final = 3  # times that a column is permuted

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows on both sides.

    Attributes:
        then: Some of those that the model was fitted on.
        now: Some of a window.
    """

    then: CodedRows
    now: CodedRows


def together(reference: CodedRows | None, window: CodedRows) -> Score | None:
    """Fit a classifier that tells old rows from new ones on half of both, and judge it on the other half.

    Args:
        reference: Rows that the model was fitted on, coded; None where none were kept.
        window: Rows now, coded by the same reference.

    Returns:
        The score of "together": its statistic is the area under the ROC curve on rows that the classifier has
        not seen, its effect twice what that lies above a half, its p-value that of Mann and Whitney. None
        where no rows were kept, or too few are there.
    """
    if reference is None or min(len(reference.table), len(window.table)) < FEWEST:
        return None
    names = tuple(name for name in reference.names if name in window.names)
    if not names:
        return None
    random = np.random.default_rng(_SEED)
    old, new = (_halves(_picked(each, names), random) for each in (reference, window))
    tell = _Told(np.concatenate([old[0], new[0]]), np.repeat([0, 1], [len(old[0]), len(new[0])]))
    judged = _Judged(tell, np.concatenate([old[1], new[1]]), np.repeat([0, 1], [len(old[1]), len(new[1])]))
    area, p = judged.area(judged.values)
    effect = min(1.0, max(0.0, 2 * area - 1))
    words = f"A model tells new rows from old ones with an area under the ROC curve of {area:.3f}."
    if effect > FLOOR:
        by = ", ".join(_used(names, judged, random))
        words += f" It goes by {by}." if by else ""
    return Score("together", ", ".join(names[:_SHOWN]), area, effect, p, words)


class _Told:
    """A classifier that was fitted: it says how new each row looks."""

    def __init__(self, values: Floats, truth: npt.NDArray[np.int64]) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        with threadpool_limits(1):  # its threads wait for each other by spinning
            self._model = HistGradientBoostingClassifier(
                max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=_SEED
            ).fit(values, truth)

    def __call__(self, values: Floats) -> Floats:
        with threadpool_limits(1):
            return np.asarray(self._model.predict_proba(values)[:, 1], np.float64)


def _picked(rows: CodedRows, names: tuple[str, ...]) -> Floats:
    return rows.table[:, [rows.names.index(name) for name in names]]


def _halves(values: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    order = random.permutation(len(values))[:MOST]
    half = len(order) // 2
    return values[order[:half]], values[order[half:]]


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Rows that the classifier has not seen, and which of them are new."""

    tell: _Told
    values: Floats
    truth: npt.NDArray[np.int64]

    def area(self, values: Floats) -> tuple[float, float]:
        """Return the area under the ROC curve, and how likely chance alone makes one as large."""
        from scipy.special import ndtr
        from scipy.stats import rankdata

        said = self.tell(values)
        new, old = int(self.truth.sum()), int((1 - self.truth).sum())
        ranks = rankdata(said)
        area = (float(ranks[self.truth == 1].sum()) - new * (new + 1) / 2) / (new * old)
        counts = np.unique(said, return_counts=True)[1].astype(np.float64)
        both = new + old
        ties = float((counts**3 - counts).sum()) / (both * (both - 1))
        spread = math.sqrt((both + 1 - ties) / (12 * new * old)) if both + 1 > ties else 0.0
        return area, float(ndtr(-(area - 0.5) / spread)) if spread else 1.0


def _used(names: tuple[str, ...], judged: _Judged, random: np.random.Generator) -> list[str]:
    """Name the columns without which the rows are told apart less well, the most telling first."""
    area, losses = judged.area(judged.values)[0], {}
    for place, name in enumerate(names):
        changed = judged.values.copy()
        found = []
        for _ in range(_REPEATS):
            changed[:, place] = random.permutation(judged.values[:, place])
            found.append(judged.area(changed)[0])
        losses[name] = area - float(np.mean(found))
    order = sorted(losses, key=lambda name: (-losses[name], name))
    return [name for name in order[:_SHOWN] if losses[name] > (area - 0.5) / 10]
