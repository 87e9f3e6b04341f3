"""How much a quick model loses without a column, fold by fold, beside columns that are pure noise.

The bar is that of Kursa and Rudnicki, "Feature selection with the Boruta package" (2010): columns are put
beside *shadows*, copies of some of them in random order, which know nothing; what does not lose the model
more than the best shadow does, is a passenger. Permutation importance is Breiman's (2001), measured on
rows that the model was not fitted on.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.stats.relations import Target
from mlops_magics.stats.sample import SampleColumn

FOLDS: Final = 5
SHADOWS: Final = 3
WINS: Final = 0.75  # of the folds a column must beat every shadow in: noise does so in 1.6 % of the cases
MOST: Final = 200  # columns that a quick model takes
CLASSES: Final = 10  # classes told apart, the most frequent; each costs a tree a round
_ROWS: Final = 20_000
_CELLS: Final = 8_000_000  # rows times columns times classes: five folds of so many take about ten seconds
_FEWEST: Final = 2_000
_LEAST: Final = 100  # rows below which five folds say nothing
_ROUNDS: Final = 60
_MARGIN: Final = 1.25  # of the last fold's time must be left for the next one

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """What permuting one column costs the quick model.

    Attributes:
        column: The column.
        losses: Fold by fold, the loss added by permuting it, as a share of the loss of knowing nothing.
        ranks: Fold by fold, its place among the columns, from 1.
        wins: In how many folds it cost more than permuting each shadow did.
    """

    column: str
    losses: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    wins: int = 0

    @property
    def mean(self) -> float:
        """The mean over the folds; 0 where none was fitted."""
        return sum(self.losses) / len(self.losses) if self.losses else 0.0

    @property
    def passed(self) -> bool:
        """Whether it beat the shadows often enough."""
        return bool(self.losses) and self.wins >= WINS * len(self.losses)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        columns: An importance a column that was tried, the greatest first.
        folds: How many folds fitted into the time.
        explained: What the model explains of the loss of knowing nothing, on rows it has not seen.
        notes: What was left out so that it is quick.
    """

    columns: tuple[Importance, ...]
    folds: int
    explained: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows in random order: columns, then shadows; the target; what it is."""

    values: Floats
    goal: npt.NDArray[Any]
    problem: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    losses: list[Floats] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)


def importances(target: Target, columns: Sequence[SampleColumn], until: float) -> Trial:
    """Measure what each column is worth to a quick model (gradient-boosted trees).

    Args:
        target: The target.
        columns: The columns, in any order; at most ``MOST`` are sensible.
        until: When to stop, on the clock of ``time.monotonic``: a fold is only begun when it will fit.

    Returns:
        The importances; without any fold where there are fewer than 100 rows or no time.
    """
    import sklearn.ensemble  # noqa: F401 - a limit holds for the libraries that are loaded
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

    rows = _table(target, columns)
    tally = _Tally()
    if rows.goal.size >= _LEAST:
        took = 0.0
        # Hundreds of small predictions: on a busy machine threads that wait for each other take many times
        # as long as one alone, and the budget would decide what is found.
        with threadpool_limits(1, "openmp"):
            for fold in range(FOLDS):
                begun = time.monotonic()
                if begun + _MARGIN * took > until:
                    break
                _fold(rows, fold, tally, until)
                took = time.monotonic() - begun
    return _summed(columns, tally, rows.notes)


def _table(target: Target, columns: Sequence[SampleColumn]) -> _Rows:
    """Put at most 20,000 rows together: numbers as they are, levels as codes, shadows at the end."""
    rows = np.flatnonzero(target.keep) if target.keep is not None else np.arange(target.codes.size)
    goal, trees, notes = _goal(target)
    room = _CELLS // ((len(columns) + SHADOWS) * trees)
    most = min(_ROWS, max(_FEWEST, room))
    random = np.random.default_rng(0)
    chosen = random.permutation(rows.size)[:most]
    if most < min(_ROWS, rows.size):
        notes = (*notes, f"The quick model takes {most:,} rows: there are many columns or classes.")
    sides = [_side(column, rows[chosen]) for column in columns]
    shadows = [random.permutation(sides[place]) for place in random.integers(0, len(sides), SHADOWS)]
    return _Rows(np.column_stack([*sides, *shadows]), goal[chosen], target.problem, notes)


def _goal(target: Target) -> tuple[npt.NDArray[Any], int, tuple[str, ...]]:
    """Return what is learnt, in how many trees a round, and what the reader should know of it."""
    if target.problem == "number":
        return target.numbers, 1, ()
    counts = np.bincount(target.codes)
    if np.count_nonzero(counts) <= CLASSES + 1:
        return target.codes, 1 if target.problem == "binary" else counts.size, ()
    places = np.full(counts.size, CLASSES)
    places[np.argsort(-counts, kind="stable")[:CLASSES]] = np.arange(CLASSES)
    note = f"The quick model tells the {CLASSES} most frequent classes apart, and takes the others as one."
    return places[target.codes], CLASSES + 1, (note,)


def _side(column: SampleColumn, rows: npt.NDArray[np.intp]) -> Floats:
    if column.numbers is not None:
        return column.numbers[rows]
    codes = column.codes[rows].astype(np.float64)
    codes[column.missing[rows]] = np.nan
    return codes


def _fold(rows: _Rows, fold: int, tally: _Tally, until: float) -> None:
    """Fit on four fifths; permute each column of the last fifth in turn. A fold that is late is forgotten."""
    values, goal, problem = rows.values, rows.goal, rows.problem
    held = np.arange(goal.size) % FOLDS == fold
    seen, judged = values[~held], values[held]
    truth = goal[held]
    model = _fitted(seen, goal[~held], problem)
    if model is None:
        return
    none = _loss_of_nothing(goal[~held], truth, problem)
    base = _loss(model, judged, truth, problem)
    random = np.random.default_rng(fold)
    order = random.permutation(truth.size)
    losses = np.zeros(values.shape[1])
    for place in _used(model):  # what no tree looks at costs nothing
        if time.monotonic() > until:
            return
        kept = judged[:, place].copy()
        judged[:, place] = kept[order]
        losses[place] = (_loss(model, judged, truth, problem) - base) / none
        judged[:, place] = kept
    tally.losses.append(losses)
    tally.explained.append(1 - base / none)


def _fitted(values: Floats, goal: npt.NDArray[Any], problem: str) -> Any:  # noqa: ANN401 - an estimator
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if problem != "number" and np.unique(goal).size < 2:  # noqa: PLR2004 - classes
        return None
    kind = HistGradientBoostingRegressor if problem == "number" else HistGradientBoostingClassifier
    options = {"max_bins": 63, "early_stopping": False, "random_state": 0}
    if problem == "classes":  # larger trees learn rare classes by heart, and know less than nothing
        model = kind(max_iter=_ROUNDS // 2, learning_rate=0.1, max_leaf_nodes=8, **options)
    else:
        model = kind(max_iter=_ROUNDS, learning_rate=0.15, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with one row, a column that is constant in four folds
        return model.fit(values, goal)


def _used(model: Any) -> list[int]:  # noqa: ANN401 - an estimator
    found: set[int] = set()
    for trees in model._predictors:  # noqa: SLF001 - there is no public way to ask
        for tree in trees:
            nodes = tree.nodes
            found.update(nodes["feature_idx"][nodes["is_leaf"] == 0].tolist())
    return sorted(found)


def _loss(model: Any, values: Floats, truth: npt.NDArray[Any], problem: str) -> float:  # noqa: ANN401 - same
    if problem == "number":
        return float(((model.predict(values) - truth) ** 2).mean())
    said = model.predict_proba(values)
    places = np.searchsorted(model.classes_, truth)
    known = (places < model.classes_.size) & (model.classes_[np.minimum(places, said.shape[1] - 1)] == truth)
    chance = np.where(known, said[np.arange(truth.size), np.minimum(places, said.shape[1] - 1)], 0.0)
    return float(-np.log(np.clip(chance, 1e-6, 1)).mean())


def _loss_of_nothing(seen: npt.NDArray[Any], truth: npt.NDArray[Any], problem: str) -> float:
    if problem == "number":
        return max(float(((truth - seen.mean()) ** 2).mean()), 1e-300)
    shares = np.bincount(seen, minlength=int(truth.max()) + 1) / seen.size
    return max(float(-np.log(np.clip(shares[truth], 1e-6, 1)).mean()), 1e-12)


def _summed(columns: Sequence[SampleColumn], tally: _Tally, notes: tuple[str, ...]) -> Trial:
    count = len(columns)
    if not tally.losses:
        return Trial(tuple(Importance(column.label) for column in columns), 0, 0.0, notes)
    losses = np.array(tally.losses)
    real, bar = losses[:, :count], np.maximum(losses[:, count:].max(1, keepdims=True), 0.0)
    ranks = np.argsort(np.argsort(-real, axis=1, kind="stable"), axis=1) + 1
    wins = (real > bar).sum(0)
    found = [
        Importance(column.label, tuple(real[:, i].tolist()), tuple(ranks[:, i].tolist()), int(wins[i]))
        for i, column in enumerate(columns)
    ]
    found.sort(key=lambda item: (-item.mean, item.column))
    return Trial(tuple(found), len(tally.losses), float(np.mean(tally.explained)), notes)
