"""Names read from a SQLite store without MLflow, for Tab: a few milliseconds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from mlops_magics.tracking.store import read_only, sqlite_path


def model_addresses(uri: str) -> Iterator[str]:
    """List registered models, and their aliases as ``model@alias``.

    Args:
        uri: The store's address.

    Yields:
        Names, in order; none where the store is not a SQLite file with the tables we know.
    """
    path = sqlite_path(uri)
    if path is None or not path.exists():
        return
    with contextlib.closing(read_only(path)) as database, contextlib.suppress(sqlite3.OperationalError):
        yield from (row[0] for row in database.execute("SELECT name FROM registered_models ORDER BY name"))
        yield from (
            f"{row[0]}@{row[1]}"
            for row in database.execute(
                "SELECT name, alias FROM registered_model_aliases ORDER BY name, alias"
            )
        )
