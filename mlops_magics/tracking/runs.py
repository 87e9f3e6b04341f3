"""Runs that always end: started and finished by id, kept alive by a lease, closed when their kernel died."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_magics.foundation.masking import masked, masked_values
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking.context import context_tags
from mlops_magics.tracking.provenance import GitState, Source, environment_text, user
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, door, raced, switched

TRACKED = "mlops.tracked"
_PARENT = "mlflow.parentRunId"
_PROCESS = "mlops.process"
_LEASE = "mlops.lease"
_CELL = "mlops.cell.id"
_BEAT_SECONDS = 30.0
_LEASE_SECONDS = 120.0  # three missed beats and a slow clock
_LOOKED_AT = 200  # open runs of one experiment, runs below one
_PARAM_CHARACTERS = 6000  # MLflow's limit
_BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits for one call


def start(
    store: Store,
    experiment_id: str,
    *,
    name: str | None,
    source: Source,
    git: GitState | None,
    begun: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """Start a run.

    Args:
        store: The open store.
        experiment_id: The experiment it belongs to.
        name: The run's name; MLflow makes one up without it.
        source: The cell that is about to be executed.
        git: The state of its repository, if it is in one.
        begun: When it began, in milliseconds since the epoch; now by default.
        tags: What else is to be said of it.

    Returns:
        The run's id and its name.
    """
    all_tags = dict(tags or {}) | starting_tags(source, git)
    return opened(store, experiment_id, name, all_tags, begun=begun)


def opened(
    store: Store, experiment_id: str, name: str | None, tags: Mapping[str, str], *, begun: int | None = None
) -> tuple[str, str]:
    """Make a run with its first tags, masked like its name; return its id and its name."""
    shown = None if name is None else masked(name)
    with door("The run"):
        made = store.client.create_run(
            experiment_id, start_time=begun, run_name=shown, tags=masked_values(tags)
        )
    return str(made.info.run_id), str(made.info.run_name)


def below(run_id: str) -> dict[str, str]:
    """Return the tags of a run that stands below another one."""
    return {_PARENT: run_id}


def finished_below(store: Store, experiment_id: str, run_id: str) -> int:
    """Count the finished runs that stand below a run."""
    query = f"tags.`{_PARENT}` = '{run_id}' and attributes.status = 'FINISHED'"
    with door("The experiment's runs"):
        return len(store.client.search_runs([experiment_id], query, max_results=_LOOKED_AT))


def finish(store: Store, run_id: str, status: str, *, ended: int | None = None) -> None:
    """End a run.

    Args:
        store: The open store.
        run_id: Which run.
        status: FINISHED, FAILED or KILLED.
        ended: When it ended, in milliseconds since the epoch; now by default.
    """
    with door(f"The run {run_id}"), switched(MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true"):
        store.client.set_terminated(run_id, status=status, end_time=ended)


def starting_tags(source: Source, git: GitState | None) -> dict[str, str]:
    """Say of a run who makes it, from what, and that it is alive."""
    process = ProcessId.current()
    tags = context_tags() | {
        TRACKED: "1",
        _PROCESS: json.dumps([process.host, process.pid, process.started, process.birth]),
        _LEASE: _lease(),
        "mlflow.user": user(),
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.name": source.notebook or "unknown",
        "mlops.cell.sha256": source.digest,
    }
    if source.cell_id:
        tags[_CELL] = source.cell_id
    if git is not None:
        tags["mlflow.source.git.commit"] = git.commit
        tags["mlops.git.dirty"] = str(git.dirty).lower()
        if git.branch:
            tags["mlflow.source.git.branch"] = git.branch
    return tags


def rename(store: Store, run_id: str, name: str) -> None:
    """Give a run another name."""
    with door(f"The run {run_id}"):
        store.client.update_run(run_id, name=masked(name))


def log(
    store: Store,
    run_id: str,
    *,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> None:
    """Log parameters, metrics and tags in as few calls as MLflow allows.

    Secrets in parameters and tags are masked; values over MLflow's 6,000 characters are cut. Metrics
    that are not numbers (NaN, infinity) are logged as they are: MLflow keeps them apart.
    """
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    items: dict[str, list[Any]] = {
        "metrics": [Metric(key, float(value), now, step) for key, value in (metrics or {}).items()],
        "params": [
            Param(key, value[:_PARAM_CHARACTERS]) for key, value in masked_values(params or {}).items()
        ],
        "tags": [RunTag(key, value[:_PARAM_CHARACTERS]) for key, value in masked_values(tags or {}).items()],
    }
    with door(f"The run {run_id}"):
        calls = max(math.ceil(len(items[kind]) / size) for kind, size in _BATCH.items())
        for call in range(calls):
            parts = {kind: items[kind][call * size : (call + 1) * size] for kind, size in _BATCH.items()}
            store.client.log_batch(run_id, synchronous=True, **parts)


def log_files(store: Store, run_id: str, files: Mapping[str, str | bytes]) -> None:
    """Log small files in one call.

    Args:
        store: The open store.
        run_id: Which run.
        files: Content by path below the run's artifacts. Text is masked; bytes are ours already.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder, door(f"The run {run_id}"):
        for path, content in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(masked(content).encode() if isinstance(content, str) else content)
        store.client.log_artifacts(run_id, folder)


def source_files(source: Source, git: GitState | None) -> dict[str, str]:
    """Write down the code and the environment of a run: the cell, what is uncommitted, all packages."""
    files = {"mlops/cell.py": source.code, "mlops/environment.txt": environment_text()}
    if git is not None and git.diff:
        files["mlops/uncommitted.diff"] = git.diff
    if git is not None and git.modules:
        files["mlops/untracked.txt"] = "".join(f"{path}\n" for path in git.modules)
    return files


def log_datasets(store: Store, run_id: str, datasets: Sequence[Dataset], context: str) -> None:
    """Attach the tables that a run read, by our digest over every value, as MLflow inputs.

    Args:
        store: The open store.
        run_id: Which run.
        datasets: The tables.
        context: What they were for: "training", "evaluation".
    """
    if not datasets:
        return
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Entity(
                name=masked(item.name),
                digest=item.digest,
                source_type="code",
                source=json.dumps({"tags": {"mlflow.source.name": "notebook"}}),
                profile=json.dumps({"num_rows": item.rows, "num_columns": item.columns}),
            ),
            tags=[InputTag("mlflow.data.context", context)],
        )
        for item in datasets
    ]
    with door(f"The run {run_id}"):
        raced(lambda: store.client.log_inputs(run_id, inputs))


@contextlib.contextmanager
def kept_alive(store: Store, run_id: str) -> Iterator[None]:
    """Renew a run's lease every 30 seconds for the length of a ``with`` block.

    A kernel on another machine that stops renewing is given up after two minutes. A store that fails
    meanwhile costs nothing: the next beat tries again.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(_BEAT_SECONDS):
            with contextlib.suppress(Exception):
                store.client.set_tag(run_id, _LEASE, _lease())

    thread = threading.Thread(target=beat, name="mlops-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1.0)


def reap(store: Store, experiment_id: str) -> int:
    """Close the runs whose kernel is gone.

    Only runs of ours are looked at. One of this machine is dead when its process is; one of another
    machine when its lease has expired and it is the same user's.

    Returns:
        How many runs were marked KILLED.
    """
    found = orphans(store, experiment_id)
    with door("The experiment's open runs"), switched(MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true"):
        for run_id in found:
            store.client.set_terminated(run_id, status="KILLED")
            store.client.set_tag(run_id, "mlops.reaped", "its kernel is gone")
    return len(found)


def orphans(store: Store, experiment_id: str) -> tuple[str, ...]:
    """List the open runs of ours whose kernel is gone, by id."""
    query = f"attributes.status = 'RUNNING' and tags.`{TRACKED}` = '1'"
    with door("The experiment's open runs"):
        found = store.client.search_runs([experiment_id], query, max_results=_LOOKED_AT)
    return tuple(run.info.run_id for run in found if _abandoned(run.data.tags))


def cut_short(store: Store, notebook: str) -> dict[str, tuple[str, str]]:
    """Find the cells of a notebook whose newest run was interrupted, or ended with its kernel.

    Args:
        store: The open store.
        notebook: The notebook's full path.

    Returns:
        The id and the name of that run, by the cell's id.
    """
    quote = '"' if "'" in notebook else "'"
    if quote in notebook:  # MLflow's filters know no escape
        return {}
    query = f"tags.`mlflow.source.name` = {quote}{notebook}{quote}"
    newest: dict[str, Any] = {}
    with door("The notebook's runs"):
        places = [item.experiment_id for item in store.client.search_experiments()]
        order = ["attributes.start_time DESC"]
        found = (
            store.client.search_runs(places, query, max_results=_LOOKED_AT, order_by=order) if places else []
        )
    for run in found:
        if cell := run.data.tags.get(_CELL):
            newest.setdefault(cell, run)
    return {
        cell: (run.info.run_id, run.info.run_name or run.info.run_id)
        for cell, run in newest.items()
        if run.info.status == "KILLED" or (run.info.status == "RUNNING" and _abandoned(run.data.tags))
    }


def _abandoned(tags: Mapping[str, str]) -> bool:
    try:
        # An earlier release wrote no birth.
        host, pid, started, *birth = json.loads(tags.get(_PROCESS, ""))
        alive = ProcessId(int(pid), float(started), str(host), *map(str, birth[:1])).alive()
        expired = float(tags.get(_LEASE, "0")) < time.time()
    except (ValueError, TypeError):
        return False  # not written by us, whatever it says
    if alive is not None:
        return not alive
    return expired and tags.get("mlflow.user") == user()


def _lease() -> str:
    return f"{time.time() + _LEASE_SECONDS:.0f}"
