"""A recipe is executed in a process of its own, and tells what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.lineage.recipe import Recipe

_TAIL = 400  # characters of a crashed child's last words
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
_NICE = 15  # in the background the kernel's own work comes first


@dataclass(frozen=True, slots=True)
class Told:
    """What came of executing a recipe.

    Attributes:
        failed: Why it did not end, or "".
        traceback: Where a cell raised, or "".
        reads: The digests of what the run's own cell read, by name.
        metrics: Metrics by name.
        outcome: The digest of all that came of it.
        seconds: How long it took.
    """

    failed: str = ""
    traceback: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    outcome: str = ""
    seconds: float = 0.0


def run(
    recipe: Recipe,
    *,
    folder: Path,
    python: Path = Path(sys.executable),
    timeout: float,
    background: bool = False,
    threads: int | None = None,
) -> Told:
    """Execute a recipe.

    What it logs goes into a store of its own that is thrown away.

    Args:
        recipe: What to execute.
        folder: Where.
        python: With which Python.
        timeout: The most seconds to wait.
        background: Whether other processes come first.
        threads: On how many threads libraries compute; on as many as they want by default.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mlops-rerun-") as name:
        place = Path(name)
        (place / "slice.json").write_text(recipe.to_json(), encoding="utf-8")
        environment = _environment(place) | ({} if threads is None else dict.fromkeys(_THREADS, str(threads)))
        failed = _run(python, place, folder, timeout, environment, background=background)
        try:
            told: dict[str, Any] = {} if failed else orjson.loads((place / "told.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            failed, told = "It ended before its last line.", {}
    seconds = time.perf_counter() - begun
    known = {name: told[name] for name in ("traceback", "reads", "metrics", "outcome") if name in told}
    return Told(failed=failed or told.get("failed", ""), seconds=seconds, **known)


def _run(
    python: Path,
    place: Path,
    folder: Path,
    timeout: float,
    environment: Mapping[str, str],
    *,
    background: bool,
) -> str:
    """Start the child and wait for it; return what went wrong, or ""."""
    with (place / "words.txt").open("wb") as words:
        child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [str(python), "-m", "mlops_magics.frontends.rerun", str(place)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,  # it ends when this end is closed, however that comes about
            stdout=subprocess.DEVNULL,
            stderr=words,
        )
        try:
            if background and hasattr(os, "setpriority"):
                os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"It did not end within {timeout:g} seconds."
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            if child.stdin:
                child.stdin.close()
    if code:
        said = (place / "words.txt").read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
        return f"Its process ended with {code}: {said.splitlines()[-1] if said else 'no word'}"
    return ""


def _environment(place: Path) -> dict[str, str]:
    """Give the child the kernel's environment, as the cells had it, but a store of its own."""
    store = f"sqlite:///{place / 'mlflow.db'}"
    return {
        **os.environ,
        "MLOPS_STORE": store,
        "MLFLOW_TRACKING_URI": store,
        "MLOPS_STATE": str(place / "state"),
        "MLOPS_STANDBY": "false",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(filter(None, [_packages(place), os.environ.get("PYTHONPATH", "")])),
    }


def _packages(place: Path) -> str:
    """Make a folder from which any Python imports this very release, and nothing else with it."""
    link = place / "packages" / "mlops_magics"
    link.parent.mkdir()
    link.symlink_to(Path(__file__).parents[2], target_is_directory=True)
    return str(link.parent)
