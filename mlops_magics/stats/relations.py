"""What each column alone says about the target: information, skill on rows it has not seen, segments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.sample import Codes, SampleColumn
from mlops_magics.stats.summary import Relation, Scalar

Floats = npt.NDArray[np.float64]

CLASSES: Final = 20  # different whole numbers up to which a target is a class
_SHRINK: Final = 10.0  # rows that the overall mean counts for in each level's own
_TINY: Final = 1e-70
_HUGE: Final = 1e70
_LEAST: Final = 50  # rows below which no half is worth fitting on


@dataclass(frozen=True, slots=True)
class Target:
    """The target's values in the sampled rows.

    Attributes:
        name: Its column.
        problem: What it is.
        keep: Which rows have a target; None where all have one.
        codes: A class a row (for numbers: one of 32 bins of equal rank), of the rows kept.
        classes: How many codes there are.
        numbers: The numbers, or 1.0 for the positive class and 0.0 else, of the rows kept.
        unit: What ``numbers`` were divided by, so that their squares are finite: 1.0 unless they are huge.
        positive: The class that segments speak of.
        late: Half of the rows kept, chosen at random: what is fitted on the others is judged on these.
    """

    name: str
    problem: Literal["binary", "classes", "number"]
    keep: npt.NDArray[np.bool_] | None
    codes: Codes
    classes: int
    numbers: Floats
    positive: Scalar
    late: npt.NDArray[np.bool_]
    unit: float = 1.0

    @classmethod
    def of(cls, column: SampleColumn, value: Callable[[Any], Scalar]) -> Target:
        """Read a target.

        Args:
            column: Its column in the sample.
            value: Turns a level's number into what is shown (dates, booleans).
        """
        gaps = column.missing
        keep = ~gaps if gaps.any() else None
        codes = column.codes if keep is None else column.codes[keep]
        late = np.random.default_rng(0).random(codes.size) < 0.5  # noqa: PLR2004 - half
        numbers = column.numbers
        whole = numbers is not None and bool((column.ordered == np.floor(column.ordered)).all())
        few = column.distinct <= CLASSES and (numbers is None or whole or column.distinct <= 2)  # noqa: PLR2004 - two classes
        if numbers is not None and not few:
            held = numbers if keep is None else numbers[keep]
            largest = float(np.abs(column.ordered).max())
            unit = largest if largest and not _TINY < largest < _HUGE else 1.0  # or squares would be lost
            return cls(column.label, "number", keep, codes, len(column.levels), held / unit, None, late, unit)
        counts = np.bincount(codes, minlength=max(len(column.levels), 1))
        binary = len(column.levels) == 2  # noqa: PLR2004 - two classes
        chosen = _positive(column, counts) if binary else int(counts.argmax())
        problem: Literal["binary", "classes"] = "binary" if binary else "classes"
        level = column.levels[chosen] if column.levels else None
        shown = value(level[0]) if isinstance(level, tuple) else level
        rates = (codes == chosen).astype(np.float64)
        return cls(column.label, problem, keep, codes, counts.size, rates, shown, late)

    def kept(self, codes: Codes) -> Codes:
        """Take the rows that have a target."""
        return codes if self.keep is None else codes[self.keep]


def _positive(column: SampleColumn, counts: npt.NDArray[np.int64]) -> int:
    """Choose the class of two that is spoken of: 1, true and yes if that is one of them, else the rarer."""
    if column.numbers is not None:
        return 1
    words = [str(level).strip().lower() for level in column.levels]
    said = [i for i, word in enumerate(words) if word in {"1", "true", "yes", "y", "t", "positive"}]
    return said[0] if len(said) == 1 else int(counts.argmin())


def relate(target: Target, columns: Sequence[SampleColumn], pool: Executor) -> tuple[Relation, ...]:
    """Measure what each column says about the target, the most telling first.

    Args:
        target: The target.
        columns: The other columns.
        pool: Threads to work on.
    """
    found = pool.map(lambda column: relation(target, column), columns)
    return tuple(sorted(found, key=lambda item: (-max(item.skill, item.share), item.column)))


def relation(target: Target, column: SampleColumn) -> Relation:
    """Measure what one column says about the target."""
    codes, height = target.kept(column.codes), len(column.levels) + 1
    halves = _tables(target, codes, height)
    information, share = mutual_information(halves.sum(0))
    skill = gap_skill = 0.0
    if codes.size >= _LEAST:
        gaps = (codes == height - 1).astype(np.intp)
        varies = 0 < int(gaps.sum()) < gaps.size
        if target.problem == "number":
            skill = _number_skill(target, codes, height)
            gap_skill = _number_skill(target, gaps, 2) if varies else 0.0
        else:
            skill = _class_skill(halves)
            folded = np.stack([halves[:, :-1].sum(1), halves[:, -1]], 1)
            gap_skill = _class_skill(folded) if varies else 0.0
    return Relation(column.label, information, share, skill, gap_skill)


def _tables(target: Target, codes: Codes, height: int) -> npt.NDArray[np.int64]:
    """Count levels by classes, in both halves: an array of 2 x height x classes."""
    wide = target.classes
    places = (target.late * height + codes) * wide + target.codes
    return np.bincount(places, minlength=2 * height * wide).reshape(2, height, wide)


def mutual_information(table: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the mutual information of a table of counts in nats, and its share of the columns' entropy.

    Bias-corrected by Miller and Madow: (r - 1)(c - 1) / 2n is what chance alone would give.
    """
    total = table.sum()
    if not total:
        return 0.0, 0.0
    joint = table / total
    rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = float(np.nansum(joint * np.log(joint / (rows * columns))))
        entropy = -float(np.nansum(columns * np.log(columns)))
    held = (np.count_nonzero(rows) - 1) * (np.count_nonzero(columns) - 1)
    information = max(0.0, raw - float(held) / (2 * float(total)))
    return information, min(1.0, information / entropy) if entropy > 0 else 0.0


def _class_skill(halves: npt.NDArray[np.int64]) -> float:
    """Judge each half by what the other says, and take the mean."""
    pairs = ((halves[0], halves[1]), (halves[1], halves[0]))
    if halves.shape[2] == 2:  # noqa: PLR2004 - two classes
        found = [2 * _auc(seen, judged) - 1 for seen, judged in pairs]
    else:
        found = [_accuracy_gain(seen, judged) for seen, judged in pairs]
    return max(0.0, sum(found) / 2)


def _auc(seen: npt.NDArray[np.int64], judged: npt.NDArray[np.int64]) -> float:
    """Rank the levels by their rate of the second class in one half; return the AUC in the other."""
    rows = seen.sum(1)
    overall = seen[:, 1].sum() / max(rows.sum(), 1)
    rates = (seen[:, 1] + _SHRINK * overall) / (rows + _SHRINK)
    order = np.argsort(rates, kind="stable")
    # Levels of equal rate are one step: half of their pairs are won.
    steps = np.concatenate([[0], np.flatnonzero(np.diff(rates[order]) > 0) + 1])
    ones = np.add.reduceat(judged[order, 1], steps).astype(np.float64)
    zeros = np.add.reduceat(judged[order, 0], steps).astype(np.float64)
    possible = ones.sum() * zeros.sum()
    if not possible:
        return 0.5
    below = np.cumsum(zeros) - zeros
    return float((ones * (below + zeros / 2)).sum() / possible)


def _accuracy_gain(seen: npt.NDArray[np.int64], judged: npt.NDArray[np.int64]) -> float:
    total = int(judged.sum())
    base = int(judged[:, seen.sum(0).argmax()].sum()) / max(total, 1)
    known = seen.sum(1) > 0
    guesses = np.where(known, seen.argmax(1), seen.sum(0).argmax())
    right = int(judged[np.arange(judged.shape[0]), guesses].sum()) / max(total, 1)
    return (right - base) / (1 - base) if base < 1 else 0.0


def _number_skill(target: Target, codes: Codes, height: int) -> float:
    """Predict by each level's mean in one half; return R2 in the other, averaged over both ways round."""
    values = target.numbers - target.numbers.mean()
    places = target.late * height + codes
    counts = np.bincount(places, minlength=2 * height).reshape(2, height).astype(np.float64)
    sums = np.bincount(places, values, 2 * height).reshape(2, height)
    squares = np.bincount(target.late.astype(np.intp), values * values, 2)
    found = []
    for seen, judged in ((0, 1), (1, 0)):
        overall = sums[seen].sum() / max(counts[seen].sum(), 1)
        means = (sums[seen] + _SHRINK * overall) / (counts[seen] + _SHRINK)
        left = squares[judged] - 2 * means @ sums[judged] + means**2 @ counts[judged]
        spread = squares[judged] - sums[judged].sum() ** 2 / max(counts[judged].sum(), 1)
        found.append(1 - left / spread if spread > 0 else 0.0)
    mean = sum(found) / 2
    return max(0.0, float(mean)) if math.isfinite(mean) else 0.0
