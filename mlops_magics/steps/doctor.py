"""Doctor: what is broken around the road, and the remedy."""

from __future__ import annotations

import json
import os
import shutil
import site
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from mlops_magics.foundation.blocks import Block, Note, Table, Title
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.foundation.version import VERSION
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint
from mlops_magics.tracking import runs
from mlops_magics.tracking.pages import hindrance
from mlops_magics.tracking.provenance import git_state, installed
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store

_LOW_DISK_BYTES = 1 << 30
_LOW_DAYS: Final = 14
_PATIENCE: Final = 2.0  # seconds until an endpoint of this machine shows its certificate
_EXTENSION: Final = Path("labextensions", "mlops-magics", "package.json")
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

    Looked at are the versions of the libraries and of the JupyterLab extension, the store, MLflow's own
    pages, runs whose kernel is gone, runs that wait for the store, endpoints whose process is gone, their
    ports and certificates, git, the folder for private files, and the space on the disk. Nothing is changed.

    Args:
        settings: Where things are; found from the current folder by default.

    Returns:
        The findings; it does not raise for what it finds.
    """
    settings = settings or Settings.discover()
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _libraries,
        _extension,
        _store,
        _pages,
        _spool,
        _endpoints,
        _ports,
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


def _extension(settings: Settings) -> Iterator[Finding]:
    """Look whether the panel that JupyterLab loads is of this release."""
    del settings
    if not {"jupyterlab", "notebook"} & {name.lower() for name in installed()}:
        return  # it runs in another environment, and says itself where the two differ
    found = _panel()
    if found is None:
        remedy = "pip install --force-reinstall mlops-magics, then start JupyterLab again."
        yield Finding("panel", "warning", "JupyterLab has no panel of ours", remedy)
    elif found != VERSION:
        remedy = (
            "pip install --upgrade mlops-magics where JupyterLab runs, start it again, and reload the page."
        )
        yield Finding("panel", "broken", f"version {found} beside {VERSION} in Python", remedy)
    else:
        yield Finding("panel", "well", found)


def _panel() -> str | None:
    """Read the version of the extension that JupyterLab finds first; None where it finds none."""
    named = [os.environ.get("JUPYTER_DATA_DIR"), *os.environ.get("JUPYTER_PATH", "").split(os.pathsep)]
    places = [Path(place) for place in named if place]
    places += [Path(sys.prefix, "share", "jupyter"), Path(site.getuserbase(), "share", "jupyter")]
    for place in places:
        try:
            about = json.loads((place / _EXTENSION).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        return str(about.get("version"))
    return None


def _pages(settings: Settings) -> Iterator[Finding]:
    del settings
    why = hindrance()
    if why is None:
        yield Finding("mlflow's pages", "well", "shown in JupyterLab by a click")
    else:
        yield Finding("mlflow's pages", "warning", *why)


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
    endpoints = _local(settings)
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


def _local(settings: Settings) -> tuple[Endpoint, ...]:
    return TARGETS.get("local")(settings, masked(settings.store)).list()


def _ports(settings: Settings) -> Iterator[Finding]:
    """Look whether what does not answer would get its port back."""
    for item in _local(settings):
        if item.status != "down" or not item.port:
            continue
        with socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                line.bind(("127.0.0.1", item.port))
            except OSError as error:
                told = f"{item.port} of {item.name}: {error.strerror}"
                remedy = f"End what listens there, or %mlops_deploy {item.name} with another --port."
                yield Finding("port", "broken", told, remedy)
                continue
        yield Finding("port", "well", f"{item.port} of {item.name} is free")


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
    from mlops_magics.foundation.files import private_folder

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
