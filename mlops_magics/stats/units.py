"""Was a column's unit changed: its quantiles are those of before, times a factor that units know."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops_magics.artifact.reference import Bins
from mlops_magics.artifact.rules import PROBABILITIES

_FACTORS: Final[tuple[tuple[float, str, str], ...]] = (
    (1000.0, "kilometres to metres, or seconds to milliseconds", "metres to kilometres, or to thousands"),
    (100.0, "a share to per cent, or metres to centimetres", "per cent to a share, or centimetres to metres"),
    (60.0, "hours to minutes, or minutes to seconds", "minutes to hours, or seconds to minutes"),
    (1.609344, "miles to kilometres", "kilometres to miles"),
    (1 / 0.3048, "metres to feet", "feet to metres"),
    (1 / 0.45359237, "kilograms to pounds", "pounds to kilograms"),
    (2.54, "inches to centimetres", "centimetres to inches"),
    (10.0, "centimetres to millimetres", "millimetres to centimetres"),
    (24.0, "days to hours", "hours to days"),
    (3600.0, "hours to seconds", "seconds to hours"),
    (86400.0, "days to seconds", "seconds to days"),
    (1e6, "millions to ones, or seconds to microseconds", "ones to millions, or microseconds to seconds"),
    (1e9, "seconds to nanoseconds", "nanoseconds to seconds"),
    (12.0, "years to months, or feet to inches", "months to years, or inches to feet"),
    (7.0, "weeks to days", "days to weeks"),
    (365.0, "years to days", "days to years"),
    (1440.0, "days to minutes", "minutes to days"),
    (52.0, "years to weeks", "weeks to years"),
    (16.0, "pounds to ounces", "ounces to pounds"),
    (1.852, "knots to kilometres an hour", "kilometres an hour to knots"),
    (1.852 / 3.6, "knots to metres a second", "metres a second to knots"),
    (3.6, "metres a second to kilometres an hour", "kilometres an hour to metres a second"),
    (3.6 / 1.609344, "metres a second to miles an hour", "miles an hour to metres a second"),
    (25.4, "inches to millimetres", "millimetres to inches"),
    (28.349523125, "ounces to grams", "grams to ounces"),
    (3.785411784, "gallons to litres", "litres to gallons"),
    (33.8638866667, "inches of mercury to hectopascals", "hectopascals to inches of mercury"),
    (4.184, "calories to joules", "joules to calories"),
    (1024.0, "kibibytes to bytes", "bytes to kibibytes"),
    (1024.0**2, "mebibytes to bytes", "bytes to mebibytes"),
    (180 / math.pi, "radians to degrees", "degrees to radians"),
)
_SHIFTED: Final[tuple[tuple[float, float, str], ...]] = (
    (1.8, 32.0, "degrees Celsius to Fahrenheit"),
    (1 / 1.8, -32 / 1.8, "degrees Fahrenheit to Celsius"),
    (1.0, 273.15, "degrees Celsius to kelvin"),
    (1.0, -273.15, "kelvin to degrees Celsius"),
    (1 / 1.8, 459.67 / 1.8, "degrees Fahrenheit to kelvin"),
    (1.8, -459.67, "kelvin to degrees Fahrenheit"),
    (-1.0, 0.0, "a number to its opposite: the sign is turned"),
)
_FEWEST = 30  # values below which a distribution says too little
_LEVELS = 5  # quantiles that must differ: a column of mostly zeros has no scale to see
_COARSE = 100  # different values below which each of them holds a good part of the rows
_LOOKED_AT = 2_000
_APART = 0.08  # how far apart distributions are before a reason is looked for
_SURE = 2.5  # times the error of chance: exceeded once in 100,000 equal tables
_FITS = 0.03  # how near the distribution must come to the old one once it is converted
_LIKELY = 1.6  # times the error of chance: what 99 of 100 equal tables keep within
_NEARER = 1.2  # times that error, by a factor near 1, by which a column may as well have grown
_SMALL = 2.0  # what is near
_ALIKE = 1.5  # times the error of chance: what tells two conversions apart
_CLOSE = 1.0  # the same where the old values are known by their bins
_BETTER = 3.0  # and how much nearer than without converting it
_FEW = 2  # quantiles that must differ where the old values are known by their bins
_HEAVY = 0.5  # of the rows in one bin: most are zero, and the others alone tell the unit
_FAR = 5.0  # a factor from which on values of the same shape were rather converted than grew
_UNKNOWN = "a factor that no usual unit has, but all values went by it"
_WHOLE = 1e-6  # by which a number may miss a whole one
_NEAR = 1e-9  # relative error of a number that was converted and back


@dataclass(frozen=True, slots=True)
class UnitChange:
    """A conversion that explains how a column changed.

    Attributes:
        factor: What the old values were multiplied by.
        offset: What was then added.
        words: The conversion in words.
        before: How far apart the distributions are, 0 to 1.
        after: How far apart they are once the old one is converted.
    """

    factor: float
    offset: float
    words: str
    before: float
    after: float


def quantiles(values: npt.NDArray[Any]) -> tuple[float, ...] | None:
    """Take a column's quantiles at ``PROBABILITIES``.

    Args:
        values: Its finite values.

    Returns:
        The quantiles; None where there are too few values to speak of a distribution.
    """
    if values.size < _FEWEST:
        return None
    # Values that are really there: of whole numbers, several quantiles may be one.
    return tuple(float(each) for each in np.quantile(values, PROBABILITIES, method="nearest"))


def unit_change(old: Sequence[float], rows: int, values: npt.NDArray[Any]) -> UnitChange | None:
    """Find the conversion that a column went through.

    Args:
        old: The quantiles it had.
        rows: How many values these were taken from.
        values: Finite values that it has now.

    Returns:
        The conversion; None where the column is as it was, or changed in a way that no unit explains.
    """
    new = quantiles(values)
    return None if new is None else conversion(old, rows, new, values.size, coarse=is_coarse(values))


def is_coarse(values: npt.NDArray[Any]) -> bool:
    """Tell whether a column has so few different values that each holds a good part of the rows."""
    return bool(np.unique(values[:_LOOKED_AT]).size < _COARSE)


def conversion(
    old: Sequence[float], rows: int, new: Sequence[float], count: int, *, coarse: bool
) -> UnitChange | None:
    """Find the conversion between two distributions of which only the quantiles are known.

    Args:
        old: The quantiles of before.
        rows: How many values these were taken from.
        new: The quantiles of now.
        count: How many values these were taken from.
        coarse: Whether there are few different values.

    Returns:
        The conversion; None where nothing changed, or in a way that no unit explains.
    """
    if min(len(set(old)), len(set(new))) < _LEVELS or min(rows, count) < _FEWEST:
        return None
    chance = math.sqrt(1 / max(rows, 1) + 1 / count)
    return _found(
        lambda factor, offset: _apart(_converted(old, factor, offset), new, coarse=coarse),
        chance,
        tuple(_conversions()),
        alike=_ALIKE,
        near=None,
    )


def conversion_of(bins: Bins, new: Sequence[float], count: int, *, whole: bool = False) -> UnitChange | None:
    """Find the conversion between a column that is known by its bins, and quantiles of now.

    A value may lie anywhere in its bin, which is never wider than it must be: so numbers of few values, and
    of few bins, are converted as surely as others. Where most rows hold one value, the others are looked at.
    Of few such values a factor near 1 says nothing. Where no conversion that is known fits, any one factor
    does that is far from 1.

    Args:
        bins: The values of before.
        new: The quantiles of now.
        count: How many values these were taken from.
        whole: Whether the values of before were whole numbers, by which conversions are told apart.

    Returns:
        The conversion; None where nothing changed, or in another way.
    """
    rows = sum(bins.counts)
    if len(set(new)) < _FEW or min(rows, count) < _FEWEST:
        return None
    reached = np.concatenate([[0.0], np.cumsum(bins.counts) / rows])
    heavy = max(bins.counts) / rows
    share = 1 - heavy if heavy >= _HEAVY else 1.0
    if share * rows < 1:
        return None
    known = [each for each in _conversions() if share == 1 or not 1 / _SMALL < each[0] < _SMALL]
    for conversions in (known, _unknown(bins, reached, new)):
        found = _found(
            lambda factor, offset: _off_bins(bins, reached, new, factor, offset) / share,
            math.sqrt((1 / rows + 1 / count) / share),
            conversions,
            _whole(new) if whole else None,
        )
        if found is not None:
            return found
    return None


def _unknown(
    bins: Bins, reached: npt.NDArray[np.float64], new: Sequence[float]
) -> list[tuple[float, float, str]]:
    """Take the one factor by which a value in the middle went, where it is far from 1."""
    place, then = _middle(bins, reached, new)
    factor = new[place] / then if then else 1.0
    if factor <= 0 or 1 / _FAR < factor < _FAR or not math.isfinite(factor):
        return []
    return [(factor, 0.0, _UNKNOWN)]


def _whole(new: Sequence[float]) -> Callable[[UnitChange], bool]:
    """Make what tells whether values, converted back, are whole numbers."""

    def fits(change: UnitChange) -> bool:
        back = (np.asarray(new) - change.offset) / change.factor
        return bool((np.abs(back - np.round(back)) <= _WHOLE * np.maximum(1.0, np.abs(back))).all())

    return fits


def _middle(bins: Bins, reached: npt.NDArray[np.float64], new: Sequence[float]) -> tuple[int, float]:
    """Choose the quantile in the middle of those that differ, and say where it was."""
    held = [place for place, value in enumerate(new) if new.count(value) == 1] or [len(new) // 2]
    place = min(held, key=lambda each: abs(PROBABILITIES[each] - 0.5))
    ends = np.asarray((bins.minimum, *bins.edges, bins.maximum))
    return place, float(np.interp(PROBABILITIES[place], reached, ends))


def off_bins(bins: Bins, new: Sequence[float]) -> float:
    """Measure how far quantiles lie from the bins in which they would be if nothing had changed, at most.

    Args:
        bins: The values of before.
        new: The quantiles of now.
    """
    reached = np.concatenate([[0.0], np.cumsum(bins.counts) / max(sum(bins.counts), 1)])
    return _off_bins(bins, reached, new, 1.0, 0.0)


def _off_bins(
    bins: Bins, reached: npt.NDArray[np.float64], new: Sequence[float], factor: float, offset: float
) -> float:
    """Do so of quantiles that are converted back."""
    values, places = (np.asarray(new) - offset) / factor, np.asarray(PROBABILITIES)
    if factor < 0:
        places = 1 - places
    slack = np.abs(values) * _NEAR
    low, high = (_reached(bins, reached, each) for each in (values - slack, values + slack))
    return float(np.maximum(np.maximum(low[0] - places, places - high[1]), 0.0).max())


def _reached(
    bins: Bins, reached: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return between which shares of the old values each value lies: without its bin, and with it."""
    place = np.searchsorted(np.asarray(bins.edges), values, "right")
    # The least and the greatest are kept with seven digits, and chance goes a little beyond them.
    room = 1e-6 * max(abs(bins.minimum), abs(bins.maximum))
    below, above = values < bins.minimum - room, values > bins.maximum + room
    return (
        np.where(above, 1.0, np.where(below, 0.0, reached[place])),
        np.where(above, 1.0, np.where(below, 0.0, reached[place + 1])),
    )


def _found(
    apart: Callable[[float, float], float],
    chance: float,
    conversions: Sequence[tuple[float, float, str]],
    fits: Callable[[UnitChange], bool] | None = None,
    *,
    alike: float = _CLOSE,
    near: float | None = _NEARER,
) -> UnitChange | None:
    """Try conversions: the one after which the distributions are alike, if they are and were not.

    A factor near 1 must explain more exactly, within ``near`` times the error of chance, where that is given.
    """
    before = apart(1.0, 0.0)
    if before < max(_APART, _SURE * chance):
        return None
    tried = [
        UnitChange(factor, offset, words, before, apart(factor, offset))
        for factor, offset, words in conversions
    ]
    explaining = [each for each in tried if each.after < _allowed(each, chance, near)]
    if not explaining:
        return None
    best = min(each.after for each in explaining)
    # Of those that chance alone could order (1,000 and 1,024), the one that people use more.
    likely = [each for each in explaining if each.after <= best + alike * chance]
    return next((each for each in likely if fits is None or fits(each)), likely[0])


def _allowed(change: UnitChange, chance: float, near: float | None) -> float:
    """Say how far apart distributions may be after a conversion that is to explain them."""
    small = 1 / _SMALL < change.factor < _SMALL and not change.offset
    likely = max(_FITS, _LIKELY * chance) if near is None or not small else near * chance
    return min(likely, change.before / _BETTER)


def _conversions() -> Iterator[tuple[float, float, str]]:
    for factor, there, back in _FACTORS:
        yield factor, 0.0, there
        yield 1 / factor, 0.0, back
    yield from _SHIFTED


def _converted(old: Sequence[float], factor: float, offset: float) -> list[float]:
    return sorted(factor * each + offset for each in old)


def _apart(old: Sequence[float], new: Sequence[float], *, coarse: bool) -> float:
    """Measure how far the new quantiles lie from their place among the old ones, at most."""
    return max(
        _off(old, value, place, coarse=coarse) for value, place in zip(new, PROBABILITIES, strict=True)
    )


def _off(old: Sequence[float], value: float, place: float, *, coarse: bool) -> float:
    """Measure how far a probability lies from where the old distribution has a value.

    A value that is itself a quantile, one beyond them, and one of few, may cover all up to the next ones.
    """
    left = int(np.searchsorted(old, value, "left"))
    right = int(np.searchsorted(old, value, "right"))
    if coarse or right > left or left in {0, len(old)}:
        low = PROBABILITIES[left - 1] if left else 0.0
        high = PROBABILITIES[right] if right < len(old) else 1.0
    else:
        part = (value - old[left - 1]) / (old[left] - old[left - 1])
        low = high = PROBABILITIES[left - 1] + part * (PROBABILITIES[left] - PROBABILITIES[left - 1])
    return max(low - place, place - high, 0.0)
