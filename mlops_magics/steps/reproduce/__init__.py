"""Reproduce: a run is made again, in a fresh process, and compared with what is recorded of it."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError, UsageError
from mlops_magics.foundation.machine import free_memory
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.processes import own_memory
from mlops_magics.foundation.seal import sealed
from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.recipe import Recipe
from mlops_magics.steps.reproduce.packages import Packages
from mlops_magics.steps.reproduce.result import Compared, Reproduction
from mlops_magics.steps.reproduce.running import Told
from mlops_magics.steps.reproduce.running import run as executed
from mlops_magics.steps.retrain.again import had_again
from mlops_magics.steps.track.origin import RECIPE, SEAL, VERIFIED
from mlops_magics.tracking import identity, runs
from mlops_magics.tracking.drafts import OFFLINE
from mlops_magics.tracking.recall import Recalled, recall
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.retrainings import MADE_BY
from mlops_magics.tracking.store import Store, open_store

__all__ = ["Reproduction", "reproduce", "verify", "worth_verifying"]

_TAG = "mlops.reproduced"
_TOLERANCE = 1e-6
_WORTH = 60.0  # seconds that the cells took
_ROOM = 2.0  # times the memory of this process
_START = 30.0  # seconds to start Python and import, on a machine that has other work
_PATIENCE = 5.0
_TIMING = "fit_seconds"  # how long it took is no outcome


def reproduce(
    run: str | Run,
    *,
    tolerance: float = _TOLERANCE,
    here: bool = False,
    effects: bool = False,
    allow_code: bool = False,
    timeout: float = 1800.0,
    settings: Settings | None = None,
) -> Reproduction:
    """Make a run again, in a fresh process, and compare its metrics.

    The cells that made the run's model (rather one too many than one too few) are executed in the order in
    which they ran: in the folder of then, with the packages of then, on the files of then. Where a file
    has changed since, nothing is executed and the file is named. The rows that a retraining trained on are
    had from their source again, each as it was. Packages that differ from the run's are
    installed by uv into an environment of their own, which is kept for the next time. What the cells log
    goes into a store that is thrown away; the run gets a tag that says what came of it.

    Args:
        run: The run: its id, its name in the chosen experiment (the newest of that name), or a Run.
        tolerance: How far a metric may be from the recorded one, as a part of it (1e-6 is a millionth).
        here: Use the packages that are installed now, whatever the run had.
        effects: Let the cells write files, start programs and talk to hosts once more.
        allow_code: Execute cells that are not sealed as your own: those of another user or machine, or
            changed in the store since. They run as you; read ``mlops/slice.py`` of the run first.
        timeout: The most seconds for all the cells.
        settings: Where the store is; found from the current folder by default.

    Returns:
        Whether the same came of it, with the metrics then and now; or the first input that differs.

    Raises:
        NotFoundError: There is no such run, or nobody recorded how it was made.
        RefusedError: Its cells would change something outside, and ``effects`` was not said; or they are
            not your own, and ``allow_code`` was not said.
        UnavailableError: The store cannot be reached, or its packages cannot be installed.
        UsageError: The tolerance or the time is negative.
    """
    settings = settings or Settings.discover()
    if not (tolerance >= 0 and timeout > 0):
        raise UsageError("The tolerance or the timeout is negative.", "Write numbers above zero.")
    named = run.id if isinstance(run, Run) else run
    if named.startswith(OFFLINE):
        raise UnavailableError(
            "The run still waits on this machine.", "%mlops_track writes it when its store answers."
        )
    store = open_store(settings)
    known = recall(store, _experiment(store, settings), named)
    recipe = _recipe(known)
    if not allow_code and not sealed(settings.state, known.files[RECIPE], known.tags.get(SEAL, "")):
        raise RefusedError(
            f"The cells of the run {known.name} were not recorded by you here, or were changed since.",
            "They would run as you: read mlops/slice.py of the run, and add --allow-code.",
        )
    if recipe.effect and not effects:
        raise RefusedError(recipe.effect, "Add --effects to let the cells do so.")
    folder = Path(recipe.folder) if Path(recipe.folder).is_dir() else Path.cwd()
    needed = {folder / item.path for item in recipe.files}
    with had_again(store, known.tags.get(MADE_BY, ""), needed) as again:
        changed = again.missing or _changed(recipe, folder, again.file)
        if changed:
            return _kept(store, Reproduction(known.run_id, known.name, reproduced=False, because=changed))
        return _made_again(store, known, recipe, folder, tolerance=tolerance, here=here, timeout=timeout)


def _made_again(
    store: Store,
    known: Recalled,
    recipe: Recipe,
    folder: Path,
    *,
    tolerance: float,
    here: bool,
    timeout: float,
) -> Reproduction:
    """Execute the cells with the packages of then, and compare."""
    packages = Packages.of(known.files.get("environment.txt", ""))
    differences = packages.differences()
    built = bool(differences) and not here
    python = packages.built(store.settings.state / "environments") if built else Path(sys.executable)
    told = executed(recipe, folder=folder, python=python, timeout=timeout)
    return _kept(store, _compared(known, recipe, told, tolerance, differences, built=built))


def worth_verifying(run: Run) -> bool:
    """Tell whether the cells of a run can and should be executed once more while other work goes on.

    Not worth it is what takes over a minute or would need more memory than is free, and what changes
    something outside. A run of which hidden state is known needs no proof that it is not reproducible.

    Args:
        run: A run that has just been made.
    """
    recipe: Recipe | None = run.recipe
    if recipe is None or not recipe.steps or recipe.effect or recipe.reasons or run.id.startswith(OFFLINE):
        return False
    return recipe.seconds <= _WORTH and free_memory() > _ROOM * own_memory()


def verify(run: Run, *, settings: Settings) -> bool:
    """Execute the cells of a run that has just been made once more, while other work goes on; say so on it.

    Args:
        run: The run, as the cell returned it.
        settings: Where the store is.

    Returns:
        Whether the same came of it.
    """
    recipe: Recipe = run.recipe
    timeout = _PATIENCE * (recipe.seconds + _START)
    # On one thread first: threads that wait for each other would take the cores from the notebook's own.
    for threads in (1, None):
        folder = Path(recipe.folder)
        told = executed(recipe, folder=folder, timeout=timeout, background=True, threads=threads)
        if same := _as_recorded(run, told):
            break
    said = "yes" if same else f"no: {told.failed or 'a fresh process came to something else'}"
    with contextlib.suppress(UnavailableError, RefusedError):
        runs.log(open_store(settings), run.id, tags={VERIFIED: masked(said)})
    return same


def _as_recorded(run: Run, told: Told) -> bool:
    if told.failed:
        return False
    metrics = {name: value for name, value in run.metrics.items() if name != _TIMING}
    return told.outcome == run.outcome or (
        bool(metrics) and _all_same(_metrics(metrics, told.metrics, _TOLERANCE))
    )


def _experiment(store: Store, settings: Settings) -> str | None:
    return None if settings.experiment is None else store.experiment_id(settings.experiment)


def _recipe(known: Recalled) -> Recipe:
    try:
        recipe = Recipe.of_json(known.files[RECIPE])
    except (KeyError, ValueError) as error:
        raise NotFoundError(
            f"Nobody recorded which cells made the run {known.name}.",
            "Cells are recorded from %load_ext mlops_magics on: load it first, and track the run.",
        ) from error
    if not recipe.complete:
        raise RefusedError(
            f"A secret was taken out of the cells of the run {known.name}.",
            "Read secrets from the environment or a file in the notebook; then its runs can be made again.",
        )
    if not recipe.steps:
        raise NotFoundError(f"The run {known.name} has no cells.", "Track a cell that fits a model.")
    return recipe


def _changed(recipe: Recipe, folder: Path, same: Path | None) -> str:
    """Name the first file that is not what it was, or ""; one that was made again was compared row by row."""
    files = [item for item in recipe.files if folder / item.path != same]
    return next(filter(None, (item.differs(folder) for item in files)), "")


def _compared(
    known: Recalled,
    recipe: Recipe,
    told: Told,
    tolerance: float,
    differences: tuple[str, ...],
    *,
    built: bool,
) -> Reproduction:
    then = {name: value for name, value in known.metrics.items() if name != _TIMING}
    metrics = () if told.failed else _metrics(then, told.metrics, tolerance)
    same, because = _verdict(known, recipe, told, metrics, tolerance)
    with_ = "the same packages"
    if differences:
        with_ = "rebuilt from the run's versions" if built else "those of here"
    return Reproduction(
        known.run_id,
        known.name,
        reproduced=same,
        because=because,
        metrics=metrics,
        cells=len(recipe.steps),
        of=recipe.of,
        environment=with_,
        differences=() if built else differences,
        seconds=told.seconds,
        traceback=told.traceback,
    )


def _metrics(then: Mapping[str, float], now: Mapping[str, float], tolerance: float) -> tuple[Compared, ...]:
    found = []
    for name in [*then, *(name for name in now if name not in then)]:
        old, new = then.get(name), now.get(name)
        same = old is not None and new is not None and _close(old, new, tolerance)
        found.append(Compared(name, old, new, same))
    return tuple(found)


def _close(old: float, new: float, tolerance: float) -> bool:
    return math.isclose(old, new, rel_tol=tolerance) or (math.isnan(old) and math.isnan(new))


def _all_same(metrics: tuple[Compared, ...]) -> bool:
    return all(item.same for item in metrics)


def _verdict(
    known: Recalled, recipe: Recipe, told: Told, metrics: tuple[Compared, ...], tolerance: float
) -> tuple[bool, str]:
    if told.failed:
        return False, told.failed
    if told.outcome == known.tags.get(identity.OUTCOME):
        return True, "The same parameters, metrics and answers of the model."
    other = next((name for name, digest in recipe.reads.items() if told.reads.get(name) != digest), "")
    if metrics and _all_same(metrics):
        though = f", though the cells before it made another {other}" if other else ""
        return True, f"Each metric is the same within {tolerance:g} of its value{though}."
    if other:
        return False, f"The cells before it made another {other} than the run read."
    if not metrics:
        return False, "All that it read is the same, but its model answers otherwise."
    return False, "All that it read is the same, but it came to something else: it is not deterministic."


def _kept(store: Store, found: Reproduction) -> Reproduction:
    """Say on the run what came of it; a store that does not take the tag does not take the answer away."""
    said = "yes" if found.reproduced else f"no: {found.because}"
    with contextlib.suppress(UnavailableError, RefusedError):
        runs.log(store, found.run_id, tags={_TAG: said})
    return found
