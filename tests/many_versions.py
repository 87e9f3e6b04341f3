"""A registry with thousands of models and versions: MLflow's own tables, filled at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

_BEGAN = 1_780_000_000_000  # milliseconds since the epoch
_MINUTE = 60_000


def fill_models(path: Path, names: Iterable[str]) -> None:
    """Add registered models without versions to a ready SQLite store."""
    with closing(sqlite3.connect(path)) as store, store:
        store.executemany(
            "INSERT INTO registered_models (name, creation_time, last_updated_time) VALUES (?, ?, ?)",
            [(name, _BEGAN, _BEGAN) for name in names],
        )


def fill_versions(
    path: Path, model: str, tags: Sequence[Mapping[str, str]], runs: Sequence[str] | None = None
) -> None:
    """Add versions to a registered model that has none.

    Args:
        path: The SQLite store.
        model: The registered model.
        tags: Each version's tags, the oldest first.
        runs: The run that each came of; none by default.
    """
    of = runs or [""] * len(tags)
    rows = [
        (model, number, _BEGAN + number * _MINUTE, _BEGAN + number * _MINUTE, run)
        for number, run in zip(range(1, len(tags) + 1), of, strict=True)
    ]
    with closing(sqlite3.connect(path)) as store, store:
        store.executemany(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, run_id,"
            " current_stage, source, status) VALUES (?, ?, ?, ?, ?, 'None', 'models:/m', 'READY')",
            rows,
        )
        store.executemany(
            "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?)",
            [
                (model, number, key, value)
                for number, each in enumerate(tags, 1)
                for key, value in each.items()
            ],
        )
