"""One part of a column of texts, and the column that parts add up to.

Texts are counted by their 64-bit hashes: sorting those is ten times quicker than a table of texts, and
two of two million texts share one with a probability of 1e-7. The few most frequent keep their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.stats.counted import TOP, Counted
from mlops_magics.stats.distinct import Distinct
from mlops_magics.stats.numbers import EXACT_ROWS
from mlops_magics.stats.sample import OTHER, SampleColumn
from mlops_magics.stats.summary import Lengths, Level

_TABLED: Final = 65_536  # different texts that are counted exactly in a longer column
_NAMED: Final = 512  # of a part's texts, how many keep their names: a level frequent overall is among them
_BLOCK: Final = 65_536  # rows
_PROBE: Final = 4_096
_FEW: Final = 1_024


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of a column of texts.

    Attributes:
        rows: Its rows.
        nulls: Rows without a value.
        held: Counted hashes, or the smallest of too many, or None where there is no text.
        names: The texts behind some hashes: the most frequent ones.
        shortest: The length of the shortest, in characters.
        longest: Of the longest.
        characters: Of all together.
        limit: How many different texts may be counted exactly.
    """

    rows: int
    nulls: int
    held: Counted | Distinct | None
    names: Mapping[int, str]
    shortest: int
    longest: int
    characters: int
    limit: int

    @classmethod
    def of(cls, texts: pl.Series, total: int) -> TextPart:
        """Take a part.

        Args:
            texts: Its rows, nulls among them.
            total: The rows of the whole column, which decide whether it stays exact.
        """
        rows, nulls = len(texts), texts.null_count()
        limit = EXACT_ROWS if total <= EXACT_ROWS else _TABLED
        texts = texts.drop_nulls() if nulls else texts
        if not len(texts):
            return cls(rows, nulls, None, {}, 0, 0, 0, limit)
        held, names = _held(texts, total)
        return cls(rows, nulls, held, names, *_lengths(texts, held, names), limit)

    def then(self, other: TextPart) -> TextPart:
        """Go on with the rows that follow."""
        if self.held is None or other.held is None:
            some, none = (other, self) if self.held is None else (self, other)
            return _grown(some, none.rows, none.nulls)
        held = _merged(self.held, other.held, self.limit)
        names = {**self.names, **other.names} if isinstance(held, Counted) else {}
        if isinstance(held, Counted) and len(names) > 2 * _NAMED:
            names = {key: names[key] for key, _ in held.most(_NAMED) if key in names}
        return TextPart(
            self.rows + other.rows,
            self.nulls + other.nulls,
            held,
            names,
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
            self.characters + other.characters,
            self.limit,
        )

    @property
    def distinct(self) -> tuple[int, float]:
        """How many different texts there are, and the relative standard error of that."""
        if self.held is None:
            return 0, 0.0
        if isinstance(self.held, Counted):
            return int(self.held.values.size), 0.0
        return min(self.held.count, self.rows - self.nulls), self.held.error

    @property
    def lengths(self) -> Lengths | None:
        """The texts' lengths; None where there is no text."""
        count = self.rows - self.nulls
        return Lengths(self.shortest, self.characters / count, self.longest) if count else None

    def top(self, sample: SampleColumn) -> tuple[tuple[Level, ...], bool]:
        """Return the most frequent texts, and whether their counts are exact.

        Args:
            sample: The column in the row sample: counts come from it, scaled up, where the column has too
                many different texts to count. Texts seen three times or less are left out then: their
                order would be chance.
        """
        if isinstance(self.held, Counted):
            if self.held.counts.max(initial=0) == 1:
                return (), True
            most = self.held.most()
            named = tuple(Level(self.names[key], count) for key, count in most if key in self.names)
            return named, len(named) == len(most)
        counts = np.bincount(sample.codes, minlength=len(sample.levels))
        scale = self.rows / max(sample.codes.size, 1)
        often = zip(sample.levels[:TOP], counts[:TOP].tolist(), strict=False)
        kept = ((text, seen) for text, seen in often if seen > 3 and text is not OTHER)  # noqa: PLR2004 - see above
        return tuple(Level(text, round(seen * scale)) for text, seen in kept), False


def _held(texts: pl.Series, total: int) -> tuple[Counted | Distinct, dict[int, str]]:
    hashes = texts.hash().to_numpy()
    if total <= EXACT_ROWS:
        order = np.argsort(hashes)
        counted, starts = Counted.of_sorted(hashes[order])
        return counted, _named(texts, counted, order[starts])
    probe = hashes[:: max(hashes.size // _PROBE, 1)]
    if np.unique(probe).size <= _FEW:
        counted = Counted.of(hashes)
        if counted.values.size <= _TABLED:
            return counted, _named(texts, counted, _rows(hashes, counted.values))
    return Distinct.of(hashes), {}


def _rows(hashes: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Find a row of each key; of few keys most stand in the first rows."""
    found = np.full(keys.size, -1, np.int64)
    for start in range(0, hashes.size, _BLOCK):
        left = np.flatnonzero(found < 0)
        if not left.size:
            break
        block = hashes[start : start + _BLOCK]
        order = np.argsort(block)
        places = np.minimum(np.searchsorted(block[order], keys[left]), block.size - 1)
        rows = order[places]
        hit = block[rows] == keys[left]
        found[left[hit]] = start + rows[hit]
    return found


def _lengths(texts: pl.Series, held: Counted | Distinct, names: Mapping[int, str]) -> tuple[int, int, int]:
    """Return the shortest and the longest length, and the sum of all; of few texts, from their names."""
    if isinstance(held, Counted) and len(names) == held.values.size:
        sizes = np.array([len(names[key]) for key in held.values.tolist()], np.int64)
        return int(sizes.min()), int(sizes.max()), int((sizes * held.counts).sum())
    lengths = texts.str.len_chars()
    return int(lengths.min()), int(lengths.max()), int(lengths.sum())


def _named(texts: pl.Series, counted: Counted, rows: npt.NDArray[np.int64]) -> dict[int, str]:
    """Keep the texts behind the most frequent hashes, each from a row that holds it."""
    often = counted.places(_NAMED)
    found: list[str] = texts.gather(rows[often]).to_list()
    return dict(zip(counted.values[often].tolist(), found, strict=True))


def _grown(part: TextPart, rows: int, nulls: int) -> TextPart:
    return TextPart(
        part.rows + rows,
        part.nulls + nulls,
        part.held,
        part.names,
        part.shortest,
        part.longest,
        part.characters,
        part.limit,
    )


def _merged(left: Counted | Distinct, right: Counted | Distinct, limit: int) -> Counted | Distinct:
    if isinstance(left, Counted) and isinstance(right, Counted):
        both = left.merged(right)
        return both if both.values.size <= limit else Distinct.of(both.values)
    return _sketched(left).merged(_sketched(right))


def _sketched(held: Counted | Distinct) -> Distinct:
    return held if isinstance(held, Distinct) else Distinct.of(held.values)
