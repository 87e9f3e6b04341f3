"""What the parts of a table tell about each other: leaks that make a model look better than it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.hashes import Hashes
from mlops_magics.stats.fingerprints import decoded, rows_of, values_of
from mlops_magics.stats.splits import missing, moments
from mlops_magics.stats.summary import TableSummary

_SAMPLE: Final = 100_000  # rows of a part that chance is estimated from
_CHANCE: Final = 3.0  # times what chance explains before equal rows are copies
_ALIKE: Final = 0.15  # how much like its neighbour in time a target must be
_SURE: Final = 6.0  # standard errors of no likeness at all
_ENTITY: Final = (0.02, 0.7)  # distinct values a row of a column that names things with several rows
_THINGS: Final = 30  # things below which a column is a category
_SHARED: Final = 0.15  # of the target's variance that things explain, beyond chance


@dataclass(frozen=True, slots=True)
class Leak:
    """A way in which one part tells about another.

    Attributes:
        kind: "rows", "keys", "group" or "time".
        columns: The columns it goes through.
        rows: How many rows of the later part it concerns.
        what: A sentence with the number.
        remedy: A sentence: what to do.
    """

    kind: str
    columns: tuple[str, ...]
    rows: int
    what: str
    remedy: str


def leaks(
    parts: Mapping[str, Frame], summary: TableSummary, *, target: str | None = None, by: str | None = None
) -> tuple[Leak, ...]:
    """Look for what the parts of a table share.

    Args:
        parts: The parts by name, the one that is trained on first. They have the same columns.
        summary: What is known about the columns.
        target: The column that is predicted.
        by: The column by whose groups or dates they were divided.

    Returns:
        What was found, rows first, between the first part and the last where it goes through time or
        groups; nothing for parts that only chance makes alike.
    """
    names = list(parts)
    if len(names) < 2 or not all(frame.rows for frame in parts.values()):  # noqa: PLR2004 - nothing to compare
        return ()
    found: list[Leak] = []
    hashes = {name: rows_of(frame) for name, frame in parts.items()}
    chance = _coincidence(parts[names[0]])
    for place, later in enumerate(names[1:], start=1):
        for earlier in names[:place]:
            found += _copies(earlier, later, hashes[earlier], hashes[later], chance)
    for column in _keys(summary):
        found += _same_keys(parts, column)
    if target is not None:
        values = [_target(frame, target) for frame in parts.values()]
        for thing in _entities(summary, {target, by}):
            found += _groups(parts, thing, values)
        for each in summary.columns:
            if each.meaning == "date" and each.name != target:
                found += _time(parts, each.name, values)
    return tuple(found)


def _coincidence(frame: Frame) -> float:
    """Estimate how likely two rows are equal by chance, were the columns independent of each other."""
    step = max(1, frame.rows // _SAMPLE)
    total = 1.0
    for place in range(len(frame.names)):
        counts = np.unique(values_of(decoded(frame, place))[::step], return_counts=True)[1].astype(float)
        rows = counts.sum()
        total *= (counts * (counts - 1)).sum() / max(rows * (rows - 1), 1)
        if total * rows * rows < 1e-9:  # noqa: PLR2004 - already impossible
            return 0.0
    return total


def _copies(earlier: str, later: str, one: Hashes, other: Hashes, chance: float) -> Iterator[Leak]:
    shared, first, second = _shared(one, other)
    if not shared.size:
        return
    pairs = float((first * second).sum())
    if pairs <= _CHANCE * chance * one.size * other.size:
        return
    rows = int(second.sum())
    yield Leak(
        "rows",
        (),
        rows,
        f"{rows:,} of {other.size:,} rows of {later} are in {earlier} too, the same in every column.",
        "Drop the copies, or split with %mlops_prepare, which keeps equal rows together.",
    )


def _shared(one: Hashes, other: Hashes) -> tuple[Hashes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the values of both, and how often each has them."""
    left, left_counts = np.unique(one, return_counts=True)
    right, right_counts = np.unique(other, return_counts=True)
    shared, at_left, at_right = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return shared, left_counts[at_left], right_counts[at_right]


def _keys(summary: TableSummary) -> Iterator[str]:
    """Name the columns whose values all differ and mean nothing but the row."""
    for column in summary.columns:
        if column.meaning == "id" and column.distinct_rate > 0.99 and column.rows > column.missing:  # noqa: PLR2004
            yield column.name


def _same_keys(parts: Mapping[str, Frame], column: str) -> Iterator[Leak]:
    names = [name for name, frame in parts.items() if column in map(str, frame.names)]
    found = {name: _held(parts[name], column) for name in names}
    for place, later in enumerate(names[1:], start=1):
        for earlier in names[:place]:
            if _counted(found[earlier]) and _counted(found[later]):
                continue  # two tables that number their own rows
            shared = np.intersect1d(found[earlier][0], found[later][0])
            if shared.size:
                yield Leak(
                    "keys",
                    (column,),
                    int(shared.size),
                    f"{shared.size:,} values of {column}, one a row, are in {earlier} and in {later} too.",
                    "Drop these rows from one of the two.",
                )


def _held(frame: Frame, name: str) -> tuple[Hashes, bool]:
    """Hash the values of a column, and tell whether they merely count the rows."""
    column = decoded(frame, frame.position(name))
    hashes = values_of(column)[~missing(column)]
    numbers = column.numbers
    counts = (
        numbers is not None
        and numbers.size == frame.rows
        and numbers.dtype.kind in "iu"
        and int(numbers.min()) in {0, 1}
        and int(numbers.max()) - int(numbers.min()) == frame.rows - 1
    )
    return hashes, counts


def _counted(found: tuple[Hashes, bool]) -> bool:
    return found[1]


def _target(frame: Frame, target: str) -> npt.NDArray[np.float64]:
    """Bring a target to numbers; of classes, whether a row is of the most frequent one."""
    column = decoded(frame, frame.position(target))
    hashes = values_of(column)
    gone = missing(column)
    numbers = column.numbers
    if numbers is not None and np.unique(numbers[:10_000]).size > 2:  # noqa: PLR2004 - two values are classes
        found = np.full(column.rows, np.nan)
        found[slice(None) if column.valid is None else column.valid] = numbers
        return found
    kinds, counts = np.unique(hashes[~gone], return_counts=True)
    # The least hash of the two most frequent ones: the same class in each part, whichever is more frequent.
    main = min(kinds[np.argsort(-counts, kind="stable")[:2]], default=0)
    classes = np.where(gone, np.nan, hashes == main)
    return np.asarray(classes, np.float64)


def _entities(summary: TableSummary, besides: set[str | None]) -> Iterator[str]:
    """Name the columns that may name things which have several rows each: customers, machines."""
    low, high = _ENTITY
    for column in summary.columns:
        names_things = column.meaning in {"id", "category", "number"} and column.kind in {"integer", "string"}
        many = column.distinct >= _THINGS and low < column.distinct_rate < high
        if names_things and many and column.name not in besides:
            yield column.name


def _groups(
    parts: Mapping[str, Frame], column: str, targets: Sequence[npt.NDArray[np.float64]]
) -> Iterator[Leak]:
    """Find things with rows on both sides whose targets are alike."""
    frames = list(parts.items())
    held = [decoded(frame, frame.position(column)) for _, frame in frames]
    codes = [values_of(each) for each in held]
    values = np.concatenate(list(targets))
    explained = _explained(np.concatenate(codes), values)
    if explained < _SHARED:
        return
    numbers = [moments(each) for each in held if each.texts is None]
    if numbers and _smooth(np.concatenate([each for each in numbers if each is not None]), values):
        return  # near numbers have near targets: it measures something, and names nothing
    (earlier, _), *_, (later, frame) = frames
    both = int(np.isin(codes[-1], codes[0]).sum())
    if both:
        yield Leak(
            "group",
            (column,),
            both,
            f"{both:,} of {frame.rows:,} rows of {later} have a {column} that {earlier} has too, "
            f"and rows of one {column} have like targets ({explained:.0%} of the variance).",
            f"Keep them together: --split group --by {column}.",
        )


def _explained(codes: Hashes, values: npt.NDArray[np.float64]) -> float:
    """Measure how much of a target's variance groups explain beyond chance; 0.0 where chance may do it."""
    held = np.isfinite(values)
    codes, values = codes[held], values[held]
    _, group, counts = np.unique(codes, return_inverse=True, return_counts=True)
    groups, rows = counts.size, values.size
    total = float(((values - values.mean()) ** 2).sum()) if rows else 0.0
    if total == 0.0 or groups < 2 or rows <= groups + 1:  # noqa: PLR2004 - nothing to compare
        return 0.0
    means = np.bincount(group, values) / counts
    within = float(((values - means[group]) ** 2).sum())
    error = within / (rows - groups)
    share = (total - within - (groups - 1) * error) / (total + error)
    # F is near normal for many groups: mean 1, variance about 2 / (groups - 1) + 2 / (rows - groups).
    ratio = (total - within) / (groups - 1) / error if error else math.inf
    spread = math.sqrt(2 / (groups - 1) + 2 / (rows - groups))
    return share if (ratio - 1) / spread > _SURE else 0.0


def _smooth(numbers: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> bool:
    """Tell whether targets of neighbouring numbers are alike."""
    held = np.isfinite(numbers) & np.isfinite(values)
    _, group, counts = np.unique(numbers[held], return_inverse=True, return_counts=True)
    means = np.bincount(group, values[held]) / counts
    return _neighbours(np.arange(means.size, dtype=np.float64), means) > 0


def _time(
    parts: Mapping[str, Frame], column: str, targets: Sequence[npt.NDArray[np.float64]]
) -> Iterator[Leak]:
    """Find a target that is like its neighbours in time, in parts that overlap in time."""
    found = [moments(decoded(frame, frame.position(column))) for frame in parts.values()]
    times = [each for each in found if each is not None]
    if len(times) < len(found):
        return
    alike = _neighbours(np.concatenate(times), np.concatenate(list(targets)))
    if alike < _ALIKE:
        return
    names = list(parts)
    latest = float(np.nanmax(times[0])) if np.isfinite(times[0]).any() else -math.inf
    later, last = names[-1], times[-1]
    early = int(np.count_nonzero(last < latest))
    if early:
        yield Leak(
            "time",
            (column,),
            early,
            f"{early:,} of {last.size:,} rows of {later} are earlier than the last of "
            f"{names[0]}, and the target is like that of its neighbours in {column} "
            f"(autocorrelation {alike:.2f}): {names[0]} holds their future.",
            f"Test on later rows: --split time --by {column}.",
        )


def _neighbours(times: npt.NDArray[np.float64], values: npt.NDArray[Any]) -> float:
    """Correlate each target with the next one in time; 0.0 where chance may do it."""
    held = np.isfinite(times) & np.isfinite(values)
    ordered = values[held][np.argsort(times[held], kind="stable")]
    if ordered.size < 30 or ordered.std() == 0:  # noqa: PLR2004 - too few to tell
        return 0.0
    centred = ordered - ordered.mean()
    alike = float((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
    return alike if alike * math.sqrt(ordered.size) > _SURE else 0.0
