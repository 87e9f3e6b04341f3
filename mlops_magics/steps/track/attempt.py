"""What is known before a cell is executed, and what came of it: from these a run is written, or found."""

from __future__ import annotations

import ast
import random
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from mlops_magics.artifact.shipped import Shipped
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.masking import masked_value
from mlops_magics.lineage.cell import CellFacts, cell_facts
from mlops_magics.lineage.fits import Fit
from mlops_magics.lineage.identity import Key, key
from mlops_magics.lineage.native import remark
from mlops_magics.lineage.params import estimator_params
from mlops_magics.lineage.recipe import Recipe
from mlops_magics.lineage.shipping import shipped
from mlops_magics.lineage.tables import datasets
from mlops_magics.lineage.values import outcome
from mlops_magics.stats.reference import kept_of
from mlops_magics.steps.track.body import Body, Options, number
from mlops_magics.steps.track.search import Search
from mlops_magics.tracking import identity, models
from mlops_magics.tracking.drafts import Draft
from mlops_magics.tracking.records import Dataset, Glimpse, Run
from mlops_magics.tracking.searches import Found

_ANSWERED = 200  # rows whose answers tell two models apart


@dataclass(frozen=True, slots=True)
class Start:
    """What is known before a cell is executed.

    Attributes:
        body: The cell.
        options: What was asked for.
        facts: What its source says.
        read: The tables that it takes from other cells.
        key: The cell's identity.
        random: The state of the global generators.
        begun: When, in milliseconds since the epoch.
    """

    body: Body
    options: Options
    facts: CellFacts
    read: Mapping[str, Dataset]
    key: Key
    random: str
    begun: int

    @classmethod
    def of(cls, body: Body, options: Options) -> Start:
        """Look at a cell."""
        begun = int(time.time() * 1000)
        facts, names = cell_facts(body.code), body.namespace
        # Not what it makes before reading it: that is there the second time only, and no input.
        read = datasets(facts.needs, names)
        told = {id(names[name]): item.digest for name, item in read.items()}  # digested once
        identity_ = key(body.code, names, asked=options.identifying, told=told)
        return cls(body, options, facts, read, identity_, _random_state(), begun)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell.

    Attributes:
        start: What was known before.
        fit: The fit whose estimator is the run's model; None where there is none.
        params: Parameters, as text.
        chosen: The names of those that differ from the estimator's defaults.
        metrics: Metrics by name.
        tables: The tables that the cell read.
        digest: The digest of all that.
        notes: What the reader should know.
        search: What is kept of a search.
        allow_pickle: Whether pickle may be used where the safe format cannot hold the model.
        reference_rows: How many of the rows that the model was fitted on are kept with it.
    """

    start: Start
    fit: Fit | None
    params: Mapping[str, str]
    chosen: tuple[str, ...]
    metrics: Mapping[str, float]
    tables: tuple[Dataset, ...]
    digest: str
    notes: tuple[str, ...]
    search: Search
    allow_pickle: bool = False
    reference_rows: int = 0

    @classmethod
    def of(cls, start: Start, fits: list[Fit], searched: Found | None = None) -> Outcome:
        """Gather what a cell left behind; what it searched for comes before what it fitted."""
        names, facts, notes = start.body.namespace, start.facts, list[str]()
        made = datasets([name for name in facts.binds if name not in start.read], names)
        fit = _kept(fits, names, notes) if searched is None else _best(searched)
        params = {name: str(value) for name, value in facts.constants.items()}
        chosen, found = tuple(params), Search()
        if fit is not None:
            of_model, differing = estimator_params(fit.estimator)
            chosen += tuple(name for name in differing if name not in params)
            found = Search.of(fit.estimator) if searched is None else _told(searched)
            params = of_model | dict(found.params) | params
            chosen += tuple(found.params)
        params = {name: masked_value(name, value) for name, value in params.items()}
        metrics = _metrics(start, notes) | dict(found.metrics)
        read = dict(start.read) | made
        return cls(
            start=start,
            fit=fit,
            params=params,
            chosen=chosen,
            metrics=metrics,
            tables=tuple(item for name, item in read.items() if name in facts.reads),
            digest=outcome(
                params | {name: found.tags[name] for name in found.tags if name == identity.SEARCH},
                metrics,
                {name: item.digest for name, item in made.items()},
                _answers(fit),
            ),
            notes=tuple(notes),
            search=found,
            allow_pickle=start.options.allow_pickle or (searched is not None and searched.allow_pickle),
            reference_rows=start.options.reference_rows
            or (0 if searched is None else searched.reference_rows),
        )

    def draft(self, draft: Draft) -> Draft:
        """Complete a draft with what came of the cell."""
        timing = {} if self.fit is None else {"fit_seconds": self.fit.seconds}
        found = {identity.OUTCOME: self.digest, identity.REPEATS: "1"} | dict(self.search.tags)
        return draft.with_(
            tags=dict(draft.tags) | found,
            files=dict(draft.files) | dict(self.search.files),
            params=self.params,
            metrics=dict(self.metrics) | timing,
            datasets=self.tables,
            kind=self.kind or "",
        )

    def saved(self, path: Path, run_id: str | None) -> tuple[str, tuple[str, ...]]:
        """Save the model in a folder; return its format, "" where there is none, and what is to be said."""
        if self.fit is None:
            return "", ()
        files = kept_of(self.fit.data, self.fit.estimator, rows=self.reference_rows)
        try:
            form = models.save(
                self.fit.estimator,
                path,
                data=self.fit.data,
                allow_pickle=self.allow_pickle,
                run_id=run_id,
                files=files,
                ship=self._ship if self.start.options.allow_code else None,
            )
        except RefusedError as error:
            return "", (f"The model was not kept. {error.what} {error.remedy}",)
        said = remark(self.fit.estimator)
        return form, (said,) if said else ()

    def _ship(self, names: tuple[str, ...]) -> Shipped:
        return shipped(names, self.start.body.namespace)

    def run(
        self,
        experiment: str,
        run_id: str,
        name: str,
        model_id: str | None,
        *,
        repeats: int = 1,
        remark: str = "",
        notes: tuple[str, ...] = (),
        recipe: Recipe | None = None,
    ) -> Run:
        """Say what came of the cell, as the run that it is."""
        return Run(
            id=run_id,
            name=name,
            experiment=experiment,
            status="FINISHED",
            params=self.params,
            chosen=self.chosen,
            metrics=self.metrics,
            datasets=self.tables,
            model_id=model_id,
            model_kind=self.kind,
            notes=self.notes + notes,
            repeats=repeats,
            remark=remark,
            estimator=None if self.fit is None else self.fit.estimator,
            fitted_on=Glimpse(None if self.fit is None else self.fit.data),
            outcome=self.digest,
            recipe=recipe,
            cell=self.start.body.source.mark,
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names that hold what came of it: the model's, then the metrics'."""
        names = self.start.body.namespace
        model = None if self.fit is None else self.fit.estimator
        held = [
            name
            for name, value in names.items()
            if not name.startswith("_")
            and (value is model or (isinstance(value, Run) and value.estimator is model))
        ]
        return (*held[:1], *(name for name in self.metrics if name in names))

    @property
    def kind(self) -> str | None:
        """The class of the run's model; None where it has none."""
        return None if self.fit is None else models.kind_of_model(self.fit.estimator)

    @property
    def title(self) -> str | None:
        """What the run is called where it was given no name; None where it has no model."""
        return f"tune {self.kind}" if identity.SEARCH in self.search.tags else self.kind

    def cause(self) -> str:
        """Say why the same code and data may have come to something else."""
        if identity.SEARCH in self.search.tags:
            return "the search in it went on from earlier trials, or had another time"
        if _random_state() != self.start.random and not _seeds(self.start.body.code):
            return "it draws random numbers from a generator that it does not seed"
        if self.start.key.opaque:
            return f"it reads {', '.join(self.start.key.opaque[:3])}, whose content cannot be compared"
        return "something that is no input changed it: an unseeded generator of its own, time, threads"


def _kept(fits: list[Fit], names: Mapping[str, Any], notes: list[str]) -> Fit | None:
    """Choose the run's model: the last fitted estimator that a name of the notebook holds."""
    held = {id(value) for name, value in names.items() if not name.startswith("_")}
    for fit in reversed(fits):
        if id(fit.estimator) in held and hasattr(fit.estimator, "predict"):
            return fit
    if fits:
        notes.append("No name holds a fitted model, so none was kept: write model = ....fit(X, y).")
    return None


def _best(searched: Found) -> Fit:
    return Fit(searched.estimator, searched.rows, searched.seconds)


def _told(searched: Found) -> Search:
    tags = {**searched.tags, identity.SEARCH: searched.key}
    return Search(metrics=searched.metrics, files=searched.files, tags=tags)


def _metrics(start: Start, notes: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    asked = start.options.metrics
    for name in asked or start.facts.results:
        value = number(start.body.namespace.get(name))
        if value is not None:
            found[name] = value
        elif asked:
            notes.append(f"{name} is not a number after the cell, so it was not logged as a metric.")
    return found


def _answers(fit: Fit | None) -> object:
    """Ask the model about some of the rows that it was fitted on; None where it does not answer."""
    if fit is None or fit.data is None:
        return None
    ask = getattr(fit.estimator, "predict_proba", None) or fit.estimator.predict
    state = _states()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ask(fit.data[:_ANSWERED])
    except Exception:  # noqa: BLE001 - a stranger's estimator; the rest of the outcome must do
        return None
    finally:
        _restore(state)


def _states() -> tuple[Any, Any]:
    numpy = sys.modules.get("numpy")
    return random.getstate(), None if numpy is None else numpy.random.get_state()


def _restore(states: tuple[Any, Any]) -> None:
    """Leave the user's generators as they were: asking a model may draw."""
    random.setstate(states[0])
    if states[1] is not None:
        sys.modules["numpy"].random.set_state(states[1])


def _random_state() -> str:
    plain, numbers_ = _states()
    total = xxhash.xxh3_64(repr(plain).encode())
    if numbers_ is not None:
        total.update(numbers_[1].tobytes())
        total.update(repr(numbers_[2:]).encode())
    return str(total.hexdigest())


def _seeds(source: str) -> bool:
    """Tell whether a cell calls something named ``seed``."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(getattr(call, "attr", getattr(call, "id", "")) in {"seed", "set_seed"} for call in calls)
