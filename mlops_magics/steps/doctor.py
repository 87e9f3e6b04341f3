"""Doctor: what is broken around the road, and the remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from mlops_magics.foundation.blocks import Block, Note, Table, Title
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import TARGETS
from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import git_state, installed
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store

_LOW_DISK_BYTES = 1 << 30
# The lowest versions that the product is tested with; the same bounds as in pyproject.toml.
_LOWEST = {"mlflow": (3, 17), "ipython": (8, 18), "pandas": (2, 2), "scikit-learn": (1, 5), "skops": (0, 13)}
_BROKEN = {("mlflow", "3.18.0"): "mlflow 3.18.0 cannot be installed whole"}

Outcome = Literal["well", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        outcome: How it is.
        told: What was seen.
        remedy: What to do; "" where all is well.
    """

    name: str
    outcome: Outcome
    told: str
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis(Result):
    """All that was looked at.

    Attributes:
        findings: A finding a row.
    """

    findings: tuple[Finding, ...]

    volatile: ClassVar[bool] = True

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken."""
        return all(item.outcome != "broken" for item in self.findings)

    @property
    def holds(self) -> bool:
        """Whether nothing is broken."""
        return self.healthy

    def blocks(self) -> Iterable[Block]:
        """Show each finding, and the remedies below."""
        yield Title("Doctor", "nothing is broken" if self.healthy else "something is broken")
        yield Table(
            ("looked at", "is", "seen"), [(item.name, item.outcome, item.told) for item in self.findings]
        )
        for item in self.findings:
            if item.remedy:
                yield Note(f"{item.name}: {item.remedy}", "bad" if item.outcome == "broken" else "quiet")


def doctor(*, settings: Settings | None = None) -> Diagnosis:
    """Look for what is broken around the road, and say the remedy of each thing that is.

    Looked at are the versions of the libraries, the store, runs whose kernel is gone, runs that wait for
    the store, endpoints whose process is gone or whose certificate ends, git, the folder for private files,
    and the space on the disk. Nothing is changed.

    Args:
        settings: Where things are; found from the current folder by default.

    Returns:
        The findings; it does not raise for what it finds.
    """
    settings = settings or Settings.discover()
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _libraries,
        _store,
        _spool,
        _endpoints,
        _git,
        _state,
        _disk,
    )
    return Diagnosis(tuple(finding for look in looks for finding in look(settings)))


def _python(settings: Settings) -> Iterator[Finding]:
    del settings
    version = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info[:2] >= (3, 11)
    yield Finding(
        "python", "well" if fits else "broken", version, "" if fits else "Use Python 3.11 or newer."
    )


def _libraries(settings: Settings) -> Iterator[Finding]:
    del settings
    versions = {name.lower(): version for name, version in installed().items()}
    for name, lowest in _LOWEST.items():
        version = versions.get(name)
        if version is None:
            yield Finding(name, "broken", "not installed", f"pip install '{name}'")
        elif (name, version) in _BROKEN:
            yield Finding(
                name, "broken", version, f"{_BROKEN[name, version]}: pip install '{name}!={version}'"
            )
        elif _numbers(version) < lowest:
            wanted = ".".join(map(str, lowest))
            yield Finding(name, "broken", version, f"pip install '{name}>={wanted}'")
        else:
            yield Finding(name, "well", version)


def _store(settings: Settings) -> Iterator[Finding]:
    try:
        store = open_store(settings)
        yield Finding("store", "well", store.shown)
        if settings.experiment is None:
            return
        orphans = runs.orphans(store, store.experiment_id(settings.experiment))
    except MLOpsError as error:
        yield Finding("store", "broken", error.what, error.remedy)
        return
    if orphans:
        remedy = f"%mlops_track {settings.experiment} marks them KILLED."
        yield Finding("runs", "warning", f"{len(orphans)} are open but their kernel is gone", remedy)
    else:
        yield Finding("runs", "well", "none is open without a kernel")


def _spool(settings: Settings) -> Iterator[Finding]:
    waiting = len(Spool.of(settings))
    if waiting:
        remedy = "%mlops_track writes them when the store answers."
        yield Finding("waiting runs", "warning", f"{waiting} that the store did not take", remedy)
    else:
        yield Finding("waiting runs", "well", "none")


def _endpoints(settings: Settings) -> Iterator[Finding]:
    endpoints = TARGETS.get("local")(settings, masked(settings.store)).list()
    for item in endpoints:
        if item.caution:
            outcome: Outcome = "broken" if item.caution.broken else "warning"
            yield Finding("certificate", outcome, f"{item.name}: {item.caution.what}", item.caution.remedy)
    down = [item.name for item in endpoints if item.status != "ready"]
    if down:
        remedy = f"%mlops_deploy MODEL@champion starts it again; %mlops_deploy {down[0]} --remove forgets it."
        yield Finding("endpoints", "broken", f"not answering: {', '.join(down)}", remedy)
    else:
        yield Finding("endpoints", "well", f"{len(endpoints)} live")


def _git(settings: Settings) -> Iterator[Finding]:
    state = git_state(settings.root)
    if state is not None:
        yield Finding(
            "git", "well", f"{state.commit[:10]}{', with uncommitted changes' if state.dirty else ''}"
        )
        return
    remedy = "git init, and commit: then each run knows its code." if shutil.which("git") else "Install git."
    yield Finding("git", "warning", "no commit found", remedy)


def _state(settings: Settings) -> Iterator[Finding]:
    from mlops_magics.foundation.platform import private_folder

    try:
        private_folder(settings.state)
    except MLOpsError as error:
        yield Finding("private files", "broken", error.what, error.remedy)
    else:
        yield Finding("private files", "well", "only you can read them")


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.root).free
    low = free < _LOW_DISK_BYTES
    remedy = "Free some space: models and runs need it." if low else ""
    yield Finding("disk", "warning" if low else "well", f"{free / (1 << 30):.1f} GiB free", remedy)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
