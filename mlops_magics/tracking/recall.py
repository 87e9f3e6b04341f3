"""What the store holds of a run, read back: for comparing it with another one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_magics.foundation.errors import NotFoundError, nearest
from mlops_magics.foundation.names import run_id as read_run_id
from mlops_magics.tracking.store import Store, door, fetching

_NEWEST = 1_000  # runs among which a name is looked for
_FILES = "mlops"
_MODULES = f"{_FILES}/modules"
_TEXTS = {".py", ".txt", ".diff", ".json"}
OUTPUT = f"{_FILES}/output.txt"  # what the cell printed
_UNREAD = {f"{_FILES}/{name}" for name in ("output.txt", "slice.py", "search.json")}  # of no use here


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
        modules: The texts of the helper modules that were imported, by path.
    """

    run_id: str
    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    tables: Mapping[str, str]
    files: Mapping[str, str]
    modules: Mapping[str, str] = field(default_factory=dict)


def recall(store: Store, experiment_id: str | None, named: str) -> Recalled:
    """Read a run.

    Args:
        store: The open store.
        experiment_id: Where a name is looked for; None where only an id can be meant.
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
        *_texts(store, run.info.run_id),
    )


@dataclass(frozen=True, slots=True)
class Brief:
    """A run as the store's tables have it; no file is fetched for it.

    Attributes:
        run_id: MLflow's run id.
        name: The run's name.
        experiment: The name of its experiment.
        status: FINISHED, FAILED, KILLED or RUNNING.
        started: When it started, in milliseconds since the epoch.
        ended: When it ended; None while it runs.
        notebook: The notebook that it was made in; None where that is not known.
        params: Its parameters.
        metrics: Its metrics.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    started: int
    ended: int | None
    notebook: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def brief(store: Store, run_id: str) -> Brief:
    """Read a run without its files.

    Args:
        store: The open store.
        run_id: Its id.

    Raises:
        NotFoundError: There is no such run.
    """
    run = _found(store, None, run_id)
    with door(f"The run {run_id}"):
        experiment = store.client.get_experiment(run.info.experiment_id)
    return Brief(
        run.info.run_id,
        run.info.run_name or run.info.run_id,
        experiment.name,
        run.info.status,
        run.info.start_time or 0,
        run.info.end_time,
        None if (source := run.data.tags.get("mlflow.source.name", "unknown")) == "unknown" else source,
        dict(run.data.params),
        dict(run.data.metrics),
    )


def readers(store: Store, digest: str) -> tuple[tuple[str, str], ...]:
    """Find the runs that read a table, newest first.

    Args:
        store: The open store.
        digest: The table's digest, or how it begins; hexadecimal.

    Returns:
        Names and ids, of the newest thousand at most.
    """
    with door("The runs"):
        places = [item.experiment_id for item in store.client.search_experiments(max_results=_NEWEST)]
        query = f"dataset.digest LIKE '{digest}%'"
        runs = store.client.search_runs(places, query, max_results=_NEWEST) if places else []
    return tuple((run.info.run_name or run.info.run_id, run.info.run_id) for run in runs)


def _found(store: Store, experiment_id: str | None, named: str) -> Any:  # noqa: ANN401 - MLflow's Run
    identifier = read_run_id(named)
    with door(f"The run {named}"):
        if identifier is not None:
            return store.client.get_run(identifier)
        runs = store.client.search_runs([experiment_id], max_results=_NEWEST) if experiment_id else []
    for run in runs:
        if run.info.run_name == named:
            return run
    names = sorted({str(run.info.run_name) for run in runs})
    raise NotFoundError(
        f"The experiment has no run '{named}'.", nearest(named, names) or "%mlops_track shows its runs."
    )


def _texts(store: Store, run_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Read what is compared: the texts beside the cell, and those of the helper modules."""
    with (
        tempfile.TemporaryDirectory(prefix="mlops-") as folder,
        door(f"The files of the run {run_id}"),
        fetching(),
    ):
        found = [item.path for item in store.client.list_artifacts(run_id, _FILES)]  # none of a plain run
        files: dict[str, str] = {}
        for path in found:
            if Path(path).suffix in _TEXTS and path not in _UNREAD:
                files[Path(path).name] = _read(Path(store.client.download_artifacts(run_id, path, folder)))
        if _MODULES not in found:
            return files, {}
        top = Path(store.client.download_artifacts(run_id, _MODULES, folder))
        return files, {path.relative_to(top).as_posix(): _read(path) for path in sorted(top.rglob("*.py"))}


def fetched(store: Store, run_id: str, path: str, folder: Path) -> Path:
    """Bring a folder of a run's files to this machine.

    Args:
        store: The open store.
        run_id: Which run.
        path: The folder, below the run's artifacts.
        folder: Where to put it.

    Returns:
        Where it lies; it may be the store's own place, and must not be changed.
    """
    with door(f"The files of the run {run_id}"), fetching():
        return Path(store.client.download_artifacts(run_id, path, str(folder)))


def fetched_text(store: Store, run_id: str, path: str) -> str:
    """Read a text file of a run; "" where it has none."""
    with door(f"The files of the run {run_id}"):
        if path not in {item.path for item in store.client.list_artifacts(run_id, str(Path(path).parent))}:
            return ""
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        return _read(fetched(store, run_id, path, Path(folder)))


def _read(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")
