"""Texts that run a retraining on a schedule: written to a folder, brought to life by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.locks import locked
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain.schedule import cronjob, crontab, github, kubeflow, systemd
from mlops_magics.steps.retrain.schedule.base import Kind, Plan, Texts, checked, slug
from mlops_magics.steps.retrain.schedule.cadence import Cadence
from mlops_magics.targets.base import Difference
from mlops_magics.targets.folder import Folder

__all__ = ["KINDS", "Cadence", "Scheduled", "Wanted", "differences", "files", "remove", "slug", "write"]

KINDS: Final[Mapping[str, Kind]] = {
    "cronjob": cronjob.KIND,
    "crontab": crontab.KIND,
    "github": github.KIND,
    "kubeflow": kubeflow.KIND,
    "systemd": systemd.KIND,
}

_FOLDER: Final = "schedule"
_VERB: Final = "%mlops_retrain"
_LOCK: Final = 60.0
_TIMEOUT: Final = 4 * 3_600
_IN_IMAGE: Final = PurePosixPath("/app")
_IMAGES: Final = frozenset({"cronjob", "kubeflow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to run, and when.

    Attributes:
        command: The words of the command, such as ``("mlops", "retrain", "flights")``.
        when: How often: ``15m``, ``6h``, ``1d``, ``7d``, or a cron expression.
        name: What it is called; a DNS label.
        folder: The folder that it runs in: by default the project's root, in an image ``/app``.
        timeout: The most seconds that it may take.
        variables: Variables to set; none of them a secret.
        secrets: Names of variables whose values the scheduler knows.
        image: The container image, for a scheduler that runs one.
    """

    command: Sequence[str]
    when: str
    name: str
    folder: Path | None = None
    timeout: int = _TIMEOUT
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What was written.

    Attributes:
        kind: For which scheduler.
        name: What it is called.
        cron: When it runs, as a cron expression.
        folder: Where the files lie.
        files: Their names.
        then: The commands that bring them to life.
    """

    kind: str
    name: str
    cron: str
    folder: Path
    files: tuple[str, ...]
    then: tuple[str, ...]


def files(kind: str, wanted: Wanted, settings: Settings, *, into: Path | None = None) -> Texts:
    """Make the files of a schedule, and write nothing.

    Args:
        kind: ``crontab``, ``systemd``, ``github``, ``cronjob`` or ``kubeflow``.
        wanted: What is to run, and when.
        settings: Where the project is.
        into: The folder that they are made for.

    Returns:
        Path in the folder -> content: the same for the same schedule.

    Raises:
        UsageError: There is no such scheduler, or it cannot say what is wanted.
    """
    return _kind(kind).files(_plan(kind, wanted, settings, into))


def differences(
    kind: str, wanted: Wanted, settings: Settings, *, into: Path | None = None
) -> tuple[Difference, ...]:
    """Say what :func:`write` would change, and change nothing; its arguments are those of `write`."""
    place = _place(kind, wanted.name, settings, into)
    return Folder(place, _VERB).differences(files(kind, wanted, settings, into=into))


def write(kind: str, wanted: Wanted, settings: Settings, *, into: Path | None = None) -> Scheduled:
    """Write the files of a schedule, all or none; nothing is started.

    Args:
        kind: ``crontab``, ``systemd``, ``github``, ``cronjob`` or ``kubeflow``.
        wanted: What is to run, and when.
        settings: Where the project is.
        into: The folder to write to; by default ``schedule/<name>/<kind>`` of the project's root.

    Returns:
        What was written, and the commands that follow.

    Raises:
        UsageError: There is no such scheduler, or it cannot say what is wanted.
        RefusedError: A file was changed by hand, or the folder holds something else.
        UnavailableError: It cannot be written; what was there is there still.
    """
    plan = _plan(kind, wanted, settings, into)
    made = _kind(kind).files(plan)
    folder = Folder(Path(plan.place), _VERB)
    with locked(settings.state / "schedule.lock", seconds=_LOCK):
        folder.replace(made, {"name": plan.name, "schedule": kind, "cron": plan.cadence.cron})
    shown = _shown(folder.path, settings.root)
    return Scheduled(
        kind, plan.name, plan.cadence.cron, folder.path, tuple(made), _kind(kind).then(plan, shown)
    )


def remove(kind: str, name: str, settings: Settings, *, into: Path | None = None) -> tuple[str, ...]:
    """Delete the files of a schedule; others, and those that were changed since, stay.

    Args:
        kind: For which scheduler they were written.
        name: What it is called.
        settings: Where the project is.
        into: The folder that they were written to, where that was named.

    Returns:
        The names of what had been written.

    Raises:
        UsageError: There is no such scheduler.
        NotFoundError: Nothing of this name was written for it.
    """
    _kind(kind)
    folder = Folder(_place(kind, name, settings, into), _VERB)
    with locked(settings.state / "schedule.lock", seconds=_LOCK):
        record = folder.record()
        if record is None or record.about.get("schedule") != kind or record.about.get("name") != name:
            raise NotFoundError(
                f"No schedule named {name} was written for {kind}.",
                "Its files lie in schedule/ of the project.",
            )
        folder.clear()
        if into is None:
            _tidy(folder.path.parent, settings.root)
    return tuple(sorted(record.files))


def _plan(kind: str, wanted: Wanted, settings: Settings, into: Path | None) -> Plan:
    _kind(kind)
    within = _IN_IMAGE if kind in _IMAGES else PurePosixPath(settings.root)
    return checked(
        Plan(
            name=wanted.name,
            command=tuple(wanted.command),
            cadence=Cadence.parse(wanted.when, wanted.name),
            folder=within if wanted.folder is None else PurePosixPath(wanted.folder),
            place=PurePosixPath(_place(kind, wanted.name, settings, into)),
            timeout=wanted.timeout,
            variables=dict(wanted.variables),
            secrets=tuple(wanted.secrets),
            image=wanted.image,
        )
    )


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise UsageError(f"There is no scheduler named {kind[:40]!r}.", nearest(kind, KINDS))
    return KINDS[kind]


def _place(kind: str, name: str, settings: Settings, into: Path | None) -> Path:
    return (settings.root / _FOLDER / name / kind) if into is None else into.absolute()


def _shown(path: Path, root: Path) -> str:
    """Write a folder as a command would, from the project's root where it lies there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _tidy(folder: Path, root: Path) -> None:
    for path in (folder, root / _FOLDER):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
