"""Was a column's unit changed: its quantiles are those of before, times a factor that units know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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
_ALIKE = 1.5  # times the error of chance: what tells two conversions apart
_BETTER = 3.0  # and how much nearer than without converting it


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
    before = _apart(old, new, coarse=coarse)
    if before < max(_APART, _SURE * chance):
        return None
    tried = [
        UnitChange(factor, offset, words, before, _apart(_converted(old, factor, offset), new, coarse=coarse))
        for factor, offset, words in _conversions()
    ]
    best = min(each.after for each in tried)
    if best >= min(max(_FITS, _LIKELY * chance), before / _BETTER):
        return None
    # Of those that chance alone could order (1,000 and 1,024), the one that people use more.
    return next(each for each in tried if each.after <= best + _ALIKE * chance)


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
