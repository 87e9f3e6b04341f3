"""When to retrain: a condition in words, read by a grammar of its own and never evaluated as code.

    condition   = both { "or" both }
    both        = one { "and" one }
    one         = "not" one | "(" condition ")" | test
    test        = "new data" | NAME | NAME compared VALUE
    compared    = "<" | "<=" | ">" | ">=" | "==" | "!="
    VALUE       = a number, a number with % (a hundredth), or a length of time: 90s, 10m, 1h30m, 7d, 2w, 250ms

A NAME is a fact: ``drift``, ``age``, ``rows``, ``errors``, ``p99``, or the name of a metric such as ``auc``.
A fact that nobody knows makes its test neither true nor false, and so does "not" before it: what cannot be
known starts no retraining.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, NoReturn

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError

Facts = Mapping[str, float | bool]

NEW_DATA: Final = "new data"
_LONGEST: Final = 1_000  # characters of a condition
_DEEPEST: Final = 20  # brackets and "not"s within each other
_TOKEN: Final = re.compile(
    r"(?P<blank>\s+)|(?P<word>[A-Za-z_]\w*)|(?P<number>[-+]?\d+(?:\.\d+)?(?:%|[A-Za-z][A-Za-z0-9.]*)?)"
    r"|(?P<sign><=|>=|==|!=|<|>)|(?P<bracket>[()])"
)
_NUMBER: Final = re.compile(r"([-+]?\d+(?:\.\d+)?)(.*)", re.DOTALL)
_SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MILLISECONDS: Final = re.compile(r"p\d+")  # facts that count in milliseconds: p50, p95, p99
_WRITE: Final = 'Write such as: --when "drift or age > 7d or auc < 0.8".'
_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))

Unit = Literal["", "%", "time"]


class Held(NamedTuple):
    """Whether a condition holds.

    Attributes:
        holds: True or False; None where it hangs on a fact that is not known.
        because: Why, in words.
    """

    holds: bool | None
    because: str


@dataclass(frozen=True, slots=True)
class Test:
    """One fact, alone or compared with a number.

    Attributes:
        name: The fact.
        sign: How it is compared; "" where the fact is true or false by itself.
        value: With what.
        written: The value as it was written.
        unit: What it was written in.
    """

    name: str
    sign: str = ""
    value: float = 0.0
    written: str = ""
    unit: Unit = ""

    def held(self, facts: Facts) -> Held:
        """Hold it against facts."""
        found = facts.get(self.name)
        if found is None or found != found:  # noqa: PLR0124 - NaN is nothing known either
            return Held(None, f"{self.name} is not known")
        if not self.sign:
            holds = bool(found)
            return Held(holds, self.name if holds else f"no {self.name}")
        holds = _SIGNS[self.sign](float(found), self.value)
        shown = f"{self.name} {self._shown(float(found))}"
        word = f"{shown} {self.sign}" if holds else f"{shown}, not {self.sign}"
        return Held(holds, f"{word} {self.written}")

    def _shown(self, found: float) -> str:
        if self.unit == "%":
            return f"{100 * found:.3g}%"
        if self.unit == "time":
            return length(found / 1000 if _MILLISECONDS.fullmatch(self.name) else found)
        return f"{found:.4g}" if abs(found) < 1e4 or found != int(found) else f"{int(found)}"  # noqa: PLR2004

    def names(self) -> Iterator[str]:
        """List the facts that it asks for."""
        yield self.name


@dataclass(frozen=True, slots=True)
class Not:
    """What must not hold."""

    part: Condition

    def held(self, facts: Facts) -> Held:
        """Hold it against facts."""
        found = self.part.held(facts)
        return Held(None if found.holds is None else not found.holds, found.because)

    def names(self) -> Iterator[str]:
        """List the facts that it asks for."""
        yield from self.part.names()


@dataclass(frozen=True, slots=True)
class Both:
    """Parts that must all hold, or of which one must.

    Attributes:
        parts: The parts.
        every: Whether all must hold.
    """

    parts: tuple[Condition, ...]
    every: bool

    def held(self, facts: Facts) -> Held:
        """Hold it against facts."""
        found = [part.held(facts) for part in self.parts]
        deciding = not self.every  # one such part decides, whatever is not known beside it
        if any(one.holds is deciding for one in found):
            return Held(deciding, _joined(one for one in found if one.holds is deciding))
        if any(one.holds is None for one in found):
            return Held(None, _joined(one for one in found if one.holds is None))
        return Held(self.every, _joined(found))

    def names(self) -> Iterator[str]:
        """List the facts that it asks for."""
        for part in self.parts:
            yield from part.names()


Condition = Test | Not | Both


def parse(text: str) -> Condition:
    """Read a condition.

    Args:
        text: What was written.

    Raises:
        UsageError: It is not of the grammar; the error shows where.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"--when has {len(text)} characters, and may have {_LONGEST}.", _WRITE)
    reader = _Reader(text)
    found = reader.condition(0)
    if reader.next is not None:
        reader.fail("'and', 'or' or the end was expected")
    return found


def length(seconds_: float) -> str:
    """Write a length of time with its largest unit: ``9 d``, ``3.5 h``, ``250 ms``."""
    for size, unit in _UNITS:
        if abs(seconds_) >= size:
            return f"{seconds_ / size:.3g} {unit}"
    return f"{seconds_:.3g} s" if abs(seconds_) >= 1 or not seconds_ else f"{1000 * seconds_:.3g} ms"


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Reader:
    """Reads a condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._at = 0

    def _split(self) -> list[_Token]:
        found, place = list[_Token](), 0
        while place < len(self._text):
            match = _TOKEN.match(self._text, place)
            if match is None:
                self._fail_at(place, f"'{self._text[place]}' has no meaning here")
            if match.lastgroup != "blank":
                found.append(_Token(str(match.lastgroup), match[0], place))
            place = match.end()
        return found

    @property
    def next(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def condition(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._word("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts), every=False)

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._word("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts), every=True)

    def _one(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            self.fail("there are too many brackets within each other")
        if self._word("not"):
            return Not(self._one(depth + 1))
        if self._bracket("("):
            found = self.condition(depth + 1)
            if not self._bracket(")"):
                self.fail("a ')' is missing")
            return found
        return self._test()

    def _test(self) -> Test:
        token = self.next
        if token is None or token.kind != "word" or token.text.lower() in {"and", "or"}:
            self.fail("the name of a fact was expected: drift, age, rows, a metric")
        self._at += 1
        if token.text.lower() == "new" and self._word("data"):
            return Test(NEW_DATA)
        sign = self.next
        if sign is None or sign.kind != "sign":
            return Test(token.text)
        self._at += 1
        number = self.next
        if number is None or number.kind != "number":
            self.fail(f"a number was expected after '{sign.text}'")
        self._at += 1
        value, unit = self._value(token.text, number)
        return Test(token.text, sign.text, value, number.text, unit)

    def _value(self, name: str, token: _Token) -> tuple[float, Unit]:
        match = _NUMBER.fullmatch(token.text)
        number, unit = (match[1], match[2].lower()) if match else (token.text, "")
        if not unit:
            return float(number), ""
        if unit == "%":
            return float(number) / 100, "%"
        try:
            found = float(number) / 1000 if unit == "ms" else seconds(_in_days(token.text), "--when")
        except UsageError:
            self._fail_at(token.place, f"'{token.text}' is neither a number, a percentage nor a time")
        return (1000 * found if _MILLISECONDS.fullmatch(name) else found), "time"

    def _word(self, word: str) -> bool:
        token = self.next
        found = token is not None and token.kind == "word" and token.text.lower() == word
        self._at += found
        return found

    def _bracket(self, sign: str) -> bool:
        token = self.next
        found = token is not None and token.kind == "bracket" and token.text == sign
        self._at += found
        return found

    def fail(self, why: str) -> NoReturn:
        token = self.next
        self._fail_at(len(self._text) if token is None else token.place, why)

    def _fail_at(self, place: int, why: str) -> NoReturn:
        shown = f"{self._text[:place]}⟨here⟩{self._text[place:]}"
        raise UsageError(f"--when is not understood, {why}: {shown}", _WRITE)


def _in_days(text: str) -> str:
    """Write weeks as days: the rest of the house knows no longer unit."""
    match = re.fullmatch(r"([-+]?\d+(?:\.\d+)?)w", text.lower())
    return f"{7 * float(match[1]):g}d" if match else text


def _joined(found: Iterator[Held] | list[Held]) -> str:
    return " and ".join(dict.fromkeys(one.because for one in found))
