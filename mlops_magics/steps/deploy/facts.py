"""What must be known of a version before it is served: pins, files, example, private columns."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_magics.artifact import manifest, reference, schema
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import NotFoundError, RefusedError
from mlops_magics.foundation.frames import Frame
from mlops_magics.targets.base import Request
from mlops_magics.tracking import provenance
from mlops_magics.tracking.records import ModelVersion

_TEXTS = frozenset({"string", "binary"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a version shall be served: the options of the verb.

    Attributes:
        name: The endpoint's name; the model's by default.
        port: The port to listen on.
        workers: How many processes answer.
        follow: The alias that the endpoint follows from now on.
        journal: Whether requests and answers are kept.
        log_values: Whether those of columns that look personal are kept, too.
        allow_pickle: Whether the model may be unpickled, which executes code.
        allow_code: Whether code of its author may be executed.
    """

    name: str | None = None
    port: int | None = None
    workers: int = 1
    follow: str | None = None
    journal: bool = True
    log_values: bool = False
    allow_pickle: bool = False
    allow_code: bool = False


def request_for(version: ModelVersion, folder: Path, name: str, wanted: Wanted) -> Request:
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
    example = _example(version, folder, wanted)
    return Request(
        name=name,
        model=version.model,
        version=version.version,
        digest=version.digest,
        model_path=folder,
        allow_pickle=wanted.allow_pickle,
        allow_code=wanted.allow_code,
        port=wanted.port,
        workers=wanted.workers,
        follow=wanted.follow,
        journal=wanted.journal,
        log_values=wanted.log_values,
        example=example,
        expected=json.loads(answers) if example is not None and answers else None,
    )


def _example(version: ModelVersion, folder: Path, wanted: Wanted) -> bytes | None:
    """Find the request that the new version must answer: registering wrote it down unless it was too wide."""
    request = version.tags.get("mlops.example.request")
    if request is not None:
        return request.encode()
    example = load(folder, allow_pickle=wanted.allow_pickle, allow_code=wanted.allow_code).example
    return None if example is None else split_body(Frame.of(example, "the stored example"))


def without_private(request: Request, notes: tuple[str, ...]) -> tuple[Request, tuple[str, ...]]:
    """Leave the columns that look personal out of the journal, and say so.

    A model that came with a reference of its rows knows which ones do. Of one without it all texts are
    left out.

    Args:
        request: What is to be served.
        notes: What the user is told already.
    """
    file = request.model_path / reference.NAME
    if file.is_file():
        told = reference.Reference.from_json(file.read_bytes())
        names, why = tuple(column.name for column in told.columns if column.personal), "look personal"
    else:
        names = _texts(request.model_path)
        why = "are texts, and nothing says whether they are personal"
    if not names:
        return request, notes
    note = f"The journal leaves out {', '.join(names)}: they {why}. --log-values keeps them."
    return replace(request, leave_out=names), (*notes, note)


def _texts(folder: Path) -> tuple[str, ...]:
    """Name the columns of texts that a model takes."""
    import yaml

    described = yaml.safe_load((folder / "MLmodel").read_bytes())
    found = schema.read(described.get("signature"), "inputs")
    return tuple(column.name for column in found.columns if column.type in _TEXTS) if found else ()
