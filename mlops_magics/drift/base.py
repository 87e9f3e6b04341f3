"""What a drift test is, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.stats.windows import ColumnWindow


@dataclass(frozen=True, slots=True)
class Score:
    """How far a column has moved, by one test.

    Attributes:
        test: The test.
        column: The column.
        statistic: The number that the test is named for.
        effect: How far, from 0, nothing at all, to 1; whatever the number of rows.
        p: How likely chance alone moves it as far; None where the test only describes.
        words: What was seen, in words that are the same for the same counts.
    """

    test: str
    column: str
    statistic: float
    effect: float
    p: float | None
    words: str


def nothing(test: str, column: str, what: str = "values", *, p: float | None = 1.0) -> Score:
    """Say that there is nothing to compare: no drift, however likely.

    Args:
        test: The test.
        column: The column.
        what: What there is none of.
        p: None of a test that only describes.
    """
    return Score(test, column, 0.0, 0.0, p, f"There are no {what} to compare.")


class DriftTest(Protocol):
    """A test: it compares the counts of a column in a window with those of the reference."""

    @property
    def name(self) -> str:
        """Its name in the room."""

    @property
    def weight(self) -> float:
        """Its part of a column's chance of a false alarm, beside the other tests; 0 if it only describes."""

    @property
    def floor(self) -> float:
        """The effect up to which a difference is too small to matter, however sure it is."""

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        """Compare.

        Args:
            reference: The column as it was.
            window: The column now, counted in the reference's bins.

        Returns:
            The score; None where the test does not apply to such a column. Whether it applies is told by
            the reference alone, never by what the window holds.
        """
