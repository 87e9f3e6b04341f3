"""One attempt: the version that an alias points to now is deployed as a user would, with no more consent."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mlops_magics.artifact.state import Fault, State
from mlops_magics.foundation.errors import MLOpsError, RefusedError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.follow.job import BESIDE, Job, Outcome
from mlops_magics.steps.deploy.act import noted, put
from mlops_magics.steps.deploy.facts import Consents, Course, Kept, Share, Wanted, line_of
from mlops_magics.targets.base import Target
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import registry, subject
from mlops_magics.tracking.pointer import pointed
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, impatient, open_store

_WHY = 500  # characters of a reason that a version's tag keeps


class _Goal:
    """Where an alias points, asked once more when a version has been loaded and tried: that may take long.

    Args:
        settings: Where the store is.
        address: The alias.

    Attributes:
        moved: Whether it points elsewhere by now.
    """

    def __init__(self, settings: Settings, address: ModelAddress) -> None:
        self._settings, self._address = settings, address
        self.moved = False

    def confirm(self, version: ModelVersion | None) -> None:
        """Refuse a version that was taken back meanwhile; a store that does not answer says nothing.

        Raises:
            RefusedError: The alias points elsewhere.
        """
        try:
            now = pointed(self._settings, self._address)
        except MLOpsError:
            return
        self.moved = now is not None and version is not None and now.version != version.version
        if self.moved:
            raise RefusedError(f"{self._address} was moved on meanwhile.", "Nothing is to be done.")


def renewed(job: Job, which: bytes) -> Outcome:
    """Put the version behind the endpoint; where that is refused, write it on the version.

    Args:
        job: The endpoint.
        which: Whose alias is meant: that of the endpoint's own version, or of the one beside it.

    Returns:
        What came of it.
    """
    settings = Settings.discover()
    target = LocalTarget(settings, masked(settings.store))
    address, wanted = _beside(job) if which == BESIDE else _live(job)
    version: ModelVersion | None = None
    goal = _Goal(settings, address)
    try:
        with impatient():
            store = open_store(settings)
            version = registry.resolve(store, address)
            put(store, target, version, wanted, mark=job.mark, confirm=lambda: goal.confirm(version))
    except Exception as error:  # noqa: BLE001 - whatever a model does while it is read
        told = Fault.of(error, f"{address} was not deployed")
        fault = Fault(what=masked(told.what), remedy=masked(told.remedy))
        if version is None:
            return Outcome(version="", fault=fault)
        if goal.moved:
            return Outcome(version="")  # nothing was said against it; the next look goes where the alias is
        _write_down(job, store, target, version, fault)
        return Outcome(version=version.version, fault=fault, folder=_folder(store, version))
    return Outcome(version=version.version)


def _live(job: Job) -> tuple[ModelAddress, Wanted]:
    consents = Consents(job.allow_pickle, job.allow_code)
    kept = Kept(contract=job.contract)
    return job.address, Wanted(name=job.name, follow=job.alias, consents=consents, kept=kept)


def _beside(job: Job) -> tuple[ModelAddress, Wanted]:
    """Say what shall stand beside the endpoint's version: what stands there, with another version of it."""
    state = State.read(job.state_path)
    held = state.beside if state else None
    if held is None:  # it was taken away at this moment: the supervisor refuses what comes
        return ModelAddress(job.model), Wanted(name=job.name, follow=job.alias, share=Share("shadow"))
    share = Share(held.role, held.percent, held.alias)
    consents = Consents(held.allow_pickle, held.allow_code)
    address = ModelAddress(job.model, alias=held.alias)
    if held.role == "shadow":
        line = line_of(str(job.address), None, Course(follow=True, shadow=f"@{held.alias}"))
    else:
        line = line_of(str(address), None, Course(follow=True, canary=held.percent))
    wanted = Wanted(name=job.name, follow=job.alias, consents=consents, share=share, line=line)
    return address, wanted


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
