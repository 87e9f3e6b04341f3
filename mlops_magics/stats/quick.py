"""A quick model, fold by fold: what it loses on rows it has not seen, and by permuting a column there.

Gradient-boosted trees on one thread each. OpenMP's threads wait for each other by spinning, so that on a
busy machine a fit with two of them takes many times as long as with one; the folds themselves go side by
side instead.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.machine import processors
from mlops_magics.stats.relations import Target
from mlops_magics.stats.sample import SampleColumn

FOLDS: Final = 5
SHADOWS: Final = 3
_ROWS: Final = 20_000
CLASSES: Final = 10  # classes told apart, the most frequent; each costs a tree a round
_CELLS: Final = 1_200_000  # rows times columns times trees a round: of wide tables fewer rows are taken
_LEAST: Final = 2_000  # rows of the widest
_ROUNDS: Final = 60
_WORKERS: Final = 4
_PROBE: Final = 4  # rounds that tell how long all take
_FEWEST: Final = 500  # rows, however short the time
_BUSY: Final = 5.0  # times as long as its own work a fit may take on a busy machine; more is a hiccup
_SHARE: Final = 0.6  # of the time left that the first round of folds may be expected to take

Floats = npt.NDArray[np.float64]
Places = Sequence[int]


@dataclass(frozen=True, slots=True)
class Fold:
    """What came of one fold.

    Attributes:
        none: The loss of knowing nothing.
        base: The model's loss.
        losses: Column by column, the loss added by permuting it, as a share of ``none``; the shadows last.
            Empty where nothing was permuted.
    """

    none: float
    base: float
    losses: Floats


@dataclass(frozen=True)
class Quick:
    """Rows in random order, and a model that can be fitted on some of their columns.

    Attributes:
        values: The columns, then the shadows: copies of some of them in random order, which know nothing.
        goal: The target: numbers, or classes from the most frequent on.
        number: Whether it is a number.
        folded: Whether rare classes were taken as one.
        wide: Whether fewer rows were taken because there are many columns or classes.
        pool: Threads on which OpenMP has one thread.
        until: When to stop, on the clock of ``time.monotonic``.
    """

    values: Floats
    goal: npt.NDArray[Any]
    number: bool
    folded: bool
    wide: bool
    pool: ThreadPoolExecutor
    until: float

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.goal.size)

    def folds(self, places: Places, *, permuting: bool) -> list[Fold]:
        """Fit on four fifths and judge on the last one, five times.

        Args:
            places: Which columns the model may use.
            permuting: Whether to permute each of them, and the shadows, in turn; else there are no shadows.

        Returns:
            The folds that were done in time.
        """
        wide = (
            [*places, *range(self.values.shape[1] - SHADOWS, self.values.shape[1])] if permuting else places
        )
        values = self.values[:, wide]
        done = self.pool.map(lambda fold: self._fold(values, fold, permuting=permuting), range(FOLDS))
        return [fold for fold in done if fold is not None]

    def within(self, places: Places, seconds: float) -> Quick:
        """Take as few rows as it needs for all folds to fit into a time.

        Args:
            places: Which columns the model may use.
            seconds: The time.
        """
        fit, judge = self.pool.submit(self._probe, places).result()
        whole = FOLDS * (fit + judge * len(places)) / min(FOLDS, max(1.0, 0.6 * _workers()))
        rows = self.rows
        while whole > _SHARE * seconds and rows > 2 * _FEWEST:
            rows //= 2
            whole /= 2
        return replace(self, values=self.values[:rows], goal=self.goal[:rows])

    def _probe(self, places: Places) -> tuple[float, float]:
        """Tell how long one fit, and judging one permuted column, may take on a machine as busy as now."""
        values = self.values[:, list(places)]
        clock, first = time.monotonic(), time.thread_time()
        self._fitted(values, self.goal, 1)
        begun = time.thread_time()
        model = self._fitted(values, self.goal, 1 + _PROBE)
        fitted = time.thread_time()
        self._loss(model, values[: self.rows // FOLDS], self.goal[: self.rows // FOLDS])
        judged = time.thread_time() - fitted
        busy = min(_BUSY, max(1.0, (time.monotonic() - clock) / max(time.thread_time() - first, 1e-3)))
        round_ = max(0.0, (fitted - begun) - (begun - first)) / _PROBE
        fit = (begun - first) + self._rounds() * round_
        return busy * fit, busy * judged * self._rounds() / (1 + _PROBE)

    def _fold(self, values: Floats, fold: int, *, permuting: bool) -> Fold | None:
        """Fit and judge; a fold that is late is forgotten."""
        if time.monotonic() > self.until:
            return None
        held = np.arange(self.rows) % FOLDS == fold
        judged, seen, truth = values[held], self.goal[~held], self.goal[held]
        model = self._fitted(values[~held], seen, self._rounds())
        none = _loss_of_nothing(seen, truth, number=self.number)
        base = self._loss(model, judged, truth)
        order = np.random.default_rng(fold).permutation(truth.size)
        losses = np.zeros(values.shape[1] if permuting else 0)
        for place in _used(model) if permuting else ():  # what no tree looks at costs nothing
            if time.monotonic() > self.until:
                return None
            kept = judged[:, place].copy()
            judged[:, place] = kept[order]
            losses[place] = (self._loss(model, judged, truth) - base) / none
            judged[:, place] = kept
        return Fold(none, base, losses)

    def _rounds(self) -> int:
        return _ROUNDS if self._trees() == 1 else _ROUNDS // 2

    def _trees(self) -> int:
        """How many trees a round has: one, or one a class of more than two."""
        classes = 0 if self.number else int(self.goal.max(initial=0)) + 1
        return max(classes, 1) if classes > 2 else 1  # noqa: PLR2004 - two classes are one tree

    def _fitted(self, values: Floats, goal: npt.NDArray[Any], rounds: int) -> Any:  # noqa: ANN401 - an estimator
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        if not self.number and (goal == goal[0]).all():
            return None
        kind = HistGradientBoostingRegressor if self.number else HistGradientBoostingClassifier
        model = kind(
            max_iter=rounds,
            learning_rate=0.12,
            max_bins=63,
            max_leaf_nodes=16 if self._trees() == 1 else 8,  # larger ones learn rare classes by heart
            min_samples_leaf=max(10, goal.size // 400),
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class with one row, a column that is constant in four folds
            return model.fit(values, goal)

    def _loss(self, model: Any, values: Floats, truth: npt.NDArray[Any]) -> float:  # noqa: ANN401 - same
        if model is None:
            return 0.0
        if self.number:
            return float(((model.predict(values) - truth) ** 2).mean())
        said = model.predict_proba(values)
        places = np.minimum(np.searchsorted(model.classes_, truth), model.classes_.size - 1)
        known = model.classes_[places] == truth
        chance = np.where(known, said[np.arange(truth.size), places], 0.0)
        return float(-np.log(np.clip(chance, 1e-6, 1)).mean())


@contextmanager
def quick(target: Target, columns: Sequence[SampleColumn], until: float) -> Iterator[Quick]:
    """Put the rows together: numbers as they are, levels as codes, all but the ten frequent classes as one.

    Args:
        target: The target.
        columns: The columns.
        until: When to stop, on the clock of ``time.monotonic``.
    """
    rows = np.flatnonzero(target.keep) if target.keep is not None else np.arange(target.codes.size)
    number = target.problem == "number"
    goal, trees, folded = (target.numbers, 1, False) if number else _classes(target.codes)
    random = np.random.default_rng(0)
    room = max(_LEAST, _CELLS // ((len(columns) + SHADOWS) * trees))
    chosen = random.permutation(rows.size)[: min(_ROWS, room)]
    sides = [_side(column, rows[chosen]) for column in columns]
    shadows = [random.permutation(sides[place]) for place in random.integers(0, len(sides), SHADOWS)]
    with ThreadPoolExecutor(_workers(), initializer=_alone) as pool:
        values = np.column_stack([*sides, *shadows])
        yield Quick(values, goal[chosen], number, folded, room < min(_ROWS, rows.size), pool, until)


def _side(column: SampleColumn, rows: npt.NDArray[np.intp]) -> Floats:
    if column.numbers is not None:
        return column.numbers[rows]
    codes = column.codes[rows].astype(np.float64)
    codes[column.missing[rows]] = np.nan
    return codes


def _classes(codes: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], int, bool]:
    """Renumber classes from the most frequent on; of many, all after the tenth are one.

    Returns:
        The classes, how many trees a round they cost, and whether there were so many.
    """
    counts = np.bincount(codes)
    known = int(np.count_nonzero(counts))
    places = np.empty(counts.size, np.intp)
    places[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    folded = known > CLASSES + 1
    classes = np.minimum(places, CLASSES) if folded else places
    return classes[codes], 1 if known < 3 else min(known, CLASSES + 1), folded  # noqa: PLR2004 - one tree


def _alone() -> None:
    """Give this thread's OpenMP one thread; those of other threads are theirs."""
    import sklearn.ensemble  # noqa: F401 - a limit holds for the libraries that are loaded
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="openmp")


def _workers() -> int:
    return min(_WORKERS, processors())


def _used(model: Any) -> list[int]:  # noqa: ANN401 - an estimator
    found: set[int] = set()
    for trees in model._predictors if model is not None else ():  # noqa: SLF001 - no public way to ask
        for tree in trees:
            nodes = tree.nodes
            found.update(nodes["feature_idx"][nodes["is_leaf"] == 0].tolist())
    return sorted(found)


def _loss_of_nothing(seen: npt.NDArray[Any], truth: npt.NDArray[Any], *, number: bool) -> float:
    if number:
        return max(float(((truth - seen.mean()) ** 2).mean()), 1e-300)
    shares = np.bincount(seen, minlength=int(truth.max()) + 1) / seen.size
    return max(float(-np.log(np.clip(shares[truth], 1e-6, 1)).mean()), 1e-12)
