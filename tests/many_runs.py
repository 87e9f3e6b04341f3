"""A store with thousands of runs: MLflow's own tables, filled at once as its client fills them."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

KINDS = ("forest", "boosting", "linear", "neighbours")
_BEGAN = 1_780_000_000_000


def fill(path: Path, experiment_id: str, count: int, *, metrics: int = 20, params: int = 30) -> list[str]:
    """Add runs to an experiment of a ready SQLite store; the newest is the last.

    Of the parameters half are the same in every run. Every fiftieth run failed and has no metrics.

    Returns:
        Their ids.
    """
    draw = random.Random(0)  # noqa: S311 - test data
    ids = [f"{at:032x}" for at in range(1, count + 1)]
    runs, values, settings = [], [], []
    for at, run_id in enumerate(ids):
        failed = at % 50 == 49
        depth, rate, kind = draw.randint(1, 12), 10 ** draw.uniform(-4, 0), draw.choice(KINDS)
        begun = _BEGAN + at * 60_000
        status = "FAILED" if failed else "FINISHED"
        runs.append(
            (run_id, f"{kind}-{at}", status, begun, begun + draw.randint(500, 90_000), int(experiment_id))
        )
        own = {"depth": str(depth), "learning_rate": f"{rate:.5g}", "model": kind}
        drawn = {f"drawn_{i:02}": str(draw.randint(0, 99)) for i in range(max(0, params // 2 - len(own)))}
        fixed = {f"fixed_{i:02}": "as ever" for i in range(params - len(own) - len(drawn))}
        settings += [(key, value, run_id) for key, value in (own | drawn | fixed).items()]
        if not failed:
            auc = 0.5 + 0.03 * depth + draw.gauss(0, 0.02)
            measured = {"auc": auc, "log_loss": 1 - auc + draw.gauss(0, 0.01)}
            measured |= {f"score_{i:02}": draw.random() for i in range(metrics - len(measured))}
            values += [(key, value, begun, 0, 0, run_id) for key, value in measured.items()]
    with closing(sqlite3.connect(path)) as store, store:
        store.executemany(
            "INSERT INTO runs (run_uuid, name, status, start_time, end_time, experiment_id, lifecycle_stage,"
            " source_type, user_id, artifact_uri) VALUES (?, ?, ?, ?, ?, ?, 'active', 'LOCAL', 'u', '')",
            runs,
        )
        store.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
        store.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", settings)
    return ids
