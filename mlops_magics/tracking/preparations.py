"""What preparing a table left in the store: a run with the contract as a file and the table as its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import user
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, door

KEY: Final = "mlops.preparation"


def keep(store: Store, experiment: str, key: str, *, files: Mapping[str, str | bytes], data: Dataset) -> str:
    """Keep a preparation; one that is there already is not kept twice.

    Args:
        store: The open store.
        experiment: The experiment's name.
        key: A digest of all that it hangs on: the same preparation has the same.
        files: Content by path below the run's artifacts.
        data: The table, called as its contract.

    Returns:
        The run's id.
    """
    identifier = store.experiment_id(experiment)
    with door(f"The experiment '{experiment}'"):
        found = store.client.search_runs([identifier], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {KEY: key, "mlflow.user": user(), "mlflow.source.type": "NOTEBOOK"}
        made = store.client.create_run(identifier, run_name=f"prepare {data.name}", tags=tags)
    run_id = str(made.info.run_id)
    runs.log_files(store, run_id, files)
    runs.log_datasets(store, run_id, [data], "preparation")
    runs.finish(store, run_id, "FINISHED")
    return run_id
