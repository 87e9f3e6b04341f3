"""Proof that a model folder works away from home: loaded and asked in a fresh process.

The child gets a small environment without secrets and no site of the current folder (``-P``), so
that a model which only works in the notebook that made it fails here, before it is promoted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.artifact.loadback import answers
from mlops_magics.artifact.loading import load
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError

_KEPT = (
    "PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP",
    "PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV",
    "CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA",
)  # fmt: skip
_TAIL = 400  # characters of a crashed child's last words


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


def prove(folder: Path, *, allow_pickle: bool = False, timeout: float = 120) -> Proof:
    """Load a model folder in a fresh process and let it answer its own example.

    Args:
        folder: The model folder.
        allow_pickle: Whether the caller consents to run the code in a pickle.
        timeout: The most seconds to wait.

    Returns:
        What it answered.

    Raises:
        RefusedError: Something in the folder is not allowed.
        UnavailableError: The process did not answer in time.
        MLOpsError: The model cannot be loaded, or cannot predict its example.
    """
    consent = ["--allow-pickle"] if allow_pickle else []
    command = [sys.executable, "-P", "-m", "mlops_magics.artifact", str(folder.resolve()), *consent]
    try:
        child = subprocess.run(  # noqa: S603 - our own module, no shell
            command,
            env=environment(os.environ),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"The model did not answer within {timeout:g} seconds in a fresh process.",
            "Give it more time, or log a smaller example.",
        ) from error
    return _answer(child)


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


def run(folder: Path, *, allow_pickle: bool) -> dict[str, Any]:
    """Load a model folder in this process and let it answer its own example.

    Args:
        folder: The model folder.
        allow_pickle: Whether the caller consents to run the code in a pickle.

    Returns:
        What the child process prints as JSON.

    Raises:
        MLOpsError: It cannot be loaded, has no example, or cannot predict it.
    """
    start = time.perf_counter()
    model = load(folder, allow_pickle=allow_pickle)
    if model.example is None:
        raise MLOpsError(
            "The model folder has no input example to try.",
            "Log the model with its training frame, so that an example is stored.",
        )
    try:
        told = answers(model.estimator, model.example)
    except Exception as error:
        raise MLOpsError(
            f"The model cannot predict its own example: {type(error).__name__}: {str(error)[:300]}",
            "It needs something that only its notebook has; make the pipeline self-contained.",
        ) from error
    return {**told, "rows": len(model.example), "types": [], "seconds": time.perf_counter() - start}
