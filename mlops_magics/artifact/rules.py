"""What one column of a contract must be, and how that is read from JSON without believing anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, NoReturn, get_args

from mlops_magics.foundation.errors import MLOpsError, nearest

RuleKind = Literal["boolean", "integer", "number", "date", "duration", "string", "any"]
Scalar = str | int | float | bool

KINDS: Final[frozenset[str]] = frozenset(get_args(RuleKind))
PROBABILITIES: Final[tuple[float, ...]] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Where ``ColumnRule.quantiles`` are taken."""

_REMEDY = "Make the contract again with %mlops_prepare DATA --contract NAME, or restore the file."


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What a column must be. A rule that is at its default asks for nothing.

    Attributes:
        name: The column's name as text; the second "x" is "x#1".
        kind: What its values are; "integer" also takes floats that are whole, "number" takes integers.
        nullable: The largest share of rows without a value; 0.0 for a column that always has one.
        minimum: The least value: a number, or ISO text for a date.
        maximum: The greatest.
        allowed: The values that were seen, where they are few; None where any value goes.
        closed: Whether another value is an error. Where rare values were still turning up it is not: then
            a few unseen ones are expected, and more than these are a warning. Of few rows each one is.
        unseen: The share of rows with unseen values that is expected, where the list is not closed.
        unique: Whether no value may occur twice: a key.
        shape: How each text is made: ``a`` for a run of letters, ``9`` for one of digits, all else as it is.
        lengths: The least and the greatest length of a text.
        format: How dates are written, where they are kept as text: ``%Y-%m-%d``.
        past: Whether a date may not lie in the future.
        quantiles: The distribution at ``PROBABILITIES``, by which a change of unit is found.
        personal: Whether the values look personal: then none of them is in the contract or in a message.
        optional: Whether rows may come without the column: it is the target, or no model uses it.
    """

    name: str
    kind: RuleKind = "any"
    nullable: float = 1.0
    minimum: float | str | None = None
    maximum: float | str | None = None
    allowed: tuple[Scalar, ...] | None = None
    closed: bool = True
    unseen: float = 0.0
    unique: bool = False
    shape: str | None = None
    lengths: tuple[int, int] | None = None
    format: str | None = None
    past: bool = False
    quantiles: tuple[float, ...] | None = None
    personal: bool = False
    optional: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, in the order of the fields, as JSON types."""
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING or value != item.default:
                found[item.name] = list(value) if isinstance(value, tuple) else value
        return found

    @classmethod
    def from_dict(cls, told: object, where: str) -> ColumnRule:
        """Read a rule.

        Args:
            told: What the JSON file holds in its place.
            where: The file and the place, for the sentence.

        Raises:
            MLOpsError: A key is unknown or missing, or a value is not of its type.
        """
        if not isinstance(told, dict):
            refuse(where, "is not an object")
        name = told.get("name")
        if not isinstance(name, str):
            refuse(where, "has no name that is a text")
        where = f"{where} ('{name[:60]}')"
        if unknown := sorted(told.keys() - _READERS.keys()):
            refuse(where, f"has the unknown key '{unknown[0][:60]}'", nearest(unknown[0], _READERS))
        made = cls(**{key: _READERS[key](value, f"{key} of {where}") for key, value in told.items()})
        _consistent(made, where)
        return made


def refuse(where: str, what: str, hint: str = "") -> NoReturn:
    """Raise the error of a contract that cannot be read.

    Args:
        where: The file and the place.
        what: What is wrong there.
        hint: What was probably meant.
    """
    raise MLOpsError(f"{where} {what}.", f"{hint} {_REMEDY}".strip())


def number(value: object, where: str) -> float:
    """Read a finite number; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        refuse(where, "is not a number")
    return value


def text(value: object, where: str) -> str:
    """Read a text."""
    if not isinstance(value, str):
        refuse(where, "is not a text")
    return value


def whole(value: object, where: str) -> int:
    """Read a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        refuse(where, "is not a whole number")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        refuse(where, "is neither true nor false")
    return value


def _share(value: object, where: str) -> float:
    found = number(value, where)
    if not 0 <= found <= 1:
        refuse(where, "is not between 0 and 1")
    return found


def _kind(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in KINDS:
        refuse(where, f"is not one of {', '.join(sorted(KINDS))}")
    return value


def _bound(value: object, where: str) -> float | str:
    if not isinstance(value, str):
        return number(value, where)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        refuse(where, "is neither a number nor a date in ISO form")
    return value


def _scalars(value: object, where: str) -> tuple[Scalar, ...]:
    return tuple(
        item if isinstance(item, str | bool) else number(item, f"a value in {where}")
        for item in _listed(value, where)
    )


def _numbers(value: object, where: str) -> tuple[float, ...]:
    found = tuple(number(item, f"a value in {where}") for item in _listed(value, where))
    if len(found) != len(PROBABILITIES) or list(found) != sorted(found):
        refuse(where, f"is not a list of {len(PROBABILITIES)} rising numbers")
    return found


def _lengths(value: object, where: str) -> tuple[int, int]:
    found = [whole(item, f"a value in {where}") for item in _listed(value, where)]
    if len(found) != 2 or found[0] > found[1]:  # noqa: PLR2004 - the least and the greatest
        refuse(where, "is not the least and the greatest length")
    return found[0], found[1]


def _listed(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(where, "is not a list")
    return value


_READERS: Mapping[str, Callable[[object, str], Any]] = {
    "name": text,
    "kind": _kind,
    "nullable": _share,
    "minimum": _bound,
    "maximum": _bound,
    "allowed": _scalars,
    "closed": _flag,
    "unseen": _share,
    "unique": _flag,
    "shape": text,
    "lengths": _lengths,
    "format": text,
    "past": _flag,
    "quantiles": _numbers,
    "personal": _flag,
    "optional": _flag,
}

_DATES = frozenset({"date", "any"})
_NUMBERS = frozenset({"integer", "number", "duration"})


def _consistent(rule: ColumnRule, where: str) -> None:
    """Refuse rules that no value could meet, or that speak of another kind."""
    low, high = rule.minimum, rule.maximum
    for bound in (low, high):
        if bound is not None and rule.kind not in (_DATES if isinstance(bound, str) else _NUMBERS):
            refuse(where, f"bounds a {rule.kind} by {'a date' if isinstance(bound, str) else 'a number'}")
    if low is not None and high is not None and _place(low) > _place(high):
        refuse(where, "has a minimum above its maximum")
    if rule.personal and (rule.allowed is not None or rule.quantiles is not None):
        refuse(where, "looks personal and yet lists values")


def _place(bound: float | str) -> float:
    """Bring a number or a date to a number that can be compared with another of its kind."""
    if not isinstance(bound, str):
        return bound
    moment = datetime.fromisoformat(bound).replace(tzinfo=None)
    return (moment - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - bounds have no zone: they are in UTC
