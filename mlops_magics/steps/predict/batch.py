"""Scoring files with a registered version: larger than memory, and going on where it was stopped."""

from __future__ import annotations

import contextlib
import glob
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from mlops_magics.artifact import manifest
from mlops_magics.artifact.loading import Method, load
from mlops_magics.foundation import cluster
from mlops_magics.foundation.blocks import Block, Facts, Note, Title
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.machine import processors
from mlops_magics.foundation.result import Result
from mlops_magics.serving.bulk import Chunk, Count, Scorer, chunks
from mlops_magics.serving.predictor import Predictor
from mlops_magics.steps.deploy.facts import Consents, version_of
from mlops_magics.tracking import pyfunc, subject
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_PLAN: Final = "_scoring.json"  # readers of a folder of parquet pass such names by
_KINDS: Final = (".parquet", ".csv")


@dataclass(frozen=True)
class Scored(Result):
    """Files of answers.

    Attributes:
        model: The registered model.
        version: The version that answered.
        folder: The folder of parquet files: ``prediction`` or ``probability.CLASS``, ``error`` for a row that
            does not fit, and the columns of the rows that the model does not take.
        rows: How many rows were scored, in this call and before.
        refused: How many of them have no answer.
        parts: How many files there are.
        found: How many of these were there already.
        seconds: How long it took.
    """

    model: str
    version: str
    folder: str
    rows: int
    refused: int
    parts: int
    found: int
    seconds: float

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show how much was scored, and where it lies."""
        badge = f"{self.refused:,} without an answer" if self.refused else ""
        yield Title(f"{self.rows:,} rows scored", badge, "bad" if self.refused else "good")
        rate = self.rows / self.seconds if self.seconds and not self.found else 0.0
        yield Facts(
            [
                ("model", f"{self.model}, version {self.version}"),
                ("folder", self.folder),
                ("files", f"{self.parts}, {self.found} of them there already" if self.found else self.parts),
                (
                    "took",
                    f"{self.seconds:.1f} s, {rate:,.0f} rows a second" if rate else f"{self.seconds:.1f} s",
                ),
            ]
        )
        if self.refused:
            yield Note("The column 'error' says why a row has no answer.")

    def ids(self) -> Mapping[str, str]:
        """Name the version."""
        return {"version": self.version}


@dataclass(frozen=True, slots=True)
class Asked:
    """How files are scored: the options of the verb.

    Attributes:
        rows: The path or glob of the files.
        output: The folder of the answers.
        method: What the model is asked.
        keep: Columns that go along with the answers.
        engine: Where it is done: "local" or "ray".
        consents: What the model may do while it is loaded.
    """

    rows: str
    output: Path
    method: Method
    keep: tuple[str, ...]
    engine: str
    consents: Consents


def scored(store: Store, model: str, asked: Asked) -> Scored:
    """Score files, and leave out what is scored already.

    Args:
        store: The open store.
        model: The version: ``flights@champion``, ``flights/3``.
        asked: What is to be done.

    Raises:
        NotFoundError: There is no such version or file.
        RefusedError: The folder holds answers of another version or other files; or the model's files are
            not those that were registered.
        UsageError: A column is missing or of another type, or no row of many fits.
    """
    begun = time.monotonic()
    version = version_of(store, model)
    parts = chunks(_files(asked.rows))
    _planned(asked, version, parts)
    missing = [chunk for chunk in parts if not (asked.output / chunk.name).is_file()]
    if missing:
        with subject.files(store, subject.of_version(version)) as folder:
            if manifest.write(folder) != version.digest:
                raise RefusedError(
                    f"The files of {version.model}/{version.version} are not those that were registered.",
                    "Register the model again from its run, or restore the files.",
                )
            with _scoring(asked, folder) as score:
                for _ in score(missing):
                    pass
    counts = [_counted(asked.output / chunk.name) for chunk in parts]
    return Scored(
        model=version.model,
        version=version.version,
        folder=str(asked.output),
        rows=sum(count.rows for count in counts),
        refused=sum(count.refused for count in counts),
        parts=len(parts),
        found=len(parts) - len(missing),
        seconds=time.monotonic() - begun,
    )


def _files(rows: str) -> list[Path]:
    """Find the files; a folder means all that are in it."""
    path = Path(rows)
    found = sorted(path.iterdir()) if path.is_dir() else [Path(name) for name in sorted(glob.glob(rows))]  # noqa: PTH207 - of any root
    files = [one for one in found if one.suffix in _KINDS]
    if not files:
        raise NotFoundError(f"There are no files at {rows}.", "Name parquet or CSV files, or their folder.")
    return files


def _planned(asked: Asked, version: ModelVersion, parts: Sequence[Chunk]) -> None:
    """Write down what the folder is for, or see that it is for the same."""
    stamps = {chunk.path: _stamp(Path(chunk.path)) for chunk in parts}
    plan: dict[str, Any] = {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "method": asked.method,
        "keep": sorted(asked.keep),
        "files": stamps,
        "parts": [asdict(chunk) for chunk in parts],
    }
    path = asked.output / _PLAN
    if path.is_file():
        if json.loads(path.read_bytes()) == plan:
            return
        raise RefusedError(
            f"{asked.output} holds the answers of another version, or to other rows.",
            "Choose another folder for --output, or delete this one.",
        )
    if asked.output.is_dir() and any(asked.output.iterdir()):
        raise RefusedError(f"{asked.output} is not empty.", "Choose another folder for --output.")
    asked.output.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(plan, indent=1))


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


@contextlib.contextmanager
def _scoring(asked: Asked, folder: Path) -> Iterator[Callable[[Sequence[Chunk]], Iterable[Count]]]:
    """Make what scores parts, here or in the tasks of a cluster."""
    if asked.engine == "local":
        scorer = _scorer(folder, asked)
        yield lambda missing: (scorer.score(chunk, asked.output) for chunk in missing)
        return
    if asked.engine != "ray":
        raise UsageError(f"There is no engine '{asked.engine}'.", "Write --engine ray, or leave it out.")
    with cluster.joined() as ray:
        task = ray.remote(_task)
        files = ray.put(
            {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
        )
        yield lambda missing: (
            ray.get(waiting) for waiting in [task.remote(files, asked, chunk) for chunk in missing]
        )


def _scorer(folder: Path, asked: Asked) -> Scorer:
    agreed = asked.consents
    loaded = load(folder, allow_pickle=agreed.pickle, allow_code=agreed.code, opens=pyfunc.opened)
    if loaded.schema is None:
        raise UsageError(
            "The model has no signature, so nothing says which columns it takes.", "Log it with one."
        )
    if not hasattr(loaded.estimator, asked.method):
        raise UsageError("The model has no probabilities.", "Leave --proba out.")
    predictor = Predictor(loaded)
    predictor.compile(threads=processors() if asked.engine == "local" else 1)
    classes = [str(name) for name in getattr(loaded.estimator, "classes_", ())]
    return Scorer(predictor, loaded.schema, asked.method, classes=classes, keep=asked.keep)


_ready: dict[str, Scorer] = {}


def _task(files: dict[str, bytes], asked: Asked, chunk: Chunk) -> Count:
    """Score one part in a process of a cluster, which loads the model once."""
    key = repr(sorted((name, hash(content)) for name, content in files.items())) + asked.method
    if key not in _ready:
        with TemporaryDirectory() as name:
            for relative, content in files.items():
                path = Path(name, relative)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _ready[key] = _scorer(Path(name), asked)
    return _ready[key].score(chunk, asked.output)


def _counted(path: Path) -> Count:
    """Count the rows of a file of answers."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return Count(0, 0)  # a part without rows
    errors = pq.read_table(path, columns=["error"])["error"]
    return Count(len(errors), len(errors) - errors.null_count)
