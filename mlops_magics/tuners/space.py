"""Where a search may look: ``max_depth=2..8, eta=0.01..0.3 log, kind=a|b, gamma=0..1 if kind=b``.

A space is parsed, never evaluated: what is written is numbers, words and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from mlops_magics.foundation.errors import UsageError, nearest

Value = str | int | float | bool | None

_NUMBER: Final = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+(log)|\s+step\s+({_NUMBER}))?")
_ITEM: Final = re.compile(r"(\w+)\s*=\s*(.+?)(?:\s+if\s+(\w+)\s*=\s*(.+))?")
_WORDS: Final = {"none": None, "true": True, "false": False}
_HOW: Final = (
    "Write NAME=2..8 for a range, NAME=0.01..0.3 log, NAME=10..100 step 10, NAME=a|b|none for choices, "
    "NAME=0..1 if OTHER=a for a condition, with commas between."
)


class Chooser(Protocol):
    """What a value is asked from: a trial of Optuna's."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Choose a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Choose a number."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Choose one of some values."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one parameter may be.

    Attributes:
        name: The parameter, as the estimator calls it.
        kind: "int" and "float" for a range, "choice" for values.
        low: The least value of a range.
        high: The greatest.
        step: How far apart values lie; None for any distance.
        log: Whether a factor rather than a difference counts.
        values: The choices.
        when: The parameter that it hangs on, and the values of that with which it is looked for.
    """

    name: str
    kind: Literal["int", "float", "choice"]
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    values: tuple[Value, ...] = ()
    when: tuple[str, tuple[Value, ...]] | None = None

    def asked(self, chooser: Chooser, prefix: str) -> Value:
        """Let a trial choose a value.

        Args:
            chooser: The trial.
            prefix: What stands before the name in the study.
        """
        name = f"{prefix}{self.name}"
        if self.kind == "choice":
            return chooser.suggest_categorical(name, self.values)
        if self.kind == "int":
            step = int(self.step or 1)
            return chooser.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        return chooser.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def holds(self, value: object) -> bool:
        """Tell whether a value is one that may be chosen."""
        if self.kind == "choice":
            return any(type(value) is type(each) and value == each for each in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        whole = self.kind == "float" or float(value).is_integer()
        even = self.step is None or math.isclose((value - self.low) % self.step % self.step, 0, abs_tol=1e-9)
        return whole and even and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.kind == "choice":
            text = "|".join(str(value) for value in self.values)
        else:
            text = f"{self.low}..{self.high}"
            text += " log" if self.log else f" step {self.step}" if self.step else ""
        hangs = "" if self.when is None else f" if {self.when[0]}={'|'.join(map(str, self.when[1]))}"
        return f"{self.name}={text}{hangs}"


@dataclass(frozen=True, slots=True)
class Space:
    """What the parameters of an estimator may be.

    Attributes:
        dimensions: The parameters; one that hangs on another comes after it.
    """

    dimensions: tuple[Dimension, ...]

    def asked(self, chooser: Chooser, prefix: str = "") -> dict[str, Value]:
        """Let a trial choose a value for each parameter that is looked for.

        Args:
            chooser: The trial.
            prefix: What stands before each name in the study.

        Returns:
            Values by the estimator's parameter.
        """
        found: dict[str, Value] = {}
        for each in self.dimensions:
            if _wanted(each, found):
                found[each.name] = each.asked(chooser, prefix)
        return found

    def of(self, params: Mapping[str, Any]) -> tuple[dict[str, Value], bool]:
        """Take from an estimator's own parameters those that lie in the space.

        Args:
            params: What ``get_params`` returns.

        Returns:
            Values by parameter, and whether they are all that is looked for.
        """
        found: dict[str, Value] = {}
        whole = True
        for each in self.dimensions:
            if _wanted(each, found):
                if each.holds(params.get(each.name)):
                    found[each.name] = params[each.name]
                else:
                    whole = False
        return found, whole

    def __str__(self) -> str:
        return ", ".join(map(str, self.dimensions))


def parse(text: str, names: Iterable[str], last: str = "") -> Space:
    """Read a space.

    Args:
        text: What the user wrote.
        names: The estimator's parameters.
        last: What stands before the parameters of its last step: ``model__``.

    Returns:
        The space.

    Raises:
        UsageError: It is not understood, or no parameter has that name.
    """
    known = tuple(names)
    found: dict[str, Dimension] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        each = _dimension(part.strip(), known, last)
        if each.name in found:
            raise UsageError(f"--space names {each.name} twice.", "Leave one of them out.")
        if each.when is not None:
            _checked_condition(each, found)
        found[each.name] = each
    if not found:
        raise UsageError("--space is empty.", _HOW)
    return Space(tuple(found.values()))


def short(name: str) -> str:
    """Return the last part of a parameter's name: ``max_depth`` of ``pipeline__model__max_depth``."""
    return name.rpartition("__")[2]


def _wanted(each: Dimension, found: Mapping[str, Value]) -> bool:
    return each.when is None or (each.when[0] in found and found[each.when[0]] in each.when[1])


def _checked_condition(each: Dimension, found: Mapping[str, Dimension]) -> None:
    name, values = each.when or ("", ())
    if name not in found or found[name].kind != "choice":
        raise UsageError(
            f"--space: {short(each.name)} hangs on {short(name)}, which is no choice before it.",
            f"Write {short(name)}=a|b before {short(each.name)}=... if {short(name)}=a.",
        )
    for value in values:
        if not found[name].holds(value):
            raise UsageError(
                f"--space: {short(name)} is never {value}, so that {short(each.name)} is never looked for.",
                f"{short(name)} is one of {'|'.join(map(str, found[name].values))}.",
            )


def _dimension(part: str, known: Sequence[str], last: str) -> Dimension:
    read = _ITEM.fullmatch(part)
    if read is None:
        raise UsageError(f"--space is not understood at '{part}'.", _HOW)
    name, spec, other, values = read.groups()
    name = _resolved(name, known, last)
    when = None if other is None else (_resolved(other, known, last), _choices(values, part))
    if ".." not in spec:
        return Dimension(name, "choice", values=_choices(spec, part), when=when)
    bounds = _RANGE.fullmatch(spec.strip())
    if bounds is None:
        raise UsageError(f"--space is not understood at '{part}'.", _HOW)
    lower, upper, log, distance = bounds.groups()
    low, high, step = _number(lower), _number(upper), None if distance is None else _number(distance)
    if low > high or not math.isfinite(high - low) or (log and low <= 0) or (step is not None and step <= 0):
        raise UsageError(
            f"--space has no values at '{part}'.",
            "The first bound is the lesser one; with log it is above zero; a step is above zero.",
        )
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(step, float)
    return Dimension(name, "int" if whole else "float", low, high, step, log=bool(log), when=when)


def _resolved(name: str, known: Sequence[str], last: str) -> str:
    """Find the parameter that a name means: itself, one of the last step's, or the only one of that name."""
    if name in known:
        return name
    if f"{last}{name}" in known:
        return f"{last}{name}"
    ends = [each for each in known if each.endswith(f"__{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(
            f"--space: {name} is the name of {len(ends)} parameters.", f"Write one of {', '.join(ends[:4])}."
        )
    raise UsageError(
        f"--space: the pipeline has no parameter '{name}'.", nearest(name, [short(each) for each in known])
    )


def _choices(text: str, part: str) -> tuple[Value, ...]:
    words = [word.strip() for word in text.split("|")]
    if not all(words) or "=" in text:
        raise UsageError(f"--space is not understood at '{part}'.", _HOW)
    return tuple(dict.fromkeys(_value(word) for word in words))


def _value(word: str) -> Value:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    return _number(word) if re.fullmatch(_NUMBER, word) else word.strip("'\"")


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
