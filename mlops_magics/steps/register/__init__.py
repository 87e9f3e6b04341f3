"""Register: a model of a run becomes a version that can be trusted, or none at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_magics.artifact import foreign, manifest, proof, reference, shipped
from mlops_magics.artifact.card import Card
from mlops_magics.artifact.loading import LoadedModel, load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.evaluate import card as judged
from mlops_magics.steps.register import example as examples
from mlops_magics.steps.register.facts import Known, card, contract_of, evaluation_of
from mlops_magics.steps.register.files import ROWS_TAG, files_of, rows_of
from mlops_magics.targets.local_nudge import nudge
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import belongings, evaluations, moves, pyfunc, registry, subject
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.recall import Recalled, recall
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store
from mlops_magics.tracking.subject import Subject

_TAG_CHARACTERS = 50_000  # half of what MLflow lets a tag hold; a wider example is read from the files

Checks = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Consents:
    """What the caller agreed to run in this call."""

    pickle: bool
    code: bool


@dataclass(frozen=True, slots=True)
class _Proved:
    """A model that was loaded here and in a fresh process.

    Attributes:
        model: The model as it was loaded here.
        digest: Of its manifest.
        tags: What is to be said of the version.
        checks: What was checked, and how.
    """

    model: LoadedModel
    digest: str
    tags: Mapping[str, str]
    checks: Checks


def register(
    model: object,
    name: str | None = None,
    *,
    example: object = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    reference_rows: int = 0,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> ModelVersion:
    """Make a model of a run a version of a registered model, after proving that it can be served.

    Before the version exists its files are read back from the store, each type in them is looked up
    on our own trust list, and a fresh process that never saw the notebook loads them and predicts the
    stored example rows: classes must be the same, numbers and probabilities to six digits. The sha256
    manifest of all files is tagged on the version, and each later load checks it. A model card of
    recorded facts becomes the version's description; card, slice and evaluation are kept beside the
    model's files. The new version becomes the ``candidate``.

    A version that plain MLflow made is completed in place: ``register models:/flights/3``, with
    ``--example ROWS`` where it was logged without an example. One without sklearn flavor takes both
    consents: MLflow itself loads it, which runs any code that it holds.

    Args:
        model: A run, or an address: a run's id or name, ``models:/m-<id>``, ``models:/flights/3``.
        name: The registered model's name; needed unless a version is completed.
        example: A few rows to prove it with: a table or the path of one. Five of them are kept with the
            version, what looks personal in them masked.
        allow_pickle: Accept a model that is kept in pickle. Loading one executes code; the consent is
            tagged on the version.
        allow_code: Accept code of the author that the model brings along (``%%mlops_track --allow-code``).
            Loading it executes that code; the consent is tagged on the version.
        reference_rows: Keep so many of the rows that it was fitted on with the version, as numbers only,
            where they are still in the notebook; what ``%%mlops_track --reference-rows`` kept stays anyway.
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
    proof.get_ready()
    found = subject.find(store, model)
    if name is None and found.version is None:
        raise UsageError(
            f"Which model shall {found.shown} be a version of?", "Name it: %mlops_register RUN NAME."
        )
    summary = evaluations.read(store, found.version or ModelVersion("", "", model_id=found.model_id))
    run = _run(store, found)
    with subject.files(store, found) as folder, tempfile.TemporaryDirectory(prefix="mlops-") as copy:
        private = Path(shutil.copytree(folder, Path(copy, "model"), symlinks=True))
        foreign.check(private, _line(found, name), consented=allow_pickle and allow_code)
        proved = _proved(private, example, found.shown, _Consents(allow_pickle, allow_code))
        known = _known(private, proved, run, summary, settings.root)
        written = card(name or (found.version.model if found.version else ""), _now(), known)
    rows = rows_of(model, known.reference, reference_rows)
    kept = _beside(store, found, known, written, rows)
    kept |= {ROWS_TAG: str(reference_rows)} if rows else {}
    tags = {**proved.tags, **kept, **({} if summary is None else evaluations.as_tags(summary))}
    version = _written(store, found, name, tags)
    _described(store, version, written)
    if standby is not None and settings.standby:
        standby.start()
    return replace(
        version, checks=(*known.checks, ("card", "recorded facts only, as the version's description"))
    )


def _line(found: Subject, name: str | None) -> str:
    """Write the line that registers a model, without its options."""
    what = found.shown if found.version is None else f"models:/{found.shown}"
    return f"%mlops_register {what}" if name is None else f"%mlops_register {what} {name}"


def _beside(
    store: Store, found: Subject, known: Known, written: Card, rows: Mapping[str, bytes]
) -> dict[str, str]:
    """Write what belongs to a version beside its model, and return the tags that lead there."""
    contract = None if known.contract is None else known.contract[0]
    kept = belongings.put(store, found, {**files_of(store, known.run, written, contract), **rows})
    return kept if contract is None else kept | {"mlops.contract": contract.name}


def _known(folder: Path, proved: _Proved, run: Recalled | None, summary: Summary | None, root: Path) -> Known:
    rows = reference.read(folder)
    return Known(
        folder=folder,
        model=proved.model,
        digest=proved.digest,
        checks=(*proved.checks, judged.checked(summary)),
        consents=tuple(kind for kind in ("pickle", "code") if f"mlops.consent.{kind}" in proved.tags),
        run=run,
        summary=summary,
        evaluation=evaluation_of(run),
        reference=rows,
        contract=contract_of(root, rows),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _run(store: Store, found: Subject) -> Recalled | None:
    """Read the run that made a model; None where MLflow does not know it, or it was deleted."""
    try:
        return None if found.run_id is None else recall(store, None, found.run_id)
    except NotFoundError:
        return None


def _described(store: Store, version: ModelVersion, written: Card) -> None:
    belongings.describe(store, version, written.to_markdown(belongings.ROOM))


def _proved(folder: Path, rows: object, shown: str, consents: _Consents) -> _Proved:
    """Load a private copy here and in a fresh process, and describe it."""
    digest = manifest.write(folder)
    here = load(folder, allow_pickle=consents.pickle, allow_code=consents.code, opens=pyfunc.opened)
    table = here.example if rows is None else examples.given(here, rows)
    if table is None:
        raise RefusedError(
            f"{shown} was logged without example rows: nothing shows that a fresh process answers alike.",
            "Give a few rows that it was made for: --example ROWS, a table or the path of one.",
        )
    told, there = _compared(folder, here, table, consents, given=rows is not None)
    kept, answers = (table, told["predictions"]) if rows is None else examples.keepable(here, rows, table)
    form = str(here.metadata["format"])
    tags = {"mlops.manifest": digest, "mlops.format": form}
    if kept is not None:
        tags["mlops.example.predictions"] = json.dumps(answers)
        request = split_body(Frame.of(kept, "the stored example")).decode()
        if len(request) <= _TAG_CHARACTERS:
            tags["mlops.example.request"] = request
    brought = shipped.find(folder)
    if form != "skops":
        tags["mlops.consent.pickle"] = "yes"
    if brought is not None or here.foreign:
        tags["mlops.consent.code"] = "yes"
    files = len(manifest.sizes(folder))
    columns = 0 if here.schema is None else len(here.schema.columns)
    probable = "" if there.probabilities is None else ", probabilities too"
    checks = (
        ("format", _trust(here, () if brought is None else brought.names)),
        ("fresh process", f"{there.rows} example rows predicted alike{probable}"),
        ("signature", f"{columns} columns" if columns else "none: the endpoint cannot check what it is sent"),
        ("manifest", f"sha256 of {files} files"),
    )
    return _Proved(here, digest, tags, checks)


def _trust(model: LoadedModel, brought: Sequence[str]) -> str:
    """Say why a model is trusted."""
    if model.foreign:
        return f"pyfunc ({model.metadata['flavors']}), loaded by MLflow itself by your consents"
    if brought:
        return f"skops, with code of its author by your consent: {', '.join(brought)}"
    safe = model.metadata["format"] == "skops"
    return "skops, every type on the trust list" if safe else "pickle, by your consent"


def _compared(
    folder: Path,
    here: LoadedModel,
    table: Any,  # noqa: ANN401 - a pandas frame
    consents: _Consents,
    *,
    given: bool,
) -> tuple[Mapping[str, Any], proof.Proof]:
    """Answer rows here and in a fresh process.

    Raises:
        RefusedError: The answers differ.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as place:
        file = examples.written(table, Path(place, "rows.parquet")) if given else None
        there = proof.prove(
            folder,
            allow_pickle=consents.pickle,
            allow_code=consents.code,
            rows=file,
            module=pyfunc.PROVES if here.foreign else proof.MODULE,
        )
        told = proof.answers(here, table if file is None else proof.read_rows(file))
    for what, found in (("predict", there.predictions), ("give probabilities for", there.probabilities)):
        if not proof.alike(found, told.get("predictions" if what == "predict" else "probabilities")):
            raise RefusedError(
                f"A fresh process does not {what} the example as this one does.",
                "The model depends on something outside its files (a global, the clock, a random state).",
            )
    return told, there


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
    nudge(store.settings, model)
    return registry.resolve(store, ModelAddress(model, number))
