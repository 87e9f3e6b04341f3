"""Track: an experiment is chosen once, and a cell becomes a run."""

from __future__ import annotations

from typing import overload

from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings, remember
from mlops_magics.steps.track.automatic import Watch
from mlops_magics.steps.track.body import Body, Shown
from mlops_magics.steps.track.cell import record
from mlops_magics.steps.track.comparison import Comparison, compared
from mlops_magics.steps.track.result import Leaderboard, Tracking
from mlops_magics.steps.track.table import METRIC, RunTable, View
from mlops_magics.tracking import leaderboard, runs
from mlops_magics.tracking.recall import recall
from mlops_magics.tracking.spool import replayed
from mlops_magics.tracking.store import open_store, sqlite_path

__all__ = ["Body", "Comparison", "Leaderboard", "Shown", "Tracking", "Watch", "record", "track"]

_TABLE_ROWS = 20
_TWO = 2


@overload
def track(
    experiment: str,
    *,
    best: str | None = None,
    where: str | None = None,
    compare: tuple[str, ...] = (),
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Tracking: ...
@overload
def track(
    experiment: None = None,
    *,
    best: str | None = None,
    where: str | None = None,
    compare: tuple[str, ...] = (),
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Tracking | Leaderboard | Comparison: ...
def track(
    experiment: str | None = None,
    *,
    best: str | None = None,
    where: str | None = None,
    compare: tuple[str, ...] = (),
    off: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Tracking | Leaderboard | Comparison:
    """Choose the experiment that runs go to, or show the runs of the one that was chosen.

    With a name the experiment is made when it is new, runs whose kernel died are closed, and from
    there on each cell of the notebook that fits a model is a run in it, whether ``%%mlops_track``
    stands above it or not. Without a name the runs are shown.

    Args:
        experiment: The MLflow experiment's name.
        best: The metric to order the runs by, best first; an ending ``-`` means that less is better,
            as in ``log_loss-``. The newest come first by default.
        where: Only runs that fit: ``auc>0.8``, ``model=forest,linear``, ``status=failed``, a word of the
            name; several with spaces between them must all fit. All runs by default.
        compare: Two runs, by name or id, of which only what differs is shown: metrics, code, parameters,
            data, packages, git. Of runs of one name the newest is taken.
        off: Let cells be cells again: only those with ``%%mlops_track`` are runs.
        settings: Where the store is; found from the current folder by default.
        watch: The front end's hooks around each cell; without it only ``%%mlops_track`` makes runs.

    Returns:
        A Tracking when a name was given or tracking was turned off, a Comparison when two runs were to
        be compared, else a Leaderboard of 20 runs; a front end with a kernel shows all of them.

    Raises:
        UsageError: The name has characters that are not allowed, none was ever given, not two runs are
            to be compared, or the filter is not complete.
        NotFoundError: A run that is to be compared is not there, or no run has what the filter names.
        UnavailableError: The store cannot be reached, and its runs were asked for.
    """
    settings = settings or Settings.discover()
    if off and watch is not None:
        watch.off()
    if experiment is not None:
        return _chosen(checked_name(experiment, "experiment"), settings, None if off else watch)
    if settings.experiment is None:
        raise UsageError("No experiment is chosen yet.", "Choose one with %mlops_track NAME.")
    if off:
        return Tracking(settings.experiment, masked(settings.store))
    store = open_store(settings)
    waiting = replayed(settings, store)
    identifier = store.experiment_id(settings.experiment)
    if compare:
        if len(compare) != _TWO:
            raise UsageError(
                f"{len(compare)} runs cannot be compared.", "Name two: --compare baseline,deeper"
            )
        return compared(*(recall(store, identifier, named) for named in compare))
    table = RunTable(store, identifier, _view(best, where))
    if where:
        rows = table.rows(_TABLE_ROWS)
    else:
        rows = leaderboard.top(store, identifier, metric=best, limit=_TABLE_ROWS)
    if best and not rows and table.runs.heads:
        table.column(table.start.sort)  # says which metric was probably meant
    return Leaderboard(settings.experiment, best, rows, waiting, where, table)


def _view(best: str | None, where: str | None) -> View:
    if not best:
        return View(where or "")
    return View(where or "", sort=METRIC + best.removesuffix("-"), up=best.endswith("-"))


def _chosen(experiment: str, settings: Settings, watch: Watch | None) -> Tracking:
    """Choose an experiment; where the store does not answer, its runs will wait on this machine."""
    shown, closed, down = masked(settings.store), 0, ""
    try:
        store = open_store(settings)
        shown, closed = store.shown, runs.reap(store, store.experiment_id(experiment))
        replayed(settings, store)
    except UnavailableError as error:
        if sqlite_path(settings.store) is not None:  # a file does not come back by itself, as a server does
            raise
        down = error.what
    remember(experiment=experiment)
    if watch is not None:
        watch.on()
    return Tracking(experiment, shown, closed, automatic=watch is not None, down=down)
