"""Runs are proved in the background: the cells that made one are executed again in a fresh process."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.tracking.records import Run

_WAITING = 4  # who tracks more in a hurry is not slowed down: of what waits the oldest is given up
_THREAD = "mlops-verify"  # what it does is no part of any cell (lineage.files)


class Verifying:
    """Proves one run at a time, in the order in which they were made."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Run, Settings]] = deque(maxlen=_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def later(self, run: Run) -> None:
        """Prove a run when those before it are done; one that is not worth it, or cannot be, is left alone.

        Args:
            run: A run that has just been made.
        """
        from mlops_magics.foundation.settings import Settings
        from mlops_magics.steps.reproduce import worth_verifying

        settings = Settings.discover()
        if not settings.verify or not worth_verifying(run):
            return
        with self._lock:
            self._waiting.append((run, settings))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=_THREAD, daemon=True)
                self._thread.start()

    def off(self) -> None:
        """Prove nothing more; what is being proved is finished."""
        self._waiting.clear()

    def _work(self) -> None:
        from mlops_magics.steps.reproduce import verify

        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                run, settings = self._waiting.popleft()
            with contextlib.suppress(Exception):  # nobody waits for it: the run says nothing then
                verify(run, settings=settings)
