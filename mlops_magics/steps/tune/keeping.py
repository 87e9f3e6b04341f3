"""A search in the store: one run with the best model, its trials as a table, the best few below it.

Where the store is gone when the search has ended, the run waits on this machine, as a tracked cell's does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.html import page
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.reference import kept_of
from mlops_magics.steps.tune.result import Study
from mlops_magics.tracking import drafts, identity, models, runs
from mlops_magics.tracking.drafts import OFFLINE, Draft
from mlops_magics.tracking.provenance import Source, git_state
from mlops_magics.tracking.reach import reach
from mlops_magics.tracking.records import Glimpse
from mlops_magics.tracking.searches import Cell, Found
from mlops_magics.tracking.spool import Spool, replayed
from mlops_magics.tracking.store import Store, impatient, open_store
from mlops_magics.tuners.journal import Attempt
from mlops_magics.tuners.space import short

CHILDREN: Final = 3
_TABLE: Final = "mlops/trials.json"
_REACH: Final = 2.0  # seconds in which a server must give a sign of life when a search has ended
_ANSWER: Final = 7  # seconds in which it must answer; with the above, what a search loses to one that hangs
_AGAIN: Final = "The same search was made before: this is its run."


@dataclass(frozen=True, slots=True)
class Link:
    """An open store and MLflow's id of the experiment in it."""

    store: Store
    experiment_id: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where a search is kept.

    Attributes:
        settings: The settings, with the experiment.
        cell: The tracked cell whose run the search is; None where it is a run of its own.
        line: The call in words.
        begun: When it began, in milliseconds since the epoch.
        open: Opens the store, the first time.
    """

    settings: Settings
    cell: Cell | None
    line: str
    begun: int
    open: Callable[[], Link]

    @property
    def source(self) -> Source:
        """The call, where a tracked run has its cell."""
        return Source(self.line, notebook=self.settings.notebook)


def opened(settings: Settings) -> Link:
    """Open the store, and write what waits for it.

    Raises:
        UnavailableError: It does not answer.
    """
    with impatient():
        store = open_store(settings)
        link = Link(store, store.experiment_id(settings.experiment or ""))
    replayed(settings, store)
    return link


@dataclass(frozen=True, slots=True, eq=False)
class How:
    """How the model is kept.

    Attributes:
        rows: The rows that it was fitted on, for its signature and its reference.
        allow_pickle: Whether pickle may be used where the safe format cannot hold it.
        reference_rows: How many of the rows are kept with it, as numbers only.
    """

    rows: Any
    allow_pickle: bool = False
    reference_rows: int = 0


def keep(study: Study, key: str, home: Home, how: How) -> Study:
    """Write a search into the store, unless it is there; a store that fails now takes nothing away.

    Args:
        study: What came of it.
        key: What the search hangs on, with how many trials ended.
        home: Where it is kept.
        how: How the model is kept.

    Returns:
        The study as the run that it is now.
    """
    study = replace(study, experiment=home.settings.experiment or "", fitted_on=Glimpse(how.rows))
    if home.cell is not None:
        return _handed(study, key, home, home.cell, how)
    draft, gone, link, known = _draft(study, key, home), list[MLOpsError](), None, None
    with _noting(gone):
        reach(home.settings.store, _REACH)  # it was opened before the search, which may be hours ago
        link = home.open()
        known = identity.searched(link.store, link.experiment_id, key)
        if known is None or not known.model_id:
            draft = drafts.begun(link.store, draft)
    if link is not None and known is not None and known.model_id:
        return _again(study, known, home, link)
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        path = Path(folder, "model")
        study, draft = _saved(study, draft, path, how)
        model, done = path if draft.form else None, None
        with _noting(gone):
            if link is not None and not gone:
                done = drafts.write(link.store, draft, model)
        if link is None or done is None:
            return _waiting(study, draft, model, home.settings, gone[0])
    study = replace(study, id=done.run_id, name=done.name, model_id=done.model_id)
    with _noting(gone):
        _children(study, home, link)
    return study if not gone else _noted(study, f"The best trials are no runs below it: {gone[0].what}")


def _again(study: Study, known: identity.Known, home: Home, link: Link) -> Study:
    """Attach to the run of the same search; one that waited for its store has no trials below it yet."""
    study = replace(study, id=known.run_id, name=known.name, model_id=known.model_id)
    with _noting([]):
        identity.attach(link.store, known)
        _children(study, home, link)
    return _noted(study, _AGAIN)


@contextlib.contextmanager
def _noting(gone: list[MLOpsError]) -> Iterator[None]:
    """Talk to the store; where it fails, the block ends, and what it raised is noted.

    Whatever that is, after an hour of trials it must not take the fitted model out of the user's hands.
    """
    try:
        with impatient(_ANSWER):
            yield
    except MLOpsError as error:
        gone.append(error)
    except OSError as error:  # a folder of files that is full or may not be written
        gone.append(
            UnavailableError(f"The store's files failed: {error}.", "Make room, or make it writable.")
        )


def _noted(study: Study, note: str) -> Study:
    return replace(study, notes=(*study.notes, note))


def _draft(study: Study, key: str, home: Home) -> Draft:
    """Say what is to be written before the model is; the same study is the same draft, however often."""
    best = f"{key} {study.experiment} {sorted(study.best.items())} {study.family}"
    git = git_state(home.settings.root)
    tags = runs.starting_tags(home.source, git) | _tags(study)
    tags |= {identity.KEY: key, identity.SEARCH: key, identity.REPEATS: "1"}
    return Draft(
        experiment=study.experiment,
        name=study.name,
        begun=home.begun,
        tags=tags,
        files={path: masked(text) for path, text in runs.source_files(home.source, git).items()},
        params=study.params,
        metrics={**study.metrics, "fit_seconds": study.seconds},
        datasets=study.datasets,
        kind=study.model_kind or "",
        key=hashlib.sha256(best.encode()).hexdigest()[:32],
    )


def _saved(study: Study, draft: Draft, path: Path, how: How) -> tuple[Study, Draft]:
    """Save the model in a folder, and write down all that is shown of the search."""
    try:
        form = models.save(
            study.estimator,
            path,
            data=how.rows,
            allow_pickle=how.allow_pickle,
            run_id=draft.run_id,
            files=kept_of(how.rows, study.estimator, rows=how.reference_rows),
        )
    except RefusedError as error:
        form, study = "", _noted(study, f"The model was not kept. {error.what} {error.remedy}")
    except OSError as error:
        form, study = "", _noted(study, f"The model was not kept: {error}.")
    shown = _files(replace(study, id=draft.run_id or ""))
    ended = int(time.time() * 1000)
    return study, draft.with_(form=form, files={**draft.files, **shown}, ended=ended)


def _waiting(study: Study, draft: Draft, model: Path | None, settings: Settings, gone: MLOpsError) -> Study:
    """Keep a run on this machine until the store is back: the same line or the next tracked cell logs it."""
    spool = Spool.of(settings)
    try:
        if not spool.holds(draft.key):
            spool.add(draft, model)
    except MLOpsError as error:
        return _noted(study, f"Not logged: {gone.what} {error.what} The same line logs it later.")
    return _noted(replace(study, id=f"{OFFLINE}{draft.key}"), spool.said(gone))


def _handed(study: Study, key: str, home: Home, cell: Cell, how: How) -> Study:
    """Hand a search over to the tracked cell that it is in: the cell's run is its run."""
    known, gone, link = None, list[MLOpsError](), None
    if cell.store is not None:
        link = Link(cell.store, cell.experiment_id)
        with _noting(gone):
            reach(home.settings.store, _REACH)
            known = identity.searched(link.store, link.experiment_id, key)
    if gone:
        cell.lost(gone[0])
    found = Found(
        key=key,
        estimator=study.estimator,
        rows=how.rows,
        seconds=study.seconds,
        metrics=study.metrics,
        tags=_tags(study),
        files=_files(study),
        allow_pickle=how.allow_pickle,
        reference_rows=how.reference_rows,
    )
    run_id = cell.take(found, known.run_id if known else None)
    study = replace(study, id=run_id, name=cell.name or study.name)
    if known is not None and known.run_id == run_id:
        study = _noted(replace(study, name=known.name, model_id=known.model_id), _AGAIN)
    if link is not None and not gone and not run_id.startswith(OFFLINE):
        with _noting(gone):
            _children(study, home, link)
    return study


def _tags(study: Study) -> dict[str, str]:
    tags = {
        "mlflow.loggedArtifacts": json.dumps([{"path": _TABLE, "type": "table"}]),
        "mlops.tune.metric": study.metric,
        "mlops.tune.split": study.split,
    }
    return tags if study.by is None else tags | {"mlops.tune.by": study.by}


def _files(study: Study) -> dict[str, str]:
    return {
        _TABLE: json.dumps(_table(study)),
        "mlops/study.json": study.to_json(),
        "mlops/study.html": page(f"Study {study.name}", study.blocks()),
    }


def _children(study: Study, home: Home, link: Link) -> None:
    """Write the best few trials as runs below the study's, where they are not all there yet."""
    best = _best(study)
    if runs.finished_below(link.store, link.experiment_id, study.id) < len(best):
        for attempt in best:
            drafts.write(link.store, _child(study, home, attempt))


def _child(study: Study, home: Home, attempt: Attempt) -> Draft:
    params = {short(key): str(value) for key, value in attempt.params.items()}
    return Draft(
        experiment=study.experiment,
        name=f"{study.name} trial {attempt.number}",
        begun=home.begun,
        tags=runs.starting_tags(home.source, None) | runs.below(study.id),
        params={"family": attempt.family, **params},
        metrics={study.metric: attempt.score or math.nan, "fit_seconds": attempt.seconds},
        key=hashlib.sha256(f"{study.id} {attempt.number}".encode()).hexdigest()[:32],
    )


def _best(study: Study) -> list[Attempt]:
    done = [each for each in study.trials if each.state == "complete" and each.score is not None]
    return sorted(done, key=lambda each: (each.score or 0.0) * (1 if study.lower else -1))[:CHILDREN]


def _table(study: Study) -> Mapping[str, Any]:
    """Write the trials as MLflow's page shows tables."""
    names = list(dict.fromkeys(name for each in study.trials for name in each.params))
    columns = ["trial", "state", study.metric, "family", "folds", "fit_seconds", *names, "error"]
    data = [
        [
            each.number,
            each.state,
            each.score,
            each.family,
            each.folds,
            each.seconds,
            *(each.params.get(name) for name in names),
            each.error,
        ]
        for each in study.trials
    ]
    ends = [short(name) for name in columns]
    return {
        "columns": [end if ends.count(end) == 1 else name for end, name in zip(ends, columns, strict=True)],
        "data": data,
    }
