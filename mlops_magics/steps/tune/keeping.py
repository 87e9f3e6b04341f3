"""A search in the store: one run with the best model, its trials as a table, the best few below it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.html import page
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.tune.result import Study
from mlops_magics.tracking import identity, models, runs
from mlops_magics.tracking.provenance import Source, git_state
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store
from mlops_magics.tuners.journal import Attempt
from mlops_magics.tuners.space import short

CHILDREN: Final = 3
_TABLE: Final = "mlops/trials.json"
_PARENT: Final = "mlflow.parentRunId"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a search is kept.

    Attributes:
        store: The open store.
        experiment_id: The experiment.
        settings: The settings.
        key: What the search hangs on, with how many trials ended.
        line: The call in words.
        begun: When it began, in milliseconds since the epoch.
    """

    store: Store
    experiment_id: str
    settings: Settings
    key: str
    line: str
    begun: int


def keep(study: Study, place: Kept, data: Dataset, rows: Any, *, allow_pickle: bool) -> Study:  # noqa: ANN401
    """Write a search into the store, unless it is there.

    Args:
        study: What came of it.
        place: Where it is kept.
        data: What is known of the rows.
        rows: The rows, for the model's signature.
        allow_pickle: Whether pickle may be used where the safe format cannot hold the model.

    Returns:
        The study as the run that it is now.
    """
    store = place.store
    known = identity.known(store, place.experiment_id, place.key)
    if known and known[0].model_id:
        identity.attach(store, known[0])
        notes = (*study.notes, "The same search was made before: this is its run.")
        return replace(study, id=known[0].run_id, name=known[0].name, model_id=known[0].model_id, notes=notes)
    source = Source(place.line, notebook=place.settings.notebook)
    git = git_state(place.settings.root)
    run_id, name = runs.start(
        store, place.experiment_id, name=study.name, source=source, git=git, begun=place.begun
    )
    status = "FAILED"
    try:
        study = replace(study, id=run_id, name=name, datasets=(data,))
        study = _written(study, place, source, rows, allow_pickle=allow_pickle)
        status = "FINISHED"
    finally:
        runs.finish(store, run_id, status)
    return study


def _written(study: Study, place: Kept, source: Source, rows: Any, *, allow_pickle: bool) -> Study:  # noqa: ANN401
    store, run_id = place.store, study.id
    runs.log_datasets(store, run_id, study.datasets, "training")
    try:
        logged = models.log_model(
            store, run_id, place.experiment_id, study.estimator, data=rows, allow_pickle=allow_pickle
        )
        study = replace(study, model_id=logged.model_id)
    except RefusedError as error:
        note = f"The model was not kept. {error.what} {error.remedy}"
        study = replace(study, notes=(*study.notes, note))
    tags = {
        identity.KEY: place.key,
        identity.REPEATS: "1",
        identity.MODEL: study.model_id or "",
        "mlflow.loggedArtifacts": json.dumps([{"path": _TABLE, "type": "table"}]),
        "mlops.tune.metric": study.metric,
        "mlops.tune.split": study.split,
    } | ({} if study.by is None else {"mlops.tune.by": study.by})
    runs.log(store, run_id, params=study.params, metrics=study.metrics, tags=tags)
    files: dict[str, str | bytes] = {
        **runs.source_files(source, None),
        _TABLE: json.dumps(_table(study)),
        "mlops/study.json": study.to_json(),
        "mlops/study.html": page(f"Study {study.name}", study.blocks()),
    }
    runs.log_files(store, run_id, files)
    for attempt in _best(study):
        _child(study, place, attempt)
    return study


def _best(study: Study) -> list[Attempt]:
    done = [each for each in study.trials if each.state == "complete" and each.score is not None]
    return sorted(done, key=lambda each: (each.score or 0.0) * (1 if study.lower else -1))[:CHILDREN]


def _child(study: Study, place: Kept, attempt: Attempt) -> None:
    tags = {_PARENT: study.id}
    name = f"{study.name} trial {attempt.number}"
    run_id, _ = runs.start(
        place.store,
        place.experiment_id,
        name=name,
        source=Source(place.line, notebook=place.settings.notebook),
        git=None,
        tags=tags,
    )
    params = {short(key): str(value) for key, value in attempt.params.items()}
    metrics = {study.metric: attempt.score or math.nan, "fit_seconds": attempt.seconds}
    runs.log(place.store, run_id, params={"family": attempt.family, **params}, metrics=metrics)
    runs.finish(place.store, run_id, "FINISHED")


def _table(study: Study) -> Mapping[str, Any]:
    """Write the trials as MLflow's page shows tables."""
    names = list(dict.fromkeys(name for each in study.trials for name in each.params))
    columns = ["trial", "state", study.metric, "family", "folds", "fit_seconds", *names, "error"]
    data = [
        [
            each.number,
            each.state,
            each.score,
            each.family,
            each.folds,
            each.seconds,
            *(each.params.get(name) for name in names),
            each.error,
        ]
        for each in study.trials
    ]
    ends = [short(name) for name in columns]
    return {
        "columns": [end if ends.count(end) == 1 else name for end, name in zip(ends, columns, strict=True)],
        "data": data,
    }
