"""What the store holds of a run, read back: for comparing it with another one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.foundation.errors import NotFoundError, nearest
from mlops_magics.foundation.names import run_id as read_run_id
from mlops_magics.tracking.store import Store, door, fetching

_NEWEST = 1_000  # runs among which a name is looked for
_FILES = "mlops"


@dataclass(frozen=True, slots=True)
class Recalled:
    """A run as it is in the store.

    Attributes:
        run_id: MLflow's run id.
        name: The run's name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        params: Its parameters.
        metrics: Its metrics.
        tags: Its tags.
        tables: The digests of the tables that it read, by name.
        files: The texts that we keep of each run, by name: the cell, the environment, the diff.
    """

    run_id: str
    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    tables: Mapping[str, str]
    files: Mapping[str, str]


def recall(store: Store, experiment_id: str, named: str) -> Recalled:
    """Read a run.

    Args:
        store: The open store.
        experiment_id: Where a name is looked for.
        named: The run's id, or the name of a run of the experiment; the newest of that name is taken.

    Raises:
        NotFoundError: There is no such run.
    """
    run = _found(store, experiment_id, named)
    tables = {
        item.dataset.name: item.dataset.digest
        for item in (run.inputs.dataset_inputs if run.inputs else ())
        if any(tag.value == "training" for tag in item.tags)
    }
    return Recalled(
        run.info.run_id,
        run.info.run_name or run.info.run_id,
        run.info.status,
        dict(run.data.params),
        dict(run.data.metrics),
        dict(run.data.tags),
        tables,
        _texts(store, run.info.run_id),
    )


def _found(store: Store, experiment_id: str, named: str) -> Any:  # noqa: ANN401 - MLflow's Run
    identifier = read_run_id(named)
    with door(f"The run {named}"):
        if identifier is not None:
            return store.client.get_run(identifier)
        runs = store.client.search_runs([experiment_id], max_results=_NEWEST)
    for run in runs:
        if run.info.run_name == named:
            return run
    names = sorted({str(run.info.run_name) for run in runs})
    raise NotFoundError(
        f"The experiment has no run '{named}'.", nearest(named, names) or "%mlops_track shows its runs."
    )


def _texts(store: Store, run_id: str) -> dict[str, str]:
    with (
        tempfile.TemporaryDirectory(prefix="mlops-") as folder,
        door(f"The files of the run {run_id}"),
        fetching(),
    ):
        if not any(item.path == _FILES for item in store.client.list_artifacts(run_id)):
            return {}  # a run that plain MLflow made
        kept = Path(store.client.download_artifacts(run_id, _FILES, folder))
        return {
            path.name: path.read_text("utf-8", errors="replace")
            for path in kept.iterdir()
            if path.suffix in {".py", ".txt", ".diff"}
        }
