"""1,000 metrics of one run: in one call of ours, beside a loop over MLflow's ``log_metric``, on each store.

``make bench NAME=metrics``. Needs Debian's postgresql; all servers are on loopback and gone afterwards.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import mlflow_on, postgres, s3

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import open_store

METRICS = {f"m{i}": i / 7 for i in range(1_000)}
OURS, LOOPS = 5, 3


def measured(write: Callable[[str], None], new: Callable[[], str], times: int) -> list[float]:
    found = []
    for _ in range(times):
        run_id = new()
        begun = time.perf_counter()
        write(run_id)
        found.append(time.perf_counter() - begun)
    return found


def compare(name: str, uri: str, folder: Path) -> None:
    environ = {"MLOPS_STATE": str(folder / "state"), "MLOPS_STORE": uri}
    store = open_store(Settings.discover(folder, environ))
    experiment = store.experiment_id("e")

    def new() -> str:
        return runs.start(store, experiment, name="n", source=Source("x"), git=None)[0]

    def loop(run_id: str) -> None:
        for key, value in METRICS.items():
            store.client.log_metric(run_id, key, value)

    runs.log(store, new(), metrics={"warm": 1.0})
    ours = measured(lambda run_id: runs.log(store, run_id, metrics=METRICS), new, OURS)
    loops = measured(loop, new, LOOPS)
    told = [f"{statistics.median(side):.3f} ({min(side):.3f} to {max(side):.3f})" for side in (ours, loops)]
    ratio = statistics.median(loops) / statistics.median(ours)
    print(f"| {name} | {told[0]} | {told[1]} | {ratio:.0f} |", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        for room in ("s3", "plain", "team"):
            (folder / room).mkdir()
        database, bucket = stack.enter_context(postgres()), stack.enter_context(s3(folder / "s3"))
        plain = mlflow_on(
            folder / "plain",
            f"sqlite:///{folder}/plain.db",
            "--artifacts-destination",
            f"{folder}/plain/files",
        )
        team = mlflow_on(
            folder / "team",
            database.create("team"),
            *("--artifacts-destination", f"{bucket.bucket('team')}/files"),
            environment=bucket.environment,
        )
        print("| store | ours, s | a loop, s | times |\n| --- | --- | --- | --- |")
        compare("SQLite", f"sqlite:///{folder}/mlflow.db", folder)
        compare("mlflow server on SQLite", stack.enter_context(plain), folder)
        compare("PostgreSQL", database.create("own"), folder)
        compare("mlflow server on PostgreSQL and S3", stack.enter_context(team), folder)


if __name__ == "__main__":
    main()
