"""Status: the state of everything, and the next sensible command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, overload

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings, remember
from mlops_magics.road import magic_name
from mlops_magics.serving.journal import files
from mlops_magics.steps.status.guide import Seen, Stage, road, upcoming
from mlops_magics.steps.status.page import Page
from mlops_magics.steps.status.page import page as read_page
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import alerts, leaderboard, registry, reports, retrainings
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
        road: The stages from an empty project to a monitored endpoint, each with the line that does it.
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
    road: tuple[Stage, ...] = ()

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
        done = [f"{'✓ ' if stage.done else ''}{stage.verb}" for stage in _once(self.road)]
        if done:
            yield Note(f"road: {' · '.join(done)}", "quiet")
        yield Note(f"next: {self.next_step}")
        following = upcoming(self.road)
        if following.line == self.next_step:
            yield Note(f"{following.why} %{magic_name(following.verb)}? shows all that it takes.", "quiet")


@overload
def status(*, page: str, settings: Settings | None = None) -> Page: ...
@overload
def status(
    *,
    store: str | None = None,
    artifacts: str | None = None,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Status: ...
def status(
    *,
    store: str | None = None,
    artifacts: str | None = None,
    page: str | None = None,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Status | Page:
    """Show the state of everything: store, experiment, last run, models, endpoints; and the next command.

    Args:
        store: Log to this MLflow store from now on, in this kernel and the processes that it starts:
            ``sqlite:///path``, ``postgresql://host/name``, or the address of an MLflow server.
        artifacts: Put the files of new experiments there from now on: ``s3://bucket/folder``, or a folder
            that everyone reaches. By default beside a SQLite file, in the project for a database, and
            where the server says. Experiments that are there stay where they are.
        page: Show a page of the documentation instead, or a section of it: ``promote``,
            ``promote#a-policy``. Below an error stands which one explains it.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        The state; with ``--page`` the Page.

    Raises:
        UnavailableError: The store cannot be reached; then the old one stays chosen.
        NotFoundError: There is no such page or section.
        UsageError: A page and a store are asked for at once.
    """
    settings = settings or Settings.discover()
    if page is not None:
        if store or artifacts:
            raise UsageError("--page shows a page, and chooses no store.", "Say one of them a line.")
        return read_page(page, settings.docs)
    return _status(settings.with_(store=store, artifacts=artifacts), standby, store, artifacts)


def _status(settings: Settings, standby: Standby | None, store: str | None, artifacts: str | None) -> Status:
    """Look at everything, and keep the store from then on where one was named."""
    opened = open_store(settings)
    remember(**{key: value for key, value in (("store", store), ("artifacts", artifacts)) if value})
    registered = registry.registered(opened)
    models = {item.name: item.aliases for item in registered}
    endpoints = TARGETS.get("local")(settings, masked(settings.store)).list()
    newest = _newest(opened)
    open_alerts = sum(len(alerts.of_tags(item.tags)) for item in registered)
    stages = road(
        Seen(
            settings.experiment,
            newest,
            models,
            endpoints,
            open_alerts,
            asked=lambda item: item.journal is not None and bool(files.paths(item.journal)),
            watched=lambda item: reports.kept(
                opened, f"{item.model}/{item.version} at {item.name}", settings.experiment or item.model
            ),
            renewed=lambda model: bool(retrainings.attempts(opened, model)),
            folder=settings.root,
        )
    )
    return Status(
        store=opened.shown,
        experiment=settings.experiment,
        last_run=next(iter(newest), None),
        models=models,
        endpoints=endpoints,
        standby=None if standby is None else standby.pid,
        next_step=upcoming(stages).line,
        alerts=open_alerts,
        road=stages,
    )


def _newest(store: Store) -> tuple[Row, ...]:
    if store.settings.experiment is None:
        return ()
    identifier = store.experiment_id(store.settings.experiment)
    return leaderboard.top(store, identifier, limit=_NEWEST)


def _once(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Keep of each verb the first stage that is not done, else its last one."""
    found: dict[str, Stage] = {}
    for stage in stages:
        if stage.verb not in found or found[stage.verb].done:
            found[stage.verb] = stage
    return tuple(found.values())
