"""All tests on all columns, and what of it is sure: Holm's step-down over the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift import DRIFT_TESTS
from mlops_magics.drift.base import DriftTest, Score
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.stats.windows import ColumnWindow

Floors = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Found:
    """What the tests say of one column.

    Attributes:
        name: The column.
        best: The score that decides: of those above their floor the least likely by chance, else of all.
        scores: All scores, those that decide and those that describe.
        p: How likely chance alone moves the column so far, over its tests, of those above their floor.
        adjusted: The same over all columns.
    """

    name: str
    best: Score | None
    scores: tuple[Score, ...]
    p: float
    adjusted: float = 1.0


@cache
def tests() -> tuple[DriftTest, ...]:
    """Return all tests: our own and those of guests."""
    return tuple(DRIFT_TESTS.get(name) for name in DRIFT_TESTS)


@cache
def deciding() -> tuple[DriftTest, ...]:
    """Return the tests that decide."""
    return tuple(test for test in tests() if test.weight > 0)


def scored(
    pairs: Sequence[tuple[ColumnReference, ColumnWindow]],
    floors: Floors,
    parts: Sequence[DriftTest] | None = None,
) -> tuple[Found, ...]:
    """Let each test look at each column.

    Args:
        pairs: Each column as it was and as it is.
        floors: By column and test, effects that count as no drift, where they lie above the test's own.
        parts: The tests; all by default.

    Returns:
        What was found of each column, p-values adjusted over all of them.
    """
    chosen = tests() if parts is None else parts
    return adjusted(tuple(_column(then, now, floors.get(then.name, {}), chosen) for then, now in pairs))


def adjusted(found: Sequence[Found]) -> tuple[Found, ...]:
    """Adjust p-values by Holm's step-down: the chance of any false alarm is what is asked for."""
    order = sorted(range(len(found)), key=lambda place: found[place].p)
    reached, told = 0.0, [0.0] * len(found)
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, found[place].p * (len(found) - rank)))
        told[place] = reached
    return tuple(
        Found(each.name, each.best, each.scores, each.p, told[place]) for place, each in enumerate(found)
    )


def _column(
    then: ColumnReference, now: ColumnWindow, floors: Mapping[str, float], parts: Sequence[DriftTest]
) -> Found:
    scores = [(part, score) for part in parts if (score := _asked(part, then, now)) is not None]
    deciding = [(part, score) for part, score in scores if part.weight > 0 and score.p is not None]
    weights = sum(part.weight for part, _ in deciding)
    best: Score | None = None
    least = 1.0
    for part, score in deciding:
        floor = max(part.floor, floors.get(part.name, 0.0))
        chance = min(1.0, (score.p or 0.0) * weights / part.weight)
        if score.effect > floor and (chance < least or best is None):
            best, least = score, chance
    if best is None and deciding:
        best = min((score for _, score in deciding), key=lambda score: (score.p, -score.effect))
    return Found(then.name, best, tuple(score for _, score in scores), least)


def _asked(part: DriftTest, then: ColumnReference, now: ColumnWindow) -> Score | None:
    try:
        return part.score(then, now)
    except Exception as error:
        raise MLOpsError(
            f"The drift test '{part.name}' raised {type(error).__name__} at column '{then.name}': {error}.",
            "If a package brought it, remove or update that package; its author has a kit to test it with.",
        ) from error
