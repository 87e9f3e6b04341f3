"""``%mlops_track NAME``: from there on each cell that fits a model is a run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Protocol

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.fits import Fits, observed
from mlops_magics.steps.track.attempt import Start
from mlops_magics.steps.track.body import Body, Options, number
from mlops_magics.steps.track.opening import Opening
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import identity
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.store import open_store


class Watch(Protocol):
    """What a front end does for automatic tracking: it tells of each cell before and after."""

    def on(self) -> None:
        """Watch the cells from the next one on."""

    def off(self) -> None:
        """Watch no longer."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A cell that is being executed, and what it has fitted so far.

    Attributes:
        start: What was known before.
        fits: What it fitted.
        observing: Ends the watching.
    """

    start: Start
    fits: Fits
    observing: contextlib.ExitStack


def begin(body: Body, settings: Settings | None = None) -> Watched | None:
    """Look at a cell that is about to be executed.

    Args:
        body: The cell; who calls this executes it.
        settings: Where the store is; found from the current folder by default.

    Returns:
        What :func:`end` takes.

    Raises:
        UsageError: No experiment was ever chosen.
        UnavailableError: The store cannot be reached.
    """
    settings = settings or Settings.discover()
    if settings.experiment is None:
        raise UsageError("No experiment is chosen yet.", "Choose one with %mlops_track NAME.")
    start = Start.of(open_store(settings), settings.experiment, body, Options(), settings)
    observing = contextlib.ExitStack()
    return Watched(start, observing.enter_context(observed(body.code)), observing)


def end(watched: Watched, error: BaseException | None = None, standby: Standby | None = None) -> Run | None:
    """Make a run of a cell that fitted a model; one that fitted none leaves nothing.

    Args:
        watched: What :func:`begin` returned.
        error: What the cell raised; the run is FAILED then, or KILLED when it was interrupted.
        standby: The process that waits for a deployment; it is started after a successful fit.

    Returns:
        The run; None where there is none, or where the cell failed.
    """
    watched.observing.close()
    fits, start = watched.fits.seen, watched.start
    opening = Opening(start)
    if not any(hasattr(fit.estimator, "predict") for fit in fits):
        return None
    if error is not None:
        opening.failed(error)
        return None
    # What is fitted inside a function and let go is a step on the way, unless numbers came of it.
    names = {name: value for name, value in start.body.namespace.items() if not name.startswith("_")}
    held = {id(value) for value in names.values()}
    counted = any(number(names.get(name)) is not None for name in start.facts.results)
    if not counted and not any(id(fit.estimator) in held for fit in fits):
        return None
    run = opening.settled(fits, identity.known(start.store, start.experiment_id, start.key.digest))
    if standby is not None and run.model_id is not None:
        standby.start()
    return run
