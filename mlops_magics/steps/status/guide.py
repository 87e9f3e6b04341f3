"""The guide: the stages of a model's road, which of them are done, and the line that does the next one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking.leaderboard import Row

_WORD: Final = re.compile(r"\w[\w.-]*\w|\w", re.ASCII)  # a line splits at blanks


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the road.

    Attributes:
        verb: The verb that does it.
        done: Whether it is done.
        line: The line that does it, with the names that are there; what is to be filled in is in capitals.
        why: What it is good for, and what is to be filled in, for who never read of it.
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
        folder: The project's folder, after which an experiment may be called.
    """

    experiment: str | None
    newest: Sequence[Row]
    models: Mapping[str, Mapping[str, str]]
    endpoints: Sequence[Endpoint]
    alerts: int
    asked: Callable[[Endpoint], bool]
    watched: Callable[[Endpoint], bool]
    renewed: Callable[[str], bool]
    folder: Path = Path()


def unbegun(folder: Path) -> tuple[Stage, ...]:
    """List the stages of a project that has no store yet."""

    def never(_: object) -> bool:
        return False

    return road(Seen(None, (), {}, (), 0, asked=never, watched=never, renewed=never, folder=folder))


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
    run = _run(finished)
    evaluated = any(key.startswith("test_") for row in finished for key in row.metrics)
    return (
        Stage(
            "track",
            seen.experiment is not None,
            f"%mlops_track {_word(seen.folder.name) or 'NAME'}",
            "It chooses an experiment, a name for all that belongs to one task: any name will do. From there "
            "each cell that fits a model is kept as a run in it.",
        ),
        Stage(
            "track",
            bool(finished),
            "%%mlops_track --name baseline -o run",
            "At the top of a cell that fits a model: the cell becomes a run, which keeps its code, data, "
            "numbers and model. Any name will do; -o run puts the run into the variable run.",
        ),
        Stage(
            "evaluate",
            evaluated,
            f"%mlops_evaluate {run} DATA --target COLUMN",
            "Rows that the model never saw say how good it is; gates, questions that it must pass, say "
            "whether that is enough. Fill in what is in capitals: test --target price, or X_test "
            "--target y_test.",
        ),
    )


def _kept(seen: Seen, model: str) -> tuple[Stage, ...]:
    """List the stages up to a champion."""
    finished = [row for row in seen.newest if row.status == "FINISHED"]
    name, called = model or "MODEL", _word(seen.experiment or "") or "NAME"
    return (
        Stage(
            "register",
            bool(seen.models),
            f"%mlops_register {_run(finished)} {called}",
            "The run's model becomes a version that others may use: it was loaded and checked in a process "
            "of its own. The last word is the name that its versions have in common; any will do.",
        ),
        Stage(
            "promote",
            "champion" in seen.models.get(model, {}),
            f"%mlops_promote {name}",
            "Of several versions one counts: the champion. You choose it and say why; the gates are checked "
            "again. It can be taken back.",
        ),
    )


def _live(seen: Seen, model: str) -> tuple[Stage, ...]:
    """List the stages from an endpoint on."""
    name = model or "MODEL"
    champion = seen.models.get(model, {}).get("champion")
    live = next((item for item in seen.endpoints if item.model == model and item.status == "ready"), None)
    current = live is not None and (live.version == champion or live.follows == "champion")
    old = live is not None and not current
    endpoint = live.name if live else name
    return (
        Stage(
            "deploy",
            current,
            f"%mlops_deploy {name}@champion",
            f"Version {champion} is not live yet: this endpoint answers with another one."
            if old
            else "The champion becomes an endpoint: it answers requests at an address of this machine, "
            "guarded by a token.",
        ),
        Stage(
            "predict",
            live is not None and seen.asked(live),
            f"%mlops_predict {endpoint} DATA",
            "It asks the endpoint as its clients do, and a journal keeps what was asked and answered. DATA "
            "is a table of rows, such as test or X_test.",
        ),
        *_watched(seen, model, live),
    )


def _watched(seen: Seen, model: str, live: Endpoint | None) -> tuple[Stage, ...]:
    """List the stages from watching an endpoint on."""
    name = model or "MODEL"
    watched = live is not None and seen.watched(live)
    count = "1 alert is" if seen.alerts == 1 else f"{seen.alerts} alerts are"
    alarmed = f"{count} open: it says what, since when, and why perhaps."
    return (
        Stage(
            "monitor",
            watched and not seen.alerts,
            f"%mlops_monitor {live.name if live else name}",
            alarmed
            if seen.alerts
            else "It shows what was asked, and whether those rows look like the ones that the model was "
            "fitted on.",
        ),
        Stage(
            "retrain",
            bool(model) and watched and seen.renewed(model),
            f'%mlops_retrain {name} --notebook NOTEBOOK --when "drift or age > 7d"',
            "The notebook that fits the model is executed on fresh rows when it is time; the gates decide "
            "what comes of it. NOTEBOOK is its path.",
        ),
    )


def _run(finished: Sequence[Row]) -> str:
    """Write the newest run as a line takes it: by its name, or by its id where the name holds blanks."""
    if not finished:
        return "RUN"
    return _word(finished[0].name) or finished[0].run_id


def _word(name: str) -> str:
    """Take a name that a line holds without quotes; "" for any other."""
    return name if _WORD.fullmatch(name) else ""
