"""What is read of clients ahead of its turn: a head that is not whole, requests behind one that is answered.

A client decides how much that is, and few bytes of it can become many objects. So it is weighed by what it
takes in memory, and all of it together is bounded. Whoever sends one request at a time, with a usual head, is
never weighed.
"""

from __future__ import annotations

from typing import Final

SLIGHT: Final = 2 * 1024
"""Bytes of a head that is not whole up to which nobody weighs it."""

_SMALL: Final = 32 * 1024  # bytes of one client up to which they are not counted: few requests at once
_MOST: Final = 64 * 1024 * 1024
_REQUEST: Final = 640  # bytes that a request takes while it waits, beside its headers; measured
_LINE: Final = 144  # bytes that a header takes beside its text: two texts, their pair, its place in a list


def weight(text: int, lines: int, requests: int) -> int:
    """Say how many bytes of memory something takes that was read.

    Args:
        text: Its bytes.
        lines: How many headers are in it.
        requests: How many requests are in it.
    """
    return text + lines * _LINE + requests * _REQUEST


class Ahead:
    """Counts what the connections of one process hold ahead."""

    def __init__(self) -> None:
        self._held = 0

    def hold(self, held: int, size: int) -> int | None:
        """Hold what a connection has read by now.

        Args:
            held: What this returned for it before; 0 at first.
            size: How much it is by now.

        Returns:
            How much of it is counted now; None where there is no room, and then what was held is held still.
        """
        size = size if size > _SMALL else 0
        if size > held and self._held + size - held > _MOST:
            return None
        self._held += size - held
        return size
