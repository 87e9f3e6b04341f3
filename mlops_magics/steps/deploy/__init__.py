"""Deploy: a registered version becomes a live, token-guarded REST endpoint, or files for one elsewhere."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, overload

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.platform import from_home
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.facts import (
    Consents,
    Elsewhere,
    Kept,
    Share,
    Wanted,
    pins,
    replicas_of,
    request_for,
    share_of,
    version_of,
    without_private,
)
from mlops_magics.steps.deploy.result import Deployment, Listing, Plan, Removal, Written
from mlops_magics.steps.deploy.traffic import Traffic, read
from mlops_magics.targets.base import Endpoint, Request, Target
from mlops_magics.targets.finding import find
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.standby import Standby
from mlops_magics.targets.written import WrittenTarget
from mlops_magics.tracking import provenance, registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

__all__ = ["Deployment", "Listing", "Plan", "Removal", "Traffic", "Written", "deploy"]


@overload
def deploy(model: None = None, *, to: str = "local", settings: Settings | None = None) -> Listing: ...
@overload
def deploy(model: str, *, to: str = "local", traffic: str, settings: Settings | None = None) -> Traffic: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: Literal["local"] = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    follow: bool = False,
    canary: float | None = None,
    shadow: str | None = None,
    plan: Literal[False] = False,
    remove: Literal[False] = False,
    traffic: None = None,
    journal: bool = True,
    log_values: bool = False,
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
    follow: bool = False,
    canary: float | None = None,
    shadow: str | None = None,
    plan: Literal[True],
    remove: Literal[False] = False,
    traffic: None = None,
    journal: bool = True,
    log_values: bool = False,
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
    follow: bool = False,
    canary: float | None = None,
    shadow: str | None = None,
    plan: Literal[False] = False,
    remove: Literal[False] = False,
    traffic: None = None,
    journal: bool = True,
    log_values: bool = False,
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
    follow: bool = False,
    canary: float | None = None,
    shadow: str | None = None,
    plan: bool = False,
    remove: bool = False,
    traffic: str | None = None,
    journal: bool = True,
    log_values: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Written | Plan | Listing | Removal | Traffic:
    """Put a registered version behind a REST endpoint, here or elsewhere; list the endpoints; remove one.

    The endpoint speaks MLflow's scoring protocol and the Open Inference Protocol, describes itself at
    ``/docs``, checks each value against the model's signature, and asks for a token, which lies in a file
    that only you can read; ``%mlops_predict`` reads it there. It listens on this machine only and outlives
    the notebook. Deploying to a name that is live swaps the version without losing a request, and keeps
    address and token. Where it can, the pipeline is compiled, which answers in microseconds; it is used
    only where it answers as the pipeline itself does.

    The endpoint keeps a journal: requests, answers, versions and timings, as parquet files of this machine,
    for 30 days and up to 2 GB. Columns that look personal are left out of it.

    Other targets write files to ``deploy/<name>/<target>`` of the project and say which commands follow;
    they run none.

    Args:
        model: ``flights@champion``, ``flights/3``, or ``flights`` for its champion. Nothing: list the
            endpoints. With ``--remove`` and ``--traffic``: the endpoint's name.
        to: The serving target: local, or what writes files, such as container; or an MLflow
            deployment plugin that is installed.
        name: The endpoint's name; the model's by default.
        port: The port to listen on; a free one by default, kept when the endpoint is deployed again.
        workers: How many processes answer.
        image: The container image, for a target that names one.
        replicas: How many copies run, ``2``, or the fewest and the most, ``2,10``, for a target that
            runs several.
        into: The folder that files are written to, in place of the project's own.
        follow: Follow the alias: where it points to another version, that one takes over by itself once it
            has answered its example. Deploying without this ends it.
        canary: Let this version answer so many of a hundred requests beside the one that is live. Requests
            with the same ``X-Sticky-Key`` always go the same way. What it cannot answer, the live one does;
            where it surely fails more often, it gets no more.
        shadow: A version or alias, ``@challenger``, that answers every request as well, without being heard:
            the journal has its answers.
        plan: Show what would change, and change nothing.
        remove: Take the endpoint away, and end its processes; its journal stays. Of files, delete those that
            were written.
        traffic: Show what came in this time up to now and what was answered: ``10m``, ``2h``, ``7d``.
        journal: Keep requests and answers.
        log_values: Keep the values of columns that look personal, too.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        A Deployment; Written where files are all there is; a Plan with ``--plan``; a Listing without a
        model; a Removal; or with ``--traffic`` the Traffic, whose ``.frame`` has every line.

    Raises:
        NotFoundError: There is no such version, champion, endpoint or target.
        RefusedError: The files are not those that were registered, or need a consent, or another
            scikit-learn than the one installed here; or what was written was changed by hand.
        UnavailableError: The port is taken, or the endpoint does not answer correctly; what was live
            before is live still.
    """
    begun = datetime.now(UTC)
    settings = settings or Settings.discover()
    store, target = open_store(settings), find(to, settings, masked(settings.store))
    if model is None:
        return _listed(target, asked=remove or plan)
    if remove:
        return _removed(store, target, _name(model), into)
    if traffic is not None:
        return _traffic(target, _name(model), seconds(traffic, "--traffic"))
    alias, share = _alias(model, to) if follow else None, share_of(canary, to)
    consents, kept = Consents(allow_pickle, allow_code), Kept(journal, log_values)
    elsewhere, version = Elsewhere(image, replicas_of(replicas), into), version_of(store, model)
    wanted = Wanted(name, port, workers, alias, consents, kept, elsewhere, share)
    if plan:
        return _planned(store, target, version, wanted, to)
    live, notes = _served(store, target, version, wanted, shadow=shadow, standby=standby)
    return _result(live, settings.root, begun, notes)


def _served(
    store: Store,
    target: Target,
    version: ModelVersion,
    wanted: Wanted,
    *,
    shadow: str | None,
    standby: Standby | None,
) -> tuple[Endpoint, tuple[str, ...]]:
    """Have a version served, and a second one beside it where a shadow is named."""
    live, notes = put(store, target, version, wanted, standby=standby)
    if shadow is None:
        return live, notes
    if not isinstance(target, LocalTarget):
        raise UsageError("Only the local target knows shadows.", "Leave --shadow out, or use --to local.")
    address = f"{version.model}@{shadow[1:]}" if shadow.startswith("@") else f"{version.model}/{shadow}"
    named = replace(wanted, name=live.name, share=Share("shadow"), port=None)
    return put(store, target, version_of(store, address), named)[0], notes


@contextlib.contextmanager
def _asked(
    store: Store, target: Target, version: ModelVersion, wanted: Wanted
) -> Iterator[tuple[Request, tuple[str, ...]]]:
    """Bring a version's files here and check them, for the length of a ``with`` block."""
    name = checked_name(wanted.name or version.model, "endpoint")
    with subject.files(store, subject.of_version(version)) as folder, TemporaryDirectory() as copy:
        notes = () if isinstance(target, WrittenTarget) else pins(folder)  # an image has its own
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        request = request_for(version, private, name, wanted)
        if isinstance(target, LocalTarget) and wanted.kept.journal and not wanted.kept.values:
            request, notes = without_private(request, notes)
        yield request, notes


def _planned(store: Store, target: Target, version: ModelVersion, wanted: Wanted, to: str) -> Plan:
    with _asked(store, target, version, wanted) as (request, _):
        return Plan(request.name, version.model, version.version, to, target.plan(request))


def put(
    store: Store,
    target: Target,
    version: ModelVersion,
    wanted: Wanted,
    *,
    standby: Standby | None = None,
    mark: str | None = None,
) -> tuple[Endpoint, tuple[str, ...]]:
    """Bring a version's files here, check them, deploy them, and write that on the version.

    Args:
        store: The open store.
        target: Where it is to be served.
        version: The version.
        wanted: How it shall be served.
        standby: The process that waits for a deployment, where there is one.
        mark: Which following asks for this by itself; None where a user does.

    Returns:
        The endpoint, and what the user should know.

    Raises:
        MLOpsError: It did not work; what was live before is live still.
    """
    with _asked(store, target, version, wanted) as (request, notes):
        endpoint = target.deploy(replace(request, mark=mark), standby=standby)
    noted(store, version, endpoint, "written" if endpoint.status == "written" else "deployed")
    if endpoint.followed:
        ended = f"{request.name} no longer follows {endpoint.followed}: this deploy was without --follow."
        notes = (*notes, ended)
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


def _result(endpoint: Endpoint, root: Path, begun: datetime, notes: tuple[str, ...]) -> Deployment | Written:
    name, model, version, target = endpoint.name, endpoint.model, endpoint.version, endpoint.target
    if endpoint.status == "written":
        return Written(name, model, version, target, _shown(endpoint.folder or root, root), endpoint.then)
    took = (datetime.now(UTC) - begun).total_seconds()
    told = (*notes, *endpoint.then)
    return Deployment(
        name,
        endpoint.url,
        model,
        version,
        target,
        took,
        engine=endpoint.engine,
        notes=told,
        follows=endpoint.follows,
        beside=endpoint.beside,
        key_file=from_home(endpoint.key_file) if endpoint.key_file else "",
    )


def _shown(folder: Path, root: Path) -> str:
    """Write a folder from the project's root, where it lies there."""
    return (folder.relative_to(root) if folder.is_relative_to(root) else folder).as_posix()


def _listed(target: Target, *, asked: bool) -> Listing:
    if asked:
        raise UsageError("Which endpoint shall it be?", "%mlops_deploy NAME --remove")
    return Listing(target.list())


def _traffic(target: Target, name: str, length: float) -> Traffic:
    known = {endpoint.name: endpoint for endpoint in target.list()}
    if name not in known:
        raise NotFoundError(
            f"There is no endpoint {name}.", nearest(name, known) or "Make one with %mlops_deploy."
        )
    return read(name, known[name].journal, length)


def _name(model: str | ModelVersion) -> str:
    return model.partition("@")[0] if isinstance(model, str) else model.model


def _removed(store: Store, target: Target, name: str, into: Path | None) -> Removal:
    endpoint = target.remove(name, into=into)
    folder, stays = endpoint.folder, endpoint.journal is not None
    left = _shown(folder, store.settings.root) if folder and folder.exists() else ""
    if not endpoint.model:  # another's plugin does not say what it served
        return Removal(name)
    try:
        version = registry.resolve(store, ModelAddress(endpoint.model, endpoint.version))
    except NotFoundError:  # the version was deleted meanwhile; the endpoint is gone all the same
        return Removal(name, stays, left)
    noted(store, version, endpoint, "removed")
    return Removal(name, stays, left)


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
    target = endpoint.target.partition(":")[0]
    place = endpoint.name if target == "local" else f"{endpoint.name}.{target}"
    registry.tag_version(store, version, {f"mlops.deployment.{place}": json.dumps(record)})
