"""Which of MLflow's own pages are shown: one server of MLflow's a store, started when asked for."""

from __future__ import annotations

import hashlib
import threading
from typing import Final
from urllib.parse import unquote

from mlops_magics.tracking.pages import Pages
from mlops_magics.tracking.store import Store

_MOST: Final = 2  # each takes some 250 MB
_DIGITS: Final = 16


class Shelf:
    """Keeps what was started; the one that was opened longest ago makes room.

    Args:
        base_url: The path below which the Jupyter server answers.
    """

    def __init__(self, base_url: str) -> None:
        self._base = f"{base_url.rstrip('/')}/mlops-magics/mlflow"
        self._held: dict[str, Pages] = {}
        self._lock = threading.Lock()

    def open(self, store: Store) -> str:
        """Start the pages of a store, unless they run.

        Args:
            store: The open store.

        Returns:
            The path at which they are, now or in a moment; it ends with a slash.

        Raises:
            UnavailableError: They cannot be shown here.
        """
        key = hashlib.sha256(store.uri.encode()).hexdigest()[:_DIGITS]
        with self._lock:
            held = self._held.pop(key, None)
            if held is not None and held.ended:
                held.close()
                held = None
            # MLflow compares the path as it is without escapes; ours is that of an address.
            self._held[key] = held or Pages(store, unquote(f"{self._base}/{key}"))
            while len(self._held) > _MOST:
                self._held.pop(next(iter(self._held))).close()
        return f"{self._base}/{key}/"

    def get(self, key: str) -> Pages | None:
        """Return what runs, or ended by itself, under a key."""
        return self._held.get(key)

    def close(self) -> None:
        """End all."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].close()
