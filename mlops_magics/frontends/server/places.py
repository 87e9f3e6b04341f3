"""Where a page asks from: the folder of its notebook, and the project and store that hold there."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.foundation.settings import Settings
from mlops_magics.serving.journal import files
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import sqlite_path

LOOKED_BACK: Final = 300.0  # seconds over which an endpoint's rate is taken
_ANEW: Final = 15.0  # seconds after which a store that cannot be looked at is read again
_SIDES: Final = ("", "-journal", "-wal")  # what SQLite writes to


def settings_at(root: Path, at: str) -> Settings:
    """Find the settings of a folder below the server's own.

    Args:
        root: The folder that the server shows.
        at: The folder in question, from there; a page wrote it.

    Raises:
        UsageError: It lies elsewhere.
    """
    top = root.resolve()
    try:
        folder = (top / at.lstrip("/")).resolve()
    except (ValueError, OSError):  # a NUL, or a name that no file can have
        folder = Path()
    if folder != top and top not in folder.parents:
        raise UsageError(
            Sentence("That folder is not one of this server's."), Sentence("Open a notebook below its root.")
        )
    while not folder.is_dir() and folder != top:
        folder = folder.parent
    return Settings.discover(folder)


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """List the endpoints of this machine that belong to the store."""
    return TARGETS.get("local")(settings, masked(settings.store)).list()


def stamp(settings: Settings) -> str:
    """Say in a few characters how things are: the same as before means that nothing has to be read again.

    A SQLite store is not opened for it. Any other store cannot be looked at for nothing: its stamp changes
    every few seconds, and what is read meanwhile is kept.
    """
    path = sqlite_path(settings.store)
    seen: list[object] = [settings.store, len(Spool.of(settings))]
    if path is None:
        seen.append(int(time.time() // _ANEW))
    else:
        seen += [_touched(path.with_name(path.name + side)) for side in _SIDES]
    for item in endpoints(settings):
        seen += [item.name, item.version, item.status, item.remark, item.beside, item.follows, item.started]
        seen.append(item.caution)
        seen.append(_traffic(item.journal))
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _touched(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _traffic(journal: Path | None) -> int:
    """Change while requests come, and until the last one is out of sight."""
    if journal is None or not files.paths(journal, time.time() - LOOKED_BACK):
        return 0
    return int(time.time() // _ANEW)
