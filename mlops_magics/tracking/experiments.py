"""The experiments of a store, the one that was worked in last first."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass

from mlops_magics.tracking.leaderboard import ATTEMPTS, KEEPING, schema_is_known, tagged
from mlops_magics.tracking.registry import paged
from mlops_magics.tracking.retrainings import MADE_BY, RECORD
from mlops_magics.tracking.store import Store, door, read_only, sqlite_path

_COLUMNS = {"experiment_id", "name", "lifecycle_stage"}
_NEWEST = 20  # runs of a store that is searched, among which somebody worked on one
_OF_ITSELF = (*KEEPING, RECORD, MADE_BY)  # runs that nobody worked on: a monitor or a schedule began them


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment in a list.

    Attributes:
        id: MLflow's id.
        name: Its name.
        runs: How many runs it has; None where the store would have to read them all to tell.
        newest: When the newest run started that somebody worked on, in milliseconds since the epoch; None
            where there is none, or where that is not known.
    """

    id: str
    name: str
    runs: int | None = None
    newest: int | None = None


def listed(store: Store) -> tuple[Experiment, ...]:
    """List the experiments, the one that somebody worked in last first.

    What the monitor keeps, the ledger of retrainings and what they trained is no work of anybody: where it is
    newest says nothing. Runs that keep what was seen of something are not counted either.

    Args:
        store: The open store.

    Raises:
        UnavailableError: The store does not answer.
    """
    path = sqlite_path(store.uri)
    with door("The experiments"):
        if path is not None and path.exists():
            with contextlib.closing(read_only(path)) as database:
                if schema_is_known(database) and _known(database):
                    return _by_sql(database)
        return _by_search(store)


def _known(database: sqlite3.Connection) -> bool:
    return {row[1] for row in database.execute("PRAGMA table_info(experiments)")} >= _COLUMNS


def _by_sql(database: sqlite3.Connection) -> tuple[Experiment, ...]:
    rows = database.execute(
        "SELECT e.experiment_id, e.name, COUNT(r.run_uuid),"  # noqa: S608 - constants
        f" MAX(CASE WHEN r.run_uuid NOT IN ({tagged(_OF_ITSELF)}) THEN r.start_time END) AS newest"
        " FROM experiments e"
        " LEFT JOIN runs r ON r.experiment_id = e.experiment_id AND r.lifecycle_stage = 'active'"
        f"{ATTEMPTS} WHERE e.lifecycle_stage = 'active'"
        " GROUP BY e.experiment_id ORDER BY newest IS NULL, newest DESC, COUNT(r.run_uuid) = 0, e.name"
    )
    return tuple(Experiment(str(row[0]), row[1], row[2], row[3]) for row in rows)


def _by_search(store: Store) -> tuple[Experiment, ...]:
    """Ask for the newest runs of all: a search that counts would read every one."""
    found = list(paged(store.client.search_experiments, order_by=["last_update_time DESC"]))
    ids = [item.experiment_id for item in found]
    order = ["attributes.start_time DESC"]
    newest = store.client.search_runs(ids, max_results=_NEWEST, order_by=order) if ids else []
    worked_on = (run.info for run in newest if not run.data.tags.keys() & set(_OF_ITSELF))
    last = next(worked_on, None)
    listed_ = [
        Experiment(
            str(item.experiment_id),
            item.name,
            newest=last.start_time if last and last.experiment_id == item.experiment_id else None,
        )
        for item in found
    ]
    return tuple(sorted(listed_, key=lambda one: one.newest is None))
