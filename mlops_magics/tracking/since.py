"""What has come into a store since a moment: runs with the verdicts on their models, and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.tracking import behaviours, evaluations, registry
from mlops_magics.tracking.behaviours import Tested
from mlops_magics.tracking.evaluations import Gate
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.runs import TRACKED
from mlops_magics.tracking.store import Store, door
from mlops_magics.tracking.subject import Subject

VALIDATION: Final = "mlops.validation"  # a tag, of each run that a validation made or came to again
_MARKS: Final = "mlops-ci"  # an experiment without runs: its tags say which commit was the last
_MOST: Final = 500  # runs


@dataclass(frozen=True, slots=True)
class Tracked:
    """A run of ours, and what is known of its model.

    Attributes:
        name: Its name.
        experiment: The experiment's name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        notebook: Where its cell stands, or "unknown".
        metrics: Its metrics, by name.
        gates: The verdicts of its model's last evaluation.
        tests: The last outcome of each behaviour test of its model.
        versions: The versions that came of it, as ``flights/3``.
    """

    name: str
    experiment: str
    status: str
    notebook: str
    metrics: Mapping[str, float]
    gates: tuple[Gate, ...] = ()
    tests: tuple[Tested, ...] = ()
    versions: tuple[str, ...] = ()


def tracked_since(
    store: Store, begun: float, notebook: str | None = None, validation: str = ""
) -> tuple[Tracked, ...]:
    """List the runs of ours that came of something, oldest first.

    Args:
        store: The open store.
        begun: The moment that it began, in seconds since the epoch.
        notebook: Only runs of this notebook, and those of none that is known, have come of it.
        validation: The word that each of its runs has as a tag: a cell that is repeated makes no new run.
    """
    mine = f"tags.`{TRACKED}` = '1'"
    began = f"{mine} and attributes.start_time >= {int(begun * 1000)}"
    with door("The store's runs"):
        names = {item.experiment_id: item.name for item in store.client.search_experiments()}
        found = store.client.search_runs(list(names), began, max_results=_MOST) if names else []
        told = {run.info.run_id: run for run in found if notebook in {None, _place(run)} or not _place(run)}
        if names and validation:
            query = f"{mine} and tags.`{VALIDATION}` = '{validation}'"
            again = store.client.search_runs(list(names), query, max_results=_MOST)
            told |= {run.info.run_id: run for run in again}
    ordered = sorted(told.values(), key=lambda run: run.info.start_time)
    return tuple(_tracked(store, run, names[run.info.experiment_id]) for run in ordered)


def version_since(store: Store, model: str, known: frozenset[str]) -> ModelVersion | None:
    """Return the newest version of a model that was not known before; None where there is none.

    Args:
        store: The open store.
        model: The model; it may not be there.
        known: The versions that were there before.
    """
    found = [item for item in _versions(store, model) if item.version not in known]
    return found[0] if found else None


def versions_now(store: Store, model: str) -> frozenset[str]:
    """Return the numbers of a model's versions; none where there is no such model."""
    return frozenset(item.version for item in _versions(store, model))


def mark(store: Store, key: str) -> str:
    """Return the commit that was marked last; "" where none was.

    Args:
        store: The open store.
        key: For which project.
    """
    with door("The store's marks"):
        found = store.client.get_experiment_by_name(_MARKS)
    return str(found.tags.get(key, "")) if found else ""


def set_mark(store: Store, key: str, commit: str) -> None:
    """Mark a commit.

    Args:
        store: The open store.
        key: For which project.
        commit: The commit.
    """
    identifier = store.experiment_id(_MARKS)
    with door("The store's marks"):
        store.client.set_experiment_tag(identifier, key, commit)


def _versions(store: Store, model: str) -> tuple[ModelVersion, ...]:
    return registry.versions(store, model) if model in registry.models(store) else ()


def _place(run: Any) -> str:  # noqa: ANN401 - MLflow's Run
    name = str(run.data.tags.get("mlflow.source.name", "unknown"))
    return "" if name == "unknown" else name


def _tracked(store: Store, run: Any, experiment: str) -> Tracked:  # noqa: ANN401 - MLflow's Run
    outputs = run.outputs.model_outputs if run.outputs else []
    model_id = outputs[-1].model_id if outputs else None
    summary = evaluations.of_model(store, model_id) if model_id else None
    metrics = dict(sorted(run.data.metrics.items()))
    versions = registry.made_by(store, run.info.run_id) if model_id else ()
    return Tracked(
        run.info.run_name or run.info.run_id,
        experiment,
        run.info.status,
        run.data.tags.get("mlflow.source.name", "unknown"),
        metrics,
        summary.gates if summary else (),
        behaviours.of_subject(store, Subject("", model_id=model_id)),
        tuple(f"{item.model}/{item.version}" for item in versions),
    )
