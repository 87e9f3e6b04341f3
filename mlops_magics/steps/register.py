"""Register: a model of a run becomes a version that can be trusted, or none at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_magics.artifact import manifest, proof
from mlops_magics.artifact.loading import LoadedModel, load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import evaluations, moves, registry, subject
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store
from mlops_magics.tracking.subject import Subject

_TAG_CHARACTERS = 50_000  # half of what MLflow lets a tag hold; a wider example is read from the files


def register(
    model: object,
    name: str | None = None,
    *,
    allow_pickle: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> ModelVersion:
    """Make a model of a run a version of a registered model, after proving that it can be served.

    Before the version exists its files are read back from the store, each type in them is looked up
    on our own trust list, and a fresh process that never saw the notebook loads them and predicts the
    stored example rows: the answers must be the same to the last bit. The sha256 manifest of all
    files is tagged on the version, and each later load checks it. The new version becomes the
    ``candidate``.

    A version that plain MLflow made is completed in place: ``register models:/flights/3``.

    Args:
        model: A run, or an address: a run's id or name, ``models:/m-<id>``, ``models:/flights/3``.
        name: The registered model's name; needed unless a version is completed.
        allow_pickle: Accept a model that is kept in pickle. Loading one executes code; the consent is
            tagged on the version.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment; it is started when all went well.

    Returns:
        The version, with what was checked.

    Raises:
        NotFoundError: There is no such model.
        RefusedError: It cannot be trusted, or a fresh process cannot load it or answers otherwise.
        UsageError: The name is missing or not allowed, or the estimator was never logged.
        UnavailableError: The store cannot be reached. No version was made.
    """
    settings = settings or Settings.discover()
    if name is not None:
        checked_name(name, "model")
    store = open_store(settings)
    found = subject.find(store, model)
    if name is None and found.version is None:
        raise UsageError(
            f"Which model shall {found.shown} be a version of?", "Name it: %mlops_register RUN NAME."
        )
    with subject.files(store, found) as folder, tempfile.TemporaryDirectory(prefix="mlops-") as copy:
        private = Path(copy, "model")
        shutil.copytree(folder, private, symlinks=True)
        tags, checks = _proved(private, allow_pickle=allow_pickle)
    summary = evaluations.read(store, found.version or ModelVersion("", "", model_id=found.model_id))
    checks += (_evaluated(summary),)
    if summary is not None:
        tags |= evaluations.as_tags(summary)
    version = _written(store, found, name, tags)
    if standby is not None and settings.standby:
        standby.start()
    return replace(version, checks=checks)


def _proved(folder: Path, *, allow_pickle: bool) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Load a private copy here and in a fresh process, and describe it: tags, and what was checked."""
    digest = manifest.write(folder)
    here = load(folder, allow_pickle=allow_pickle)
    there = proof.prove(folder, allow_pickle=allow_pickle)
    answers = _answers(here)
    if list(there.predictions) != answers:
        raise RefusedError(
            "A fresh process does not predict the stored example as this one does.",
            "The model depends on something outside its files (a global, the clock, a random state).",
        )
    form = str(here.metadata["format"])
    tags = {
        "mlops.manifest": digest,
        "mlops.format": form,
        "mlops.example.predictions": json.dumps(answers),
    }
    if here.example is not None:
        request = split_body(Frame.of(here.example, "the stored example")).decode()
        if len(request) <= _TAG_CHARACTERS:
            tags["mlops.example.request"] = request
    if form != "skops":
        tags["mlops.consent.pickle"] = "yes"
    files = sum(1 for path in folder.rglob("*") if path.is_file()) - 1
    columns = 0 if here.schema is None else len(here.schema.columns)
    trust = "pickle, by your consent" if form != "skops" else "skops, every type on the trust list"
    return tags, (
        ("format", trust),
        ("fresh process", f"{there.rows} example rows predicted alike"),
        ("signature", f"{columns} columns" if columns else "none: the endpoint cannot check what it is sent"),
        ("manifest", f"sha256 of {files} files"),
    )


def _answers(model: LoadedModel) -> list[Any]:
    if model.example is None:
        return []
    answers: list[Any] = model.estimator.predict(model.example).tolist()
    return answers


def _evaluated(summary: Summary | None) -> tuple[str, str]:
    """Say how the newest evaluation of this model went."""
    if summary is None:
        return ("evaluation", "none yet: %mlops_evaluate makes one, and promoting needs it")
    failed = ", ".join(gate.name for gate in summary.failed)
    passed = sum(gate.outcome == "pass" for gate in summary.gates)
    return ("evaluation", f"failed: {failed}" if failed else f"{passed} gates passed")


def _written(store: Store, found: Subject, name: str | None, tags: dict[str, str]) -> ModelVersion:
    """Create the version, or complete the one that was meant, and make it the candidate."""
    if found.version is not None and name in {None, found.version.model}:
        registry.tag_version(store, found.version, tags)
        model, number = found.version.model, found.version.version
    else:
        model = str(name)
        number = registry.create_version(
            store, model, source=str(found.uri), run_id=found.run_id, model_id=found.model_id, tags=tags
        )
    moves.point(store, model, "candidate", number, reason="registered", kind="registration")
    return registry.resolve(store, ModelAddress(model, number))
