"""Status: the state of everything, and the next sensible command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings, remember
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import alerts, leaderboard, registry
from mlops_magics.tracking.leaderboard import Row
from mlops_magics.tracking.store import Store, open_store

_NEWEST = 50


@dataclass(frozen=True)
class Status(Result):
    """How things stand.

    Attributes:
        store: The store's address, without secrets.
        experiment: The chosen experiment, or None.
        last_run: Its newest run, or None.
        models: The registered models, each with its aliases and the version each points to.
        endpoints: The endpoints of this store.
        standby: The number of the process that waits for a deployment, or None.
        next_step: The next sensible command.
        alerts: How many alerts of %mlops_monitor are open.
    """

    store: str
    experiment: str | None
    last_run: Row | None
    models: Mapping[str, Mapping[str, str]]
    endpoints: tuple[Endpoint, ...]
    standby: int | None
    next_step: str
    alerts: int = 0

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the store, the last run, the models, the endpoints, and what comes next."""
        yield Title("mlops", self.store)
        last = self.last_run
        yield Facts(
            [
                ("experiment", self.experiment),
                ("last run", None if last is None else f"{last.name}, {last.status.lower()}"),
                ("standby", None if self.standby is None else f"process {self.standby}"),
                *([("open alerts", self.alerts)] if self.alerts else []),
            ]
        )
        if self.models:
            yield Table(
                ("model", "aliases"),
                [
                    (name, ", ".join(f"{key} {value}" for key, value in sorted(aliases.items())) or None)
                    for name, aliases in self.models.items()
                ],
            )
        if self.endpoints:
            yield Table(
                ("endpoint", "status", "version", "follows", "url"),
                [
                    (item.name, item.status, item.version, item.follows or None, item.url)
                    for item in self.endpoints
                ],
            )
        for item in self.endpoints:
            if item.remark:
                yield Note(f"{item.name}: {item.remark}", "bad")
            if item.caution:
                yield Note(f"{item.name}: {item.caution}", "bad")
        yield Note(f"next: {self.next_step}")


def status(
    *,
    store: str | None = None,
    artifacts: str | None = None,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Status:
    """Show the state of everything: store, experiment, last run, models, endpoints; and the next command.

    Args:
        store: Log to this MLflow store from now on, in this kernel and the processes that it starts:
            ``sqlite:///path``, ``postgresql://host/name``, or the address of an MLflow server.
        artifacts: Put the files of new experiments there from now on: ``s3://bucket/folder``, or a folder
            that everyone reaches. By default beside a SQLite file, in the project for a database, and
            where the server says. Experiments that are there stay where they are.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        The state.

    Raises:
        UnavailableError: The store cannot be reached; then the old one stays chosen.
    """
    settings = (settings or Settings.discover()).with_(store=store, artifacts=artifacts)
    opened = open_store(settings)
    remember(**{key: value for key, value in (("store", store), ("artifacts", artifacts)) if value})
    models = registry.models(opened)
    endpoints = TARGETS.get("local")(settings, masked(settings.store)).list()
    newest = _newest(opened)
    last = newest[0] if newest else None
    return Status(
        store=opened.shown,
        experiment=settings.experiment,
        last_run=last,
        models=models,
        endpoints=endpoints,
        standby=None if standby is None else standby.pid,
        next_step=_next_step(settings.experiment, newest, models, endpoints),
        alerts=alerts.count(opened),
    )


def _newest(store: Store) -> tuple[Row, ...]:
    if store.settings.experiment is None:
        return ()
    identifier = store.experiment_id(store.settings.experiment)
    return leaderboard.top(store, identifier, limit=_NEWEST)


def _next_step(
    experiment: str | None,
    newest: tuple[Row, ...],
    models: Mapping[str, Mapping[str, str]],
    endpoints: tuple[Endpoint, ...],
) -> str:
    """Choose the first step of the road that nothing has been done for."""
    finished = [row for row in newest if row.status == "FINISHED"]
    run = finished[0].name if finished else ""
    evaluated = any(key.startswith("test_") for row in finished for key in row.metrics)
    waiting = [name for name, held in models.items() if "champion" not in held]
    model = next(iter([*waiting, *models]), "")
    champion = models.get(model, {}).get("champion")
    live = next((item for item in endpoints if item.model == model and item.status == "ready"), None)
    current = live is not None and (live.version == champion or live.follows == "champion")
    road = (
        (experiment, "%mlops_track NAME chooses an experiment"),
        (finished, "%%mlops_track --name NAME -o run at the top of a cell that fits a model"),
        (evaluated, f"%mlops_evaluate {run} DATA --target COLUMN"),
        (models, f"%mlops_register {run} NAME"),
        (champion, f"%mlops_promote {model}"),
        (live, f"%mlops_deploy {model}@champion"),
        (current, f"%mlops_deploy {model}@champion  (version {champion} is not live yet)"),
    )
    return next((command for done, command in road if not done), f"%mlops_predict {model} DATA")
