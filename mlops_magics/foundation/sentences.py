"""Sentences that a page may show in another language: each knows the text that translators see.

In Python, in a notebook and in a shell it is an English text like any other. A page is given its text
and what belongs in its places, and the page's own translator says it.
"""

from __future__ import annotations

import re
from typing import Any, Final, Self

_PLACE: Final = re.compile(r"%%|%(\d+)")


class Sentence(str):
    """A sentence in English that knows how it was made.

    Args:
        text: The text, with ``%1``, ``%2`` ... where the values belong, and ``%%`` for one sign.
        *values: What belongs there; a sentence among them is translated as well.

    Attributes:
        text: As above.
        values: As above, as texts.
    """

    __slots__ = ("text", "values")

    text: str
    values: tuple[str, ...]

    def __new__(cls, text: str, *values: object) -> Self:
        """Put the values in their places."""
        told = tuple(value if isinstance(value, str) else str(value) for value in values)
        made = super().__new__(cls, _put(text, told))
        made.text, made.values = text, told
        return made

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]  # a text has one
        """Say how a copy of it is made."""
        return (self.text, *self.values)


def spoken(value: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """Write for JSON what it does not know by itself: a sentence, as what a page makes one of.

    Args:
        value: A sentence, or another kind of text, list or dict.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(value, Sentence):
        return {"%": [value.text, *value.values]}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    raise TypeError(type(value).__name__)


def _put(text: str, values: tuple[str, ...]) -> str:
    def found(place: re.Match[str]) -> str:
        if place[1] is None:
            return "%"
        at = int(place[1]) - 1
        return values[at] if 0 <= at < len(values) else place[0]

    return _PLACE.sub(found, text)
