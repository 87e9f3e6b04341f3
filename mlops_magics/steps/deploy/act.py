"""The act of deploying: a version's files are brought here, checked, served; and that is written on it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops_magics.artifact.loading import agreed
from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.steps.deploy.facts import Wanted, pins, request_for, without_private
from mlops_magics.targets.base import Endpoint, Request, Target
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.standby import Standby
from mlops_magics.targets.written import WrittenTarget
from mlops_magics.tracking import belongings, provenance, registry, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_CONTRACT = "contract.json"


@contextlib.contextmanager
def asked(
    store: Store, target: Target, version: ModelVersion, wanted: Wanted
) -> Iterator[tuple[Request, tuple[str, ...]]]:
    """Bring a version's files here and check them, for the length of a ``with`` block.

    Args:
        store: The open store.
        target: Where it is to be served.
        version: The version.
        wanted: How it shall be served.

    Yields:
        What the target is asked, and what the user should know.
    """
    name = checked_name(wanted.name or version.model, "endpoint")
    with subject.files(store, subject.of_version(version)) as folder, TemporaryDirectory() as copy:
        notes = () if isinstance(target, WrittenTarget) else pins(folder)  # an image has its own
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        request = request_for(version, private, name, wanted)
        if isinstance(target, LocalTarget):  # what runs elsewhere loads models in its own way
            agreed(private, allow_pickle=request.allow_pickle, allow_code=request.allow_code)
        if wanted.kept.contract:
            request = replace(request, contract=contract_of(store, target, version))
        if isinstance(target, LocalTarget) and wanted.kept.journal and not wanted.kept.values:
            request, notes = without_private(request, notes)
        yield request, notes


def contract_of(store: Store, target: Target, version: ModelVersion) -> str:
    """Fetch the contract that a version carries.

    Raises:
        UsageError: What runs at the target holds no requests against contracts.
        RefusedError: The version carries none.
    """
    if not (isinstance(target, LocalTarget) or (isinstance(target, WrittenTarget) and target.contracts)):
        raise UsageError(
            "What runs at this target is another's server, which knows no contracts.",
            "Leave --contract out, or use --to local, container, kubernetes, kserve or ray.",
        )
    if _CONTRACT not in belongings.names(version):
        address = f"{version.model}/{version.version}"
        raise RefusedError(
            f"{address} carries no contract to hold requests against.",
            "Fit it on rows of %mlops_prepare DATA --contract NAME and register it, or leave --contract out.",
        )
    return belongings.get(store, version, _CONTRACT).decode()


def put(
    store: Store,
    target: Target,
    version: ModelVersion,
    wanted: Wanted,
    *,
    standby: Standby | None = None,
    mark: str | None = None,
    confirm: Callable[[], None] | None = None,
) -> tuple[Endpoint, tuple[str, ...]]:
    """Bring a version's files here, check them, deploy them, and write that on the version.

    Args:
        store: The open store.
        target: Where it is to be served.
        version: The version.
        wanted: How it shall be served.
        standby: The process that waits for a deployment, where there is one.
        mark: Which following asks for this by itself; None where a user does.
        confirm: What is called right before the version takes over; where it raises, it does not.

    Returns:
        The endpoint, and what the user should know.

    Raises:
        MLOpsError: It did not work; what was live before is live still.
    """
    with asked(store, target, version, wanted) as (request, notes):
        endpoint = target.deploy(replace(request, mark=mark, confirm=confirm), standby=standby)
    what = "written" if endpoint.status == "written" else "deployed"
    verdict = {"engine": endpoint.engine} if endpoint.engine and not request.beside else {}
    noted(store, version, endpoint, what, **verdict)
    if endpoint.followed:
        ended = Sentence(
            "%1 no longer follows %2: this deploy was without --follow.", request.name, endpoint.followed
        )
        notes = (*notes, ended)
    return endpoint, notes


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
