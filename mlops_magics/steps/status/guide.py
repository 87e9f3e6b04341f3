"""The guide: the stages of a model's road, which of them are done, and the line that does the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking.leaderboard import Row


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the road.

    Attributes:
        verb: The verb that does it.
        done: Whether it is done.
        line: The line that does it, with the names that are there; what is to be filled in is in capitals.
        why: What it is good for, as a sentence.
    """

    verb: str
    done: bool
    line: str
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guide looks at.

    Attributes:
        experiment: The chosen experiment.
        newest: Its newest runs.
        models: The registered models, each with its aliases and the version each points to.
        endpoints: The endpoints of the store.
        alerts: How many alerts are open.
        asked: Tells whether anybody ever asked an endpoint.
        watched: Tells whether an endpoint was ever monitored.
        renewed: Tells whether a model was ever retrained.
    """

    experiment: str | None
    newest: Sequence[Row]
    models: Mapping[str, Mapping[str, str]]
    endpoints: Sequence[Endpoint]
    alerts: int
    asked: Callable[[Endpoint], bool]
    watched: Callable[[Endpoint], bool]
    renewed: Callable[[str], bool]


def road(seen: Seen) -> tuple[Stage, ...]:
    """List the stages for the model that is least far along, else for the first one."""
    waiting = [name for name, held in seen.models.items() if "champion" not in held]
    model = next(iter([*waiting, *seen.models]), "")
    return *_made(seen), *_kept(seen, model), *_live(seen, model)


def upcoming(stages: Sequence[Stage]) -> Stage:
    """Return the first stage that is not done; where all are, the look at everything."""
    all_ = Stage("monitor", done=False, line="%mlops_monitor --all", why="All that is live, in short.")
    return next((stage for stage in stages if not stage.done), all_)


def _made(seen: Seen) -> tuple[Stage, ...]:
    """List the stages up to a run that was evaluated."""
    finished = [row for row in seen.newest if row.status == "FINISHED"]
    run = finished[0].name if finished else "RUN"
    evaluated = any(key.startswith("test_") for row in finished for key in row.metrics)
    return (
        Stage(
            "track",
            seen.experiment is not None,
            "%mlops_track NAME",
            "It chooses an experiment; from there each cell that fits a model is a run in it.",
        ),
        Stage(
            "track",
            bool(finished),
            "%%mlops_track --name NAME -o run",
            "At the top of a cell that fits a model: the cell becomes a run with its code, data and model.",
        ),
        Stage(
            "evaluate",
            evaluated,
            f"%mlops_evaluate {run} DATA --target COLUMN",
            "Rows that the model never saw say how good it is; gates say whether that is enough.",
        ),
    )


def _kept(seen: Seen, model: str) -> tuple[Stage, ...]:
    """List the stages up to a champion."""
    finished = [row.name for row in seen.newest if row.status == "FINISHED"]
    name = model or "MODEL"
    return (
        Stage(
            "register",
            bool(seen.models),
            f"%mlops_register {finished[0] if finished else 'RUN'} NAME",
            "The run's model becomes a version that was loaded and checked in a process of its own.",
        ),
        Stage(
            "promote",
            "champion" in seen.models.get(model, {}),
            f"%mlops_promote {name}",
            "Gates are checked again, and the alias moves with a reason. --rollback gives it back.",
        ),
    )


def _live(seen: Seen, model: str) -> tuple[Stage, ...]:
    """List the stages from an endpoint on."""
    name = model or "MODEL"
    champion = seen.models.get(model, {}).get("champion")
    live = next((item for item in seen.endpoints if item.model == model and item.status == "ready"), None)
    current = live is not None and (live.version == champion or live.follows == "champion")
    old = live is not None and not current
    watched = live is not None and seen.watched(live)
    count = "1 alert is" if seen.alerts == 1 else f"{seen.alerts} alerts are"
    alarmed = f"{count} open: it says what, since when, and why perhaps."
    endpoint = live.name if live else name
    return (
        Stage(
            "deploy",
            current,
            f"%mlops_deploy {name}@champion",
            f"Version {champion} is not live yet: this endpoint answers with another one."
            if old
            else "The champion answers at an address of this machine, guarded by a token.",
        ),
        Stage(
            "predict",
            live is not None and seen.asked(live),
            f"%mlops_predict {endpoint} DATA",
            "It asks the endpoint as its clients do; the journal keeps what was asked and answered.",
        ),
        Stage(
            "monitor",
            watched and not seen.alerts,
            f"%mlops_monitor {endpoint}",
            alarmed if seen.alerts else "It shows traffic, drift and performance, and says what to look at.",
        ),
        Stage(
            "retrain",
            bool(model) and watched and seen.renewed(model),
            f'%mlops_retrain {name} --notebook NOTEBOOK --when "drift or age > 7d"',
            "The notebook is executed on fresh rows when it is time; the gates decide what comes of it.",
        ),
    )
