"""Dates that are kept as text: how they are written, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

FORMATS: Final[tuple[str, ...]] = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
)
"""Ways to write a date, the surest first; ``%d/%m`` and ``%m/%d`` are told apart by days above 12."""

_ZONED: Final = r"^(.*\d:\d.*?)\s*([Zz]|[+-]\d{2}:?\d{2})$"
"""A moment of a day, and the time zone behind it."""
_EXAMPLE: Final = datetime(2024, 12, 31, 23, 59, 58, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKED_AT: Final = 1000


def written(texts: pl.Series, form: str) -> npt.NDArray[np.float64]:
    """Read texts as dates of one form.

    Args:
        texts: The texts, without gaps.
        form: One of ``FORMATS``.

    Returns:
        Microseconds since 1970; NaN where a text is written in another way.
    """
    if any(part in form for part in ("%H", "%M")):
        read = texts.str.to_datetime(form, strict=False, time_unit="us")
    else:
        read = texts.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return np.asarray(read.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy(), np.float64)


def form_of(texts: pl.Series) -> str | None:
    """Tell how a column of texts writes dates.

    Args:
        texts: The texts, without gaps.

    Returns:
        The one form that reads all of them; None where none does.
    """
    few = texts.head(_LOOKED_AT)
    if not len(few):
        return None
    for form in FORMATS:
        if not np.isnan(written(few, form)).any() and not np.isnan(written(texts, form)).any():
            return form
    return None


def parsed(texts: pl.Series) -> npt.NDArray[np.float64]:
    """Read texts as dates, each in the first way that reads it, the most frequent way first.

    Args:
        texts: The texts, without gaps. One that ends with a time zone, ``Z`` or ``+02:00``, is heeded.

    Returns:
        Microseconds since 1970, UTC where a zone is told; NaN where a text is no date.
    """
    zones = texts.str.extract(_ZONED, 2)
    bare = texts.zip_with(zones.is_null(), texts.str.extract(_ZONED, 1))
    few = bare.head(_LOOKED_AT)
    order = sorted(FORMATS, key=lambda form: int(np.isnan(written(few, form)).sum()))
    found = np.full(len(bare), np.nan)
    for form in order:
        left = np.flatnonzero(np.isnan(found))
        if not left.size:
            break
        found[left] = written(bare.gather(left), form)
    return found - _ahead(zones)


def _ahead(zones: pl.Series) -> npt.NDArray[np.float64]:
    """Say by how many microseconds zones are ahead of UTC; where there is none by nothing."""
    digits = zones.str.replace(":", "", literal=True)
    hours, minutes = (
        digits.str.slice(first, 2).cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
        for first in (1, 3)
    )
    sign = np.where(zones.str.starts_with("-").fill_null(value=False).to_numpy(), -1.0, 1.0)
    return np.asarray(sign * (hours * 3_600e6 + minutes * 60e6))


def example(form: str) -> str:
    """Show a form by an example: ``%Y-%m-%d`` is ``2024-12-31``."""
    return _EXAMPLE.strftime(form.replace("%.f", ".123456"))


def iso(micros: float) -> str:
    """Write microseconds since 1970 as ISO text, without the time of day where it is midnight."""
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:  # beyond the years that Python can write
        return f"{1970 + micros / 31_556_952e6:.0f}"
    text = moment.replace(tzinfo=None).isoformat(sep=" ")
    return text.removesuffix(" 00:00:00")


def micros(text: str) -> float:
    """Read ISO text as microseconds since 1970; a time zone is heeded, UTC where there is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) / timedelta(microseconds=1)
