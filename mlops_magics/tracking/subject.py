"""The model that a user means: a run, a version, an address, a run's name, or a fitted estimator at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_magics.artifact import loadback, manifest, reference, rows, shipped
from mlops_magics.artifact.kept import Kept
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.loading import load as load_folder
from mlops_magics.artifact.rows import RowSample
from mlops_magics.artifact.takes import Takes
from mlops_magics.foundation.errors import ChangedError, NotFoundError, UsageError, nearest
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.names import run_id as read_run_id
from mlops_magics.tracking import pyfunc, registry
from mlops_magics.tracking.drafts import OFFLINE, written
from mlops_magics.tracking.models import fetch, unsafe
from mlops_magics.tracking.records import ModelVersion, Run
from mlops_magics.tracking.spool import Spool, replayed
from mlops_magics.tracking.store import Store, door

_NEWEST = 200  # how many runs a name is looked for in


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that was found.

    Attributes:
        shown: What to call it.
        uri: Where its files are; None for an estimator that was never logged.
        run_id: The run that made it, where it is known.
        model_id: MLflow's id of the logged model, where it has one.
        version: The registered version, where that is what was meant.
        estimator: The estimator itself, where that is what was given.
    """

    shown: str
    uri: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    version: ModelVersion | None = None
    estimator: Any = None


def find(store: Store, thing: object) -> Subject:
    """Find the model that a thing means.

    Args:
        store: The open store.
        thing: A Run, a ModelVersion, a fitted estimator, or text: ``flights@champion``, ``flights/3``,
            a run id, ``runs:/<id>``, ``models:/m-<id>``, or the name of a run of this experiment.

    Raises:
        NotFoundError: Nothing is there, or it holds no model.
        UsageError: It is none of these.
    """
    if isinstance(thing, Run):
        return replace(of_run(store, _written(store, thing)), shown=thing.name)
    if isinstance(thing, ModelVersion):
        return of_version(registry.resolve(store, ModelAddress(thing.model, thing.version)))
    if isinstance(thing, str):
        return _named(store, thing.strip())
    if hasattr(thing, "predict"):
        return Subject(type(thing).__name__, estimator=thing)
    raise UsageError(
        f"A {type(thing).__name__} is not a model.",
        "Give a run, a fitted estimator, or an address such as flights@champion.",
    )


def _written(store: Store, run: Run) -> str:
    """Return the id that a run has in the store; one that waits on this machine is written first."""
    if not run.id.startswith(OFFLINE):
        return run.id
    replayed(store.settings, store)
    key, found = run.id.removeprefix(OFFLINE), None
    if not Spool.of(store.settings).holds(key):  # one that is half written has no model yet
        found = written(store, store.experiment_id(run.experiment), key)
    if found is None:
        raise NotFoundError(
            f"The run {run.name} waits on this machine: the store does not take it.",
            "%mlops_doctor looks for the cause; %mlops_track writes it when the store is back.",
        )
    return found


def of_run(store: Store, run_id: str) -> Subject:
    """Find the newest model that a run logged.

    Raises:
        NotFoundError: There is no such run, or it logged no model.
    """
    with door(f"The run {run_id}"):
        run = store.client.get_run(run_id)
    name = run.info.run_name or run_id
    outputs = run.outputs.model_outputs if run.outputs else []
    if not outputs:
        raise NotFoundError(
            f"The run {name} logged no model.", "Fit one in its cell, and run the cell again."
        )
    return replace(_logged(store, outputs[-1].model_id), shown=name, run_id=run_id)


def of_version(version: ModelVersion) -> Subject:
    """Take a registered version as it is."""
    return Subject(
        f"{version.model}/{version.version}",
        uri=version.source,
        run_id=version.run_id,
        model_id=version.model_id,
        version=version,
    )


@contextmanager
def files(store: Store, subject: Subject) -> Iterator[Path]:
    """Bring a model's files to this machine for the length of a ``with`` block.

    Yields:
        The folder that holds ``MLmodel``. It may be the store's own: it must not be changed.
    """
    if subject.uri is None:
        raise UsageError(
            f"{subject.shown} was never logged.", "Fit it in a %%mlops_track cell, and give the run."
        )
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        yield fetch(store, subject.uri, Path(folder))


def loaded(store: Store, subject: Subject, *, allow_pickle: bool = False, allow_code: bool = False) -> Any:  # noqa: ANN401 - any estimator
    """Return the estimator of a subject, read back from the store: what was logged, not what it became since.

    Raises:
        RefusedError: It holds something that is not on the trust list, or needs pickle's consent.
        ChangedError: The files of a version are not those that were registered.
    """
    if subject.estimator is not None:
        return subject.estimator
    with files(store, subject) as folder:
        checked(subject, folder)
        return _loaded(folder, allow_pickle=allow_pickle, allow_code=allow_code).estimator


def _loaded(folder: Path, *, allow_pickle: bool, allow_code: bool) -> LoadedModel:
    return load_folder(folder, allow_pickle=allow_pickle, allow_code=allow_code, opens=pyfunc.opened)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model read back from the store, with what was kept beside it.

    Attributes:
        estimator: The estimator.
        rows: Which rows it was fitted on; None where that was not kept.
        kept: How its files hold it, and how it answers, read back from them; None where it was never logged.
        digest: The digest of its files; "" where it was never logged.
    """

    estimator: Any
    rows: RowSample | None = None
    kept: Kept | None = None
    digest: str = ""


def checked(subject: Subject, folder: Path) -> str:
    """Make sure that the files of a version are those that were registered; return their digest.

    Args:
        subject: The model.
        folder: Its files, as they are now.

    Raises:
        ChangedError: They are others.
    """
    digest = manifest.digest(folder)
    registered = None if subject.version is None else subject.version.digest
    if registered is not None and digest != registered:
        raise ChangedError(subject.shown)
    return digest


def opened(store: Store, subject: Subject, *, allow_pickle: bool = False, allow_code: bool = False) -> Opened:
    """Return a subject's estimator as :func:`loaded` does, and what was kept beside it.

    Raises:
        RefusedError: It holds something that is not on the trust list, needs pickle's consent, or is damaged.
    """
    if subject.estimator is not None:
        return Opened(subject.estimator)
    with files(store, subject) as folder:
        digest = checked(subject, folder)
        model = _loaded(folder, allow_pickle=allow_pickle, allow_code=allow_code)
        return Opened(model.estimator, rows.read(folder), _kept(folder, model), digest)


def _kept(folder: Path, model: LoadedModel) -> Kept:
    form, brought = str(model.metadata["format"]), shipped.find(folder)
    code = () if brought is None else brought.names
    fitted_on = reference.read(folder)
    ranges = {} if fitted_on is None else fitted_on.ranges
    kept = Kept(
        form,
        code=code,
        loadback=loadback.compare(folder, model),
        ranges=ranges,
        takes=Takes.of(model.schema, fitted_on),
    )
    return kept if kept.safe or model.foreign else replace(kept, foreign=unsafe(model.estimator))


def _named(store: Store, text: str) -> Subject:
    if (identifier := read_run_id(text)) is not None:
        return of_run(store, identifier)
    if text.startswith("models:/m-"):
        return _logged(store, text.removeprefix("models:/"))
    address = ModelAddress.parse(text)
    known = registry.models(store)
    if address.model in known or address.alias or address.version:
        return of_version(registry.resolve(store, address))
    return _by_run_name(store, text, list(known))


def _by_run_name(store: Store, name: str, known: list[str]) -> Subject:
    """Find the newest run of that name in the chosen experiment."""
    names: list[str] = []
    if store.settings.experiment is not None:
        identifier = store.experiment_id(store.settings.experiment)
        with door("The experiment's runs"):
            found = store.client.search_runs([identifier], max_results=_NEWEST)
        for run in found:
            if run.info.run_name == name:
                return of_run(store, run.info.run_id)
        names = [run.info.run_name for run in found if run.info.run_name]
    raise NotFoundError(
        f"'{name}' is neither a model, a run nor a variable.",
        nearest(name, [*known, *names]) or "Fit a model in a %%mlops_track cell first.",
    )


def _logged(store: Store, model_id: str) -> Subject:
    with door(f"The model {model_id}"):
        model = store.client.get_logged_model(model_id)
    return Subject(model.name, model.artifact_location, model.source_run_id or None, model_id)
