"""Lengths of time, as people write them."""

from __future__ import annotations

import re
from typing import Final

from mlops_magics.foundation.errors import UsageError

_DURATION: Final = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
)
_SECONDS: Final = (86_400, 3_600, 60, 1)


def seconds(text: str, option: str) -> float:
    """Read a duration: ``90s``, ``10m``, ``1h30m``, ``7d``; a bare number is seconds.

    Args:
        text: What was written.
        option: The option that it was written for, as in ``--timeout``.

    Raises:
        UsageError: It is none, or not above zero.
    """
    read = _DURATION.fullmatch(str(text).strip().lower())
    parts = read.groups() if read else ()
    total = sum(float(part or 0) * size for part, size in zip(parts, _SECONDS, strict=False))
    if total <= 0:
        raise UsageError(f"{option} cannot be '{text}'.", "Write 90s, 10m, 1h30m or 7d.")
    return total
