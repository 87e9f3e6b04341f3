"""One attempt: the version that an alias points to now is deployed as a user would, with no more consent."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mlops_magics.artifact.order import Fault
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.follow.job import Job, Outcome
from mlops_magics.steps.deploy import noted, put
from mlops_magics.steps.deploy.facts import Consents, Wanted
from mlops_magics.targets.base import Target
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, impatient, open_store

_WHY = 500  # characters of a reason that a version's tag keeps


def renewed(job: Job) -> Outcome:
    """Put the version behind the endpoint; where that is refused, write it on the version.

    Args:
        job: The endpoint.

    Returns:
        What came of it.
    """
    settings = Settings.discover()
    target = LocalTarget(settings, masked(settings.store))
    version: ModelVersion | None = None
    try:
        with impatient():
            store = open_store(settings)
            version = registry.resolve(store, job.address)
            consents = Consents(job.allow_pickle, job.allow_code)
            put(
                store,
                target,
                version,
                Wanted(name=job.name, follow=job.alias, consents=consents),
                mark=job.mark,
            )
    except Exception as error:  # noqa: BLE001 - whatever a model does while it is read
        told = Fault.of(error, f"{job.address} was not deployed")
        fault = Fault(what=masked(told.what), remedy=masked(told.remedy))
        if version is None:
            return Outcome(version="", fault=fault)
        _write_down(job, store, target, version, fault)
        return Outcome(version=version.version, fault=fault, folder=_folder(store, version))
    return Outcome(version=version.version)


def _write_down(job: Job, store: Store, target: Target, version: ModelVersion, fault: Fault) -> None:
    """Write a refusal on the version, unless the endpoint follows no more: then nothing was refused."""
    for endpoint in target.list():
        if endpoint.name == job.name and endpoint.follows == job.alias:
            with contextlib.suppress(MLOpsError), impatient():
                noted(store, version, endpoint, "refused", why=fault.what[:_WHY])


def _folder(store: Store, version: ModelVersion) -> str:
    """Name the folder of a version's files, where the store keeps them on this machine."""
    try:
        with impatient(), subject.files(store, subject.of_version(version)) as folder:
            found = folder
    except MLOpsError:
        return ""
    return str(found) if Path(found).is_dir() else ""  # fetched ones are gone by now
