"""The filter of the runs table: ``forest auc>0.8 model=linear,forest status=failed``.

Terms stand beside each other and all must fit. A bare word is looked for in the run's name; otherwise a
column, a sign and a value. Quotes keep spaces together. Nothing of it is evaluated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.sentences import Sentence

LONGEST: Final = 2_000  # characters of a filter
Value = str | float | None

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(
    rf'(?P<key>{_QUOTED}|[^\s"<>=!]+)(?P<sign>>=|<=|!=|==?|>|<)'
    rf'(?P<values>(?:{_QUOTED}|[^\s",]+)(?:,(?:{_QUOTED}|[^\s",]+))*)(?=\s|$)'
    rf"|(?P<text>{_QUOTED}(?=\s|$)|\S+)"
)
_VALUE = re.compile(rf'{_QUOTED}|[^\s",]+')
_SIGN = re.compile(r"[<>=!]")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d)")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition.

    Attributes:
        key: The column as it was written; "" for a text in the run's name.
        sign: ``=``, ``!=``, ``>``, ``<``, ``>=`` or ``<=``.
        values: What it is compared with: one, or several of which any may be equal.
    """

    key: str
    sign: str
    values: tuple[str, ...]

    def fits(self) -> Callable[[Value], bool]:
        """Make the test of one value; a run without the value fits only ``!=``.

        Raises:
            UsageError: The sign asks for a number, and there is none.
        """
        if not self.key:
            text = self.values[0].lower()
            return lambda value: text in str(value).lower()
        if self.sign in _ORDER:
            compare, bound = _ORDER[self.sign], self._bound()
            return lambda value: (held := number(value)) is not None and compare(held, bound)
        numbers = {held for value in self.values if (held := number(value)) is not None}
        texts = {value.lower() for value in self.values}
        wanted = self.sign == "="

        def equal(value: Value) -> bool:
            if value is None:
                return not wanted
            return (number(value) in numbers or str(value).lower() in texts) is wanted

        return equal

    def _bound(self) -> float:
        found = number(self.values[0]) if len(self.values) == 1 else None
        if found is None and self.key == "duration" and (span := _SPAN.fullmatch(self.values[0])):
            found = float(span[1]) * _UNITS[span[2]]
        if found is None:
            raise UsageError(
                Sentence("%1 needs one number.", f"{self.key}{self.sign}"),
                Sentence("Write a number after it: %1", f"{self.key}{self.sign}0.8"),
            )
        return found


def parsed(text: str) -> tuple[Term, ...]:
    """Read a filter.

    Args:
        text: What the user wrote.

    Returns:
        Its terms, all of which must fit.

    Raises:
        UsageError: It is too long, or a column or a value is missing beside a sign.
    """
    if len(text) > LONGEST:
        raise UsageError(
            Sentence("The filter is longer than %1 characters.", f"{LONGEST:,}"), Sentence("Shorten it.")
        )
    return tuple(_term(found) for found in _TERM.finditer(text))


def number(value: Value) -> float | None:
    """Read a value as a finite number; None where it is none."""
    if isinstance(value, float | int):
        return float(value)
    try:
        found = float(value) if value is not None else None
    except ValueError:
        return None
    return found if found is not None and found - found == 0 else None


def written(text: str) -> str:
    """Write a name or a value so that a filter reads it as one."""
    if text and not re.search(r'[\s",<>=!\\]', text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _term(found: re.Match[str]) -> Term:
    if (text := found["text"]) is not None:
        if not text.startswith('"') and _SIGN.search(text):
            raise UsageError(
                Sentence("'%1' is not complete.", text[:60]),
                Sentence("Write a column, a sign and a value: %1 or %2", "auc>0.8", "model=forest"),
            )
        return Term("", "=", (_bare(text),))
    return Term(
        _bare(found["key"]),
        found["sign"].replace("==", "="),
        tuple(_bare(value) for value in _VALUE.findall(found["values"])),
    )


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if quoted else text
