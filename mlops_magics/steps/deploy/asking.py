"""From what the user named to a request that a target can take: the version, its files checked, its pins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlops_magics.artifact import manifest
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.targets.base import Request
from mlops_magics.tracking import provenance, registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


def version_of(store: Store, model: str | ModelVersion) -> ModelVersion:
    """Find the version that is meant; a bare name means its champion."""
    if isinstance(model, ModelVersion):
        return registry.resolve(store, ModelAddress(model.model, model.version))
    address = ModelAddress.parse(model)
    if address.alias is None and address.version is None:
        address = replace(address, alias="champion")
    return registry.resolve(store, address)


def pins(folder: Path) -> tuple[str, ...]:
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


def request_of(
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


def replicas_of(values: tuple[str, ...]) -> tuple[int, int] | None:
    """Read ``2`` or ``2,10``: the fewest and the most copies.

    Raises:
        UsageError: They are no such numbers.
    """
    if not values:
        return None
    numbers = [int(value) if value.strip().isascii() and value.strip().isdecimal() else 0 for value in values]
    if len(numbers) > 2 or not 1 <= numbers[0] <= numbers[-1]:  # noqa: PLR2004 - the fewest and the most
        raise UsageError(
            f"--replicas {','.join(values)[:40]!r} is no number of copies.",
            "Write --replicas 2, or --replicas 2,10 for the fewest and the most.",
        )
    return numbers[0], numbers[-1]
