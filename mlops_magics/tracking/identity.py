"""Runs by their identity: a repeated cell finds the run that it was."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mlops_magics.tracking.context import context_tags
from mlops_magics.tracking.store import Store, door

KEY = "mlops.key"
OUTCOME = "mlops.outcome"
MODEL = "mlops.model_id"
SEARCH = "mlops.tune.key"
REPEATS = "mlops.repeats"
LAST_SEEN = "mlops.last_seen"
DIFFERS = "mlops.not_deterministic"
REUSE = "mlops.reuse"
SAME_AS = "mlops.same_outcome_as"
_LOOKED_AT = 50  # runs of one key: as many outcomes as a cell that is not deterministic had lately


@dataclass(frozen=True, slots=True)
class Known:
    """A run that a cell made before.

    Attributes:
        run_id: MLflow's run id.
        name: The run's name.
        outcome: The digest of what came of it.
        repeats: How often it was executed.
        model_id: MLflow's id of its model; None where it has none.
        reuse: "yes" where what it left was kept, "no: " and why where it cannot be; "" where nobody asked.
    """

    run_id: str
    name: str
    outcome: str
    repeats: int
    model_id: str | None
    reuse: str = ""


def known(store: Store, experiment_id: str, key: str) -> tuple[Known, ...]:
    """Find the finished runs of a key, the newest first."""
    return _found(store, experiment_id, KEY, key)


def searched(store: Store, experiment_id: str, key: str) -> Known | None:
    """Find the newest finished run of a search, also where it is a tracked cell's."""
    found = _found(store, experiment_id, SEARCH, key)
    return found[0] if found else None


def alike(store: Store, experiment_id: str, outcome: str) -> Known | None:
    """Find the newest finished run that had an outcome."""
    found = _found(store, experiment_id, OUTCOME, outcome)
    return found[0] if found else None


def attach(store: Store, run: Known) -> int:
    """Note that a run was executed once more, with the same outcome; return how often that makes."""
    repeats = run.repeats + 1
    with door(f"The run {run.run_id}"):
        store.client.set_tag(run.run_id, REPEATS, str(repeats))
        for name, text in context_tags().items():
            store.client.set_tag(run.run_id, name, text)
        store.client.set_tag(run.run_id, LAST_SEEN, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    return repeats


def _found(store: Store, experiment_id: str, tag: str, value: str) -> tuple[Known, ...]:
    query = f"tags.`{tag}` = '{value}' and attributes.status = 'FINISHED'"
    with door("The experiment's runs"):
        runs = store.client.search_runs([experiment_id], query, max_results=_LOOKED_AT)
    return tuple(
        Known(
            run.info.run_id,
            str(run.info.run_name),
            run.data.tags.get(OUTCOME, ""),
            _number(run.data.tags.get(REPEATS, "")),
            run.data.tags.get(MODEL),
            run.data.tags.get(REUSE, ""),
        )
        for run in runs
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 1
