"""What a step found out about a table, kept in the store: a run with its files and the table as its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, door

TAG: Final = "mlops.finding"


def keep(
    store: Store, experiment: str, *, verb: str, key: str, files: Mapping[str, str | bytes], data: Dataset
) -> str:
    """Keep what a verb found out; what is there already is not kept twice.

    Args:
        store: The open store.
        experiment: The experiment's name.
        verb: The verb: "profile".
        key: What it hangs on: the same question about the same values has the same key.
        files: Content by path below the run's artifacts.
        data: The table.

    Returns:
        The run's id.
    """
    identifier = store.experiment_id(experiment)
    value = f"{verb}:{key}"
    with door(f"The experiment '{experiment}'"):
        found = store.client.search_runs(
            [identifier], f"tags.`{TAG}` = '{value}' and attributes.status = 'FINISHED'", max_results=1
        )
        if found:
            return str(found[0].info.run_id)
    tags = {TAG: value, "mlflow.user": user(), "mlflow.source.type": "NOTEBOOK"}
    run_id, _ = runs.opened(store, identifier, f"{verb} {data.name}"[:250], tags)
    runs.log_files(store, run_id, files)
    runs.log_datasets(store, run_id, [data], verb)
    runs.finish(store, run_id, "FINISHED")
    return run_id
