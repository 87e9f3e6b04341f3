"""Tune: the best parameters in the time there is, every attempt recorded, the best model fitted."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.digests import array_digest, digest
from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import MLOpsError, UnavailableError, UsageError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.progress import Progress
from mlops_magics.foundation.settings import Settings
from mlops_magics.lineage.fits import unobserved
from mlops_magics.lineage.params import estimator_params
from mlops_magics.lineage.values import Fingerprints
from mlops_magics.stats.coded import checked_count
from mlops_magics.stats.splits import How as Split
from mlops_magics.steps.tune.asked import Asked, Wanted, asked
from mlops_magics.steps.tune.keeping import Home, How, keep, opened
from mlops_magics.steps.tune.result import Study
from mlops_magics.tracking import models, searches
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.searches import Cell
from mlops_magics.tuners import TUNERS
from mlops_magics.tuners import journal as journals
from mlops_magics.tuners.journal import Attempt, Journal
from mlops_magics.tuners.local import cores
from mlops_magics.tuners.metrics import lower_is_better
from mlops_magics.tuners.search import Search, best_of, refit_seconds

__all__ = ["Attempt", "Study", "tune"]

_FOLDER: Final = Path(".mlops", "tune")
_LOGGING: Final = 2.0  # seconds that writing a model and its trials takes
_SHARE: Final = 0.2  # of a short time that is kept for that


def tune(  # noqa: PLR0913 - one verb and its options
    pipeline: object,
    data: object,
    target: object,
    *,
    space: str | None = None,
    auto: bool = False,
    metric: str | None = None,
    trials: int = 50,
    timeout: str = "10m",
    workers: int | None = None,
    engine: str = "local",
    folds: int = 5,
    split: Split | None = None,
    by: object = None,
    allow_pickle: bool = False,
    reference_rows: int = 0,
    called: Called | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Study:
    """Search for the best parameters, fit the best model on all rows, and log it as a run.

    Each trial is judged by cross-validation; one that is worse than most after two folds is given up. The
    first trial is the estimator as it came. Trials are kept in the project: a search that was killed goes on
    from them, and more trials or more time go on too.

    Args:
        pipeline: A scikit-learn estimator or pipeline; what ``%mlops_prepare`` made; or the name of a family
            whose preparation is made for the data: linear, boosting, forest, lightgbm, or auto for all.
        data: The rows: a table of any library, an array, or the path of a CSV or parquet file.
        target: What is predicted: a value a row, or the name of a column of the data.
        space: Where to look, such as ``max_depth=2..8, learning_rate=0.01..0.3 log, criterion=gini|entropy``;
            ``l1_ratio=0.0..1.0 if penalty=elasticnet`` is a condition. By default what suits the estimator.
        auto: Try all families of models, and the pipeline if it is one.
        metric: What to make better, such as roc_auc, log_loss, rmse. By default the usual one.
        trials: How many trials there are to be in all, earlier ones of the same search included.
        timeout: The time for everything, the last fit and logging included: 90s, 10m, 1h30m.
        workers: How many processes fit; by default as many as there are cores, on this machine at most four.
        engine: Where they fit: local, or ray for a Ray cluster: the one that the notebook is connected to,
            that of ``RAY_ADDRESS``, or else one started on this machine for this search. All its machines
            must have the same Python and packages.
        folds: How many folds a trial is judged by.
        split: How rows are held out: "random" with the classes in proportion; "time" with each fold judged
            on later rows than it was fitted on, the earliest of which are only fitted on; "group" with the
            rows of a group together. By default as ``%mlops_prepare`` divided them, else at random.
        by: The column of dates for a time split, of groups for a group split; or a value a row.
        allow_pickle: Keep the model in pickle where the safe format cannot hold it.
        reference_rows: How many of the rows are kept with the model, as numbers only, so that
            ``%mlops_monitor`` can tell when columns no longer go together: 2000 are usual, none by default.
        called: What the data and the target are called; given by the front end.
        settings: Where the store is; found from the current folder by default.
        progress: Where to say how far it is; given by the front end.

    Returns:
        The study: a run with ``.estimator``, ``.best``, ``.score`` and ``.trials``.

    Raises:
        UsageError: No experiment is chosen, or what was asked makes no sense.
        NotFoundError: A column, a file or the engine is not there.
        UnavailableError: The store or the cluster does not answer, or another process is at the same search.
        MissingExtraError: The engine is ray, and Ray is not installed.
        MLOpsError: No trial came to an end in time, or all of them failed.
    """
    begun = int(time.time() * 1000)
    plan, kept = _Plan.of(trials, timeout, workers, engine), checked_count(reference_rows)
    names, progress = called.texts if called else {}, progress or Progress()
    around = searches.around()
    settings = _settled(settings or Settings.discover(), around)
    question = asked(pipeline, data, target, Wanted(space, auto, metric, folds, split, by), names)
    told = _known(question)
    key = _key(question, told)
    home = _home(settings, around, _line(question, names), begun)
    try:
        with unobserved():  # what is fitted on the way is no result of the cell
            study = _searched(question, settings.root / _FOLDER / key, plan, progress, home)
            study = replace(study, datasets=(told,))
            key = f"tune:{key}:{len(study.trials)}" + (f":{kept}" if kept else "")
            return keep(study, key, home, How(question.task.rows, allow_pickle, kept))
    finally:
        progress.end()


@dataclass(frozen=True, slots=True)
class _Plan:
    """How much is to be done, and with what: trials, until when, seconds to keep for logging, who fits."""

    trials: int
    until: float
    closing: float
    engine: str
    workers: int | None

    @classmethod
    def of(cls, trials: int, timeout: str, workers: int | None, engine: str) -> _Plan:
        """Read how much is to be done, from now on, and by whom."""
        now, most = time.monotonic(), seconds(timeout, "--timeout")
        for option, value in (("trials", trials), ("workers", workers)):
            if value is not None and value < 1:
                raise UsageError(f"--{option} cannot be {value}.", "One is the least.")
        TUNERS.get(engine)  # an unknown one is told at once
        return cls(trials, now + most, min(_LOGGING, _SHARE * most), engine, workers)

    @property
    def threads(self) -> int:
        """How many threads the numerics of one fit may use; a cluster's cores are used one by one."""
        return max(1, (os.cpu_count() or 1) // (self.workers or cores())) if self.engine == "local" else 1


def _known(question: Asked) -> Dataset:
    """Digest the rows and the truth as one table."""
    rows = question.task.rows
    truth = Fingerprints().of(question.task.truth, "y")
    if kind_of(rows) is not None:
        frame = Frame.of(rows, question.data)
        own, count, columns = digest(frame), frame.rows, len(frame.names)
    else:
        own = array_digest(rows) if type(rows).__module__ == "numpy" else Fingerprints().of(rows, "X")
        count, columns = rows.shape[0], rows.shape[1] if len(rows.shape) > 1 else 1
    both = hashlib.sha256(f"{own} {truth}".encode()).hexdigest()[:32]
    return Dataset(question.data[:500], count, columns, both)


def _key(question: Asked, told: Dataset) -> str:
    """Name the question: the same values, estimators, spaces, metric and folds are the same search.

    Rows that are held out in another way are another question, also where the way has the same name.
    """
    prints = Fingerprints()
    parts = [told.digest, question.task.metric, str(question.task.folds)]
    if question.split != "random":
        parts += [question.split, hashlib.sha256(question.task.held_out.parts.tobytes()).hexdigest()]
    for name, each in question.candidates.items():
        parts += [name, str(each.space), prints.of(each.estimator, name)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _settled(settings: Settings, around: Cell | None) -> Settings:
    """Choose the experiment: that of the tracked cell that the search is in, else the chosen one."""
    if around is not None:
        return replace(settings, experiment=around.experiment)
    if settings.experiment is None:
        raise UsageError("No experiment is chosen yet.", "Choose one with %mlops_track NAME.")
    return settings


def _home(settings: Settings, around: Cell | None, line: str, begun: int) -> Home:
    """Find where the search is kept: the first one in a tracked cell is the cell's own run."""
    cell = around if around is not None and around.free else None
    return Home(settings, cell, line, begun, functools.cache(lambda: opened(settings)))


def _searched(
    question: Asked,
    path: Path,
    plan: _Plan,
    progress: Progress,
    home: Home,
) -> Study:
    """Search, and fit the best once more on all rows."""
    task, lower = question.task, lower_is_better(question.task.metric)
    with journals.opened(path.parent, path.name, question.candidates, lower=lower) as journal:
        late = False
        if journal.resumed < plan.trials:
            progress.say(f"{journal.resumed} of {plan.trials} trials")
            hired = TUNERS.get(plan.engine)
            most = plan.trials - journal.resumed
            with _working(), hired(task, workers=plan.workers, most=most, threads=plan.threads) as crew:
                if home.cell is None:
                    home.open()  # while the workers get ready; a store that does not answer ends it here
                shares, until = task.held_out.shares, plan.until
                search = Search(journal, crew, shares, plan.trials, until, plan.closing, lower, progress.say)
                late = search.run()
        best, notes = _chosen(journal.attempts(), plan, task.held_out.shares, lower=lower, late=late)
        progress.say("the best one is fitted on all rows")
        began = time.monotonic()
        estimator = task.refitted(best.family, best.params, plan.threads)
        took = time.monotonic() - began
        return replace(_study(question, journal, best, estimator, late=late, notes=notes), seconds=took)


@contextlib.contextmanager
def _working() -> Iterator[None]:
    try:
        yield
    except ChildProcessError as error:
        raise UnavailableError(
            f"The worker processes end as soon as they start: {error}.",
            "Import what the pipeline needs from installed modules, or define it in the notebook.",
        ) from error


def _chosen(
    ended: tuple[Attempt, ...], plan: _Plan, shares: tuple[float, ...], *, lower: bool, late: bool
) -> tuple[Attempt, list[str]]:
    """Choose the best trial; where the time is up, the best of those that can still be fitted in it."""
    best = best_of(ended, lower=lower)
    if best is None:
        errors = [each.error for each in ended if each.error]
        if errors:
            raise MLOpsError(
                f"All {len(errors)} trials failed, the first with {errors[0]}",
                "Fit the pipeline once by hand: pipeline.fit(X, y); or narrow --space.",
            )
        raise MLOpsError(
            "No trial came to an end in the time.",
            "Give more with --timeout, or fewer rows or --folds; the search goes on from here.",
        )
    if not late:
        return best, []
    left = plan.until - plan.closing - time.monotonic()
    # The limit of the search allowed for the best as it was then; the very last one may be slower.
    fitting = [each for each in ended if refit_seconds(each, shares) <= left * 1.05]
    found = best_of(fitting, lower=lower) or min(
        (each for each in ended if each.state == "complete"), key=lambda each: each.seconds
    )
    if found is best:
        return best, []
    return found, [f"Trial {best.number} is better, but too slow to be fitted in the time that was left."]


def _study(
    question: Asked,
    journal: Journal,
    best: Attempt,
    estimator: Any,  # noqa: ANN401 - the fitted estimator
    *,
    late: bool,
    notes: list[str],
) -> Study:
    task, ended = question.task, journal.attempts()
    params, differing = estimator_params(estimator)
    kind = models.kind_of_model(estimator)
    own = [e.score for e in ended if e.as_it_came and e.family == best.family and e.state == "complete"]
    return Study(
        id="",
        name=f"tune {kind}",
        experiment="",
        status="FINISHED",
        params=params,
        chosen=differing,
        metrics={f"cv_{task.metric}": best.score or 0.0},
        model_kind=kind,
        notes=(*question.notes, *notes, *_said(journal, late=late)),
        estimator=estimator,
        metric=task.metric,
        lower=lower_is_better(task.metric),
        score=best.score or 0.0,
        folds=task.folds,
        split=question.split,
        by=question.by,
        as_it_came=own[0] if own else None,
        best=best.params,
        family=best.family,
        trials=ended,
        importance=journals.importance(journal, best.family),
        resumed=journal.resumed,
        timed_out=late,
    )


def _said(journal: Journal, *, late: bool) -> Iterator[str]:
    if late:
        yield "The time was up before the trials were: the same line with more time goes on."
    if journal.broken:
        yield f"The trials of an earlier search could not be read; they are in {journal.broken}."


def _line(question: Asked, names: Any) -> str:  # noqa: ANN401 - texts by parameter
    told = ", ".join(names.get(part, part) for part in ("pipeline", "data", "target"))
    spaces = "\n".join(f"# {name}: {each.space}" for name, each in question.candidates.items())
    by = "" if question.by is None else f", split={question.split!r}, by={question.by!r}"
    return f"mlops_magics.tune({told}, metric={question.task.metric!r}{by})\n{spaces}\n"
