"""Two tables column by column: what changed beyond chance, how far, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.blocks import shown
from mlops_magics.stats.engine import Survey
from mlops_magics.stats.sample import OTHER, SampleColumn
from mlops_magics.stats.summary import Change, ColumnSummary, Scalar

_ALPHA: Final = 0.01  # of any false change among all columns (Holm)
_FLOOR: Final = 0.02  # a distance below it changes no model, however sure it is
_GAPS: Final = 0.01  # likewise of the share missing
_EXPECTED: Final = 5  # rows that a level must be expected to have, or it is counted with the rest
_NAMED: Final = 3

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Side:
    """A column on one side."""

    column: ColumnSummary
    sample: SampleColumn


@dataclass(frozen=True, slots=True)
class _Test:
    """How far two distributions are apart, and how likely chance alone is."""

    distance: float
    effect: float
    p_value: float


def compare(before: Survey, after: Survey) -> tuple[Change, ...]:
    """Compare two tables.

    Numbers and dates are compared by Kolmogorov and Smirnov's test, categories by Pearson's chi-square
    over the levels expected often enough, the share missing by a test of two proportions; the p-values
    are Holm-adjusted over all columns. A column is "changed" where that is below 1 % and the distance
    (for categories, the bias-corrected effect) is above 0.02, or the share missing moved by one point.

    Args:
        before: The table that is compared with.
        after: The table at hand.

    Returns:
        A change a column: those of the table at hand in their order, then the removed ones.
    """
    old, new = _sides(before), _sides(after)
    shared = [name for name in new if name in old]
    tests = {name: _tested(old[name], new[name]) for name in shared}
    adjusted = _holm(
        {(name, kind): test.p_value for name, both in tests.items() for kind, test in both.items()}
    )
    found = []
    for name, side in new.items():
        if name not in old:
            words = f"new: {side.column.dtype}"
            found.append(_alone(side.column, "added", words))
        else:
            p_values = {kind: adjusted[name, kind] for kind in tests[name]}
            found.append(_change(old[name], side, tests[name], p_values))
    found += [
        _alone(side.column, "removed", "no longer there") for name, side in old.items() if name not in new
    ]
    return tuple(found)


def _sides(survey: Survey) -> dict[str, _Side]:
    pairs = zip(survey.table.columns, survey.sample.columns, strict=True)
    return {column.name: _Side(column, sample) for column, sample in pairs}


def _tested(old: _Side, new: _Side) -> dict[str, _Test]:
    found: dict[str, _Test] = {}
    if (old.sample.numbers is None) == (new.sample.numbers is None):
        test = _numbers(old.sample, new.sample) if new.sample.numbers is not None else _texts(old, new)
        if test is not None:
            found["values"] = test
    if old.column.missing or new.column.missing:
        found["gaps"] = _gaps(old.column, new.column)
    return found


def _numbers(old: SampleColumn, new: SampleColumn) -> _Test | None:
    left, right = old.ordered, new.ordered
    if not left.size or not right.size:
        return None
    points = np.concatenate([left, right])
    below = np.searchsorted(left, points, "right") / left.size
    above = np.searchsorted(right, points, "right") / right.size
    distance = float(np.abs(below - above).max())
    from scipy.special import kolmogorov  # its import costs more than most comparisons

    size = left.size * right.size / (left.size + right.size)
    root = math.sqrt(size)
    # Stephens' correction (1970) makes the limit hold for small samples too.
    return _Test(distance, distance, float(kolmogorov((root + 0.12 + 0.11 / root) * distance)))


def _texts(old: _Side, new: _Side) -> _Test | None:
    if any(_names_rows(side) for side in (old, new)):
        return None
    left, right = _levels(old.sample), _levels(new.sample)
    names = sorted({*left, *right})
    table = np.array([[side.get(name, 0) for name in names] for side in (left, right)], np.float64)
    totals = table.sum(1, keepdims=True)
    if not totals.all() or len(names) < 2:  # noqa: PLR2004 - one level cannot move
        return None
    shares = table / totals
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    expected = table.sum(0) * totals / totals.sum()
    rare = expected.min(0) < _EXPECTED
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
    table = table[:, table.sum(0) > 0]
    freedom = table.shape[1] - 1
    if freedom < 1:
        return _Test(distance, 0.0, 1.0)
    expected = table.sum(0) * totals / totals.sum()
    score = float(((table - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    from scipy.special import chdtrc

    effect = math.sqrt(max(0.0, score - freedom) / float(totals.sum()))
    return _Test(distance, effect, float(chdtrc(freedom, score)))


def _names_rows(side: _Side) -> bool:
    return side.column.distinct_rate > 0.5 and side.sample.distinct > len(side.sample.levels)  # noqa: PLR2004 - half


def _levels(sample: SampleColumn) -> Mapping[str, int]:
    counts = np.bincount(sample.codes, minlength=len(sample.levels))
    return {str(level): int(count) for level, count in zip(sample.levels, counts, strict=False)}


def _gaps(old: ColumnSummary, new: ColumnSummary) -> _Test:
    n, m = max(old.rows, 1), max(new.rows, 1)
    pooled = (old.missing + new.missing) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    distance = abs(new.missing_rate - old.missing_rate)
    p_value = math.erfc(distance / error / math.sqrt(2)) if error > 0 else float(distance == 0)
    return _Test(distance, distance, p_value)


def _holm(p_values: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    worst = 0.0
    for place, (key, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        worst = min(1.0, max(worst, (len(p_values) - place) * value))
        found[key] = worst
    return found


def _change(old: _Side, new: _Side, tests: Mapping[str, _Test], p_values: Mapping[str, float]) -> Change:
    values = tests.get("values")
    moved = values is not None and p_values["values"] < _ALPHA and values.effect > _FLOOR
    gaps = tests.get("gaps")
    emptied = gaps is not None and p_values["gaps"] < _ALPHA and gaps.distance > _GAPS
    other = (old.sample.numbers is None) != (new.sample.numbers is None)
    empty = "empty" in {old.column.kind, new.column.kind}
    words = [_type_words(old, new)] if other and not empty else []
    words += [_words(old, new)] if moved else []
    words += (
        [f"missing {_percent(old.column.missing_rate)} → {_percent(new.column.missing_rate)}"]
        if emptied
        else []
    )
    return Change(
        column=new.column.name,
        status="type" if other and not empty else "changed" if moved or emptied else "same",
        distance=None if values is None else values.distance,
        p_value=None if values is None else p_values["values"],
        before=_centre(old.column),
        after=_centre(new.column),
        missing_before=old.column.missing_rate,
        missing_after=new.column.missing_rate,
        words="; ".join(words),
    )


def _type_words(old: _Side, new: _Side) -> str:
    return f"type {old.column.dtype} → {new.column.dtype}"


def _words(old: _Side, new: _Side) -> str:
    if new.sample.numbers is not None:
        left, right = old.column, new.column
        if left.kind == right.kind == "boolean" and left.numbers and right.numbers:
            return f"yes in {_percent(left.numbers.mean)} → {_percent(right.numbers.mean)}"
        if left.kind == "date" or left.numbers is None or right.numbers is None:
            return f"{_ends(left)} → {_ends(right)}"
        middle = f"median {shown(left.numbers.quantiles[0.5])} → {shown(right.numbers.quantiles[0.5])}"
        ratio = right.numbers.mean / left.numbers.mean if left.numbers.mean else math.nan
        scaled = f" (mean x{ratio:.4g})" if math.isfinite(ratio) and ratio > 0 else ""
        return f"{middle}{scaled}"
    return _level_words(old, new)


def _level_words(old: _Side, new: _Side) -> str:
    if old.column.personal or new.column.personal:
        return "other values"  # they are nobody's to read
    left, right = _levels(old.sample), _levels(new.sample)
    n, m = max(sum(left.values()), 1), max(sum(right.values()), 1)
    moves = {
        name: right.get(name, 0) / m - left.get(name, 0) / n for name in {*left, *right} if name != OTHER
    }
    far = sorted(moves, key=lambda name: (-abs(moves[name]), name))[:_NAMED]
    return ", ".join(
        f"'{name[:40]}' {_percent(left.get(name, 0) / n)} → {_percent(right.get(name, 0) / m)}"
        for name in far
    )


def _ends(column: ColumnSummary) -> str:
    return f"{shown(column.minimum)} to {shown(column.maximum)}"


def _centre(column: ColumnSummary) -> Scalar:
    if column.numbers is not None and column.kind != "date":
        return column.numbers.mean
    if column.kind == "date":
        return column.minimum
    return column.top[0].count / column.rows if column.top and column.rows else None


def _alone(column: ColumnSummary, status: str, words: str) -> Change:
    rate = column.missing_rate
    blank = Change(column.name, "added", None, None, None, _centre(column), 0.0, rate, words)
    if status == "added":
        return blank
    return replace(
        blank, status="removed", before=blank.after, after=None, missing_before=rate, missing_after=0.0
    )


def _percent(rate: float) -> str:
    return f"{shown(float(f'{100 * rate:.3g}'))} %"
