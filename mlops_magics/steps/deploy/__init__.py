"""Deploy: a registered version becomes a live, token-guarded REST endpoint; also listed and removed here."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, overload

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.facts import Wanted, pins, request_for, without_private
from mlops_magics.steps.deploy.result import Deployment, Listing, Removal
from mlops_magics.steps.deploy.traffic import Traffic, read
from mlops_magics.targets import TARGETS
from mlops_magics.targets.base import Endpoint, Target
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import provenance, registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store


@overload
def deploy(model: None = None, *, to: str = "local", settings: Settings | None = None) -> Listing: ...
@overload
def deploy(model: str, *, to: str = "local", traffic: str, settings: Settings | None = None) -> Traffic: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
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
    model: str | ModelVersion, *, to: str = "local", remove: Literal[True], settings: Settings | None = None
) -> Removal: ...
def deploy(  # noqa: PLR0913 - one verb and its options
    model: str | ModelVersion | None = None,
    *,
    to: str = "local",
    name: str | None = None,
    port: int | None = None,
    workers: int = 1,
    remove: bool = False,
    traffic: str | None = None,
    journal: bool = True,
    log_values: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Deployment | Listing | Removal | Traffic:
    """Put a registered version behind a live REST endpoint; list the endpoints; remove one.

    The endpoint speaks MLflow's scoring protocol and the Open Inference Protocol, describes itself at
    ``/docs``, checks each value against the model's signature, and asks for a token, which lies in a file
    that only you can read; ``%mlops_predict`` reads it there. It listens on this machine only and outlives
    the notebook. Deploying to a name that is live swaps the version without losing a request, and keeps
    address and token. Where it can, the pipeline is compiled, which answers in microseconds; it is used
    only where it answers as the pipeline itself does.

    The endpoint keeps a journal: requests, answers, versions and timings, as parquet files of this machine,
    for 30 days and up to 2 GB. Columns that look personal are left out of it.

    Args:
        model: ``flights@champion``, ``flights/3``, or ``flights`` for its champion. Nothing: list the
            endpoints. With ``--remove`` and ``--traffic``: the endpoint's name.
        to: The serving target.
        name: The endpoint's name; the model's by default.
        port: The port to listen on; a free one by default, kept when the endpoint is deployed again.
        workers: How many processes answer.
        remove: Take the endpoint away, and end its processes; its journal stays.
        traffic: Show what came in this time up to now and what was answered: ``10m``, ``2h``, ``7d``.
        journal: Keep requests and answers.
        log_values: Keep the values of columns that look personal, too.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        A Deployment, a Listing without a model, a Removal, or with ``--traffic`` the Traffic, whose
        ``.frame`` has every line.

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
        return _listed(target, remove=remove)
    if remove:
        return _removed(store, target, _name(model))
    if traffic is not None:
        return _traffic(target, _name(model), seconds(traffic, "--traffic"))
    wanted = Wanted(
        name=name,
        port=port,
        workers=workers,
        journal=journal,
        log_values=log_values,
        allow_pickle=allow_pickle,
        allow_code=allow_code,
    )
    version = _version(store, model)
    endpoint, notes = _served(store, target, version, wanted, standby)
    took = (datetime.now(UTC) - begun).total_seconds()
    told = (endpoint.name, endpoint.url, version.model, version.version, to, took, endpoint.engine, notes)
    return Deployment(*told)


def _served(
    store: Store, target: Target, version: ModelVersion, wanted: Wanted, standby: Standby | None
) -> tuple[Endpoint, tuple[str, ...]]:
    """Have a version served, and note on it that it is; also return what the user should know."""
    name = checked_name(wanted.name or version.model, "endpoint")
    with subject.files(store, subject.of_version(version)) as folder, TemporaryDirectory() as copy:
        notes = pins(folder)
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        request = request_for(version, private, name, wanted)
        if wanted.journal and not wanted.log_values:
            request, notes = without_private(request, notes)
        endpoint = target.deploy(request, standby=standby)
    _noted(store, version, endpoint, "deployed")
    return endpoint, notes


def _listed(target: Target, *, remove: bool) -> Listing:
    if remove:
        raise UsageError("Which endpoint shall be removed?", "%mlops_deploy NAME --remove")
    return Listing(target.list())


def _traffic(target: Target, name: str, length: float) -> Traffic:
    known = {endpoint.name: endpoint for endpoint in target.list()}
    if name not in known:
        raise NotFoundError(
            f"There is no endpoint {name}.", nearest(name, known) or "Make one with %mlops_deploy."
        )
    return read(name, known[name].journal, length)


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


def _removed(store: Store, target: Target, name: str) -> Removal:
    endpoint = target.remove(name)
    try:
        version = registry.resolve(store, ModelAddress(endpoint.model, endpoint.version))
    except NotFoundError:  # the version was deleted meanwhile; the endpoint is gone all the same
        return Removal(name, endpoint.journal is not None)
    _noted(store, version, endpoint, "removed")
    return Removal(name, endpoint.journal is not None)


def _noted(store: Store, version: ModelVersion, endpoint: Endpoint, what: str) -> None:
    """Write on the version where it was deployed, or that it no longer is, by whom and when."""
    record = {
        "what": what,
        "target": endpoint.target,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": provenance.user(),
    }
    registry.tag_version(store, version, {f"mlops.deployment.{endpoint.name}": json.dumps(record)})
