"""All runs of an experiment, a column at a time: thousands of them are sorted and filtered in the kernel.

On SQLite a column is read when it is first asked for, by its key, which takes some hundredths of a second for
10,000 runs. Any other store gives whole runs by MLflow's search, in pages, and more only when asked.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.tracking.findings import TAG
from mlops_magics.tracking.leaderboard import NO_FINDING, schema_is_known
from mlops_magics.tracking.store import Store, door, read_only, sqlite_path

_FIRST_PAGE = 200  # runs that a search reads at once; a server sends each with all that it has
_NEXT_PAGE = 1_000
_OF_RUN = "r.experiment_id = ? AND r.lifecycle_stage = 'active'"


@dataclass(frozen=True, slots=True)
class Head:
    """What every run has.

    Attributes:
        run_id: MLflow's run id.
        name: The run's name.
        status: FINISHED, FAILED, KILLED, RUNNING or SCHEDULED.
        started: When it started, in milliseconds since the epoch.
        ended: When it ended; None while it runs.
    """

    run_id: str
    name: str
    status: str
    started: int
    ended: int | None


@dataclass(frozen=True, slots=True)
class Origin:
    """A version of a registered model that came of a run.

    Attributes:
        model: The model's name.
        version: The version's number.
        aliases: The aliases that point to it.
    """

    model: str
    version: str
    aliases: tuple[str, ...] = ()


class RunColumns(Protocol):
    """The runs of an experiment; each column is as long as ``heads`` and in the same order.

    Attributes:
        heads: The runs.
        metrics: The names of the metrics, each with the number of runs that have it.
        params: The names of the parameters, what most runs have first, each with whether the runs that have
            it differ in it.
        versions: What was registered of a run, by run id.
        more: Whether the store holds runs that are not read yet.
    """

    heads: list[Head]
    metrics: dict[str, int]
    params: dict[str, bool]
    versions: dict[str, list[Origin]]
    more: bool

    def metric(self, name: str) -> Sequence[float | None]:
        """Return a metric of each run; None where a run has none or it is not a number."""

    def param(self, name: str) -> Sequence[str | None]:
        """Return a parameter of each run; None where a run has none."""

    def read_more(self) -> None:
        """Read the next runs, if there are more; the columns become longer."""


def columns_of(store: Store, experiment_id: str) -> RunColumns:
    """Read the runs of an experiment, the newest first; runs that keep findings about a table are none.

    Args:
        store: The open store.
        experiment_id: The experiment.

    Returns:
        All runs of a SQLite store; of any other store the newest, with ``more`` to be read.

    Raises:
        UnavailableError: The store does not answer.
    """
    path = sqlite_path(store.uri)
    with door("The experiment's runs"):
        if path is not None and path.exists():
            with contextlib.closing(read_only(path)) as database:
                if schema_is_known(database):
                    return _Read(path, database, experiment_id)
        return _Searched(store, experiment_id)


class _Read:
    """The runs of a SQLite store, as they were when this was made."""

    more = False

    def __init__(self, path: Path, database: sqlite3.Connection, experiment_id: str) -> None:
        self._path, self._experiment = path, int(experiment_id)
        asked = (self._experiment,)
        # To ask of every value whether its run is a finding costs as much again; most stores have none.
        findings = database.execute(f"SELECT 1 FROM tags t WHERE t.key = '{TAG}' LIMIT 1").fetchone()  # noqa: S608 - a constant
        of_run = f"{_OF_RUN}{NO_FINDING if findings else ''}"
        found = database.execute(
            "SELECT r.run_uuid, r.name, r.status, r.start_time, r.end_time FROM runs r"  # noqa: S608 - constants
            f" WHERE {of_run} ORDER BY r.start_time DESC, r.run_uuid",
            asked,
        )
        self.heads: list[Head] = [Head(row[0], row[1] or "", row[2], row[3] or 0, row[4]) for row in found]
        self._places = {head.run_id: at for at, head in enumerate(self.heads)}
        counted = database.execute(
            "SELECT m.key, COUNT(*) FROM runs r JOIN latest_metrics m ON m.run_uuid = r.run_uuid"  # noqa: S608 - a constant
            f" WHERE {of_run} AND m.is_nan = 0 GROUP BY m.key ORDER BY m.key",
            asked,
        )
        self.metrics: dict[str, int] = dict(counted.fetchall())
        ranges = database.execute(
            "SELECT p.key, MIN(p.value), MAX(p.value) FROM runs r"  # noqa: S608 - a constant
            f" JOIN params p ON p.run_uuid = r.run_uuid WHERE {of_run} GROUP BY p.key"
            " ORDER BY COUNT(*) DESC, p.key",
            asked,
        )
        self.params = {key: low != high for key, low, high in ranges}
        self.versions = _versions(database, self._experiment)
        self._kept: dict[tuple[str, str], list[Any]] = {}

    def metric(self, name: str) -> Sequence[float | None]:
        return self._column("latest_metrics", name, " AND c.is_nan = 0")

    def param(self, name: str) -> Sequence[str | None]:
        return self._column("params", name)

    def read_more(self) -> None:
        """All are read."""

    def _column(self, table: str, name: str, only: str = "") -> list[Any]:
        if (table, name) not in self._kept:
            values: list[Any] = [None] * len(self.heads)
            with door("The experiment's runs"), contextlib.closing(read_only(self._path)) as database:
                for run_id, value in database.execute(
                    f"SELECT c.run_uuid, c.value FROM {table} c JOIN runs r ON r.run_uuid = c.run_uuid"  # noqa: S608 - our own two tables
                    f" WHERE c.key = ? AND {_OF_RUN}{only}",
                    (name, self._experiment),
                ):
                    if (place := self._places.get(run_id)) is not None:  # one of later is not in this table
                        values[place] = value
            self._kept[table, name] = values
        return self._kept[table, name]


def _versions(database: sqlite3.Connection, experiment: int) -> dict[str, list[Origin]]:
    aliases: dict[tuple[str, int], list[str]] = {}
    for model, version, alias in database.execute(
        "SELECT name, version, alias FROM registered_model_aliases ORDER BY alias"
    ):
        aliases.setdefault((model, int(version)), []).append(alias)
    found: dict[str, list[Origin]] = {}
    for run_id, model, version in database.execute(
        "SELECT v.run_id, v.name, v.version FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id"
        " WHERE r.experiment_id = ? ORDER BY v.name, v.version DESC",
        (experiment,),
    ):
        held = tuple(aliases.get((model, int(version)), ()))
        found.setdefault(run_id, []).append(Origin(model, str(version), held))
    return found


class _Searched:
    """The runs of any other store, read by MLflow's search in pages."""

    def __init__(self, store: Store, experiment_id: str) -> None:
        self._store, self._experiment = store, experiment_id
        self.heads: list[Head] = []
        self.metrics: dict[str, int] = {}
        self.params: dict[str, bool] = {}
        self.versions: dict[str, list[Origin]] = {}
        self._data: list[Any] = []
        self._token: str | None = None
        self._registered = _registered(store)
        self.more = True
        self._next(_FIRST_PAGE)

    def metric(self, name: str) -> Sequence[float | None]:
        found = (data.metrics.get(name) for data in self._data)
        return [None if value is None or math.isnan(value) else value for value in found]

    def param(self, name: str) -> Sequence[str | None]:
        return [data.params.get(name) for data in self._data]

    def read_more(self) -> None:
        if self.more:
            self._next(_NEXT_PAGE)

    def _next(self, count: int) -> None:
        with door("The experiment's runs"):
            page = self._store.client.search_runs(
                [self._experiment],
                max_results=count,
                order_by=["attributes.start_time DESC"],
                page_token=self._token,
            )
        self._token = page.token or None
        self.more = self._token is not None
        for run in page:
            if TAG not in run.data.tags:
                info = run.info
                self.heads.append(
                    Head(info.run_id, info.run_name or "", info.status, info.start_time or 0, info.end_time)
                )
                self._data.append(run.data)
                if info.run_id in self._registered:
                    self.versions[info.run_id] = self._registered[info.run_id]
        self._name_columns()

    def _name_columns(self) -> None:
        names = sorted({name for data in self._data for name in data.metrics})
        counts = {name: sum(value is not None for value in self.metric(name)) for name in names}
        self.metrics = {name: count for name, count in counts.items() if count}
        had = Counter(name for data in self._data for name in data.params)
        ordered = sorted(had, key=lambda name: (-had[name], name))
        self.params = {name: len(set(self.param(name)) - {None}) > 1 for name in ordered}


def _registered(store: Store) -> dict[str, list[Origin]]:
    """Find what the registry's models were made of; a server that keeps them from this user shows none."""
    found: dict[str, list[Origin]] = {}
    with contextlib.suppress(MLOpsError), door("The registry"):
        models = store.client.search_registered_models(max_results=1_000)
        for item in store.client.search_model_versions(max_results=1_000):
            aliases: dict[str, str] = next((model.aliases for model in models if model.name == item.name), {})
            held = tuple(
                sorted(alias for alias, number in aliases.items() if str(number) == str(item.version))
            )
            found.setdefault(item.run_id or "", []).append(Origin(item.name, str(item.version), held))
    return found
