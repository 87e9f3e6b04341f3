"""Rules of service that a project sets itself: how slow, how faulty, how old a model may be.

[tool.mlops_magics.slo]
p99 = "50ms"
errors = 0.01
age = "90d"

[tool.mlops_magics.slo.churn]     # of one endpoint; what it leaves out is as above
p99 = "20ms"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError, nearest

_KEYS: Final = ("p99", "errors", "age")
_TABLE: Final = "[tool.mlops_magics.slo]"
_MILLISECONDS: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s)?")


@dataclass(frozen=True, slots=True)
class Slo:
    """The rules of one endpoint; None where there is none.

    Attributes:
        p99: In how many milliseconds 99 of 100 requests must be answered.
        errors: Which share of the requests may fail through no fault of theirs.
        age: How many seconds old a model may be.
    """

    p99: float | None = None
    errors: float | None = None
    age: float | None = None


def slo_of(table: Mapping[str, Any], endpoint: str) -> Slo:
    """Read the rules of an endpoint.

    Args:
        table: What the project says, with a table of its own for an endpoint that differs.
        endpoint: The endpoint's name.

    Raises:
        UsageError: A rule is not understood.
    """
    own = table.get(endpoint)
    told = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    told |= own if isinstance(own, Mapping) else {}
    for key in told:
        if key not in _KEYS:
            raise UsageError(f"{_TABLE} knows no rule '{key}'.", nearest(key, _KEYS) or f"It knows {_KEYS}.")
    return Slo(
        p99=None if "p99" not in told else _milliseconds(told["p99"]),
        errors=None if "errors" not in told else _share(told["errors"]),
        age=None if "age" not in told else seconds(str(told["age"]), "age"),
    )


def _milliseconds(value: object) -> float:
    read = _MILLISECONDS.fullmatch(str(value).strip())
    if read is None or isinstance(value, bool) or not float(read[1]) > 0:
        raise UsageError(f"p99 in {_TABLE} cannot be {value!r}.", 'Write p99 = "50ms".')
    return float(read[1]) * (1000 if read[2] == "s" else 1)


def _share(value: object) -> float:
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise UsageError(f"errors in {_TABLE} cannot be {value!r}.", 'Write errors = 0.01, or "1%".')
    return share
