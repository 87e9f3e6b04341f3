"""``%%mlops_track``: one cell, one run."""

from __future__ import annotations

from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.fits import observed
from mlops_magics.stats.coded import checked_count
from mlops_magics.steps.track.attempt import Start
from mlops_magics.steps.track.body import Body, Options
from mlops_magics.steps.track.opening import Opening
from mlops_magics.steps.track.place import Place
from mlops_magics.steps.track.reuse import brought_back
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking.records import Run
from mlops_magics.tracking.searches import executed
from mlops_magics.tracking.unmade import Unmade


def record(  # noqa: PLR0913 - one verb and its options
    experiment: str | None = None,
    *,
    name: str | None = None,
    metrics: tuple[str, ...] = (),
    allow_pickle: bool = False,
    allow_code: bool = False,
    reference_rows: int = 0,
    force: bool = False,
    reuse: bool = False,
    body: Body,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Run:
    """Execute a cell as one run of the experiment.

    Recorded are the cell's source, the user's own modules that are imported, the state of git, all
    installed packages, the machine, the digest of every value of each table that the cell reads, the
    constants and the estimator's parameters, the numbers it computes after fitting, what it prints and
    the figures it displays, and the fitted model in a safe format with its signature and an example.
    The run ends FINISHED, FAILED (the traceback is kept) or KILLED (interrupted); what the
    cell raises goes on. Secrets in all of that are masked.

    A cell that is executed again on the same values, with the same outcome, is the same run: nothing
    new is written but how often it was seen. Comments and formatting make no other cell; one changed
    value does. Another outcome of the same cell is a new run that is marked as not deterministic.

    A search with ``%mlops_tune`` in the cell is this run: its best model, its score and its trials.

    While the store does not answer, the run is kept on this machine and written when it does; its id
    begins with ``offline-`` until then.

    Args:
        experiment: Another experiment than the chosen one, for this run.
        name: The run's name; the kind of its model by default.
        metrics: The names of the cell's variables that are metrics. By default every number that the
            cell computes after fitting is one.
        allow_pickle: Keep the model in pickle where the safe format cannot hold it. Whoever loads it
            must agree, since loading a pickle executes code.
        allow_code: Keep the cell's own classes and functions with the model, as one module of source, where
            the safe format cannot hold it without. Whoever loads it must agree.
        reference_rows: How many of the rows that the model was fitted on are kept with it, so that
            ``%mlops_monitor`` can tell when columns no longer go together: 2000 are usual, none by default.
            They are kept as numbers only: of texts which frequent value or bucket each was, and nothing of
            columns that look personal.
        force: Make a new run even where the same cell made the same one before.
        reuse: Do not execute a cell that ran before on the same values: bring back what it left, equal in
            all, from formats that hold no code. Where that cannot be (it reads the clock, draws unseeded
            numbers, writes files, changes something in place, a file that it read has changed, ...), the
            cell is executed, and the reason is said.
        body: The cell.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment; it is started after a successful fit.

    Returns:
        The run, with the fitted estimator at ``.estimator``.

    Raises:
        UsageError: No experiment was ever chosen, or so few or many rows are of no use.
        UnavailableError: Neither the store nor the disk takes the run; the cell was executed.
    """
    settings = settings or Settings.discover()
    place, unmade = Place(settings, experiment), Unmade.of(settings, body.source)
    asked = Options(
        name, metrics, allow_pickle, allow_code, reuse, force, reference_rows=checked_count(reference_rows)
    )
    start = Start.of(body, asked)
    prior = () if force else place.known(start.key.digest)
    found, why = brought_back(start, prior, place) if reuse and not force else (None, "")
    if found is not None:
        return found
    opening = Opening(start, place)
    if prior:
        unmade.begun(name or prior[0].name)
    else:  # a repeated cell is no run of its own until its outcome is another one
        opening.open()
    try:
        with opening.closed(), observed(body.code) as fits, opening.alive(), executed(opening.cell):
            body.run()
        run = opening.settled(fits.seen, prior, why)
    finally:
        unmade.over()
    if standby is not None and run.model_id is not None and settings.standby:
        standby.start()
    return run
