"""Folds: which rows a trial is judged on, and which it is fitted on for that."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.metrics import Kind, by_probability

Mask = npt.NDArray[np.bool_]
_FEWEST = 2  # folds, and classes that an estimator can tell apart


@dataclass(frozen=True, slots=True)
class Folds:
    """How rows are held out.

    Attributes:
        parts: The fold that each row is held out in; -1 for one that is only ever fitted on.
        count: How many folds there are.
        ordered: Whether a fold is judged by what was fitted on the parts before it alone.
    """

    parts: npt.NDArray[np.int16]
    count: int
    ordered: bool = False

    def judged(self, fold: int) -> Mask:
        """Pick the rows that a fold is judged on."""
        return np.equal(self.parts, fold)

    def fitted(self, fold: int) -> Mask:
        """Pick the rows that are fitted on for it."""
        return np.less(self.parts, fold) if self.ordered else np.not_equal(self.parts, fold)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all rows that is fitted on, fold by fold."""
        return tuple(float(self.fitted(fold).mean()) for fold in range(self.count))


def at_random(truth: Any, kind: Kind, count: int) -> Folds:  # noqa: ANN401 - an array
    """Draw the folds; classes are in proportion in each.

    Args:
        truth: What is predicted.
        kind: What that is.
        count: How many folds to make.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    way = KFold if kind == "regression" else StratifiedKFold
    return _numbered(way(count, shuffle=True, random_state=0).split(truth, truth), len(truth), count)


def in_time(when: npt.NDArray[np.float64], count: int, by: str) -> Folds:
    """Cut the rows at moments into one block more than there are folds; the earliest is only fitted on.

    Rows of one moment are never torn apart, so blocks are as even as that allows.

    Args:
        when: When each row was, as a number.
        count: How many folds to make.
        by: What the moments are called.

    Raises:
        UsageError: There are fewer moments than blocks.
    """
    moments, places, counts = np.unique(when, return_inverse=True, return_counts=True)
    if len(moments) <= count:
        enough = len(moments) > _FEWEST
        raise UsageError(
            f"{by} has {len(moments)} different values, too few for {count} folds in order of time.",
            f"Say --folds {len(moments) - 1}." if enough else "Name another column with --by.",
        )
    begins = np.cumsum(counts) - counts  # how many rows are earlier than each moment
    block = np.zeros(len(moments), np.int16)
    first = 0
    for fold in range(count):
        wanted = len(when) * (fold + 1) / (count + 1)
        # Each block has a moment at least, and leaves one to each of those after it.
        low, high = first + 1, len(moments) - (count - fold) + 1
        first = low + int(np.argmin(np.abs(begins[low:high] - wanted)))
        block[first:] = fold + 1
    return Folds(block[places.reshape(-1)] - np.int16(1), count, ordered=True)


def in_groups(groups: npt.NDArray[np.int64], truth: Any, kind: Kind, count: int, by: str) -> Folds:  # noqa: ANN401
    """Hold out whole groups; classes are as much in proportion as the groups allow.

    Args:
        groups: The group of each row.
        truth: What is predicted.
        kind: What that is.
        count: How many folds to make.
        by: What the groups are called.

    Raises:
        UsageError: There are fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    many = len(np.unique(groups))
    if many < count:
        word = "group" if many == 1 else "groups"
        enough = many >= _FEWEST
        raise UsageError(
            f"{by} has {many} {word}, too few for {count} folds.",
            f"Say --folds {many}." if enough else "Name another column with --by.",
        )
    if kind == "regression":
        return _numbered(GroupKFold(count).split(truth, truth, groups), len(truth), count)
    way = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a rare class; what that breaks is found below
        return _numbered(way.split(truth, truth, groups), len(truth), count)


def checked(folds: Folds, truth: Any, kind: Kind, metric: str, by: str) -> Folds:  # noqa: ANN401 - an array
    """Accept folds with which the metric has a value.

    Args:
        folds: The folds.
        truth: What is predicted.
        kind: What that is.
        metric: What is computed.
        by: What the rows were divided by.

    Raises:
        UsageError: In one of them a class that is needed is not there.
    """
    if kind == "regression":
        return folds
    classes = set(np.unique(truth).tolist())
    whole = kind == "binary" or by_probability(metric)
    for fold in range(folds.count):
        for rows, purpose, fewest in (
            (folds.fitted(fold), "to be fitted on", _FEWEST),
            (folds.judged(fold), "to be judged on", 1),
        ):
            seen = set(np.unique(truth[rows]).tolist())
            if len(seen) < (len(classes) if whole else fewest):
                absent = min(classes - seen, key=str)
                other = "" if kind == "binary" else ", or a metric such as accuracy"
                raise UsageError(
                    f"Fold {fold + 1} of {folds.count} by {by} has no row of class {absent} {purpose}.",
                    f"Use fewer --folds, another column with --by{other}.",
                )
    return folds


def _numbered(split: Any, rows: int, count: int) -> Folds:  # noqa: ANN401 - what scikit-learn splits into
    parts = np.zeros(rows, dtype=np.int16)
    for fold, (_, out) in enumerate(split):
        parts[out] = fold
    return Folds(parts, count)
