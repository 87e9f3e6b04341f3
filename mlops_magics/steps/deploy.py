"""Deploy: a registered version becomes a live, token-guarded REST endpoint; also listed and removed here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, overload

from mlops_magics.artifact import manifest
from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint, Request
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import provenance, registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store


@dataclass(frozen=True)
class Deployment(Result):
    """A live endpoint.

    Attributes:
        name: The endpoint's name.
        url: Where requests go.
        model: The registered model.
        version: The version that answers.
        target: Where it runs.
        seconds: How long it took from the call to the first correct answer.
        notes: What the user should know: pins that differ.
    """

    name: str
    url: str
    model: str
    version: str
    target: str
    seconds: float
    notes: tuple[str, ...] = ()

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what answers where, and how to ask it."""
        yield Title(f"Endpoint {self.name}", "live", "good")
        yield Facts(
            [
                ("model", f"{self.model}, version {self.version}"),
                ("url", f"{self.url}/invocations"),
                ("checked", f"first correct answer after {self.seconds:.2f} s"),
                ("next", f"%mlops_predict {self.name} DATA"),
            ]
        )
        for note in self.notes:
            yield Note(note, "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the version and the address."""
        return {"version": self.version, "url": self.url}


@dataclass(frozen=True)
class Listing(Result):
    """The endpoints of this store.

    Attributes:
        endpoints: An endpoint a row.
    """

    endpoints: tuple[Endpoint, ...]

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show an endpoint a row."""
        yield Title("Endpoints", f"{len(self.endpoints)}")
        yield Table(
            ("endpoint", "status", "model", "version", "url"),
            [(item.name, item.status, item.model, item.version, item.url) for item in self.endpoints],
        )
        if not self.endpoints:
            yield Note("None is live.")
            yield Code("%mlops_deploy MODEL@champion")


@dataclass(frozen=True)
class Removal(Result):
    """An endpoint that is gone.

    Attributes:
        name: Its name.
    """

    name: str

    def blocks(self) -> Iterable[Block]:
        """Say so."""
        yield Title(f"Endpoint {self.name}", "removed")


@overload
def deploy(
    model: None = None,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    remove: bool = False,
    allow_pickle: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Listing: ...
@overload
def deploy(
    model: object,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    remove: bool = False,
    allow_pickle: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Removal: ...
def deploy(
    model: object = None,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    remove: bool = False,
    allow_pickle: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Listing | Removal:
    """Put a registered version behind a live REST endpoint; list the endpoints; remove one.

    The endpoint speaks MLflow's scoring protocol, checks each value against the model's signature, and
    asks for a token, which lies in a file that only you can read; ``%mlops_predict`` reads it there. It
    listens on this machine only and outlives the notebook. Deploying to a name that is live swaps the
    version without losing a request, and keeps address and token.

    Args:
        model: ``flights@champion``, ``flights/3``, or ``flights`` for its champion. Nothing: list the
            endpoints. With ``--remove``: the endpoint's name.
        to: The serving target.
        name: The endpoint's name; the model's by default.
        port: The port to listen on; a free one by default, kept when the endpoint is deployed again.
        workers: How many processes answer.
        remove: Take the endpoint away, and end its processes.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        A Deployment, a Listing without a model, or a Removal.

    Raises:
        NotFoundError: There is no such version, champion, endpoint or target.
        RefusedError: The files are not those that were registered, or need a consent, or another
            scikit-learn than the one installed here.
        UnavailableError: The port is taken, or the endpoint does not answer correctly; what was live
            before is live still.
    """
    begun = datetime.now(UTC)
    settings = settings or Settings.discover()
    store = open_store(settings)
    target = TARGETS.get(to)(settings, store.uri)
    if model is None:
        if remove:
            raise UsageError("Which endpoint shall be removed?", "%mlops_deploy NAME --remove")
        return Listing(tuple(target.endpoints()))
    if remove:
        return _removed(store, target, str(getattr(model, "name", model)))
    version = _version(store, model)
    endpoint_name = checked_name(name or version.model, "endpoint")
    with subject.files(store, subject.of_version(version)) as folder, tempfile.TemporaryDirectory() as copy:
        notes = _pins(folder)
        request = _request(version, folder, Path(copy), endpoint_name, allow_pickle=allow_pickle)
        endpoint = target.deploy(request, port=port, workers=workers, standby=standby)
    _noted(store, version, endpoint, "deployed")
    seconds = (datetime.now(UTC) - begun).total_seconds()
    return Deployment(endpoint.name, endpoint.url, version.model, version.version, to, seconds, notes)
