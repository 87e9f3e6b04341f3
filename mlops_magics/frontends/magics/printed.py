"""What is printed, kept as a terminal would show it: the beginning and the end where it is long."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from mlops_magics.foundation.masking import MASK, masked

_BYTES: Final = 200_000
_HALF: Final = _BYTES // 2 - 100  # the rest is for the line that says what is left out
# A secret that the cut tears lies within the margin, which is masked with the rest and then dropped.
_MARGIN: Final = 4_000
_BLOCK: Final = 65_536  # characters that are looked at together: a write alone costs an append
_COLOURS: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_ERASED: Final = re.compile(r"[^\n\b]\x08")


class Printed:
    """Takes what is printed, by any thread, and keeps as much of it as a run needs."""

    def __init__(self) -> None:
        self._pending: deque[str] = deque()  # appending is atomic: whoever prints never waits for a lock
        self._waiting = 0
        self._settling = threading.Lock()
        self._rest = ""  # of the last line, which is not at its end
        self._head = ""
        self._tail: deque[str] = deque()
        self._tailed = 0
        self._lost = 0

    def __bool__(self) -> bool:
        return bool(self._pending or self._rest or self._head)

    def add(self, text: str) -> None:
        """Take a piece of text."""
        self._pending.append(text)
        self._waiting += len(text)
        if self._waiting > _BLOCK and self._settling.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._settling.release()

    def text(self, secrets: Sequence[str] = ()) -> str:
        """Return what is kept, masked, at most 200 kB; "" where nothing was printed.

        Args:
            secrets: Texts that are masked wherever they stand.
        """

        def hidden(text: str) -> str:
            for secret in secrets:
                text = text.replace(secret, MASK)
            return masked(text)

        self._settle()
        shown = _line(self._rest)
        tail = "".join(self._tail)
        if not self._lost:
            return _fitting(hidden(self._head + tail + shown))
        begun, ended = hidden(self._head)[:-_MARGIN], hidden(tail + shown)[_MARGIN:]
        return _cut(begun, ended, self._lost + 2 * _MARGIN)

    def _settle(self) -> None:
        pieces = [self._rest]
        while self._pending:
            pieces.append(self._pending.popleft())
        self._waiting = 0
        text = "".join(pieces)
        if "\x1b" in text:
            text = _COLOURS.sub("", text)
        whole, newline, rest = text.rpartition("\n")
        if "\r" in whole or "\b" in whole:
            whole = "\n".join(map(_line, whole.split("\n")))
        # What comes next may begin at the left again, over what stands there.
        before, returned, last = rest.rpartition("\r")
        self._rest = f"{_line(before)}\r{last}" if returned else rest
        if len(self._rest) > _BLOCK:  # no line that a person reads
            newline, self._rest = newline + _line(self._rest), ""
        self._keep(whole + newline)

    def _keep(self, text: str) -> None:
        room = _HALF + _MARGIN
        free = room - len(self._head) if not self._tail else 0
        self._head += text[:free]
        if not (text := text[free:]):
            return
        self._tail.append(text)
        self._tailed += len(text)
        while self._tailed - len(self._tail[0]) >= room:
            self._lose(self._tail.popleft())
        if self._tailed > 2 * room + _BLOCK:  # one long piece
            first = self._tail.popleft()
            more = self._tailed - room
            self._tail.appendleft(first[more:])
            self._lose(first[:more])

    def _lose(self, text: str) -> None:
        self._tailed -= len(text)
        self._lost += len(text)


def _line(text: str) -> str:
    """Show a line as a terminal does: a carriage return goes back to its left end, a backspace one step."""
    while "\b" in text:
        shorter = _ERASED.sub("", text)
        text = shorter if shorter != text else text.replace("\b", "")
    if "\r" not in text:
        return text
    shown = ""
    for part in text.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def _fitting(text: str) -> str:
    if len(text) * 4 <= _BYTES or len(text.encode(errors="replace")) <= _BYTES:
        return text
    return _cut(text[: len(text) // 2], text[len(text) // 2 :], 0)


def _cut(begun: str, ended: str, lost: int) -> str:
    """Put the beginning and the end together, whole lines where there are some, and say what is missing."""
    first = begun.encode(errors="replace")[:_HALF].decode(errors="ignore")
    last = ended.encode(errors="replace")[-_HALF:].decode(errors="ignore")
    head = first[: first.rfind("\n") + 1] or first
    tail = last[last.find("\n") + 1 :] or last
    lost += len(begun) + len(ended) - len(head) - len(tail)
    join = "" if head.endswith("\n") else "\n"
    return f"{head}{join}… {lost:,} characters are left out here …\n{tail}"
