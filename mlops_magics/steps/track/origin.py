"""Where a run's result came from: the cells that made it, as a program that makes it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_magics.foundation.seal import seal
from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.recipe import Recipe, recipe
from mlops_magics.lineage.recorder import Recorder
from mlops_magics.lineage.script import notebook, script
from mlops_magics.steps.track.attempt import Start

REPRODUCIBLE = "mlops.reproducible"
BECAUSE = "mlops.reproducible.because"
CELLS = "mlops.slice.cells"
SEAL = "mlops.slice.seal"
VERIFIED = "mlops.reproducible.verified"
RECIPE = "slice.json"  # of the texts that are kept of each run


@dataclass(frozen=True, slots=True)
class Origin:
    """What is kept of a run's origin.

    Attributes:
        tags: Whether it can be made again, why, and how many cells it takes.
        files: The slice as a script, as a notebook and as data.
        recipe: What makes it again; None where nothing says so.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    recipe: Recipe | None = None


def origin(start: Start, targets: Iterable[str], state: Path) -> Origin:
    """Find the cells that made something of a cell's, while it runs or when it has just ended.

    Args:
        start: The cell.
        targets: The names to explain: the model's, the metrics'; names that are not there are left out.
        state: The user's state folder, with the key that says that these cells are the user's own.
    """
    body, recorder = start.body, start.body.recorder
    names = tuple(dict.fromkeys(name for name in targets if name in body.namespace))
    if recorder is None or not names:
        return Origin()
    try:
        found = recorder.slice(names)
        steps = recipe(
            found,
            transform=recorder.transform,
            namespace=body.namespace,
            folder=Path.cwd(),
            options=start.options.asked,
            reads=start.key.reads,
            log=recorder.log,
        )
        files = _files(found, steps, recorder)
        return Origin(_tags(found, steps) | {SEAL: seal(state, files[f"mlops/{RECIPE}"])}, files, steps)
    except Exception as error:  # noqa: BLE001 - a run is worth more than the story of its making
        return Origin({REPRODUCIBLE: "unknown", BECAUSE: f"{type(error).__name__}: {error}"})


def _tags(found: Slice, steps: Recipe) -> dict[str, str]:
    return {
        REPRODUCIBLE: "no" if steps.reasons else "yes",
        BECAUSE: " ".join(steps.reasons) or found.because,
        CELLS: f"{len(found.executions)} of {found.of}",
    } | ({VERIFIED: f"no: {steps.effect}"} if steps.effect else {})


def _files(found: Slice, steps: Recipe, recorder: Recorder) -> dict[str, str]:
    return {
        "mlops/slice.py": script(found, transform=recorder.transform),
        "mlops/slice.ipynb": notebook(found),
        f"mlops/{RECIPE}": steps.to_json(),
    }
