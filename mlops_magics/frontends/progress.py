"""Lines of progress where there is no notebook: one line that is written over, or a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

from mlops_magics.foundation.progress import Progress

_EVERY: Final = 10.0  # seconds between two lines of a log
_WIDE: Final = 100


class TerminalProgress(Progress):
    """Writes to stderr, so that what a command prints stays its result alone."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._written = 0

    def say(self, line: str) -> None:
        """Write over the line before, or, into a log, write one every ten seconds."""
        if sys.stderr.isatty():
            shown = line[:_WIDE]
            sys.stderr.write(f"\r{shown:<{self._written}}")
            self._written = len(shown)
            sys.stderr.flush()
        elif time.monotonic() - self._since >= _EVERY:
            self._since = time.monotonic()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._written:
            sys.stderr.write(f"\r{'':<{self._written}}\r")
            sys.stderr.flush()
            self._written = 0
