"""The ledger of a model's retrainings: each attempt, and each that was left out and why, as a run in MLflow.

A retraining writes down what it is about to do before it does it, so that another process can say of a
killed one how far it came.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.moments import Moment
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking import registry, runs
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, door

MADE_BY: Final = "mlops.retraining"
"""The tag of what a retraining made: of its run, and of its version."""
WATERMARK: Final = "mlops.watermark"
"""The tag of a version that says how far the rows went that it was trained on."""
FROZEN: Final = "mlops.retrain.frozen"
"""The tag of a registered model that says what its frozen holdout is."""

_PREFIX: Final = "mlops.retrain."
RECORD: Final = f"{_PREFIX}id"
"""The tag of a run of the ledger: nothing is trained in it."""
_LOOKED_AT: Final = 500  # records of one model
_NAME: Final = 80  # characters of a model's name that its ledger's repeats

State = Literal["begun", "executed", "registered", "promoting", "watching", "ended"]
Outcome = Literal[
    "", "skipped", "failed", "refused", "registered", "promoted", "rolled back", "unchanged", "killed"
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A retraining, as it stands in the ledger.

    Attributes:
        record: MLflow's id of the run that it is written in.
        id: What tells it from any other.
        model: The registered model.
        moment: When it began.
        state: What it has done, or is about to do.
        outcome: What came of it; "" while it runs.
        reason: Why it began.
        why: Why that came of it.
        answers: The keys of the alerts that it answers.
        process: Who does it; None where that was not written by us.
        run: The run that it made.
        version: The version that it made.
        alias: The alias that it is to move.
        before: What that alias pointed to.
        times: How often the same was left out for the same kind of reason.
        kind: What kind of reason that is.
        seen: When a record from the future was first looked at; None where it never was.
        condition: The condition that asked for it; "" where somebody did.
        since: Since when that condition holds, where it must hold for a while; None elsewhere.
        reused: The notebooks that were not executed again, with commas between them.
    """

    record: str
    id: str
    model: str
    moment: Moment
    state: State
    outcome: Outcome
    reason: str
    why: str = ""
    answers: tuple[str, ...] = ()
    process: ProcessId | None = None
    run: str = ""
    version: str = ""
    alias: str = ""
    before: str = ""
    times: int = 1
    kind: str = ""
    seen: Moment | None = None
    condition: str = ""
    since: Moment | None = None
    reused: str = ""

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.state == "ended"

    @property
    def counts(self) -> bool:
        """Whether anything was trained: what was left out costs nothing."""
        return self.outcome != "skipped"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is said of a retraining when it begins.

    Attributes:
        id: What tells it from any other.
        reason: Why it begins.
        answers: The keys of the alerts that it answers.
        alias: The alias that it is to move.
        condition: The condition that asks for it; "" where somebody does.
    """

    reason: str
    answers: tuple[str, ...] = ()
    alias: str = ""
    condition: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


def begin(store: Store, model: str, beginning: Beginning) -> Attempt:
    """Write down that a retraining begins."""
    return _written(store, model, beginning, state="begun", outcome="", why="")


def skip(
    store: Store, model: str, beginning: Beginning, kind: str, why: str, *, since: Moment | None = None
) -> Attempt:
    """Write down that a retraining is left out.

    One after another for the same kind of reason is one record, with a count and the newest words.

    Args:
        store: The open store.
        model: The registered model.
        beginning: What asked for it.
        kind: What kind of reason it is.
        why: The reason.
        since: Since when its condition holds, where that is the reason.
    """
    told = {} if since is None else {"since": json.dumps(asdict(since))}
    newest = next(iter(attempts(store, model)), None)
    same = ("skipped", kind, masked(beginning.condition))
    if newest is not None and (newest.outcome, newest.kind, newest.condition) == same:
        last = json.dumps(asdict(Moment.now()))
        advance(store, newest, times=str(newest.times + 1), last=last, why=why, **told)
        return newest
    made = _written(store, model, beginning, state="ended", outcome="skipped", why=why)
    advance(store, made, kind=kind, **told)
    return made


def advance(store: Store, attempt: Attempt, **said: str) -> None:
    """Write down how far a retraining has come.

    Args:
        store: The open store.
        attempt: The retraining.
        **said: ``state``, ``run``, ``version``, ``before`` and what else is to be known of it.
    """
    runs.log(store, attempt.record, tags={f"{_PREFIX}{name}": text for name, text in said.items()})


def end(
    store: Store, attempt: Attempt, outcome: Outcome, why: str, metrics: Mapping[str, float] | None = None
) -> None:
    """Write down what came of a retraining."""
    tags = {f"{_PREFIX}state": "ended", f"{_PREFIX}outcome": outcome, f"{_PREFIX}why": why}
    runs.log(store, attempt.record, tags=tags, metrics=metrics)
    status = {"failed": "FAILED", "killed": "KILLED"}.get(outcome, "FINISHED")
    runs.finish(store, attempt.record, status)


def attempts(store: Store, model: str) -> tuple[Attempt, ...]:
    """List a model's retrainings, the newest first."""
    place = _place(store, model)
    if place is None:
        return ()
    found = []
    with door(f"The retrainings of {model}"):
        # However often it was left out, that hides no retraining that counts.
        for sign in ("=", "!="):
            query = f"tags.`{_PREFIX}outcome` {sign} 'skipped'"
            order = ["attributes.start_time DESC"]
            found += store.client.search_runs([place], query, max_results=_LOOKED_AT, order_by=order)
    found.sort(key=lambda run: run.info.start_time, reverse=True)
    read = (_read(run) for run in found)
    return tuple(one for one in read if one is not None and one.model == model)


def keep_files(store: Store, run_id: str, paths: Mapping[str, Path]) -> None:
    """Keep files with a run, by name; each is text, and secrets in it are masked."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    if texts:
        runs.log_files(store, run_id, dict(texts))


def keep_texts(store: Store, run_id: str, texts: Mapping[str, str]) -> None:
    """Keep short texts with a run, as files by name."""
    runs.log_files(store, run_id, dict(texts))


def keep_content(store: Store, run_id: str, files: Mapping[str, str | bytes]) -> None:
    """Keep files with a run, by path: text without its secrets, bytes as they are."""
    runs.log_files(store, run_id, files)


def record_of(store: Store, identifier: str) -> str | None:
    """Find the run that a retraining is written in; None where there is none."""
    with door("The retrainings"):
        places = [item.experiment_id for item in registry.paged(store.client.search_experiments)]
        found = store.client.search_runs(places, f"tags.`{_PREFIX}id` = '{identifier}'", max_results=1)
    return next((str(run.info.run_id) for run in found), None)


def experiment_of(store: Store, run_id: str | None, model: str) -> str:
    """Say which experiment the runs of a retraining go to: that of the run before, else one for the model."""
    if run_id is not None:
        try:
            with door(f"The run {run_id}"):
                run = store.client.get_run(run_id)
                return str(store.client.get_experiment(run.info.experiment_id).name)
        except NotFoundError:
            pass
    return model


def made_by(store: Store, identifier: str) -> tuple[str, ...]:
    """Find the finished runs that a retraining made and that hold a model, the newest first.

    Runs below another one are its parts.
    """
    with door("The runs of the retraining"):
        places = [item.experiment_id for item in registry.paged(store.client.search_experiments)]
        query = f"tags.`{MADE_BY}` = '{identifier}' and attributes.status = 'FINISHED'"
        found = store.client.search_runs(
            places, query, max_results=_LOOKED_AT, order_by=["attributes.end_time DESC"]
        )
    return tuple(
        run.info.run_id
        for run in found
        if run.outputs and run.outputs.model_outputs and "mlflow.parentRunId" not in run.data.tags
    )


def version_of(store: Store, model: str, identifier: str, run_id: str) -> ModelVersion | None:
    """Find the version of a model that a retraining made; None where there is none."""
    found = [one for one in registry.made_by(store, run_id) if one.model == model] if run_id else []
    marked = [one for one in found if one.tags.get(MADE_BY) == identifier]
    return next(iter([*marked, *found]), None)


def frozen(store: Store, model: str) -> str | None:
    """Read what a model's frozen holdout is, as text; None where it has none."""
    return registry.tags_of(store, model).get(FROZEN)


def freeze(store: Store, model: str, text: str) -> None:
    """Write down what a model's frozen holdout is."""
    with door(f"The model '{model}'"):
        store.client.set_registered_model_tag(model, FROZEN, text)


def _written(
    store: Store, model: str, beginning: Beginning, *, state: State, outcome: Outcome, why: str
) -> Attempt:
    moment, process = Moment.now(), ProcessId.current()
    said = {
        "model": model,
        "id": beginning.id,
        "moment": json.dumps(asdict(moment)),
        "state": state,
        "outcome": outcome,
        "reason": beginning.reason,
        "why": why,
        "answers": json.dumps(beginning.answers),
        "process": json.dumps(asdict(process)),
        "alias": beginning.alias,
        "condition": beginning.condition,
    }
    tags = {f"{_PREFIX}{name}": text for name, text in said.items()}
    tags |= {"mlflow.user": user(), "mlflow.note.content": why or beginning.reason}
    record, _ = runs.opened(store, _made(store, model), f"retrain {beginning.id}", tags)
    if outcome:
        runs.finish(store, record, "FINISHED")
    return Attempt(
        record,
        beginning.id,
        model,
        moment,
        state,
        outcome,
        masked(beginning.reason),
        masked(why),
        beginning.answers,
        process,
        alias=beginning.alias,
        condition=masked(beginning.condition),
    )


def _ledger(model: str) -> str:
    """Name a model's ledger; a long name is cut, and told from others by its digest."""
    if len(model) <= _NAME:
        return f"{model} retraining"
    return f"{model[:_NAME]}{hashlib.sha256(model.encode()).hexdigest()[:8]} retraining"


def _made(store: Store, model: str) -> str:
    return store.experiment_id(_ledger(model))


def _place(store: Store, model: str) -> str | None:
    try:
        with door(f"The retrainings of {model}"):
            found = store.client.get_experiment_by_name(_ledger(model))
    except NotFoundError:
        return None
    return None if found is None else str(found.experiment_id)


def _read(run: Any) -> Attempt | None:  # noqa: ANN401 - MLflow's Run
    said = {key.removeprefix(_PREFIX): text for key, text in run.data.tags.items() if key.startswith(_PREFIX)}
    try:
        seen, since = said.get("seen"), said.get("since")
        return Attempt(
            run.info.run_id,
            said["id"],
            said["model"],
            Moment.of_fields(json.loads(said["moment"])),
            said["state"],
            said["outcome"],
            said["reason"],
            said.get("why", ""),
            tuple(json.loads(said["answers"])),
            ProcessId(**json.loads(said["process"])),
            said.get("run", ""),
            said.get("version", ""),
            said.get("alias", ""),
            said.get("before", ""),
            int(said.get("times", "1")),
            said.get("kind", ""),
            None if seen is None else Moment.of_fields(json.loads(seen)),
            said.get("condition", ""),
            None if since is None else Moment.of_fields(json.loads(since)),
            said.get("reused", ""),
        )
    except (KeyError, ValueError, TypeError):
        return None  # not written by us
