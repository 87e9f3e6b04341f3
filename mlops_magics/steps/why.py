"""Why: from an answer, an endpoint, a version or a run back to the cell and the data, and forward again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Code, Facts, Name, Note, Table, Title, Tone
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError, nearest
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.names import run_id as read_run_id
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.recipe import Recipe
from mlops_magics.steps.deploy.traffic import answered_by
from mlops_magics.steps.predict import Prediction
from mlops_magics.steps.track.origin import BECAUSE, CELLS, RECIPE, REPRODUCIBLE, VERIFIED
from mlops_magics.targets import TARGETS
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import behaviours, evaluations, policies, registry, subject
from mlops_magics.tracking.behaviours import Tested
from mlops_magics.tracking.history import Event
from mlops_magics.tracking.policies import Approval
from mlops_magics.tracking.recall import Recalled, readers, recall
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.store import Store, open_store

_CODE = 4_000  # characters of the cell that are shown
_SHORT = 12  # characters of a digest
_MOVES = 5
_TESTED = 20  # readers of a table whose tests are looked up: each is a few calls to the store
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_FILES = "sha256:"  # how the digest of a version's files begins


@dataclass(frozen=True)
class Why(Result):
    """The way from what serves to what it was made of.

    Attributes:
        asked: What was asked about.
        endpoints: Live endpoints that serve the version, as (name, status).
        version: The registered version; None where the run became none.
        versions: All versions that came of the run, as ``model/version``.
        moves: Who moved which alias to the version, when and why.
        evaluation: The newest evaluation of the version, with its gates; None where there is none.
        run: The run; None where MLflow does not know which one made the version.
        recipe: The cells that made the model, and the files that they read; None where nobody recorded them.
        said: What the approvers of the model's policy say of the version.
        readers: The runs that read a table, by name and id, where a table's digest was asked about.
        tests: The behaviour tests that were run on the model, each with its last outcome.
        tests_of: The same of the readers of a table, the newest of them, by the run's id.
    """

    asked: str
    endpoints: tuple[tuple[str, str], ...] = ()
    version: ModelVersion | None = None
    versions: tuple[str, ...] = ()
    moves: tuple[Event, ...] = ()
    evaluation: evaluations.Summary | None = None
    run: Recalled | None = None
    recipe: Recipe | None = None
    said: tuple[Approval, ...] = ()
    readers: tuple[tuple[str, str], ...] = ()
    tests: tuple[Tested, ...] = ()
    tests_of: Mapping[str, tuple[Tested, ...]] = field(default_factory=dict)

    volatile: ClassVar[bool] = True  # it tells of the store as it is now

    def blocks(self) -> Iterable[Block]:
        """Show the way, from the endpoint to the data."""
        yield Title(f"Why {self.asked}", "" if self.run is None else f"run {self.run.name}")
        if self.readers:
            yield from self._read_by()
            return
        yield Facts([*self._serving(), *self._made()])
        if self.moves:
            rows = [
                (
                    item.alias,
                    item.when[:10],
                    Name(item.who),
                    "yes" if item.verified else "no",
                    Name(item.reason),
                )
                for item in self.moves[-_MOVES:]
            ]
            yield Table(("alias", "on", "by", "verified", "because"), rows)
        yield from self._judged()
        if self.run is not None:
            yield from self._run()

    def _read_by(self) -> Iterable[Block]:
        rows = [(Name(name), run, _counted(self.tests_of.get(run, ()))) for name, run in self.readers]
        yield Table(("read by", "run", "behaviour tests"), rows)

    def _judged(self) -> Iterable[Block]:
        """Show what people, tests and gates said of the model."""
        if self.said:
            words = [
                (one.who, "approves" if one.approved else "is against", Name(one.comment))
                for one in self.said
            ]
            yield Table(("approver", "says", "because"), words)
        if self.tests:
            found = [
                (Name(one.name), "passes" if one.passed else "fails", Name(one.evidence))
                for one in self.tests
            ]
            tones: list[Tone] = ["plain" if one.passed else "bad" for one in self.tests]
            yield Table(("behaviour test", "", "found"), found, tones)
        if self.evaluation is not None:
            gates = self.evaluation.gates
            yield Table(
                ("gate", "", "value", "bound"), [(g.name, g.outcome, g.value, g.threshold) for g in gates]
            )

    def _serving(self) -> list[tuple[str | Name, str | Name]]:
        found: list[tuple[str | Name, str | Name]] = [
            (f"endpoint {name}", status) for name, status in self.endpoints
        ]
        if self.version is not None:
            held = ", ".join(self.version.aliases)
            found.append(
                ("version", f"{self.version.model}/{self.version.version}{f' ({held})' if held else ''}")
            )
            if self.version.digest:
                found.append(("files", self.version.digest.removeprefix("sha256:")[:_SHORT]))
        elif self.versions:
            found.append(("versions", ", ".join(self.versions)))
        return found

    def _made(self) -> list[tuple[str | Name, str | Name]]:
        if self.run is None:
            return [("run", "MLflow does not know which run made it")]
        tags = self.run.tags
        commit = tags.get("mlflow.source.git.commit", "")[:_SHORT]
        dirty = " with uncommitted changes" if tags.get("mlops.git.dirty") == "true" else ""
        pairs = [
            ("run", f"{self.run.name} · {self.run.status.lower()} · {self.run.run_id}"),
            ("by", tags.get("mlflow.user", "")),
            ("notebook", Path(tags.get("mlflow.source.name", "")).name),
            ("commit", f"{commit}{dirty}" if commit else ""),
            ("cells", self._cells()),
            ("made again", tags.get("mlops.reproduced", "")),
        ]
        return [(name, Name(value)) for name, value in pairs if value]

    def _cells(self) -> str:
        tags = {} if self.run is None else self.run.tags
        if CELLS not in tags:
            return ""
        said = tags.get(BECAUSE, "") if tags.get(REPRODUCIBLE) != "yes" else ""
        proof = "proved" if tags.get(VERIFIED) == "yes" else ""
        return " · ".join(filter(None, [f"{tags[CELLS]} made it", proof, said]))

    def _run(self) -> Iterable[Block]:
        run = self.run
        if run is None:
            return
        if run.metrics:
            yield Table(("metric", "value"), sorted(run.metrics.items()))
        read = [(Name(name), "table", digest[:_SHORT]) for name, digest in run.tables.items()]
        if self.recipe is not None:
            read += [(Name(item.path), "file", item.digest[:_SHORT]) for item in self.recipe.files]
        if read:
            yield Table(("read", "", "digest"), read)
        if code := run.files.get("cell.py", ""):
            yield Code(code[:_CODE])
        if self.recipe is not None and len(self.recipe.steps) > 1:
            yield Note(
                f"%mlops_reproduce {run.name} makes it again; mlops/slice.py of the run has its cells.",
                "quiet",
            )

    def ids(self) -> Mapping[str, str]:
        """Name the run and the version."""
        known = {
            "run_id": "" if self.run is None else self.run.run_id,
            "version": "" if self.version is None else self.version.version,
        }
        return {key: value for key, value in known.items() if value}


def why(thing: object, *, settings: Settings | None = None) -> Why:
    """Show where a model comes from: who promoted it, what gates and tests said, its run, cell and data.

    Args:
        thing: A model's address (``flights@champion``, ``flights/3``, ``models:/m-...``), a run's name or
            id, how a table's digest begins or that of a version's files (eight characters at least), the id
            of a request that an endpoint of this machine answered and keeps in its journal, or what a verb
            returned: a run, a version, a prediction.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The way, as far as it is recorded, and which endpoints and versions came of it.

    Raises:
        NotFoundError: There is no such model, version or run.
        UsageError: It is none of these.
        UnavailableError: The store cannot be reached.
    """
    settings = settings or Settings.discover()
    store = open_store(settings)
    if isinstance(thing, str) and (found := _readers(store, thing.strip())):
        tests = {run: _tests(store, None, run) for _, run in found[:_TESTED]}
        return Why(asked=f"the table {thing.strip()}", readers=found, tests_of=tests)
    version, run = _found(settings, store, thing)
    run_id = None if run is None else run.run_id
    versions = () if run is None else registry.made_by(store, run.run_id)
    if version is None and len(versions) == 1:
        version = versions[0]
    return Why(
        asked=_shown(thing),
        endpoints=() if version is None else _endpoints(settings, version),
        version=version,
        versions=tuple(f"{item.model}/{item.version}" for item in versions),
        moves=() if version is None else _moves(store, version),
        evaluation=None if version is None else evaluations.read(store, version),
        run=run,
        recipe=_recipe(run),
        said=() if version is None else _said(store, version),
        tests=_tests(store, version, run_id),
    )


def _readers(store: Store, text: str) -> tuple[tuple[str, str], ...]:
    """Find who read a table, where the text may be a digest: a run's id looks like one too."""
    return readers(store, text) if _DIGEST.fullmatch(text) else ()


def _said(store: Store, version: ModelVersion) -> tuple[Approval, ...]:
    try:
        policy = policies.read(store, version.model)
    except RefusedError:
        return ()  # of a policy that is not to be believed nobody was asked; promoting says so
    return () if policy is None else policies.approvals(store, version, policy)


def _tests(store: Store, version: ModelVersion | None, run_id: str | None) -> tuple[Tested, ...]:
    """Find the tests of a version, else those of the model that a run logged."""
    if version is not None:
        return behaviours.read(store, version)
    try:
        return () if run_id is None else behaviours.of_subject(store, subject.of_run(store, run_id))
    except NotFoundError:
        return ()  # the run logged no model


def _counted(tests: tuple[Tested, ...]) -> str:
    failed = sum(not one.passed for one in tests)
    return f"fails {failed} of {len(tests)}" if failed else f"passes {len(tests)}" if tests else ""


def _found(settings: Settings, store: Store, thing: object) -> tuple[ModelVersion | None, Recalled | None]:
    """Find the version and the run that are meant; what is neither may be the id of a request."""
    try:
        version, run_id = _meant(store, thing)
        return version, None if run_id is None else recall(store, None, run_id)
    except NotFoundError:
        version = _answered(settings, store, thing) if isinstance(thing, str) else None
        if version is None:
            raise
        return version, None if version.run_id is None else recall(store, None, version.run_id)


def _answered(settings: Settings, store: Store, text: str) -> ModelVersion | None:
    """Find the version that answered a request, in the journals of this store's endpoints."""
    for endpoint in LocalTarget(settings, masked(settings.store)).list():
        version = None if endpoint.journal is None else answered_by(endpoint.journal, text.strip())
        if version is not None:
            return registry.resolve(store, ModelAddress(endpoint.model, version))
    return None


def _meant(store: Store, thing: object) -> tuple[ModelVersion | None, str | None]:
    if isinstance(thing, Run):
        return None, thing.id
    if isinstance(thing, Prediction):
        thing = ModelVersion(thing.model, thing.version)
    if isinstance(thing, ModelVersion):
        version = registry.resolve(store, ModelAddress(thing.model, thing.version))
        return version, version.run_id
    if isinstance(thing, str):
        return _named(store, thing.strip())
    raise UsageError(
        f"A {type(thing).__name__} has no history.",
        "Give a run, a version, a prediction, or an address such as flights@champion.",
    )


def _named(store: Store, text: str) -> tuple[ModelVersion | None, str | None]:
    if read_run_id(text) is not None:
        return None, text
    if text.removeprefix("models:/").startswith("m-"):
        return None, subject.find(store, f"models:/{text.removeprefix('models:/')}").run_id
    if _DIGEST.fullmatch(text.removeprefix(_FILES)) and (
        found := registry.of_files(store, text.removeprefix(_FILES))
    ):
        alone = len(found) == 1 or found[0].run_id is None
        return (found[0] if alone else None), found[0].run_id
    address = ModelAddress.parse(text)
    known = registry.models(store)
    if address.model in known or address.alias or address.version:
        version = registry.resolve(store, address)
        return version, version.run_id
    if store.settings.experiment is None:
        raise NotFoundError(
            f"'{text}' is neither a model nor a run.", nearest(text, known) or "%mlops shows what there is."
        )
    return None, recall(store, store.experiment_id(store.settings.experiment), text).run_id


def _shown(thing: object) -> str:
    match thing:
        case Run(name=name):
            return name
        case ModelVersion(model=model, version=version):
            return f"{model}/{version}"
        case Prediction(request_ids=ids):
            return f"the answer {ids[0]}"
    return str(thing)


def _endpoints(settings: Settings, version: ModelVersion) -> tuple[tuple[str, str], ...]:
    found = TARGETS.get("local")(settings, masked(settings.store)).list()
    return tuple(
        (item.name, item.status)
        for item in found
        if item.model == version.model and item.version == version.version
    )


def _moves(store: Store, version: ModelVersion) -> tuple[Event, ...]:
    moves = registry.moves_of(store, version.model)
    return tuple(item for item in moves if item.new == version.version and item.moved)


def _recipe(run: Recalled | None) -> Recipe | None:
    try:
        return None if run is None else Recipe.of_json(run.files[RECIPE])
    except (KeyError, ValueError):
        return None
