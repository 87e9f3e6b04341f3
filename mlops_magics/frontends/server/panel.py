"""The panel's side in the Jupyter server: stores stay open, answers are kept, the work is done in threads."""

from __future__ import annotations

import importlib
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import orjson

from mlops_magics.foundation.sentences import spoken
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.server.asked import Asked, Here, Json, Told
from mlops_magics.frontends.server.kept import Kept
from mlops_magics.frontends.server.mlflow_shelf import Shelf
from mlops_magics.frontends.server.places import settings_at, stamp
from mlops_magics.tracking.store import Store, open_store, reconnect, sqlite_path

_READERS: Final = 4
# By which somebody decides, or what changes when a kernel ends, and not with the store: read each time.
_FRESH: Final = frozenset({"model", "details", "cut"})
_NONE: Final = (0, 0)
_READING: Final = "mlops_magics.frontends.server.reading"
_SHARED: Final = frozenset(
    {"stamp", "status", "experiments", "runs", "run", "cut", "models", "endpoints", "alerts"}
)


class Panel:
    """Answers the pages. Its methods are called in its own threads; none of them runs in the server's loop.

    Args:
        root: The folder that the server shows.
        base_url: The path below which the server answers.
    """

    def __init__(self, root: Path, base_url: str = "/") -> None:
        self.shelf = Shelf(base_url)
        self._root = root.resolve()
        self._kept = Kept()
        self._stores: dict[Settings, tuple[tuple[int, int] | None, Store]] = {}
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="mlops-read")
        # One after the other: what fetches files tells MLflow so by the process's environment.
        self._single = ThreadPoolExecutor(1, thread_name_prefix="mlops-single")

    def threads(self, name: str) -> Executor:
        """Choose where something is done: side by side with others, or one after the other."""
        return self._readers if name in _SHARED else self._single

    def warm(self) -> None:
        """Import in a thread what the first question of a page takes: it is much, and pages come soon."""
        self._readers.submit(importlib.import_module, _READING)

    def stamp(self, asked: Asked) -> Told:
        """Say how things are, without opening the store."""
        return Told(_json({"stamp": stamp(settings_at(self._root, asked.text("at", "")))}))

    def read(self, name: str, asked: Asked) -> Told:
        """Answer a question, from memory where nothing has changed since.

        Raises:
            MLOpsError: It cannot be answered.
        """
        from mlops_magics.frontends.server.reading import READS  # the tracker, and much behind it

        here = self._here(asked)
        if name in _FRESH:
            return Told(_json(READS[name](here, asked)), here.stamp)
        key = (name, here.settings, asked.key())
        answer: bytes = self._kept.get(key, here.stamp, lambda: _json(READS[name](here, asked)))
        return Told(answer, here.stamp)

    def write(self, name: str, asked: Asked) -> Told:
        """Do something; whatever comes of it, nothing that was read before is taken for true.

        Raises:
            MLOpsError: It was refused, or could not be done.
        """
        from mlops_magics.frontends.server.acting import WRITES

        try:
            return Told(_json(WRITES[name](self._here(asked), asked)))
        finally:
            self._kept.forget()

    def close(self) -> None:
        """Let the threads end, and MLflow's own pages."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._single.shutdown(wait=False)
        self.shelf.close()

    def _here(self, asked: Asked) -> Here:
        settings = settings_at(self._root, asked.text("at", ""))
        now = stamp(settings)
        return Here(self._root, settings, self._store(settings), now, self._kept, self.shelf)

    def _store(self, settings: Settings) -> Store | None:
        file = _file(settings)
        if file is _NONE:
            return None
        held = self._stores.get(settings)
        if held is not None and held[0] == file and file is not None:
            return held[1]
        # A server is asked each time whether it is there; a file may be another one of the same name.
        store = open_store(settings)
        if held is not None and file is not None:
            reconnect(store)
        self._stores[settings] = file, store
        return store


def _file(settings: Settings) -> tuple[int, int] | None:
    """Say which file a SQLite store is, ``_NONE`` where there is none; None for any other store."""
    path = sqlite_path(settings.store)
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return _NONE
    return found.st_dev, found.st_ino


def _json(answer: Json) -> bytes:
    return orjson.dumps(answer, spoken, orjson.OPT_PASSTHROUGH_SUBCLASS)
