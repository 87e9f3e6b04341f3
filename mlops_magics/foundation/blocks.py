"""What a Result is made of when it is shown: a few kinds of block, rendered as text and as html.

A Result says *what* it shows in blocks; only this module and ``html`` know *how*. So every Result
looks alike, everything is escaped in one place, and the text form never lags behind the html form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["plain", "good", "bad", "quiet"]

# What steers a terminal, turns the direction of its neighbours, or cannot be carried by any message.
_VISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)
_DIGITS = 4  # significant digits shown; more is noise to a reader and unstable under nbval
_ROOM = 60  # characters of a name; the rest is cut for show


@dataclass(frozen=True, slots=True)
class Name:
    """A name or a value that somebody else chose, of any length and in any script.

    It is cut where it is long (html keeps the whole in a title) and does not turn its neighbours' direction.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with names in it."""

    parts: Sequence[str | Name]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing of our own as SVG (already escaped by the module that drew it), and its words."""

    svg: str
    words: str


Cell = str | int | float | bool | Name | Phrase | Figure | None


@dataclass(frozen=True, slots=True)
class Title:
    """The first line: what this is, and a word on how it stands."""

    text: str | Phrase
    badge: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one a line."""

    pairs: Sequence[tuple[str | Name, Cell]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; numbers are set to the right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    tones: Sequence[Tone] = field(default=())


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence."""

    text: str | Phrase
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Code:
    """A line of code that may be copied: the next sensible command, a call."""

    text: str


Block = Title | Facts | Table | Note | Code | Figure

_MARKS: dict[Tone, str] = {"plain": "", "good": "✓ ", "bad": "✗ ", "quiet": ""}


def shown(value: Cell) -> str:
    """Write one value as a person reads it: four significant digits, "yes" and "no", a dash for nothing.

    A character that steers a terminal, that turns what stands beside it, or that no message can carry (a
    lone surrogate) is spelt out.
    """
    if value is None:
        return "-"
    if isinstance(value, Name | Phrase | Figure):
        return _words(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value)
    return _VISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def cut(text: str, room: int = _ROOM) -> str:
    """Shorten a text for show.

    Args:
        text: The text, of any length.
        room: How many characters may be shown.

    Returns:
        The text, or its beginning with "…" at the end.
    """
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _words(value: Name | Phrase | Figure) -> str:
    match value:
        case Name(text):
            return " ".join(cut(shown(text[: 2 * _ROOM])).splitlines())  # a line of a table is one line
        case Phrase(parts):
            return "".join(shown(part) for part in parts)
        case Figure(words=words):
            return words


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - beyond it a float skips integers
        return f"{int(value):,}"
    if abs(value) >= 10 ** (_DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"


def text_of(blocks: Iterable[Block]) -> str:
    """Render blocks as plain text, for terminals, logs and front ends without html."""
    return "\n".join(line for block in blocks for line in _lines(block))


def _lines(block: Block) -> list[str]:
    match block:
        case Title(text, badge, tone):
            return [f"{_MARKS[tone]}{shown(text)}{f' · {shown(badge)}' if badge else ''}"]
        case Facts(pairs):
            width = max((len(shown(name)) for name, _ in pairs), default=0)
            return [f"  {shown(name):<{width}}  {shown(value)}" for name, value in pairs]
        case Table():
            return _table_lines(block)
        case Note(text, tone):
            return [f"  {_MARKS[tone]}{shown(text)}"]
        case Code(text):
            return [f"  {line}" for line in text.splitlines()]
        case Figure(words=words):
            return [f"  [{words}]"]


def _table_lines(table: Table) -> list[str]:
    if not table.rows:
        return []
    headings = [shown(name) for name in table.headings]
    cells = [[shown(value) for value in row] for row in table.rows]
    numeric = numeric_columns(table)
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        parts = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        return ("  " + "  ".join(parts)).rstrip()

    return [line(headings), *(line(row) for row in cells)]


def numeric_columns(table: Table) -> list[bool]:
    """Tell which columns hold only numbers (and gaps), so that they are set to the right."""
    return [
        any(isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in table.rows)
        and all(
            row[i] is None or (isinstance(row[i], int | float) and not isinstance(row[i], bool))
            for row in table.rows
        )
        for i in range(len(table.headings))
    ]
