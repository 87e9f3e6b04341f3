"""Proof that a model folder works away from home: loaded and asked in a fresh process.

The child gets a small environment without secrets and no site of the current folder (``-P``), so
that a model which only works in the notebook that made it fails here, before it is promoted.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from mlops_magics.artifact.answered import AnswerError
from mlops_magics.artifact.foreign import Opens, records
from mlops_magics.artifact.loadback import as_json
from mlops_magics.artifact.loading import LoadedModel, load
from mlops_magics.artifact.prover import PROVER
from mlops_magics.artifact.schema import typed
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError

MODULE: Final = "mlops_magics.artifact"
"""What a fresh process runs, unless another module must load the model."""

_KEPT = (
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP",
    "PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV",
    "CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
)  # fmt: skip
_TAIL = 400  # characters of a crashed child's last words
_DIGITS = 1e-6
_NUMERIC = {"double", "float", "long", "integer"}


@dataclass(frozen=True, slots=True)
class Proof:
    """What a model answered to its own example.

    Attributes:
        predictions: What ``predict`` answered, one a row.
        probabilities: What ``predict_proba`` answered, or None where it has none.
        rows: How many rows the example has.
        types: Untrusted types that were loaded with consent; empty for the safe format.
        seconds: How long loading and answering took, without starting Python.
    """

    predictions: list[Any]
    probabilities: list[list[float]] | None
    rows: int
    types: tuple[str, ...]
    seconds: float


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Keep of an environment what a Python process needs to start, and nothing that may be secret.

    Args:
        given: An environment, usually ``os.environ``.

    Returns:
        The environment of a process that loads models, with one compute thread.
    """
    kept = {name: given[name] for name in _KEPT if name in given}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def prove(
    folder: Path,
    *,
    allow_pickle: bool = False,
    allow_code: bool = False,
    rows: Path | None = None,
    timeout: float = 120,
    module: str = MODULE,
) -> Proof:
    """Load a model folder in a fresh process and let it answer its own example, or other rows.

    Args:
        folder: The model folder.
        allow_pickle: Whether the caller consents to run the code in a pickle.
        allow_code: Whether the caller consents to run the code that the model brings along.
        rows: A parquet file with rows to answer instead of the stored example.
        timeout: The most seconds to wait.
        module: What the process runs, where another one must load the model: it takes the same words.

    Returns:
        What it answered.

    Raises:
        RefusedError: Something in the folder is not allowed.
        UnavailableError: The process did not answer in time.
        MLOpsError: The model cannot be loaded, or cannot predict its example.
    """
    asked = ["--allow-pickle"] if allow_pickle else []
    asked += ["--allow-code"] if allow_code else []
    asked += [] if rows is None else ["--rows", str(rows.resolve())]
    words, known = [str(folder.resolve()), *asked], environment(os.environ)
    try:
        forked = PROVER.ask(words, known, timeout) if module == MODULE else None
        child = forked or _from_cold(words, known, timeout, module)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"The model did not answer within {timeout:g} seconds in a fresh process.",
            "Give it more time, or log a smaller example.",
        ) from error
    return _answer(child)


def get_ready() -> None:
    """Let what a proof needs be imported already, while something else is done; it returns at once."""
    PROVER.start(environment(os.environ))


def _from_cold(
    words: list[str], known: dict[str, str], timeout: float, module: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-P", "-m", module, *words],
        env=known,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


def _answer(child: subprocess.CompletedProcess[bytes]) -> Proof:
    """Read the child's last line; anything that the model itself prints comes before it."""
    try:
        told = orjson.loads(child.stdout.splitlines()[-1])
        if "error" in told:
            kind = RefusedError if told["error"].get("refused") else MLOpsError
            raise kind(told["error"]["what"], told["error"]["remedy"])
        return Proof(
            predictions=told["predictions"],
            probabilities=told.get("probabilities"),
            rows=told["rows"],
            types=tuple(told["types"]),
            seconds=told["seconds"],
        )
    except (IndexError, KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        words = child.stderr.decode(errors="replace").strip()[-_TAIL:]
        raise MLOpsError(
            f"The process that loaded the model ended with {child.returncode}: {words or 'no word'}.",
            "Load the model in a new kernel to see where it stops.",
        ) from error


def run(
    folder: Path,
    *,
    allow_pickle: bool,
    allow_code: bool = False,
    rows: Path | None = None,
    opens: Opens | None = None,
) -> dict[str, Any]:
    """Load a model folder in this process and let it answer its own example, or other rows.

    Args:
        folder: The model folder.
        allow_pickle: Whether the caller consents to run the code in a pickle.
        allow_code: Whether the caller consents to run the code that the model brings along.
        rows: A parquet file with rows to answer instead of the stored example.
        opens: What lets MLflow load a model that only it can load.

    Returns:
        What the child process prints as JSON.

    Raises:
        MLOpsError: It cannot be loaded, has no example, or cannot predict it.
    """
    start = time.perf_counter()
    model = load(folder, allow_pickle=allow_pickle, allow_code=allow_code, opens=opens)
    table = model.example if rows is None else read_rows(rows)
    if table is None:
        raise MLOpsError(
            "The model folder has no input example to try.",
            "Give a few rows: %mlops_register MODEL --example ROWS.",
        )
    answered = answers(model, table)
    return {**answered, "rows": len(table), "types": [], "seconds": time.perf_counter() - start}


def read_rows(file: Path) -> Any:  # noqa: ANN401 - a pandas frame
    """Read the rows that a model is to be tried on."""
    import pandas as pd

    return pd.read_parquet(file)


def answers(model: LoadedModel, table: Any) -> dict[str, Any]:  # noqa: ANN401 - a pandas frame
    """Let a model answer rows as it would at the endpoint: one thread, so that sums have one order.

    Args:
        model: The model; its ``n_jobs`` are 1 meanwhile.
        table: The rows, as a pandas frame.

    Returns:
        "predictions", and "probabilities" where it has them, as JSON types.

    Raises:
        MLOpsError: It cannot predict them.
    """
    from threadpoolctl import threadpool_limits

    schema, asked = model.schema, model.estimator
    framed = hasattr(asked, "feature_names_in_") or (
        schema is not None and any(column.type not in _NUMERIC for column in schema.columns)
    )
    try:
        rows = typed(table, schema, model.null) if schema else table
        rows = rows if framed else rows.to_numpy()
        with threadpool_limits(1), warnings.catch_warnings(), _one_thread(asked):
            warnings.simplefilter("ignore")
            found = asked.predict(rows)
            told: dict[str, Any] = {
                "predictions": as_json(records(found, asked.fields) if model.foreign else found)
            }
            if hasattr(asked, "predict_proba"):
                told["probabilities"] = as_json(asked.predict_proba(rows))
    except AnswerError as error:
        raise MLOpsError(
            f"What the model answers cannot be served. {error}",
            "Let its predict return an array, a list, a Series or a DataFrame with an entry for each row.",
        ) from error
    except Exception as error:
        raise MLOpsError(
            f"The model cannot predict its own example: {type(error).__name__}: {str(error)[:300]}",
            "It needs something that only its notebook has; make the pipeline self-contained.",
        ) from error
    return told


def alike(one: object, other: object) -> bool:
    """Tell whether two answers are the same: numbers to six digits, everything else exactly.

    The last bits of a sum hang on where in memory its terms lie, in the same library on the same machine.
    """
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_DIGITS, abs_tol=_DIGITS**2)
    return type(one) is type(other) and one == other


@contextlib.contextmanager
def _one_thread(estimator: Any) -> Iterator[None]:  # noqa: ANN401 - any estimator
    """Let each part of an estimator work alone; a class of the user's own may have no parameters."""
    before: dict[str, Any] = {}
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        parameters = estimator.get_params(deep=True)
        before = {name: value for name, value in parameters.items() if name.rpartition("__")[2] == "n_jobs"}
        estimator.set_params(**dict.fromkeys(before, 1))
    try:
        yield
    finally:
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            estimator.set_params(**before)
