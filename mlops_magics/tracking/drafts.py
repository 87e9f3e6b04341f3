"""A run as plain data, and the one way in which it is written into a store.

A draft may be written at once, or lie on the disk until the store is back. Writing it twice is the same
as once: the run is found again by the draft's own key, and what it holds already is left alone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_magics.foundation.forms import numbered, unnumbered
from mlops_magics.foundation.masking import masked, masked_values
from mlops_magics.tracking import identity, models, runs
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, door

KEY = "mlops.draft"
_FORM = 1  # of its JSON; files of before have no number and the same fields
OFFLINE = "offline-"  # what the id of a run begins with that waits for its store; its draft's key follows


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything about a run.

    Attributes:
        experiment: The experiment's name.
        name: The run's name.
        begun: When it began, in milliseconds since the epoch.
        tags: Its tags.
        files: Small text files by path below its artifacts.
        kept: Files that are masked already, as bytes, by path; they lie beside the JSON of the rest.
        params: Parameters, as text.
        metrics: Metrics by name.
        datasets: The tables that it read.
        status: FINISHED, FAILED or KILLED.
        ended: When it ended, in milliseconds since the epoch.
        form: The format of its model, "skops" or "pickle"; "" where it has none.
        kind: The kind of its model.
        run_id: MLflow's id, where the run is open already.
        forced: Whether it is a run of its own even where an equal one is there.
        key: The draft's own name, by which its run is found again.
    """

    experiment: str
    name: str
    begun: int
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    status: str = "FINISHED"
    ended: int = 0
    form: str = ""
    kind: str = ""
    run_id: str | None = None
    forced: bool = False
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def with_(self, **changes: Any) -> Draft:  # noqa: ANN401 - any of the attributes
        """Return a draft in which some things differ."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """Write the draft as JSON, without its secrets; its model and what is kept as bytes lie beside it."""
        fields = asdict(replace(self, kept={})) | {"datasets": [vars(item) for item in self.datasets]}
        fields |= {
            "name": masked(self.name),
            "tags": masked_values(self.tags),
            "params": masked_values(self.params),
            "files": {path: masked(text) for path, text in self.files.items()},
        }
        return json.dumps(numbered(fields, _FORM), ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str) -> Draft:
        """Read a draft.

        Raises:
            ValueError: It is none.
            NewerFormError: A newer release wrote it.
        """
        try:
            fields = json.loads(text)
            unnumbered(fields, _FORM, "run that waits")
            tables = tuple(Dataset(**item) for item in fields.pop("datasets"))
            return cls(**fields, datasets=tables)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Written:
    """Where a draft went.

    Attributes:
        run_id: MLflow's run id.
        name: The run's name.
        model_id: MLflow's id of its model; None where it has none.
    """

    run_id: str
    name: str
    model_id: str | None


def begun(store: Store, draft: Draft) -> Draft:
    """Find the run of a draft that was half written, or make it.

    Args:
        store: The open store.
        draft: The run.

    Returns:
        The draft with its run's id.
    """
    if draft.run_id is not None:
        return draft
    return draft.with_(run_id=_opened(store, store.experiment_id(draft.experiment), draft))


def write(store: Store, draft: Draft, model: Path | None = None) -> Written:
    """Write a draft into a store.

    Args:
        store: The open store.
        draft: The run.
        model: The folder of its model, as ``models.save`` made it.

    Returns:
        The run that it is now.

    Raises:
        UnavailableError: The store failed; writing the draft again goes on from there.
        RefusedError: The store's server does not let this user write.
    """
    experiment_id, draft = store.experiment_id(draft.experiment), begun(store, draft)
    run_id = draft.run_id or ""
    with door(f"The run {run_id}"):
        run = store.client.get_run(run_id)
        there, outputs = run.data, run.outputs.model_outputs if run.outputs else []
    if draft.files or draft.kept:
        runs.log_files(store, run_id, {**draft.files, **draft.kept})
    # A model is an output of its run only when it is there whole.
    model_id = there.tags.get(identity.MODEL) or (outputs[-1].model_id if outputs else None)
    if model is not None and model_id is None:
        model_id = models.log_saved(
            store, run_id, experiment_id, model, form=draft.form, kind=draft.kind
        ).model_id
    tags = dict(draft.tags) | {KEY: draft.key} | ({} if model_id is None else {identity.MODEL: model_id})
    missing = {name: value for name, value in draft.metrics.items() if name not in there.metrics}
    runs.log(store, run_id, params=draft.params, metrics=missing, tags=tags)
    runs.log_datasets(store, run_id, draft.datasets, "training")
    if there.tags.get("mlflow.runName") != draft.name:
        runs.rename(store, run_id, draft.name)
    runs.finish(store, run_id, draft.status, ended=draft.ended or None)
    return Written(run_id, draft.name, model_id)


def settled(store: Store, draft: Draft, model: Path | None = None) -> Written:
    """Write a draft that has waited; one that is an earlier run again is attached to it.

    Args:
        store: The open store.
        draft: The run.
        model: The folder of its model, as ``models.save`` made it.

    Returns:
        The run that it is now.

    Raises:
        UnavailableError: The store failed; doing it again goes on from there.
        RefusedError: The store's server does not let this user write.
    """
    experiment_id = store.experiment_id(draft.experiment)
    there = draft.run_id is not None or written(store, experiment_id, draft.key) is not None
    if not there and not draft.forced and draft.status == "FINISHED" and identity.KEY in draft.tags:
        known = identity.known(store, experiment_id, draft.tags[identity.KEY])
        twin = next((run for run in known if run.outcome == draft.tags.get(identity.OUTCOME)), None)
        if twin is not None:
            with door(f"The run {twin.run_id}"):  # first: a store that fails now must not count it twice
                store.client.set_tag(twin.run_id, f"{KEY}.{draft.key}", "1")
            identity.attach(store, twin)
    if (attached := _attached(store, experiment_id, draft.key)) is not None:
        return Written(attached, draft.name, None)
    return write(store, draft, model)


def _attached(store: Store, experiment_id: str, key: str) -> str | None:
    """Find the run that a draft was again, by the draft's key."""
    with door("The experiment's runs"):
        found = store.client.search_runs([experiment_id], f"tags.`{KEY}.{key}` = '1'", max_results=1)
    return str(found[0].info.run_id) if found else None


def written(store: Store, experiment_id: str, key: str) -> str | None:
    """Find the run that a draft has become, by the draft's key; None where it was not written yet."""
    with door("The experiment's runs"):
        found = store.client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1)
    return str(found[0].info.run_id) if found else _attached(store, experiment_id, key)


def _opened(store: Store, experiment_id: str, draft: Draft) -> str:
    """Find the run of a draft that was half written, or make it."""
    if (found := written(store, experiment_id, draft.key)) is not None:
        return found
    tags = dict(draft.tags) | {KEY: draft.key}
    return runs.opened(store, experiment_id, draft.name, tags, begun=draft.begun)[0]
