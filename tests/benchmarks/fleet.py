"""How long one look at many endpoints takes: journals of a week, 20 features, an hour a window.

The endpoints are states of a supervisor that this machine runs (this process), with real journals; the versions
are registered in a real SQLite store. ``make bench NAME=fleet`` looks at 250, 500 and 1,000, each in a fresh
process, and records it; ``ARGS=100`` looks at so many and only prints.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from math import log
from pathlib import Path

import numpy as np
import polars as pl
from side_by_side import main, record

SIZES = (250, 500, 1_000)
ENDPOINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
FEATURES, ROWS, HOURS = 20, 2_000, 24 * 7


class Model:
    classes_ = np.array([0, 1])

    def predict_proba(self, rows):
        yes = 1 / (1 + np.exp(-np.asarray(rows)[:, 0].astype(float)))
        return np.column_stack([1 - yes, yes])


def rows(seed: int, count: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    numbers = {f"n{at}": random.normal(size=count) for at in range(FEATURES - 5)}
    words = {f"w{at}": random.choice(["a", "b", "c", "d"], count) for at in range(5)}
    return pl.DataFrame(numbers | words)


def lines(seed: int, now: float) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    table = rows(seed, ROWS)
    times = np.sort(now - random.uniform(0, HOURS * 3600, ROWS))
    told = {
        "time": pl.Series((times * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC")),
        "request_id": [f"{seed}-{at}" for at in range(ROWS)],
        "row": pl.Series([0] * ROWS, dtype=pl.Int32),
        "version": ["1"] * ROWS,
        "role": ["live"] * ROWS,
        "method": ["predict"] * ROWS,
        "error": pl.Series([None] * ROWS, dtype=pl.String),
        "status": pl.Series([200] * ROWS, dtype=pl.Int16),
        "prediction": random.integers(0, 2, ROWS),
    }
    told |= {f"{stage}_ms": random.exponential(size=ROWS).astype(np.float32) for stage in ("decode", "queue")}
    told |= {
        f"{stage}_ms": random.exponential(size=ROWS).astype(np.float32) for stage in ("predict", "encode")
    }
    return pl.DataFrame(told | {f"input.{name}": table[name] for name in table.columns})


def made(root: Path) -> None:
    """Register a model for each endpoint, and write the endpoint's state and journal."""
    from mlops_magics.artifact.state import State
    from mlops_magics.foundation.files import private_folder
    from mlops_magics.foundation.masking import masked
    from mlops_magics.foundation.processes import ProcessId
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.serving.journal.files import Part, write
    from mlops_magics.stats.reference import reference_of
    from mlops_magics.targets.local_files import store_mark
    from mlops_magics.tracking.store import open_store

    settings = Settings.discover(root)
    store = open_store(settings)
    mark = store_mark(masked(settings.store))
    process, now = ProcessId.current(), time.time()
    for folder in ("endpoints", "references", "journals"):
        private_folder(settings.state / folder)
    for at in range(ENDPOINTS):
        name, digest = f"model{at}", f"{at:064x}"
        reference = reference_of(rows(10_000 + at, 5_000), Model())
        assert reference is not None
        (settings.state / "references" / f"{digest}.json").write_bytes(reference.to_json())
        store.client.create_registered_model(name)
        store.client.create_model_version(
            name, f"file://{root}/none", tags={"mlops.manifest": f"sha256:{digest}"}
        )
        state = State(
            name=name, pid=process.pid, started=process.started, node=process.host, birth=process.birth,
            host="127.0.0.1", port=1, model=name, version="1", digest=digest, workers=(), wanted=1,
            status="ready", since=now,
        )  # fmt: skip
        (settings.state / "endpoints" / f"{name}-{mark}.json").write_bytes(state.to_json())
        journal = private_folder(settings.state / "journals" / f"{name}-{mark}")
        write(journal, Part(int(now * 1000), "abcd1234", at, at), [lines(at, now).to_arrow()])


def looked() -> dict[str, float]:
    """Make them, look twice, and return how long each look took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".mlops").mkdir()
        os.environ["MLOPS_STATE"] = str(root / "state")
        os.chdir(root)
        made(root)
        import mlops_magics

        found: dict[str, float] = {"endpoints": ENDPOINTS}
        for look in ("first", "second"):
            begun, cpu = time.perf_counter(), time.process_time()
            fleet = mlops_magics.monitor(all=True)
            found[look] = time.perf_counter() - begun
            found[f"{look}_cpu"] = time.process_time() - cpu
            assert len(fleet.members) == ENDPOINTS
            found["drifted"] = sum(bool(one.drift) for one in fleet.members)
            assert not any(one.trouble for one in fleet.members)
        found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return found


def run() -> None:
    """Look at three fleets, and record it."""
    rows = []
    for count in SIZES:
        done = subprocess.run(
            [sys.executable, __file__, str(count)], check=True, capture_output=True, text=True
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    least, most = rows[0], rows[-1]
    power = log(most["second"] / least["second"]) / log(most["endpoints"] / least["endpoints"])
    record(
        "fleet",
        [
            f"Each endpoint has {FEATURES} features and {ROWS:,} journaled rows of one week, an hour a window.",
            "",
            "| endpoints | first look, s | second look, s | CPU of it, s | peak MB | say drift |",
            "| --- |" + " --- |" * 5,
            *(
                f"| {one['endpoints']:,} | {one['first']:.1f} | {one['second']:.1f} | {one['second_cpu']:.1f} "
                f"| {one['peak']:,.0f} | {one['drifted']} |"
                for one in rows
            ),
            "",
            f"Exponent of the second look's growth: {power:.2f}. Goal: 1,000 in under 60 s, linear.",
            "",
        ],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(looked()))
    else:
        main(run)
