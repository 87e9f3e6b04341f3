"""Numbers that are a little other than they were, and a little beyond what was seen: how far answers move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.facts import Facts
from mlops_magics.checks.metrics import HIGHER_IS_BETTER, measure
from mlops_magics.checks.model import Numbers, Predictions, predict
from mlops_magics.checks.paired import compare
from mlops_magics.checks.problem import Kind
from mlops_magics.foundation.errors import MLOpsError

SHARE = 0.01
"""The standard deviation of the noise, as a share of the column's spread."""

_BEYOND = 0.1  # how far beyond what was seen, as a share of the spread
_ROWS = 2_000
_SIDE_ROWS = 16  # rows that are asked at each end of each column
_COLUMNS = 50
_SHARED = 0.05  # a value that so many rows have means something (none, full, unknown), and is left as it is
_FAR = 10.0  # a share above it is not told to the digit
_WHOLE = 2.0**53  # floats tell whole numbers apart up to here
_NOT_FINITE = "the answer is not finite"
_NORMAL = 1.349  # quartiles of the normal distribution are so many standard deviations apart


_MOVED: Mapping[Kind, str] = {
    "binary": "{} of the classes",
    "multiclass": "{} of the classes",
    "regression": "answers by {} of their spread",
    "ranking": "rows by {} of the list",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the answers.

    Attributes:
        share: How far they moved: the share of other classes, else the mean move as a share of their spread
            (of a ranking, of the list).
        column: The column that moved them farthest, where columns were tried one by one.
        lost: How much worse the metric is, at least (95 %); None where that cannot be told. Of a metric that
            is better low it is a share of its value.
        metric: The primary metric.
        trouble: Why there was no usable answer; "" where there was one.
    """

    share: float = 0.0
    column: str = ""
    lost: float | None = None
    metric: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column of numbers: where it stands, and how it is spread."""

    place: int
    name: str
    numbers: Numbers
    spread: float
    whole: bool
    limits: tuple[float, float]


def jittered(facts: Facts) -> Moved | None:
    """Ask for rows with noise in all numbers at once.

    Noise has a hundredth of a column's spread and stays within what occurs; whole numbers stay whole. Values
    that many rows share are left as they are.

    Args:
        facts: The model and the rows; its predictions of them are usable.

    Returns:
        What became of the answers; None where no number is disturbed.
    """
    places = np.unique(np.linspace(0, len(facts.rows) - 1, _ROWS).astype(int))
    rows, rng, touched = facts.rows.iloc[places].copy(), np.random.default_rng(0), False
    for column in _columns(facts.rows):
        noise = rng.normal(size=len(places)) * SHARE * column.spread
        before = column.numbers[places]
        after = np.where(_shared(column.numbers)[places] | ~np.isfinite(before), before, before + noise)
        finite = column.numbers[np.isfinite(column.numbers)]
        after = np.where(np.isfinite(before), np.clip(after, finite.min(), finite.max()), before)
        after = np.round(after) if column.whole else after
        touched |= bool((after != before)[np.isfinite(before)].any())
        rows.isetitem(column.place, _like(rows.iloc[:, column.place], after))
    return _asked(facts, rows, places) if touched else None


def beyond(facts: Facts) -> Moved | None:
    """Ask for rows whose number lies a tenth of the spread beyond what was seen, one column at a time.

    Each answer is held against that at the end itself. An end that several rows share is the column's own (a
    percentage, an hour): nothing lies beyond it. Nor is zero passed.

    Args:
        facts: The model and the rows; its predictions of them are usable.

    Returns:
        What became of the column that moved answers farthest; None where no column has an open end.
    """
    import pandas as pd

    places = np.unique(np.linspace(0, len(facts.rows) - 1, _SIDE_ROWS).astype(int))
    few = facts.rows.iloc[places]
    seen = {} if facts.kept is None else facts.kept.ranges
    names, at, past = list[str](), list[Any](), list[Any]()
    for column in _columns(facts.rows):
        for end, out in _open_ends(column, seen.get(column.name)):
            names.append(column.name)
            for trials, value in ((at, end), (past, out)):
                changed = few.copy()
                filled = np.full(len(few), value)
                changed.isetitem(column.place, _like(few.iloc[:, column.place], filled))
                trials.append(changed)
    if not names:
        return None
    try:
        before, after = (_predicted(facts, pd.concat(trials, ignore_index=True)) for trials in (at, past))
    except MLOpsError as error:
        return _unanswered(facts, names, past) or Moved(trouble=error.what)
    if after.unusable or before.unusable:
        return _unanswered(facts, names, past) or Moved(trouble=_NOT_FINITE)
    moves = _moves(facts, before, after).reshape(len(names), len(few)).mean(axis=1)
    most = int(moves.argmax())
    return Moved(float(moves[most]), names[most] if moves[most] > 0 else "")


def _columns(rows: Any) -> Iterator[_Column]:  # noqa: ANN401 - a pandas table
    for place in range(min(rows.shape[1], _COLUMNS)):
        given = rows.iloc[:, place]
        if given.dtype.kind not in "iuf":
            continue
        values = given.to_numpy(dtype=np.float64, na_value=np.nan)
        finite = values[np.isfinite(values)]
        if not len(finite) or np.abs(finite).max() >= _WHOLE:
            continue
        quartiles = np.quantile(finite, [0.25, 0.75])
        spread = float(np.ptp(quartiles)) / _NORMAL or float(finite.std())
        if spread > 0:
            whole = bool((finite % 1 == 0).all())
            yield _Column(place, str(rows.columns[place]), values, spread, whole, _limits(given.dtype))


def _limits(dtype: Any) -> tuple[float, float]:  # noqa: ANN401 - a dtype of numpy or pandas
    """Return between which values a column of this type can be."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return float(limits.min), float(limits.max)


def _shared(values: Numbers) -> npt.NDArray[np.bool_]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[place] >= max(2.0, _SHARED * len(values)))


def _open_ends(column: _Column, seen: tuple[float, float] | None) -> Iterator[tuple[float, float]]:
    """Return the ends of a column beyond which fresh rows will lie, each with a value there."""
    finite = column.numbers[np.isfinite(column.numbers)]
    step = _BEYOND * column.spread
    step = max(1.0, round(step)) if column.whole else step
    for side, mine in ((-1, float(finite.min())), (1, float(finite.max()))):
        end = mine if seen is None else seen[(side + 1) // 2]
        # Without the training rows' range it is known of these rows only, and one of them has the end itself.
        own = int((finite == end).sum()) > (seen is None)
        out = end + side * step
        low, high = column.limits
        if not own and end != 0 and (out > 0) == (end > 0) and low <= out <= high:
            yield end, out


def _like(column: Any, values: Numbers) -> Any:  # noqa: ANN401 - a pandas column in and out
    import pandas as pd

    return pd.Series(values, index=column.index).astype(column.dtype)


def _predicted(facts: Facts, rows: Any) -> Predictions:  # noqa: ANN401 - a pandas table
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd rows are asked on purpose
        return predict(facts.model, rows, facts.problem.classes, ranking=facts.problem.kind == "ranking")


def _asked(facts: Facts, rows: Any, places: npt.NDArray[np.int64]) -> Moved:  # noqa: ANN401 - a pandas table
    try:
        after = _predicted(facts, rows)
    except MLOpsError as error:
        return Moved(trouble=error.what)
    if after.unusable:
        return Moved(trouble=_NOT_FINITE)
    before = _part(facts.given, places)
    share = float(_moves(facts, before, after).mean())
    metric, lost = _lost(facts, before, after, facts.truth[places])
    return Moved(share, lost=lost, metric=metric)


def _unanswered(facts: Facts, names: Sequence[str], trials: Sequence[Any]) -> Moved | None:
    """Find the first column that a model does not answer for."""
    for name, rows in zip(names, trials, strict=True):
        try:
            if _predicted(facts, rows).unusable:
                return Moved(column=name, trouble=_NOT_FINITE)
        except MLOpsError as error:
            return Moved(column=name, trouble=error.what)
    return None


def _part(given: Predictions, places: npt.NDArray[np.int64]) -> Predictions:
    proba = None if given.proba is None else given.proba[places]
    score = None if given.score is None else given.score[places]
    return Predictions(given.labels[places], proba, score)


def _moves(facts: Facts, before: Predictions, after: Predictions) -> Numbers:
    """Say of each row how far its answer moved."""
    if facts.problem.kind in {"binary", "multiclass"}:
        return np.asarray(before.labels != after.labels, dtype=np.float64)
    if facts.problem.kind == "ranking":
        ranked = np.sort(facts.given.labels)
        places = (np.searchsorted(ranked, one.labels) / len(ranked) for one in (before, after))
        return np.asarray(np.abs(np.subtract(*places)))
    spread = float(facts.given.labels.std())
    moved = np.abs(after.labels - before.labels)
    return np.asarray(moved / spread if spread > 0 else moved > 0, dtype=np.float64)


def _lost(facts: Facts, before: Predictions, after: Predictions, truth: Numbers) -> tuple[str, float | None]:
    """Say how much of the primary metric is surely lost.

    These rows tear lists apart: in their place the metric of all rows is taken.
    """
    one, other = (measure(facts.problem, truth, given) for given in (before, after))
    name = facts.primary if facts.primary in one.names() else one.names()[0]
    higher = HIGHER_IS_BETTER[name]
    found = [each for each in compare(*((one, other) if higher else (other, one))) if each.metric == name]
    scale = 1.0 if higher else abs(one.value(name))
    lost = found[0].low / scale if found and scale > 0 else np.nan
    return name, float(lost) if np.isfinite(lost) else None


def worded(noise: Moved | None, past: Moved | None, kind: Kind) -> str:
    """Put into a sentence how far answers moved.

    Args:
        noise: What noise did; None where it was not tried.
        past: What numbers beyond what was seen did; None where they were not tried.
        kind: The kind of problem.

    Returns:
        The sentence; "" where nothing was tried.
    """
    told = list[str]()
    for title, moved in (
        (f"noise of {SHARE * 100:g} % of the spread", noise),
        ("a value beyond what was seen", past),
    ):
        if moved is None:
            continue
        where = f" in {moved.column}" if moved.column else ""
        if moved.trouble:
            told.append(f"{title}{where} gets no answer ({moved.trouble.rstrip('.')})")
        else:
            share = f"{100 * moved.share:.1f} %" if moved.share < _FAR else "many times"
            verb = "" if told and not (noise and noise.trouble) else " moves"
            told.append(f"{title}{where}{verb} {_MOVED[kind].format(share) if verb else share}")
    sentence = ", ".join(told)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""
