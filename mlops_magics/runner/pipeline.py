"""Several notebooks in a row, of which those whose inputs are as they were are not executed again.

What a notebook reads and writes is what its stage declares, or what its own recording (``%load_ext
mlops_magics``) told when it ran. A stage is reused only where all is known: what it reads, what it wrote,
its cells, its parameters, the user's own modules and the packages. Whatever is not known, is not there, or
changed while it ran, means that it is executed.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.locks import try_lock
from mlops_magics.runner.book import read
from mlops_magics.runner.job import Executed, Job, Touched
from mlops_magics.runner.running import run
from mlops_magics.runner.surroundings import MARK, surroundings
from mlops_magics.tracking.provenance import installed

_FORMAT: Final = 1
_MOST_MODULES: Final = 2_000
_STORES: Final = {"MLOPS_STORE", "MLFLOW_TRACKING_URI"}
# In what MLflow keeps of runs beside the notebooks the cells of each lie as Python files.
_SKIPPED: Final = {"__pycache__", "node_modules", "site-packages", "mlartifacts", "mlruns"}
_PARTS: Final = {
    "code": "its cells are others",
    "parameters": "its parameters are others",
    "environment": "its environment is another",
    "packages": "Python or its packages are others",
    "modules": "a module of the project changed, or there are too many",
    "reads": "what it reads changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A notebook of a pipeline.

    Attributes:
        name: What it is called; each stage has another name.
        job: How it is executed.
        reads: Which files it reads, as paths or patterns from its folder; None for those that are recorded.
        writes: Which files it writes, likewise.
        always: Whether it is executed in any case, as one that reads a database is.
    """

    name: str
    job: Job
    reads: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    always: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of a stage.

    Attributes:
        name: The stage.
        reused: Whether it was not executed.
        because: Why it was, or was not.
        executed: How its execution ended; None where it was reused.
    """

    name: str
    reused: bool
    because: str
    executed: Executed | None = None


def run_pipeline(
    stages: Sequence[Stage],
    *,
    record: Path,
    force: bool = False,
    execute: Callable[[Job], Executed] = run,
) -> tuple[Passed, ...]:
    """Execute stages in order, and reuse those of which nothing has changed; the first that fails ends it.

    Args:
        stages: The stages.
        record: A file in which is kept what each one read and wrote. Only one may use it at a time.
        force: Whether all are executed.
        execute: What executes a job.

    Returns:
        What came of each stage that was reached.

    Raises:
        UsageError: Two stages have one name, or a notebook cannot be executed.
        UnavailableError: Another process uses the record.
        MLOpsError: What `run` raises before anything starts.
    """
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise UsageError("Two stages of the pipeline have one name.", "Give each another name.")
    passed: list[Passed] = []
    held = try_lock(record.with_name(f".{record.name}.lock"))
    if held is None:
        raise UnavailableError(
            f"Another process executes a pipeline with {record.name}.", "Wait for it to end, or end it."
        )
    with held:
        for stage in stages:
            passed.append(_pass(stage, record, execute, force=force))
            done = passed[-1].executed
            if done is not None and not done.finished:
                break
    return tuple(passed)


def _pass(stage: Stage, record: Path, execute: Callable[[Job], Executed], *, force: bool) -> Passed:
    known = _known(record)
    then = known.pop(stage.name, None) or {}
    before = _inputs(stage, then.get("reading", ()) if stage.reads is None else stage.reads)
    because = "it was asked for" if force else _changed(stage, before, then)
    if not because:
        return Passed(stage.name, reused=True, because="Nothing that it depends on has changed.")
    _keep(record, known)  # whatever happens now, what it wrote before is no longer what is known of it
    begun = time.time()
    done = execute(stage.job)
    if done.finished:
        known[stage.name] = _recorded(stage, before, done, begun)
        _keep(record, known)
    return Passed(stage.name, reused=False, because=f"Executed: {because}.", executed=done)


def _changed(stage: Stage, now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """Say why a stage cannot be reused, or ""."""
    if stage.always:
        return "it always is"
    if not then or "refused" in then:
        return str(then.get("refused") or "it has not run to its end before")
    for part, words in _PARTS.items():
        if now[part] is None or then.get(part) != now[part]:
            return words
    writing = then["writing"] if stage.writes is None else stage.writes
    same = _digests(_folder(stage.job), writing) == then.get("writes")
    return "" if same else "what it wrote is not there any more, or was changed"


def _recorded(stage: Stage, before: Mapping[str, Any], done: Executed, begun: float) -> dict[str, Any]:
    """Write down what a stage read and wrote; or why it can never be reused as it is."""
    if refused := _unknown(stage, done.touched):
        return {"refused": refused}
    seen = done.touched
    reading = list((seen.read if seen else ()) if stage.reads is None else stage.reads)
    writing = list((seen.written if seen else ()) if stage.writes is None else stage.writes)
    now, outputs = _inputs(stage, reading), _digests(_folder(stage.job), writing)
    if not outputs or "" in outputs.values():
        return {"refused": "it does not write what it should" if outputs else "it writes nothing"}
    if missing := [name for name, digest in now["reads"].items() if not digest]:
        return {"refused": f"{missing[0]} is not there"}
    # Of what changed meanwhile nobody knows which state it read.
    same = now == before if stage.reads is not None else not _younger(reading, begun)
    if not same or any(now[part] != before[part] for part in _PARTS if part != "reads"):
        return {"refused": "something that it reads changed while it ran"}
    return {**now, "reading": reading, "writing": writing, "writes": outputs}


def _unknown(stage: Stage, seen: Touched | None) -> str:
    """Say what is not known of a stage, or ""."""
    declared = stage.reads is not None and stage.writes is not None
    if not _is_ours(stage.job.kernel or read(stage.job.notebook).kernel):
        return "the packages of its kernel are not known"
    if seen is None:
        return "" if declared else "what it reads and writes is neither declared nor recorded"
    if seen.network:
        return "it talks to a host"
    if not declared:
        return seen.unknown
    folder = _folder(stage.job)
    said = {
        os.path.realpath(folder / name)
        for name in _digests(folder, (*(stage.reads or ()), *(stage.writes or ())))
    }
    others = [path for path in seen.read if not path.endswith(".py") and os.path.realpath(path) not in said]
    return f"it reads {others[0]}, which is not declared" if others else ""


def _younger(paths: Iterable[str], begun: float) -> bool:
    return any(Path(path).stat().st_mtime >= begun for path in paths if Path(path).exists())


def _inputs(stage: Stage, reading: Iterable[str]) -> dict[str, Any]:
    """Digest all that a stage depends on, part by part; no value is kept."""
    job, folder = stage.job, _folder(stage.job)
    environment = surroundings(os.environ, job.environment, job.variables)
    told = {name: value for name, value in environment.items() if name != MARK and _counts(name, job)}
    return {
        "code": read(job.notebook).code,
        "parameters": _digest(job.parameters),
        "environment": _digest([told, str(folder.resolve()), job.kernel]),
        "packages": _digest([platform.python_version(), sys.executable, dict(installed())]),
        "modules": _modules(folder),
        "reads": _digests(folder, reading),
    }


def _counts(name: str, job: Job) -> bool:
    """Tell whether a variable counts: one that was set or named for the notebook, and the store.

    Other settings of ours and of MLflow's say who runs it and why, which is another thing each time.
    """
    if name.startswith(("MLOPS_", "MLFLOW_")):
        return name in _STORES
    return name in job.variables or any(fnmatch.fnmatchcase(name, each) for each in job.environment)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _digests(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Digest files by path; "" for a pattern that finds none, and for what is no file."""
    found: dict[str, str] = {}
    for pattern in patterns:
        names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - also absolute ones
        for name in names or [pattern]:
            found[name] = _file(folder / name)
    return found


def _file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _modules(folder: Path) -> str | None:
    """Digest all modules below a folder: which of them a notebook imports is not asked. None for too many."""
    total, count = hashlib.sha256(), 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED and not name.startswith(".") and not _is_environment(place, name)
        )
        for name in sorted(files):
            if name.endswith(".py"):
                count += 1
                if count > _MOST_MODULES:
                    return None
                path = Path(place, name)
                total.update(f"{path.relative_to(folder)}={_file(path)};".encode(errors="replace"))
    return total.hexdigest()


def _is_environment(place: str, name: str) -> bool:
    return Path(place, name, "pyvenv.cfg").exists()


def _is_ours(kernel: str) -> bool:
    """Tell whether a kernel runs in this very environment."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec(kernel).argv[0]
    except (NoSuchKernel, IndexError):
        return False
    # Jupyter starts a bare "python" with its own interpreter.
    return program in {"python", "python3", sys.executable}


def _folder(job: Job) -> Path:
    return job.folder or (job.notebook if isinstance(job.notebook, Path) else job.into).parent


def _known(record: Path) -> dict[str, Any]:
    """Read what is known of each stage; nothing where it cannot be read."""
    try:
        told = json.loads(record.read_bytes())
        return dict(told["stages"]) if told["format"] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _keep(record: Path, known: Mapping[str, Any]) -> None:
    write_atomic(record, json.dumps({"format": _FORMAT, "stages": known}, indent=1), private=True)
