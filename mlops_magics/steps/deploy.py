"""Deploy: a registered version becomes a live, token-guarded REST endpoint; also listed and removed here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal, overload

from mlops_magics.artifact import manifest
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint, Request, Target
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
        engine: What computes: "plan" where the pipeline was compiled, otherwise why it was not.
        notes: What the user should know: pins that differ, an alias that is followed no more.
        follows: The alias that the endpoint follows from now on, or "".
    """

    name: str
    url: str
    model: str
    version: str
    target: str
    seconds: float
    engine: str = ""
    notes: tuple[str, ...] = ()
    follows: str = ""

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what answers where, and how to ask it."""
        yield Title(f"Endpoint {self.name}", "live", "good")
        yield Facts(
            [
                ("model", f"{self.model}, version {self.version}"),
                ("url", f"{self.url}/invocations"),
                ("checked", f"first correct answer after {self.seconds:.2f} s"),
                ("computed by", self._engine()),
                *([("follows", self.follows)] if self.follows else []),
                ("next", f"%mlops_predict {self.name} DATA"),
            ]
        )
        for note in self.notes:
            yield Note(note, "quiet")

    def _engine(self) -> str:
        if self.engine == "plan":
            return "a compiled plan, which answered all tried rows as the pipeline does"
        return f"the {self.engine}" if self.engine else "the pipeline"

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
            ("endpoint", "status", "model", "version", "follows", "url"),
            [
                (item.name, item.status, item.model, item.version, item.follows or None, item.url)
                for item in self.endpoints
            ],
        )
        for item in self.endpoints:
            if item.remark:
                yield Note(f"{item.name}: {item.remark}", "bad")
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
def deploy(model: None = None, *, to: str = "local", settings: Settings | None = None) -> Listing: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    follow: bool = False,
    remove: Literal[False] = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment: ...
@overload
def deploy(
    model: str | ModelVersion, *, to: str = "local", remove: Literal[True], settings: Settings | None = None
) -> Removal: ...
def deploy(  # noqa: PLR0913 - one verb and its options
    model: str | ModelVersion | None = None,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    follow: bool = False,
    remove: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
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
        follow: Follow the alias: where it points to another version, that one takes over by itself once it
            has answered its example. Deploying without this ends it.
        remove: Take the endpoint away, and end its processes.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
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
    target = TARGETS.get(to)(settings, masked(settings.store))
    if model is None:
        if remove:
            raise UsageError("Which endpoint shall be removed?", "%mlops_deploy NAME --remove")
        return Listing(target.list())
    if remove:
        return _removed(store, target, _name(model))
    alias = _alias(model, to) if follow else None
    version = _version(store, model)

    def deploy_to(request: Request) -> Endpoint:
        return target.deploy(replace(request, port=port, workers=workers, follow=alias), standby=standby)

    name = checked_name(name or version.model, "endpoint")
    live, notes = put(store, version, deploy_to, name=name, allow_pickle=allow_pickle, allow_code=allow_code)
    seconds = (datetime.now(UTC) - begun).total_seconds()
    return Deployment(
        live.name, live.url, version.model, version.version, to, seconds, live.engine, notes, live.follows
    )


def put(
    store: Store,
    version: ModelVersion,
    deploy_to: Callable[[Request], Endpoint],
    *,
    name: str,
    allow_pickle: bool,
    allow_code: bool,
) -> tuple[Endpoint, tuple[str, ...]]:
    """Bring a version's files here, check them, deploy them, and write that on the version.

    Args:
        store: The open store.
        version: The version.
        deploy_to: Deploys what was checked.
        name: The endpoint's name.
        allow_pickle: Whether the user consented to load a pickle.
        allow_code: Whether the user consented to run the code that the model brings along.

    Returns:
        The endpoint, and what the user should know.

    Raises:
        MLOpsError: It did not work; what was live before is live still.
    """
    with subject.files(store, subject.of_version(version)) as folder, TemporaryDirectory() as copy:
        notes = _pins(folder)
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        request = _request(version, private, name, allow_pickle=allow_pickle, allow_code=allow_code)
        endpoint = deploy_to(request)
    noted(store, version, endpoint, "deployed")
    if endpoint.followed:
        notes = (*notes, f"{name} no longer follows {endpoint.followed}: this deploy was without --follow.")
    return endpoint, notes


def _alias(model: str | ModelVersion, to: str) -> str:
    """Name the alias that is to be followed.

    Raises:
        UsageError: A version was named, or the target follows none.
    """
    address = (
        ModelAddress.parse(model) if isinstance(model, str) else ModelAddress(model.model, model.version)
    )
    if address.version:
        raise UsageError(
            f"{address} is one version: it points nowhere else.",
            f"%mlops_deploy {address.model}@champion --follow",
        )
    if to != "local":
        raise UsageError(f"The target {to} follows no alias.", "Leave --follow out, or use --to local.")
    return address.alias or "champion"


def _version(store: Store, model: str | ModelVersion) -> ModelVersion:
    """Find the version that is meant; a bare name means its champion."""
    if isinstance(model, ModelVersion):
        return registry.resolve(store, ModelAddress(model.model, model.version))
    address = ModelAddress.parse(model)
    if address.alias is None and address.version is None:
        address = replace(address, alias="champion")
    return registry.resolve(store, address)


def _name(model: str | ModelVersion) -> str:
    return model.partition("@")[0] if isinstance(model, str) else model.model


def _pins(folder: Path) -> tuple[str, ...]:
    """Compare the pins of the model with what is installed here.

    Raises:
        RefusedError: scikit-learn differs in its minor version: it may load, and answer otherwise.
    """
    here = {name.lower(): version for name, version in provenance.installed().items()}
    file = folder / "requirements.txt"
    if not file.is_file():
        return ("The model names no pins, so nothing says whether this environment fits it.",)
    notes = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, wanted = line.partition("==")
        have = here.get(name.strip().lower())
        if not wanted or have == wanted.strip():
            continue
        told = f"{name} {wanted} made the model, {have or 'none'} is installed here"
        if name.lower() == "scikit-learn" and _minor(have) != _minor(wanted):
            raise RefusedError(f"{told}.", f"pip install '{line.strip()}', or fit the model again.")
        notes.append(told)
    return tuple(notes)


def _minor(version: str | None) -> list[str]:
    return (version or "").strip().split(".")[:2]


def _request(
    version: ModelVersion, folder: Path, name: str, *, allow_pickle: bool, allow_code: bool
) -> Request:
    """Check the private copy of the files against what was registered, and write the request.

    Raises:
        NotFoundError: The version has no manifest.
        RefusedError: The files are not those that were registered.
    """
    address = f"{version.model}/{version.version}"
    if version.digest is None:
        raise NotFoundError(f"{address} has no manifest.", f"%mlops_register models:/{address} completes it.")
    if manifest.write(folder) != version.digest:
        raise RefusedError(
            f"The files of {address} are not those that were registered: their sha256 differs.",
            "Somebody changed them. Register the model again from its run, or restore the files.",
        )
    answers = version.tags.get("mlops.example.predictions")
    example = _example(version, folder, allow_pickle=allow_pickle, allow_code=allow_code)
    return Request(
        name=name,
        model=version.model,
        version=version.version,
        digest=version.digest,
        model_path=folder,
        allow_pickle=allow_pickle,
        allow_code=allow_code,
        example=example,
        expected=json.loads(answers) if example is not None and answers else None,
    )


def _example(version: ModelVersion, folder: Path, *, allow_pickle: bool, allow_code: bool) -> bytes | None:
    """Find the request that the new version must answer: registering wrote it down unless it was too wide."""
    request = version.tags.get("mlops.example.request")
    if request is not None:
        return request.encode()
    example = load(folder, allow_pickle=allow_pickle, allow_code=allow_code).example
    return None if example is None else split_body(Frame.of(example, "the stored example"))


def _removed(store: Store, target: Target, name: str) -> Removal:
    endpoint = target.remove(name)
    try:
        version = registry.resolve(store, ModelAddress(endpoint.model, endpoint.version))
    except NotFoundError:  # the version was deleted meanwhile; the endpoint is gone all the same
        return Removal(name)
    noted(store, version, endpoint, "removed")
    return Removal(name)


def noted(store: Store, version: ModelVersion, endpoint: Endpoint, what: str, **more: str) -> None:
    """Write on a version where it was deployed or refused, or that it no longer is there, by whom and when.

    Args:
        store: The open store.
        version: The version.
        endpoint: Where.
        what: "deployed", "refused" or "removed".
        **more: What else is to be known.
    """
    record = {
        "what": what,
        "target": endpoint.target,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": provenance.user(),
        **more,
    }
    registry.tag_version(store, version, {f"mlops.deployment.{endpoint.name}": json.dumps(record)})
