"""What belongs to one version beside its model: card, slice, evaluation, contract, in the model's own folder.

A model may be several versions. The files of each lie in a folder that is named by their content, and the
version's tag has the sha256 of each, so that what is read back is what was kept.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact.manifest import BESIDE
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, door, fetching
from mlops_magics.tracking.subject import Subject

TAG: Final = "mlops.kept"
OURS: Final = "Recorded facts, written by %mlops_register:"
DESCRIBED: Final = 5_000  # characters that MLflow keeps of a description
ROOM: Final = DESCRIBED - len(OURS) - 2
"""Characters that are left for a card there."""
_DIGITS: Final = 16  # of the digest that a folder is named by


def put(store: Store, found: Subject, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files beside a model.

    Args:
        store: The open store.
        found: The model.
        files: Content by name.

    Returns:
        The tag that leads a version to them.

    Raises:
        UnavailableError: The store does not take them.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    folder = f"{BESIDE}/{hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:_DIGITS]}"
    with tempfile.TemporaryDirectory(prefix="mlops-") as place, door(f"The files of {found.shown}"):
        for name, content in files.items():
            Path(place, name).write_bytes(content)
        try:
            if found.model_id is not None:
                store.client.log_model_artifacts(found.model_id, place, folder)
            else:
                _repository(store, str(found.uri)).log_artifacts(place, folder)
        except OSError as error:  # a folder of files that is full or may not be written
            raise UnavailableError(
                f"The files of {found.shown} cannot be written: {error.strerror or error}.",
                "Make room, or make the store's files writable. No version was made or changed.",
            ) from error
    return {TAG: json.dumps({"folder": folder, "files": digests})}


def names(version: ModelVersion) -> tuple[str, ...]:
    """List the files of a version by name; none where it has none."""
    return tuple(sorted(_told(version)[1]))


def get(store: Store, version: ModelVersion, name: str) -> bytes:
    """Read a file of a version.

    Raises:
        NotFoundError: The version has none of that name.
        RefusedError: It is not what was kept.
    """
    folder, digests = _told(version)
    address = f"{version.model}/{version.version}"
    if name not in digests:
        raise NotFoundError(f"{address} has no {name}.", f"%mlops_register models:/{address} completes it.")
    with (
        tempfile.TemporaryDirectory(prefix="mlops-") as place,
        door(f"The files of {address}"),
        fetching(),
    ):
        repository = _repository(store, version.source)
        content = Path(repository.download_artifacts(f"{folder}/{name}", place)).read_bytes()
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise RefusedError(
            f"{name} of {address} is not what was kept: its sha256 differs.",
            "Somebody changed it. Register the model again from its run.",
        )
    return content


def _told(version: ModelVersion) -> tuple[str, dict[str, str]]:
    try:
        told = json.loads(version.tags[TAG])
        return str(told["folder"]), {str(name): str(digest) for name, digest in told["files"].items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        return "", {}


def _repository(store: Store, uri: str) -> Any:  # noqa: ANN401 - MLflow's ArtifactRepository
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=store.uri)


def describe(store: Store, version: ModelVersion, text: str) -> None:
    """Write a version's description, which MLflow's own page shows; one that somebody else wrote stays."""
    with door(f"{version.model}/{version.version}"):
        before = store.client.get_model_version(version.model, version.version).description or ""
        if not before or before.startswith(OURS):
            store.client.update_model_version(version.model, version.version, f"{OURS}\n\n{text}"[:DESCRIBED])
