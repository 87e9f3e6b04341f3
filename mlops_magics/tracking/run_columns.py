"""All runs of an experiment, a column at a time: thousands of them are sorted and filtered in the kernel.

On SQLite a column is read when it is first asked for, by its key, which takes some hundredths of a second for
10,000 runs. Any other store gives whole runs by MLflow's search, in pages, and more only when asked.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.tracking.leaderboard import ATTEMPTS, KEEPING, schema_is_known, tagged
from mlops_magics.tracking.registry import paged
from mlops_magics.tracking.store import Store, door, read_only, sqlite_path

_FIRST_PAGE = 200  # runs that a search reads at once; a server sends each with all that it has
_NEXT_PAGE = 1_000
_NEWEST = 200  # runs by which it is known what most have
_OF_RUN = "r.experiment_id = ? AND r.lifecycle_stage = 'active'"


class Head(NamedTuple):
    """What every run has; a tuple, because ten thousand of them are made at once.

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
        heads: The runs, the newest first.
        metrics: The names of the metrics, in order.
        versions: What was registered of a run, by run id.
        more: Whether the store holds runs that are not read yet.
    """

    heads: list[Head]
    metrics: list[str]
    versions: dict[str, list[Origin]]
    more: bool

    @property
    def params(self) -> dict[str, bool]:
        """The names of the parameters, each with whether the runs that have it differ in it.

        What most of the newest runs have comes first.
        """

    def metric(self, name: str) -> Sequence[float | None]:
        """Return a metric of each run; None where a run has none or it is not a number."""

    def param(self, name: str) -> Sequence[str | None]:
        """Return a parameter of each run; None where a run has none."""

    def some(self, names: Sequence[str], places: Sequence[int]) -> list[list[float | None]]:
        """Return some metrics of some runs: what a page shows costs less than whole columns.

        Args:
            names: The metrics.
            places: The runs, by their places in ``heads``.

        Returns:
            For each metric a value a run; None where a run has none or it is not a number.
        """

    def read_more(self) -> None:
        """Read the next runs, if there are more; the columns become longer."""


def columns_of(store: Store, experiment_id: str) -> RunColumns:
    """Read the runs of an experiment, the newest first; runs that keep what was seen of something are none.

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
        # To ask of every value whether its run is an attempt costs as much again; many stores have no others.
        others = database.execute(f"{tagged(KEEPING)} LIMIT 1").fetchone()
        self._of_run = of_run = f"{_OF_RUN}{ATTEMPTS if others else ''}"
        found = database.execute(
            "SELECT r.run_uuid, r.name, r.status, r.start_time, r.end_time FROM runs r"  # noqa: S608 - constants
            f" WHERE {of_run} ORDER BY r.start_time DESC, r.run_uuid",
            asked,
        )
        self.heads: list[Head] = [Head(row[0], row[1] or "", row[2], row[3] or 0, row[4]) for row in found]
        self._places = {head.run_id: at for at, head in enumerate(self.heads)}
        self.metrics = _Keys(database, self._experiment, of_run).metrics()
        self.versions = _versions(database, self._experiment)
        self._kept: dict[tuple[str, str], list[Any]] = {}

    @functools.cached_property
    def params(self) -> dict[str, bool]:
        """Read when first asked for: whether runs differ in each takes longer than all the rest."""
        with door("The experiment's runs"), contextlib.closing(read_only(self._path)) as database:
            keys = _Keys(database, self._experiment, self._of_run)
            return keys.params([head.run_id for head in self.heads[:_NEWEST]])

    def metric(self, name: str) -> Sequence[float | None]:
        return self._column("latest_metrics", name, " AND c.is_nan = 0")

    def some(self, names: Sequence[str], places: Sequence[int]) -> list[list[float | None]]:
        ids = [self.heads[at].run_id for at in places]
        keys, marks = (",".join("?" * len(each)) for each in (names, ids))
        with door("The experiment's runs"), contextlib.closing(read_only(self._path)) as database:
            found = {
                (key, run_id): value
                for key, run_id, value in database.execute(
                    "SELECT key, run_uuid, value FROM latest_metrics"  # noqa: S608 - question marks only
                    f" WHERE key IN ({keys}) AND run_uuid IN ({marks}) AND is_nan = 0",
                    (*names, *ids),
                )
            }
        return [[found.get((name, run_id)) for run_id in ids] for name in names]

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


@dataclass(frozen=True, slots=True)
class _Keys:
    """The names of the columns, found by the index on keys: counting all values would cost half a second."""

    database: sqlite3.Connection
    experiment: int
    of_run: str

    def metrics(self) -> list[str]:
        return [
            name
            for name in self._known("latest_metrics")
            if self._some("latest_metrics", name, "c.is_nan = 0")
        ]

    def params(self, newest: Sequence[str]) -> dict[str, bool]:
        marks = ",".join("?" * len(newest))
        had = dict(
            self.database.execute(
                f"SELECT key, COUNT(*) FROM params WHERE run_uuid IN ({marks}) GROUP BY key",  # noqa: S608 - question marks only
                tuple(newest),
            ).fetchall()
        )
        found = {}
        for name in sorted(self._known("params"), key=lambda name: (-had.get(name, 0), name)):
            if (one := self._some("params", name, "1")) is not None:
                found[name] = self._differs(name, one[0])
        return found

    def _known(self, table: str) -> list[str]:
        """Step from each key to the next one in the index; those of other experiments are among them."""
        rows = self.database.execute(
            f"WITH RECURSIVE k(key) AS (SELECT MIN(key) FROM {table} UNION ALL"  # noqa: S608 - our own two tables
            f" SELECT (SELECT MIN(key) FROM {table} WHERE key > k.key) FROM k WHERE k.key IS NOT NULL)"
            " SELECT key FROM k WHERE key IS NOT NULL"
        )
        return [row[0] for row in rows]

    def _some(self, table: str, name: str, condition: str, *values: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.database.execute(
            f"SELECT c.value FROM {table} c JOIN runs r ON r.run_uuid = c.run_uuid"  # noqa: S608 - our own texts
            f" WHERE c.key = ? AND {self.of_run} AND {condition} LIMIT 1",
            (name, self.experiment, *values),
        ).fetchone()
        return found

    def _differs(self, name: str, one: str) -> bool:
        anywhere = self.database.execute(
            "SELECT 1 FROM params WHERE key = ? AND value <> ? LIMIT 1", (name, one)
        ).fetchone()
        return anywhere is not None and self._some("params", name, "c.value <> ?", one) is not None


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
        self.metrics: list[str] = []
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

    def some(self, names: Sequence[str], places: Sequence[int]) -> list[list[float | None]]:
        columns = [self.metric(name) for name in names]
        return [[values[at] for at in places] for values in columns]

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
            if not run.data.tags.keys() & set(KEEPING):
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
        self.metrics = [name for name in names if any(value is not None for value in self.metric(name))]
        had = Counter(name for data in self._data[:_NEWEST] for name in data.params)
        ordered = sorted(
            {name for data in self._data for name in data.params}, key=lambda name: (-had[name], name)
        )
        self.params = {name: len(set(self.param(name)) - {None}) > 1 for name in ordered}


def _registered(store: Store) -> dict[str, list[Origin]]:
    """Find what the registry's models were made of; a server that keeps them from this user shows none."""
    found: dict[str, list[Origin]] = {}
    with contextlib.suppress(MLOpsError), door("The registry"):
        models = {item.name: item.aliases for item in paged(store.client.search_registered_models)}
        for item in paged(store.client.search_model_versions, order_by=["name ASC", "version_number ASC"]):
            aliases: dict[str, str] = models.get(item.name, {})
            held = tuple(
                sorted(alias for alias, number in aliases.items() if str(number) == str(item.version))
            )
            found.setdefault(item.run_id or "", []).append(Origin(item.name, str(item.version), held))
    return found
