"""Proof of a slice: run it in a fresh process, and compare what it made.

The child is this Python with the slice's script and nothing else of the notebook; no shell is
involved. A slice that writes files, starts processes or talks to hosts would do so once more: it is
not replayed unless the caller says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.script import awaits, script
from mlops_magics.lineage.walk import walk

_TAIL = 300  # characters of a failed child's last words
_CLOSE = 1e-9  # relative; threads may add up in another order
_METHODS = ("predict_proba", "predict", "transform")
_END = """
from mlops_magics.lineage.replay import answer as _answer

_answer(globals(), {target!r}, {folder!r})
"""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of running a slice in a fresh process.

    Attributes:
        verified: Whether it made the same.
        because: What was equal, or what was not.
        seconds: How long it took.
    """

    verified: bool
    because: str
    seconds: float = 0.0

    @property
    def label(self) -> str:
        """Say it in a word or two."""
        return "verified" if self.verified else "not verified"


def replay(
    found: Slice,
    namespace: Mapping[str, object],
    *,
    sample: Any = None,  # noqa: ANN401 - a table or an array
    timeout: float = 600,
    folder: Path | None = None,
    effects: bool = False,
    transform: Callable[[str], str] | None = None,
) -> Replay:
    """Run a slice in a fresh process and compare its first target with the notebook's.

    Args:
        found: The slice.
        namespace: The notebook's names.
        sample: Rows to let the target answer, for targets whose state holds times or the like.
        timeout: The most seconds to wait.
        folder: Where to run it; the present folder by default.
        effects: Whether it may write files, start processes and talk to hosts once more.
        transform: Turns the source of a tracked cell's body into Python.

    Raises:
        NotFoundError: The notebook has no such name.
    """
    target = found.targets[0]
    if target not in namespace:
        raise NotFoundError(f"The notebook has no name {target!r}.", "Slice for a name that it has.")
    refusal = _refusal(found, effects=effects)
    if refusal:
        return Replay(verified=False, because=refusal)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mlops-replay-") as name:
        place = Path(name)
        asked = _keep(sample, place)
        program = place / "slice.py"
        end = _END.format(target=target, folder=name)
        program.write_text(script(found, transform=transform) + end, encoding="utf-8", errors="surrogatepass")
        trouble = _run(program, folder or Path.cwd(), timeout)
        seconds = time.perf_counter() - start
        if trouble:
            return Replay(verified=False, because=trouble, seconds=seconds)
        same, because = _compare(namespace, target, place, sample if asked else None)
    return Replay(same, because, seconds)


def answer(namespace: dict[str, object], target: str, folder: str) -> None:
    """Tell, at the end of a slice's script, what it made.

    Args:
        namespace: The script's names.
        target: The name to compare.
        folder: Where to write the answer.
    """
    place = Path(folder)
    if target not in namespace:
        told: dict[str, Any] = {"missing": True}
    else:
        seen = walk(namespace[target], namespace)
        told = {"digest": seen.digest, "opaque": seen.opaque}
        _answers(namespace[target], _kept(place), place / "there.npy")
    (place / "told.json").write_bytes(orjson.dumps(told))


def _refusal(found: Slice, *, effects: bool) -> str:
    if awaits(found):
        return "A cell awaits at its top level, which a script cannot."
    if effects:
        return ""
    return next(filter(None, map(_effect, found.executions)), "")


def _effect(item: Executed) -> str:
    """Say what a cell would do outside its process, or ""."""
    if item.files.written or item.files.made:
        return f"It would write {Path(min(item.files.written | item.files.made)).name} once more."
    if item.files.process or item.always.startswith(("runs a shell", "starts a process")):
        return "It would start another program once more."
    if item.files.network:
        return "It would talk to a host once more."
    return "It may write files once more." if item.files.unknown_write else ""


def _run(program: Path, folder: Path, timeout: float) -> str:
    """Run the script; return what went wrong, or ""."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    try:
        child = subprocess.run(  # noqa: S603 - our own Python, no shell
            [sys.executable, str(program)],
            cwd=folder,
            env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"It did not end within {timeout:g} seconds."
    if child.returncode:
        words = child.stderr.decode(errors="replace").strip()[-_TAIL:]
        return (
            f"It failed: {words.splitlines()[-1] if words else f'the process ended with {child.returncode}'}"
        )
    return ""


def _compare(namespace: Mapping[str, object], target: str, place: Path, sample: object) -> tuple[bool, str]:
    try:
        told = orjson.loads((place / "told.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False, "It ended before its last line."
    if told.get("missing"):
        return False, f"It did not make {target}."
    here = walk(namespace[target], namespace)
    if not here.opaque and not told["opaque"] and here.digest == told["digest"]:
        return True, f"A fresh process made {target} with the same state."
    ours = place / "here.npy"
    if sample is None or not _answers(namespace[target], sample, ours):
        why = here.opaque or told["opaque"]
        return False, f"{target} has no digest ({why})." if why else f"A fresh process made another {target}."
    return _same_answers(ours, place / "there.npy", target)


def _same_answers(ours: Path, theirs: Path, target: str) -> tuple[bool, str]:
    import numpy as np

    if not theirs.exists():
        return False, f"The {target} of the fresh process did not answer the sample."
    here, there = np.load(ours, allow_pickle=False), np.load(theirs, allow_pickle=False)
    if here.shape == there.shape and here.dtype == there.dtype:
        if here.dtype.kind in "fc":
            same = np.allclose(here, there, rtol=_CLOSE, atol=0, equal_nan=True)
        else:
            same = np.array_equal(here, there)
        if same:
            return True, f"A fresh process made {target} with the same answers on {len(here)} rows."
    return False, f"A fresh process made {target} with other answers."


def _answers(value: Any, sample: object, path: Path) -> bool:  # noqa: ANN401 - a model or anything else
    import numpy as np

    method = next((name for name in _METHODS if callable(getattr(value, name, None))), None)
    if sample is None or method is None:
        return False
    try:
        given = np.asarray(getattr(value, method)(sample))
    except Exception:  # noqa: BLE001 - a stranger's model
        return False
    np.save(path, given.astype(str) if given.dtype.hasobject else given, allow_pickle=False)
    return True


def _keep(sample: Any, place: Path) -> bool:  # noqa: ANN401 - a table or an array
    """Write the sample where the child finds it, in a format that holds no code."""
    import numpy as np
    import pandas as pd

    try:
        if isinstance(sample, pd.DataFrame):
            sample.to_parquet(place / "sample.parquet")
        elif isinstance(sample, np.ndarray) and not sample.dtype.hasobject:
            np.save(place / "sample.npy", sample, allow_pickle=False)
        else:
            return False
    except Exception:  # noqa: BLE001 - a table that parquet cannot hold
        return False
    return True


def _kept(place: Path) -> object:
    if (place / "sample.parquet").exists():
        import pandas as pd

        return pd.read_parquet(place / "sample.parquet")
    if (place / "sample.npy").exists():
        import numpy as np

        return np.load(place / "sample.npy", allow_pickle=False)
    return None
