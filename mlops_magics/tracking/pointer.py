"""Where an alias points, asked every second by a process that stays small: without MLflow where that can be.

SQLite is read as it is and a server asked with one request, as MLflow's client would ask. Any other store,
and any other way to sign in, is left to MLflow itself.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mlops_magics.foundation.errors import NotFoundError, UnavailableError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import read_only, sqlite_path

_DIGEST: Final = "mlops.manifest"
_SECONDS: Final = 5  # a server may take so long for an answer
_QUERY: Final = (
    "SELECT a.version, t.value FROM registered_model_aliases a LEFT JOIN model_version_tags t"
    " ON t.workspace = a.workspace AND t.name = a.name AND t.version = a.version AND t.key = ?"
    " WHERE a.workspace = ? AND a.name = ? AND a.alias = ?"
)
_OTHER_WAYS: Final = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")  # of signing in


@dataclass(frozen=True, slots=True)
class Pointed:
    """What an alias points to.

    Attributes:
        version: The version.
        digest: The digest of its files, as it was registered; None where it was not completed.
    """

    version: str
    digest: str | None


def pointed(settings: Settings, address: ModelAddress) -> Pointed | None:
    """Ask where an alias points now.

    Args:
        settings: Where the store is.
        address: A model and its alias.

    Returns:
        The version, or None where there is no such alias.

    Raises:
        UnavailableError: The store cannot be asked.
    """
    path = sqlite_path(settings.store)
    if path is not None:
        return _in_sqlite(path, address)
    parts = urlsplit(settings.store)
    if parts.scheme in {"http", "https"} and not any(os.environ.get(name) for name in _OTHER_WAYS):
        from mlops_magics.tracking.server_pointer import at_server  # its TLS takes 5 MB

        found = at_server(parts, address)
        return found and Pointed(*found)
    from mlops_magics.tracking import registry  # these import MLflow when they are used
    from mlops_magics.tracking.store import impatient, open_store

    with impatient(_SECONDS):
        try:
            version = registry.resolve(open_store(settings), address)
        except NotFoundError:
            return None
    return Pointed(version.version, version.digest)


def _in_sqlite(path: Path, address: ModelAddress) -> Pointed | None:
    workspace = os.environ.get("MLFLOW_WORKSPACE") or "default"
    try:
        with contextlib.closing(read_only(path)) as database:
            row = database.execute(_QUERY, (_DIGEST, workspace, address.model, address.alias)).fetchone()
    except sqlite3.Error as error:
        raise UnavailableError(
            f"The store {path.name} cannot be read: {error}.", "Put the file back where it was."
        ) from error
    return None if row is None else Pointed(str(row[0]), row[1])
