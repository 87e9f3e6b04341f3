"""Track: an experiment is chosen once, and a cell becomes a run."""

from __future__ import annotations

import contextlib
import numbers
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, overload

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UsageError
from mlops_magics.foundation.masking import masked_value
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings, remember
from mlops_magics.lineage.cell import CellFacts, cell_facts
from mlops_magics.lineage.fits import Fit, observed
from mlops_magics.lineage.params import estimator_params
from mlops_magics.lineage.tables import datasets
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import leaderboard, models, runs
from mlops_magics.tracking.provenance import Source, git_state
from mlops_magics.tracking.records import Dataset, Run
from mlops_magics.tracking.store import Store, open_store

_TABLE_ROWS = 20


@dataclass(frozen=True)
class Tracking(Result):
    """Where runs go from now on.

    Attributes:
        experiment: The experiment's name.
        store: The store's address, without secrets.
        closed: How many runs of dead kernels were marked KILLED.
    """

    experiment: str
    store: str
    closed: int = 0

    def blocks(self) -> Iterable[Block]:
        """Say where runs go, and how a cell becomes one."""
        yield Title(f"Experiment {self.experiment}", "tracking", "good")
        yield Facts(
            [
                ("store", self.store),
                ("next", "%%mlops_track --name NAME at the top of a cell that fits a model"),
            ]
        )
        if self.closed:
            yield Note(f"{self.closed} runs of kernels that died were marked KILLED.", "quiet")


@dataclass(frozen=True)
class Leaderboard(Result):
    """The runs of an experiment, the best or newest first.

    Attributes:
        experiment: The experiment's name.
        metric: The metric that the order follows; None for the newest first.
        rows: A run a row: name, status, metrics, id.
    """

    experiment: str
    metric: str | None
    rows: tuple[leaderboard.Row, ...]
    volatile = True

    def blocks(self) -> Iterable[Block]:
        """Show a run a row, with the metrics that the runs have."""
        yield Title(f"Runs of {self.experiment}", f"{len(self.rows)} shown")
        names = list(dict.fromkeys(name for row in self.rows for name in row.metrics))[:6]
        yield Table(
            ("run", "status", *names),
            [(row.name, row.status.lower(), *(row.metrics.get(name) for name in names)) for row in self.rows],
        )
        if not self.rows:
            yield Note("No runs yet: write %%mlops_track at the top of a cell that fits a model.")

    def ids(self) -> Mapping[str, str]:
        """Name the runs."""
        return {row.name: row.run_id for row in self.rows}


@dataclass(frozen=True, slots=True)
class Body:
    """A cell that is about to be executed.

    Attributes:
        source: What it says and where it stands.
        code: Its code as plain Python, magics transformed.
        namespace: The notebook's names.
        run: Executes it in the namespace; what it raises goes on.
    """

    source: Source
    code: str
    namespace: MutableMapping[str, Any]
    run: Callable[[], None]


@overload
def track(experiment: str, *, best: str | None = None, settings: Settings | None = None) -> Tracking: ...
@overload
def track(
    experiment: None = None, *, best: str | None = None, settings: Settings | None = None
) -> Leaderboard: ...
def track(
    experiment: str | None = None, *, best: str | None = None, settings: Settings | None = None
) -> Tracking | Leaderboard:
    """Choose the experiment that runs go to, or show the runs of the one that was chosen.

    With a name the experiment is made when it is new, runs whose kernel died are closed, and each
    later ``%%mlops_track`` cell goes there. Without a name the runs are shown.

    Args:
        experiment: The MLflow experiment's name.
        best: The metric to order the runs by, best first; an ending ``-`` means that less is better,
            as in ``log_loss-``. The newest come first by default.
        settings: Where the store is; found from the current folder by default.

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
        return Tracking(experiment, store.shown, closed)
    if settings.experiment is None:
        raise UsageError("No experiment is chosen yet.", "Choose one with %mlops_track NAME.")
    identifier = store.experiment_id(settings.experiment)
    return Leaderboard(
        settings.experiment, best, leaderboard.top(store, identifier, metric=best, limit=_TABLE_ROWS)
    )


def record(
    experiment: str | None = None,
    *,
    name: str | None = None,
    metrics: tuple[str, ...] = (),
    allow_pickle: bool = False,
    body: Body,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Run:
    """Execute a cell as one run of the experiment.

    Recorded are the cell's source, the state of git, all installed packages, the digest of every
    value of each table that the cell reads, the constants and the estimator's parameters, the numbers
    it computes after fitting, and the fitted model in a safe format with its signature and an
    example. The run ends FINISHED, FAILED (the traceback is kept) or KILLED (interrupted); what the
    cell raises goes on. Secrets in all of that are masked.

    Args:
        experiment: Another experiment than the chosen one, for this run.
        name: The run's name; one is made up without it.
        metrics: The names of the cell's variables that are metrics. By default every number that the
            cell computes after fitting is one.
        allow_pickle: Keep the model in pickle where the safe format cannot hold it. Whoever loads it
            must agree, since loading a pickle executes code.
        body: The cell.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment; it is started after a successful fit.

    Returns:
        The run, with the fitted estimator at ``.estimator``.

    Raises:
        UsageError: No experiment was ever chosen.
        UnavailableError: The store cannot be reached; the cell was not executed then.
    """
    settings = settings or Settings.discover()
    chosen = experiment or settings.experiment
    if chosen is None:
        raise UsageError(
            "No experiment is chosen yet.",
            "Choose one with %mlops_track NAME, or write its name on this line.",
        )
    store = open_store(settings)
    identifier = store.experiment_id(chosen)
    facts = cell_facts(body.code)
    before = datasets(facts.reads, body.namespace)
    git = git_state(settings.root)
    run_id, run_name = runs.start(store, identifier, name=name, source=body.source, git=git)
    with _closed(store, run_id), observed(body.code) as fits:
        runs.log_files(store, run_id, runs.source_files(body.source, git))
        with runs.kept_alive(store, run_id):
            body.run()
    attempt = _Attempt(store, identifier, run_id, facts, body.namespace)
    read = before | datasets([name for name in facts.binds if name not in before], body.namespace)
    with _closed(store, run_id):
        run = attempt.written(
            fits.seen, read, metrics, allow_pickle=allow_pickle, name=run_name, experiment=chosen
        )
    runs.finish(store, run_id, "FINISHED")
    if standby is not None and run.model_id is not None and settings.standby:
        standby.start()
    return run


@contextlib.contextmanager
def _closed(store: Store, run_id: str) -> Iterator[None]:
    """End the run in the right status when the block does not end well; what it raised goes on."""
    try:
        yield
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        # The cell's own error matters more than a store that cannot write it down.
        with contextlib.suppress(MLOpsError):
            text = "".join(traceback.format_exception(error))
            runs.log_files(store, run_id, {"mlops/traceback.txt": text})
        with contextlib.suppress(MLOpsError):
            runs.finish(store, run_id, status)
        raise


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What is known when the cell has been executed."""

    store: Store
    experiment_id: str
    run_id: str
    facts: CellFacts
    namespace: Mapping[str, Any]

    def written(
        self,
        fits: list[Fit],
        read: dict[str, Dataset],
        asked: tuple[str, ...],
        *,
        allow_pickle: bool,
        name: str,
        experiment: str,
    ) -> Run:
        """Write parameters, metrics, data and model into the run, and return it as a result."""
        notes: list[str] = []
        fit = self._kept(fits, notes)
        params = {key: str(value) for key, value in self.facts.constants.items()}
        chosen: tuple[str, ...] = tuple(params)
        logged = None
        if fit is not None:
            of_model, differing = estimator_params(fit.estimator)
            chosen += tuple(key for key in differing if key not in params)
            params = of_model | params
            logged = self._model(fit, notes, allow_pickle=allow_pickle)
        params = {key: masked_value(key, value) for key, value in params.items()}
        numbers_ = self._metrics(asked, notes)
        timing = {} if fit is None else {"fit_seconds": fit.seconds}
        runs.log(self.store, self.run_id, params=params, metrics=numbers_ | timing)
        tables = tuple(item for key, item in read.items() if key in self.facts.reads)
        runs.log_datasets(self.store, self.run_id, tables, "training")
        return Run(
            id=self.run_id,
            name=name,
            experiment=experiment,
            status="FINISHED",
            params=params,
            chosen=chosen,
            metrics=numbers_,
            datasets=tables,
            model_id=None if logged is None else logged.model_id,
            model_kind=None if fit is None else models.kind_of_model(fit.estimator),
            notes=tuple(notes),
            estimator=None if fit is None else fit.estimator,
        )

    def _kept(self, fits: list[Fit], notes: list[str]) -> Fit | None:
        """Choose the run's model: the last fitted estimator that a name of the notebook holds."""
        held = {id(value) for key, value in self.namespace.items() if not key.startswith("_")}
        for fit in reversed(fits):
            if id(fit.estimator) in held and hasattr(fit.estimator, "predict"):
                return fit
        if fits:
            notes.append("No name holds a fitted model, so none was kept: write model = ....fit(X, y).")
        return None

    def _model(self, fit: Fit, notes: list[str], *, allow_pickle: bool) -> models.LoggedModel | None:
        try:
            return models.log_model(
                self.store,
                self.run_id,
                self.experiment_id,
                fit.estimator,
                data=fit.data,
                allow_pickle=allow_pickle,
            )
        except RefusedError as error:
            notes.append(f"The model was not kept. {error.what} {error.remedy}")
            return None

    def _metrics(self, asked: tuple[str, ...], notes: list[str]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in asked or self.facts.results:
            value = _number(self.namespace.get(name))
            if value is not None:
                found[name] = value
            elif asked:
                notes.append(f"{name} is not a number after the cell, so it was not logged as a metric.")
        return found


def _number(value: object) -> float | None:
    """Return a number of any library as a float; None for what is no number. A truth value is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value)
