"""A model that can go on from where it is: the champion's own, fitted further with the new rows."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from mlops_magics.foundation.digests import digest
from mlops_magics.foundation.errors import MLOpsError, RefusedError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.reference import kept_of
from mlops_magics.steps.monitor.watched import reference_of
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.making import Place
from mlops_magics.steps.retrain.marks import Table
from mlops_magics.tracking import models, retrainings, runs, subject
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.records import Dataset, ModelVersion
from mlops_magics.tracking.store import Store

_REMEDY = "Leave --update out: the notebook, or the cells that made the champion, fit it anew."


def updated(
    store: Store,
    asked: Asked,
    base: ModelVersion,
    rows: Table,
    *,
    target: str,
    place: Place,
) -> str:
    """Fit a version's model further, and log it as a run.

    Of a pipeline only the last step goes on; what comes before it stays as it was fitted, so that its numbers
    mean the same.

    Args:
        store: The open store.
        asked: What was asked.
        base: The version.
        rows: The new rows.
        target: The column that is predicted.
        place: Where the retraining works.

    Returns:
        The run's id.

    Raises:
        RefusedError: The model cannot go on, or not with these rows.
    """
    found = subject.of_version(base)
    kept = subject.loaded(store, found, allow_pickle=asked.allow_pickle, allow_code=asked.allow_code)
    estimator = copy.deepcopy(kept)
    features, labels = rows.drop(columns=[target]), rows[target]
    features = _as_fitted(estimator, features)
    _go_on(estimator, features, labels)
    tags = {
        runs.TRACKED: "1",
        retrainings.MADE_BY: place.id,
        "mlops.updated": f"{base.model}/{base.version}",
        "mlflow.user": user(),
    }
    experiment = store.experiment_id(place.experiment)
    run_id, _ = runs.opened(store, experiment, f"update {base.model}/{base.version}", tags)
    try:
        data = Frame(rows, "pandas")
        read = Dataset("fresh rows", data.rows, len(data.names), digest(data))
        runs.log_datasets(store, run_id, [read], "training")
        held = reference_of(store, base)
        kept = 0 if held is None else held.kept_rows  # as many as were kept with the version that goes on
        _log(store, run_id, experiment, (estimator, features, kept), asked)
    except MLOpsError:
        runs.finish(store, run_id, "FAILED")
        raise
    runs.finish(store, run_id, "FINISHED")
    return run_id


def _log(store: Store, run_id: str, experiment: str, fitted: tuple[Any, Table, int], asked: Asked) -> None:
    """Log a model with what it was fitted on, and how much of it is kept, as the model of a run."""
    estimator, features, kept = fitted
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        path = Path(folder, "model")
        form = models.save(
            estimator,
            path,
            data=features,
            allow_pickle=asked.allow_pickle,
            run_id=run_id,
            files=kept_of(features, estimator, rows=kept),
        )
        kind = models.kind_of_model(estimator)
        models.log_saved(store, run_id, experiment, path, form=form, kind=kind)


def _as_fitted(estimator: Any, features: Any) -> Any:  # noqa: ANN401 - any estimator, pandas
    """Take the columns that the model was fitted on, in that order."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return features
    missing = [name for name in names if name not in features.columns]
    if missing:
        raise RefusedError(f"The fresh rows have no column '{missing[0]}', which the model takes.", _REMEDY)
    return features[list(names)]


def _go_on(estimator: Any, features: Any, labels: Any) -> None:  # noqa: ANN401 - same
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    if not hasattr(last, "partial_fit"):
        raise RefusedError(f"A {type(last).__name__} cannot be fitted further.", _REMEDY)
    known = getattr(last, "classes_", None)
    if known is not None and (new := set(labels.unique()) - set(known.tolist())):
        raise RefusedError(
            f"The fresh rows have a class that the model does not know: {min(new, key=str)}.", _REMEDY
        )
    try:
        prepared = estimator[:-1].transform(features) if steps and len(steps) > 1 else features
        last.partial_fit(prepared, labels)
    except MLOpsError:
        raise
    except Exception as error:
        raise RefusedError(f"The model cannot be fitted further: {error}", _REMEDY) from error
