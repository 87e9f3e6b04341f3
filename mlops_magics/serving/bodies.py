"""The bodies that a process holds at once: many large ones together must not take all of its memory."""

from __future__ import annotations

from typing import Final

from mlops_magics.artifact.order import Limits
from mlops_magics.serving.errors import RequestError

SMALL: Final = 64 * 1024
"""Bytes up to which a body is not counted: so large ones never keep a small one out."""


class Bodies:
    """Counts the bytes of the bodies that are held, from their first byte to their answer.

    Args:
        limits: How many there may be; one body that is as large as it may be always fits, packed as well.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = max(limits.held_bytes, 2 * limits.body_bytes)
        self._held = 0

    def hold(self, held: int, size: int) -> int:
        """Hold a body that has grown, or is told to come.

        Args:
            held: What this returned for it before; 0 at first.
            size: How large it is by now.

        Returns:
            How much of it is counted now.

        Raises:
            RequestError: There are too many bytes (429); what was held before is held still.
        """
        if size <= max(held, SMALL):
            return held
        if self._held + size - held > self._most:
            raise RequestError(
                429, "BODIES_FULL", "Too many large bodies are being answered; send it again a little later."
            )
        self._held += size - held
        return size

    def release(self, held: int) -> None:
        """Let go of a body.

        Args:
            held: What `hold` returned for it last.
        """
        self._held -= held
