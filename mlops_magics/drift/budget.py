"""How many false alarms somebody bears: so many in a length of time, or in a number of windows."""

from __future__ import annotations

import re
from typing import Final

from mlops_magics.foundation.errors import UsageError

_SECONDS: Final = {
    "hour": 3_600.0,
    "day": 86_400.0,
    "week": 604_800.0,
    "month": 2_629_746.0,  # a twelfth of a mean year
    "quarter": 7_889_238.0,
    "year": 31_556_952.0,
}
_FORM: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(?:([a-z]+)|(\d+))")
_MOST: Final = 0.5  # false alarms a window: with more there is nothing to solve
_REMEDY: Final = "Write 1/month, 2/week or 1/year; or 1/100 for one in a hundred windows."


def rate_of(budget: str, seconds: float | None) -> float:
    """Turn a budget into a rate: false alarms a window.

    Args:
        budget: ``1/month``, ``2/week``, ``1/day``; ``1/100`` is one in a hundred windows.
        seconds: How long a window is; None where windows have no length, as a single table has none.

    Raises:
        UsageError: It is no budget, it needs the length of a window, or more than every other window may
            alarm falsely.
    """
    read = _FORM.fullmatch(str(budget).strip().lower())
    if read is None or float(read[1]) <= 0 or (read[2] and read[2].removesuffix("s") not in _SECONDS):
        raise UsageError(f"'{budget}' is no budget of false alarms.", _REMEDY)
    count = float(read[1])
    if read[3]:
        rate = count / max(int(read[3]), 1)
    elif seconds is None or seconds <= 0:
        raise UsageError(
            f"'{budget}' is so many in a length of time, and nobody said how long a window is.",
            "Say it (--window 1h), or count in windows: 1/100.",
        )
    else:
        rate = count * seconds / _SECONDS[read[2].removesuffix("s")]
    if rate > _MOST:
        raise UsageError(
            f"'{budget}' would let {rate:.1f} of each window be a false alarm.",
            f"Allow fewer false alarms, or take shorter windows. {_REMEDY}",
        )
    return rate
