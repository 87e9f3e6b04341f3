"""How much a quick model loses without a column, fold by fold, beside columns that are pure noise.

The bar is that of Kursa and Rudnicki, "Feature selection with the Boruta package" (2010): columns are put
beside *shadows*, copies of some of them in random order, which know nothing; what does not lose the model
more than the best shadow does, in three quarters of the folds, is a passenger. Permutation importance is
Breiman's (2001), measured on rows that the model was not fitted on.

Columns that say the same hide each other: permuting either costs little. So the model without all the
passengers is held against the one with every column. Where it is worse, passengers leave in rounds, the
lesser half first, and those that remain are measured again (backward elimination): of columns that stand
in for each other, as many stay as are needed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mlops_magics.stats.quick import FOLDS, SHADOWS, Fold, Quick, quick
from mlops_magics.stats.relations import Target
from mlops_magics.stats.sample import SampleColumn

WINS: Final = 0.75  # of the folds a column must beat every shadow in: of 100 columns of noise about 3 do
MOST: Final = 200  # columns that a quick model takes
LEAST: Final = 100  # rows below which five folds say nothing
_WORSE: Final = 0.01  # of what the whole model explains may be lost with the passengers


@dataclass(frozen=True, slots=True)
class Importance:
    """What permuting one column costs the quick model.

    Attributes:
        column: The column.
        losses: Fold by fold, the loss added by permuting it, as a share of the loss of knowing nothing.
        ranks: Fold by fold, its place among the columns, from 1.
        wins: In how many folds it cost more than permuting each shadow did.
        passed: Whether it is worth keeping: it won often enough, or could not be judged.
    """

    column: str
    losses: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    wins: int = 0
    passed: bool = True

    @property
    def mean(self) -> float:
        """The mean over the folds; 0 where none was fitted."""
        return sum(self.losses) / len(self.losses) if self.losses else 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        columns: An importance a column that was tried: those that passed, then the others, each the
            greatest first.
        folds: How many folds fitted into the time.
        rows: How many rows were used.
        whole: What the model on all columns explains of the loss of knowing nothing, on rows it has not
            seen.
        explained: The same of the model on the columns that passed; None where time did not allow it.
        rounds: In how many rounds passengers left.
        hurried: Whether fewer rows were taken, or rounds left out, for want of time.
        wide: Whether fewer rows were taken because there are many columns or classes.
        folded: Whether of many classes only the most frequent were told apart.
    """

    columns: tuple[Importance, ...] = ()
    folds: int = 0
    rows: int = 0
    whole: float = 0.0
    explained: float | None = None
    rounds: int = 0
    hurried: bool = False
    wide: bool = False
    folded: bool = False


def importances(
    target: Target, columns: Sequence[SampleColumn], until: float, *, spare: Collection[str] = ()
) -> Trial:
    """Measure what each column is worth to a quick model (gradient-boosted trees).

    Args:
        target: The target.
        columns: The columns, in any order; at most ``MOST`` are sensible.
        until: When to stop, on the clock of ``time.monotonic``.
        spare: Those that another of them nearly follows: they are left out unless the model is worse so.

    Returns:
        The importances; without any fold where there are fewer than 100 rows or no time.
    """
    if not columns or target.codes.size < LEAST or time.monotonic() >= until:
        return Trial(tuple(Importance(item.label, passed=item.label not in spare) for item in columns))
    names = [column.label for column in columns]
    with quick(target, columns, until) as full:
        model = full.within(range(len(names)), until - time.monotonic())
        search = _Search(model, names, frozenset(spare))
        found = search.run()
        hurried = model.rows < full.rows or search.late
        return replace(found, rows=model.rows, hurried=hurried, wide=full.wide, folded=full.folded)


class _Search:
    """One search for passengers."""

    def __init__(self, model: Quick, names: Sequence[str], spare: frozenset[str]) -> None:
        self.model, self.names, self.spare = model, names, spare
        self.found: dict[str, Importance] = {name: Importance(name) for name in names}
        self.folds = 0
        self.late = False

    def run(self) -> Trial:
        """Measure once; look whether those that go are missed; if so, let them go in rounds."""
        everyone = [*range(len(self.names))]
        own = [place for place in everyone if self.names[place] not in self.spare]
        first = self._measured(own)
        if not first:
            return self._trial(0.0, None)
        kept = [place for place in own if self.found[self.names[place]].passed]
        if len(kept) == len(everyone):
            return self._trial(_explained(first), _explained(first))
        whole = self.model.folds(everyone, permuting=False)
        less = self.model.folds(kept, permuting=False) if kept else [replace(f, base=f.none) for f in whole]
        if len(whole) < FOLDS or len(less) < FOLDS:
            self.late = True
            return self._trial(_explained(first), None)
        if not _worse(whole, less):
            self._drop_spare()
            return self._trial(_explained(whole), _explained(less))
        rounds = self._rounds(everyone)
        kept = [place for place in everyone if self.found[self.names[place]].passed]
        less = self.model.folds(kept, permuting=False) if kept else less
        return self._trial(_explained(whole), _explained(less) if less else None, rounds)

    def _rounds(self, active: list[int]) -> int:
        """Let the lesser half of the passengers go, and measure the others again, until none is left."""
        for count in range(1, len(self.names) + 1):
            begun = time.monotonic()
            done = self._measured(active)
            failed = [place for place in active if not self.found[self.names[place]].passed]
            if len(done) < FOLDS:
                self.late = True
                break
            if not failed:
                return count - 1
            failed.sort(key=lambda place: (self.found[self.names[place]].mean, self.names[place]))
            gone = set(failed[: -(-len(failed) // 2)])
            active = [place for place in active if place not in gone]
            if not active:
                return count
            if 2 * time.monotonic() - begun > self.model.until:
                self.late = True
                break
        for place in active:  # none goes unless it is known not to be missed
            self.found[self.names[place]] = replace(self.found[self.names[place]], passed=True)
        return count

    def _measured(self, places: Sequence[int]) -> list[Fold]:
        """Measure some columns beside the shadows; where no fold is done in time, nothing changes."""
        folds = self.model.folds(places, permuting=True)
        if folds:
            self.folds = len(folds)
            self.found |= _judged([self.names[place] for place in places], folds)
        return folds

    def _drop_spare(self) -> None:
        for name in self.spare & self.found.keys():
            self.found[name] = Importance(name, passed=False)

    def _trial(self, whole: float, explained: float | None, rounds: int = 0) -> Trial:
        if explained is None:
            self._drop_spare()
        ordered = sorted(self.found.values(), key=lambda item: (not item.passed, -item.mean, item.column))
        return Trial(tuple(ordered), self.folds, 0, whole, explained, rounds)


def _judged(names: Sequence[str], folds: Sequence[Fold]) -> Mapping[str, Importance]:
    losses = np.array([fold.losses for fold in folds])
    real, bar = losses[:, :-SHADOWS], np.maximum(losses[:, -SHADOWS:].max(1, keepdims=True), 0.0)
    ranks = np.argsort(np.argsort(-real, axis=1, kind="stable"), axis=1) + 1
    wins = (real > bar).sum(0).tolist()
    return {
        name: Importance(
            name,
            tuple(real[:, i].tolist()),
            tuple(ranks[:, i].tolist()),
            wins[i],
            wins[i] >= WINS * len(folds),
        )
        for i, name in enumerate(names)
    }


def _explained(folds: Sequence[Fold]) -> float:
    return float(np.mean([1 - fold.base / fold.none for fold in folds]))


def _worse(whole: Sequence[Fold], less: Sequence[Fold]) -> bool:
    """Tell whether the smaller model explains less, by more than chance and more than matters."""
    lost = np.array([(b.base - a.base) / a.none for a, b in zip(whole, less, strict=True)])
    error = float(lost.std(ddof=1)) / lost.size**0.5
    return bool(lost.mean() > max(_WORSE * abs(_explained(whole)), 2 * error))
