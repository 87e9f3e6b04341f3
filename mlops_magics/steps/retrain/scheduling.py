"""A line that retrains is handed to a scheduler: as files, which the user brings to life."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from mlops_magics.foundation.blocks import Block, Code, Facts, Name, Title
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain.schedule import Wanted, slug, write

Scheduler = Literal["crontab", "systemd", "github", "cronjob", "kubeflow"]

_NOT_OF_THE_LINE: Final = frozenset({"model", "schedule", "every", "into", "image", "settings"})


@dataclass(frozen=True)
class Schedule(Result):
    """The files with which a scheduler retrains a model.

    Attributes:
        model: The registered model.
        scheduler: Which scheduler.
        cron: When, as a cron expression.
        command: The line that it runs.
        folder: Where the files lie.
        files: Their names.
        then: The commands that bring them to life.
    """

    model: str
    scheduler: str
    cron: str
    command: tuple[str, ...]
    folder: str
    files: tuple[str, ...]
    then: tuple[str, ...]

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show where the files lie and what to do next; nothing of it was done."""
        yield Title(f"Retrain {self.model}", f"written for {self.scheduler}", "good")
        yield Facts(
            [
                ("when", self.cron),
                ("runs", Name(" ".join(self.command))),
                ("folder", Name(self.folder)),
                ("files", Name(", ".join(self.files))),
            ]
        )
        for line in self.then:
            yield Code(line)


def scheduled(settings: Settings, said: Mapping[str, Any]) -> Schedule:
    """Write the files with which a scheduler runs a line.

    Args:
        settings: Where the project is.
        said: The arguments of the verb, by name.

    Raises:
        UsageError: The rows are a table of the notebook, or the scheduler cannot say what is wanted.
        RefusedError: A file was changed by hand.
    """
    command = (_program(said["schedule"]), "retrain", said["model"], *_words(said))
    wanted = Wanted(
        command=command, when=said["every"], name=slug(f"retrain-{said['model']}"), image=said["image"]
    )
    made = write(said["schedule"], wanted, settings, into=said["into"])
    folder = from_home(made.folder)
    return Schedule(said["model"], made.kind, made.cron, command, folder, made.files, made.then)


def _program(scheduler: str) -> str:
    """Name our command: systemd looks nowhere for it, the others have a path of their own."""
    beside = Path(sys.executable).with_name("mlops")
    found = str(beside) if beside.is_file() else shutil.which("mlops")
    return found or "mlops" if scheduler == "systemd" else "mlops"


def _words(said: Mapping[str, Any]) -> Iterator[str]:
    """Write options as they are written in a shell; what was left out stays out."""
    for name, value in said.items():
        if (
            name in _NOT_OF_THE_LINE
            or value is None
            or value is False
            or (isinstance(value, tuple) and not value)
        ):
            continue
        yield f"--{name.replace('_', '-')}"
        if value is True:
            continue
        if isinstance(value, tuple):
            yield ",".join(map(str, value))
        elif isinstance(value, str | Path):
            yield str(value)
        else:
            raise UsageError(
                f"--{name} is a table of this notebook, which no scheduler has.", "Name a file, or a query."
            )
