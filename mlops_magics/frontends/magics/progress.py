"""Lines of progress in a notebook: one output that is replaced, and that nbval takes no notice of."""

from __future__ import annotations

import time
from typing import Any, Final

from IPython.display import display

from mlops_magics.foundation.progress import Progress
from mlops_magics.tracking.records import Remark

_EVERY: Final = 0.5  # seconds between two messages to the page


class NotebookProgress(Progress):
    """Shows the line in the cell."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._since = 0.0

    def say(self, line: str) -> None:
        """Show a line, unless one was shown a moment ago."""
        now = time.monotonic()
        if now - self._since < _EVERY:
            return
        self._since = now
        if self._handle is None:
            self._handle = display(Remark(line), display_id=True)
        else:
            self._handle.update(Remark(line))

    def end(self) -> None:
        """Say nothing more: the result stands below."""
        if self._handle is not None:
            self._handle.update(Remark(""))
