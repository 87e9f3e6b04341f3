"""``%mlops_track NAME``: from there on each cell that fits a model is a run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol

from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.fits import Fit, Fits, observed
from mlops_magics.lineage.suspicion import may_fit
from mlops_magics.steps.track.attempt import Start
from mlops_magics.steps.track.body import Body, Options, number
from mlops_magics.steps.track.opening import Opening
from mlops_magics.steps.track.place import Place
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking.models import kind_of_model
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.unmade import Unmade


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
        body: The cell.
        start: What was known before; None where it did not look as if it would fit anything.
        fits: What it fitted.
        observing: Ends the watching.
        unmade: Says that it is no run yet.
    """

    body: Body
    start: Start | None
    fits: Fits
    observing: contextlib.ExitStack
    unmade: Unmade

    def close(self) -> None:
        """Watch it no longer, and make no run of it."""
        self.observing.close()
        self.unmade.over()


def begin(body: Body, settings: Settings) -> Watched:
    """Look at a cell that is about to be executed.

    Args:
        body: The cell; who calls this executes it.
        settings: The settings that hold here.

    Returns:
        What :func:`end` takes.
    """
    start = Start.of(body, Options()) if may_fit(body.code, body.namespace) else None
    observing, unmade = contextlib.ExitStack(), Unmade.of(settings, body.source)

    def begun(estimator: Any) -> None:  # noqa: ANN401 - whatever has a fit
        with contextlib.suppress(Exception):  # a stranger's estimator; its fit must not fail by us
            if hasattr(estimator, "predict"):
                unmade.begun(kind_of_model(estimator))

    fits = observing.enter_context(observed(body.code, begun))
    return Watched(body, start, fits, observing, unmade)


def end(
    watched: Watched,
    error: BaseException | None = None,
    *,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Run | None:
    """Make a run of a cell that fitted a model; one that fitted none leaves nothing.

    Whatever comes of it, it is not a cell any more that is executed and no run yet.

    Args:
        watched: What :func:`begin` returned.
        error: What the cell raised; the run is FAILED then, or KILLED when it was interrupted.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment; it is started after a successful fit.

    Returns:
        The run; None where there is none, or where the cell failed.

    Raises:
        UsageError: No experiment was ever chosen.
        UnavailableError: Neither the store nor the disk takes the run.
    """
    watched.observing.close()
    try:
        return _ended(watched, error, settings, standby)
    finally:
        watched.unmade.over()


def _ended(
    watched: Watched, error: BaseException | None, settings: Settings | None, standby: Standby | None
) -> Run | None:
    fits = watched.fits.seen
    if not any(hasattr(fit.estimator, "predict") for fit in fits):
        if isinstance(error, KeyboardInterrupt):  # in its first fit
            watched.unmade.interrupted(None)
        return None
    start = watched.start or Start.of(watched.body, Options())
    if error is None and not _told(start, fits):
        return None
    settings = settings or Settings.discover()
    place = Place(settings)
    opening = Opening(start, place)
    if error is not None:
        failure = opening.failed(error, kind_of_model(fits[-1].estimator))
        if isinstance(error, KeyboardInterrupt):
            watched.unmade.interrupted(failure)
        return None
    run = opening.settled(fits, place.known(start.key.digest))
    if standby is not None and run.model_id is not None and settings.standby:
        standby.start()
    return run


def _told(start: Start, fits: list[Fit]) -> bool:
    """Tell whether a fit is the cell's result: a name holds the model, or a number came of it.

    What is fitted inside a function and let go is a step on the way.
    """
    names = {name: value for name, value in start.body.namespace.items() if not name.startswith("_")}
    held = {id(value) for value in names.values()}
    counted = any(number(names.get(name)) is not None for name in start.facts.results)
    return counted or any(id(fit.estimator) in held for fit in fits)
