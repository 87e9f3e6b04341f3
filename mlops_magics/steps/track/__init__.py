"""Track: an experiment is chosen once, and a cell becomes a run."""

from __future__ import annotations

from typing import overload

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings, remember
from mlops_magics.steps.track.automatic import Watch
from mlops_magics.steps.track.body import Body
from mlops_magics.steps.track.cell import record
from mlops_magics.steps.track.result import Leaderboard, Tracking
from mlops_magics.tracking import leaderboard, runs
from mlops_magics.tracking.store import open_store

__all__ = ["Body", "Leaderboard", "Tracking", "Watch", "record", "track"]

_TABLE_ROWS = 20


@overload
def track(
    experiment: str,
    *,
    best: str | None = None,
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Tracking: ...
@overload
def track(
    experiment: None = None,
    *,
    best: str | None = None,
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Leaderboard: ...
def track(
    experiment: str | None = None,
    *,
    best: str | None = None,
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Tracking | Leaderboard:
    """Choose the experiment that runs go to, or show the runs of the one that was chosen.

    With a name the experiment is made when it is new, runs whose kernel died are closed, and from
    there on each cell of the notebook that fits a model is a run in it, whether ``%%mlops_track``
    stands above it or not. Without a name the runs are shown.

    Args:
        experiment: The MLflow experiment's name.
        best: The metric to order the runs by, best first; an ending ``-`` means that less is better,
            as in ``log_loss-``. The newest come first by default.
        off: Let cells be cells again: only those with ``%%mlops_track`` are runs.
        settings: Where the store is; found from the current folder by default.
        watch: The front end's hooks around each cell; without it only ``%%mlops_track`` makes runs.

    Returns:
        A Tracking when a name was given, else a Leaderboard of at most 20 runs.

    Raises:
        UsageError: The name has characters that are not allowed, or none was ever given.
        UnavailableError: The store cannot be reached.
    """
    settings = settings or Settings.discover()
    store = open_store(settings)
    if experiment is not None:
        checked_name(experiment, "experiment")
        closed = runs.reap(store, store.experiment_id(experiment))
        remember(experiment=experiment)
        if watch is not None:
            (watch.off if off else watch.on)()
        return Tracking(experiment, store.shown, closed, automatic=watch is not None and not off)
    if off and watch is not None:
        watch.off()
    if settings.experiment is None:
        raise UsageError("No experiment is chosen yet.", "Choose one with %mlops_track NAME.")
    identifier = store.experiment_id(settings.experiment)
    return Leaderboard(
        settings.experiment, best, leaderboard.top(store, identifier, metric=best, limit=_TABLE_ROWS)
    )
