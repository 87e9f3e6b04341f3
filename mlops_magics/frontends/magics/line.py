"""The line of a magic: words, ``-o NAME``, a closing ``;`` and ``{name}``, without evaluating anything."""

from __future__ import annotations

import keyword
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest

_LOOK_UP = re.compile(r"\{([^{}]*)\}")
_OF_IPYTHON = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})  # in each notebook; never meant


@dataclass(frozen=True, slots=True)
class Line:
    """A magic's line, read.

    Attributes:
        words: What the verb is told, quotes taken away, ``{name}`` filled in.
        keep: The name that the result is bound to, from ``-o NAME``.
        silent: Whether a closing ``;`` asks to show nothing.
    """

    words: tuple[str, ...]
    keep: str | None
    silent: bool


def read(text: str, namespace: Mapping[str, object]) -> Line:
    """Read a line.

    Args:
        text: What stands after the magic's name.
        namespace: The notebook's names, for ``{name}``.

    Raises:
        UsageError: A quote is not closed, or ``-o`` has no name that Python can bind.
        NotFoundError: ``{...}`` is not the name of something in the notebook. It is only ever looked
            up, never evaluated.
    """
    code = _without_comment(text).rstrip()
    silent = code.endswith(";")
    words = _words(code.removesuffix(";"))
    keep = _kept(words)
    return Line(tuple(_filled(word, namespace) for word in words), keep, silent)


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""  # a backslash is a backslash: paths on Windows are written as they are
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(
            f"A quote is not closed in: {text.strip()}", "Close it, or double it with the other kind."
        ) from None


def _without_comment(text: str) -> str:
    """Cut a comment off, as in the rest of the notebook: a # after a blank and outside quotes."""
    quote = ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#" and (place == 0 or text[place - 1].isspace()):
            return text[:place]
    return text


def _kept(words: list[str]) -> str | None:
    """Take ``-o NAME`` out of the words."""
    if "-o" not in words:
        return None
    place = words.index("-o")
    if place + 1 >= len(words) or not _bindable(words[place + 1]):
        raise UsageError(
            "-o needs the name of a variable.", "Write -o NAME, with a name that Python can bind."
        )
    name = words[place + 1]
    del words[place : place + 2]
    return name


def _bindable(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


def _filled(word: str, namespace: Mapping[str, object]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in namespace:
            names = [key for key in namespace if not key.startswith("_") and key not in _OF_IPYTHON]
            raise NotFoundError(
                f"{{{name[:60]}}} is not the name of a variable; braces only look a name up.",
                nearest(name, names) or "Compute the value in a cell first, and write its name.",
            )
        return str(namespace[name])

    return _LOOK_UP.sub(value, word)
