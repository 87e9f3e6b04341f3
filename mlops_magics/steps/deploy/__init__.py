"""Deploy: a registered version becomes a live, token-guarded REST endpoint, or files for one elsewhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, overload

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.asking import pins, replicas_of, request_of, version_of
from mlops_magics.steps.deploy.results import Deployment, Listing, Plan, Removal, Written
from mlops_magics.targets.base import Endpoint, Request, Target
from mlops_magics.targets.finding import find
from mlops_magics.targets.standby import Standby
from mlops_magics.targets.written import WrittenTarget
from mlops_magics.tracking import provenance, registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

__all__ = ["Deployment", "Listing", "Plan", "Removal", "Written", "deploy"]


@overload
def deploy(model: None = None, *, to: str = "local", settings: Settings | None = None) -> Listing: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: Literal["local"] = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    plan: Literal[False] = False,
    remove: Literal[False] = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    image: str | None = None,
    replicas: tuple[str, ...] = (),
    into: Path | None = None,
    plan: Literal[True],
    remove: Literal[False] = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Plan: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    into: Path | None = None,
    remove: Literal[True],
    settings: Settings | None = None,
) -> Removal: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str,
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    image: str | None = None,
    replicas: tuple[str, ...] = (),
    into: Path | None = None,
    plan: Literal[False] = False,
    remove: Literal[False] = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Written: ...
def deploy(  # noqa: PLR0913 - one verb and its options
    model: str | ModelVersion | None = None,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    image: str | None = None,
    replicas: tuple[str, ...] = (),
    into: Path | None = None,
    plan: bool = False,
    remove: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Written | Plan | Listing | Removal:
    """Put a registered version behind a REST endpoint, here or elsewhere; list the endpoints; remove one.

    The endpoint speaks MLflow's scoring protocol, checks each value against the model's signature, and
    asks for a token, which lies in a file that only you can read; ``%mlops_predict`` reads it there. It
    listens on this machine only and outlives the notebook. Deploying to a name that is live swaps the
    version without losing a request, and keeps address and token.

    Other targets write files to ``deploy/<name>/<target>`` of the project and say which commands follow;
    they run none.

    Args:
        model: ``flights@champion``, ``flights/3``, or ``flights`` for its champion. Nothing: list the
            endpoints. With ``--remove``: the endpoint's name.
        to: The serving target: local, or what writes files, such as container; or an MLflow
            deployment plugin that is installed.
        name: The endpoint's name; the model's by default.
        port: The port to listen on; a free one by default, kept when the endpoint is deployed again.
        workers: How many processes answer.
        image: The container image, for a target that names one.
        replicas: How many copies run, ``2``, or the fewest and the most, ``2,10``, for a target that
            runs several.
        into: The folder that files are written to, in place of the project's own.
        plan: Show what would change, and change nothing.
        remove: Take the endpoint away, and end its processes; of files, those that were written.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        A Deployment; Written where files are all there is; a Plan with ``--plan``; a Listing without a
        model; or a Removal.

    Raises:
        NotFoundError: There is no such version, champion, endpoint or target.
        RefusedError: The files are not those that were registered, or need a consent, or another
            scikit-learn than the one installed here; or what was written was changed by hand.
        UnavailableError: The port is taken, or the endpoint does not answer correctly; what was live
            before is live still.
    """
    begun = datetime.now(UTC)
    settings = settings or Settings.discover()
    store = open_store(settings)
    target = find(to, settings, masked(settings.store))
    if model is None:
        if remove or plan:
            raise UsageError("Which endpoint shall it be?", "%mlops_deploy NAME --remove")
        return Listing(target.list())
    if remove:
        return _removed(store, target, _name(model), into)
    version = version_of(store, model)
    named = checked_name(name or version.model, "endpoint")
    wanted = _Wanted(port, workers, image, replicas_of(replicas), into)
    with subject.files(store, subject.of_version(version)) as folder, TemporaryDirectory() as copy:
        notes = () if isinstance(target, WrittenTarget) else pins(folder)  # an image has its own
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        request = request_of(version, private, named, allow_pickle=allow_pickle, allow_code=allow_code)
        request = wanted.of(request)
        if plan:
            return Plan(named, version.model, version.version, to, target.plan(request))
        endpoint = target.deploy(request, standby=standby)
    _noted(store, version, endpoint, "written" if endpoint.status == "written" else "deployed")
    return _result(endpoint, settings.root, begun, notes)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the user said of how it is served."""

    port: int | None
    workers: int
    image: str | None
    replicas: tuple[int, int] | None
    into: Path | None

    def of(self, request: Request) -> Request:
        """Add it to a request."""
        if self.workers < 1:
            raise UsageError("At least one process must answer.", "Write --workers 1 or more.")
        return replace(
            request,
            port=self.port,
            workers=self.workers,
            image=self.image,
            replicas=self.replicas,
            into=self.into,
        )


def _result(endpoint: Endpoint, root: Path, begun: datetime, notes: tuple[str, ...]) -> Deployment | Written:
    name, model, version, target = endpoint.name, endpoint.model, endpoint.version, endpoint.target
    if endpoint.status == "written":
        return Written(name, model, version, target, _shown(endpoint.folder or root, root), endpoint.then)
    seconds = (datetime.now(UTC) - begun).total_seconds()
    return Deployment(name, endpoint.url, model, version, target, seconds, (*notes, *endpoint.then))


def _shown(folder: Path, root: Path) -> str:
    """Write a folder from the project's root, where it lies there."""
    return (folder.relative_to(root) if folder.is_relative_to(root) else folder).as_posix()


def _name(model: str | ModelVersion) -> str:
    return model.partition("@")[0] if isinstance(model, str) else model.model


def _removed(store: Store, target: Target, name: str, into: Path | None) -> Removal:
    endpoint = target.remove(name, into=into)
    folder = endpoint.folder
    left = _shown(folder, store.settings.root) if folder and folder.exists() else ""
    if not endpoint.model:  # another's plugin does not say what it served
        return Removal(name)
    try:
        version = registry.resolve(store, ModelAddress(endpoint.model, endpoint.version))
    except NotFoundError:  # the version was deleted meanwhile; the endpoint is gone all the same
        return Removal(name, left)
    _noted(store, version, endpoint, "removed")
    return Removal(name, left)


def _noted(store: Store, version: ModelVersion, endpoint: Endpoint, what: str) -> None:
    """Write on the version where it was deployed, or that it no longer is, by whom and when."""
    record = {
        "what": what,
        "target": endpoint.target,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": provenance.user(),
    }
    target = endpoint.target.partition(":")[0]
    place = endpoint.name if target == "local" else f"{endpoint.name}.{target}"
    registry.tag_version(store, version, {f"mlops.deployment.{place}": json.dumps(record)})
