"""What the panel reads: each a question to a step or to the tracker, and its answer as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.blocks import shown
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.version import VERSION
from mlops_magics.frontends.server.alerts import ALERTS, Alert
from mlops_magics.frontends.server.asked import Asked, Here, Json
from mlops_magics.frontends.server.places import LOOKED_BACK, endpoints
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.deploy.traffic import read as traffic
from mlops_magics.steps.promote import Desk
from mlops_magics.steps.status import status
from mlops_magics.steps.status.guide import unbegun
from mlops_magics.steps.track.direction import higher_is_better
from mlops_magics.steps.track.table import METRIC, PAGE, RunTable, View
from mlops_magics.steps.track.view import page
from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking import experiments, recall, registry, runs, unmade
from mlops_magics.tracking.spool import Spool

_COLUMNS: Final = 3  # metrics that a narrow list has room for
_LOAD: Final = "%load_ext mlops_magics"
_UNCHOSEN: Final = "Default"  # the experiment that each store has from the start


def stand(here: Here, asked: Asked) -> Json:
    """Say how things stand: the store, the experiment, what waits, what is live, and what comes next."""
    del asked
    if here.store is None:
        none: Json = {"store": None, "experiment": None, "waiting": 0, "alerts": 0}
        road = unbegun(here.settings.root)
        told = {"next": [_LOAD, road[0].line], "road": [asdict(stage) for stage in road]}
        return none | told | {"version": VERSION}
    active = _active(here)
    found = status(settings=here.settings.with_(experiment=active))
    return {
        "store": found.store,
        "experiment": active,
        "waiting": len(Spool.of(here.settings)),
        "next": [found.next_step],
        "alerts": len(_alerts(here)),
        "road": [asdict(stage) for stage in found.road],
        "version": VERSION,
    }


def experiments_of(here: Here, asked: Asked) -> Json:
    """List the experiments, the one that was worked in last first."""
    del asked
    found = _experiments(here)
    return {"active": _active(here), "experiments": [asdict(item) for item in found]}


def runs_of(here: Here, asked: Asked) -> Json:
    """List a page of an experiment's runs: filtered, ordered, from a first one on."""
    with here.kept.tables:
        return _runs(here, asked)


def _runs(here: Here, asked: Asked) -> Json:
    name = asked.known("experiment") or _active(here)
    known: dict[str | None, str] = {item.name: item.id for item in _experiments(here)}
    table = _table(here, known[name]) if name in known else None
    if table is None or not table.runs.heads:
        return {"experiment": name, "metrics": [], "columns": [], "rows": [], "count": 0, "total": 0}
    sort = asked.known("sort") or "started"
    while table.runs.more and len(table.runs.heads) < asked.whole("first") + PAGE:
        table.read_more()
    columns = tuple(dict.fromkeys([*([sort] if sort.startswith(METRIC) else []), *_metrics(table)]))
    view = View(asked.text("filter", ""), "", sort, asked.flag("up"), columns[:_COLUMNS])
    return {
        "experiment": name,
        "metrics": [{"name": one, "better": higher_is_better(one)} for one in table.runs.metrics],
        "columns": [column.removeprefix(METRIC) for column in view.columns],
        **page(table, view, asked.whole("first")),
    }


def run_of(here: Here, asked: Asked) -> Json:
    """Show a run: what it was given, what came of it, what was registered of it."""
    store = here.opened()
    found = recall.brief(store, asked.text("id"))
    made = registry.made_by(store, found.run_id)
    return {
        "id": found.run_id,
        "name": shown(found.name),
        "experiment": shown(found.experiment),
        "status": found.status,
        "started": found.started,
        "ended": found.ended,
        "notebook": _below(here.root, found.notebook),
        "params": [[shown(key), shown(value)] for key, value in sorted(found.params.items())],
        "metrics": [[shown(key), value] for key, value in sorted(found.metrics.items()) if value == value],  # noqa: PLR0124 - NaN
        "versions": [
            {"model": item.model, "version": item.version, "aliases": list(item.aliases)} for item in made
        ],
    }


def cut_of(here: Here, asked: Asked) -> Json:
    """Name what a notebook's cells made that were cut short: a kernel that ended writes nothing there.

    ``cells`` are those whose newest run in the store was cut short, ``marked`` those that were no run yet:
    the id is "" where they have become none.
    """
    path = here.root / asked.text("notebook").lstrip("/")
    if here.store is None or not path.is_file() or not path.resolve().is_relative_to(here.root):
        return {"cells": {}, "marked": {}}
    book = str(path.resolve())
    found = {"cells": runs.cut_short(here.store, book), "marked": unmade.cut_short(here.settings, book)}
    return {
        where: {cell: {"run_id": run, "name": shown(name)} for cell, (run, name) in cells.items()}
        for where, cells in found.items()
    }


def models_of(here: Here, asked: Asked) -> Json:
    """List a page of the registered models, each with its aliases."""
    found = _models(here)
    wanted = asked.text("filter", "").lower().split()
    names = [
        name
        for name, aliases in found.items()
        if all(any(word in text.lower() for text in (name, *aliases)) for word in wanted)
    ]
    first = asked.whole("first")
    return {
        "count": len(names),
        "total": len(found),
        "first": first,
        "models": [
            {"name": name, "aliases": dict(sorted(found[name].items()))}
            for name in names[first : first + PAGE]
        ],
    }


def model_of(here: Here, asked: Asked) -> Json:
    """Show a version of a model before an alias: its gates, the comparison, the history."""
    return desk_of(here, asked).look(asked.known("version"), asked.known("alias"))


def details_of(here: Here, asked: Asked) -> Json:
    """Show what the evaluation of a version found, and what differs from the alias's holder."""
    return desk_of(here, asked).details(asked.text("version"), asked.text("alias"))


def endpoints_of(here: Here, asked: Asked) -> Json:
    """List the endpoints with how each is, and what came to it in the last minutes."""
    del asked
    return {"endpoints": [_endpoint(item) for item in endpoints(here.settings)]}


def alerts_of(here: Here, asked: Asked) -> Json:
    """List what asks for attention, from all that look."""
    del asked
    return {"alerts": [asdict(item) for item in _alerts(here)]}


def desk_of(here: Here, asked: Asked) -> StoreDesk:
    """Open the desk of the model that is asked for."""
    return StoreDesk(Desk(here.opened(), asked.text("model"), asked.known("alias") or "champion"))


def _below(root: Path, path: str | None) -> str | None:
    """Write a path as the server's pages have it; None where it lies elsewhere, or is gone."""
    if path is None or not Path(path).is_file() or not Path(path).is_relative_to(root):
        return None
    return Path(path).relative_to(root).as_posix()


def _experiments(here: Here) -> tuple[experiments.Experiment, ...]:
    store = here.store
    if store is None:
        return ()
    found: tuple[experiments.Experiment, ...] = here.kept.get(
        ("experiments", here.settings), here.stamp, lambda: experiments.listed(store)
    )
    return found


def _active(here: Here) -> str | None:
    """Name the experiment that is chosen, else the one that was worked in last, else one that was begun."""
    if here.settings.experiment is not None:
        return here.settings.experiment
    found = _experiments(here)
    worked = (item.name for item in found if item.newest is not None)
    begun = (item.name for item in found if item.name != _UNCHOSEN)
    return next(worked, None) or next(begun, None)


def _table(here: Here, experiment: str) -> RunTable:
    store = here.opened()
    table: RunTable = here.kept.get(
        ("table", here.settings, experiment), here.stamp, lambda: RunTable(store, experiment, View())
    )
    return table


def _metrics(table: RunTable) -> list[str]:
    """Name the metrics that a list shows; how long a fit took says little of a model."""
    return [key for key in table.metrics_first() if "seconds" not in key]


def _models(here: Here) -> dict[str, dict[str, str]]:
    store = here.store
    if store is None:
        return {}
    found: dict[str, dict[str, str]] = here.kept.get(
        ("models", here.settings), here.stamp, lambda: registry.models(store)
    )
    return found


def _alerts(here: Here) -> list[Alert]:
    """Ask all that look; one that cannot says so itself, and the others are heard."""

    def heard() -> list[Alert]:
        found: list[Alert] = []
        for name in ALERTS:
            try:
                found += ALERTS.get(name)(here.settings, here.store)
            except MLOpsError as error:
                found.append(Alert("warning", error.what, error.remedy, name))
        return found

    told: list[Alert] = here.kept.get(("alerts", here.settings), here.stamp, heard)
    return told


def _endpoint(item: Endpoint) -> Json:
    told: dict[str, Any] = {
        key: getattr(item, key)
        for key in ("name", "url", "model", "version", "status", "workers", "follows", "remark", "beside")
    }
    return told | {"started": item.started, "traffic": _traffic(item)}


def _traffic(item: Endpoint) -> Json | None:
    if item.journal is None:
        return None
    try:
        found = traffic(item.name, item.journal, LOOKED_BACK)
    except MLOpsError:
        return None
    return {
        "requests": found.requests,
        "seconds": found.seconds,
        "refused": sum(found.errors.values()),
        "p99": round(sum(stage.p99 for stage in found.stages), 3) if found.stages else None,
    }


READS: Final[dict[str, Callable[[Here, Asked], Json]]] = {
    "status": stand,
    "experiments": experiments_of,
    "runs": runs_of,
    "run": run_of,
    "cut": cut_of,
    "models": models_of,
    "model": model_of,
    "details": details_of,
    "endpoints": endpoints_of,
    "alerts": alerts_of,
}
