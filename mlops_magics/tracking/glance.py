"""What a registry holds, read from a SQLite store without MLflow: names for Tab, models for a list.

MLflow's own search makes an object of each model with its newest versions, which a list does not show.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mlops_magics.tracking.store import read_only, sqlite_path

_TABLES: Final = {
    "registered_models": {"name", "workspace"},
    "registered_model_aliases": {"name", "alias", "version", "workspace"},
    "registered_model_tags": {"name", "key", "value", "workspace"},
}
_PROMPT: Final = "mlflow.prompt.is_prompt"  # MLflow keeps prompts among the models, and lists them apart


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered model in a list.

    Attributes:
        name: Its name.
        aliases: The version that each alias points to.
        tags: Its tags.
    """

    name: str
    aliases: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def registered(uri: str) -> tuple[Registered, ...] | None:
    """List the registered models by name, as they stand at one moment.

    Args:
        uri: The store's address.

    Returns:
        The models; None where the store is not a SQLite file with the tables we know, or keeps several
        workspaces apart: then MLflow knows.
    """
    path = sqlite_path(uri)
    if path is None or not path.exists():
        return None
    with contextlib.closing(read_only(path)) as database:
        database.execute("BEGIN")  # what is read next is of one moment
        if not _known(database):
            return None
        found = {name: Registered(name) for (name,) in database.execute("SELECT name FROM registered_models")}
        for name, alias, version in database.execute(
            "SELECT name, alias, version FROM registered_model_aliases"
        ):
            if name in found:
                found[name].aliases[alias] = str(version)
        for name, key, value in database.execute("SELECT name, key, value FROM registered_model_tags"):
            if name in found:
                found[name].tags[key] = value or ""
    models = (item for item in found.values() if item.tags.get(_PROMPT) != "true")
    return tuple(sorted(models, key=lambda item: item.name))


def _known(database: sqlite3.Connection) -> bool:
    for table, needed in _TABLES.items():
        if not needed <= {row[1] for row in database.execute(f"PRAGMA table_info({table})")}:
            return False
    others = "SELECT 1 FROM registered_models WHERE workspace <> 'default' LIMIT 1"
    return database.execute(others).fetchone() is None


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
