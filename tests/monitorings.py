"""A monitoring that was really made, of rows that really drift, without a store behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.reference import reference_of
from mlops_magics.steps.monitor import Monitoring
from mlops_magics.steps.monitor.alarming import quick
from mlops_magics.steps.monitor.alerting import Seen, alerts_of
from mlops_magics.steps.monitor.counting import counted_rows
from mlops_magics.steps.monitor.observed import Labelled
from mlops_magics.steps.monitor.slo import Slo
from mlops_magics.steps.monitor.spans import moment, total
from mlops_magics.steps.monitor.units import judged
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking.records import ModelVersion

DAY = 86_400.0
BEGAN = 1_767_225_600.0  # 2026


class Model:
    """A model that answers one of two classes, by age."""

    classes_ = np.array([0, 1])

    def predict_proba(self, rows: Any) -> np.ndarray[Any, Any]:
        yes = np.asarray(rows["age"], float) / 100
        return np.column_stack([1 - yes, yes])


def rows_of(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    towns = random.choice(["Oslo", "Rome", "Lima"], rows)
    return pl.DataFrame({"town": towns, "age": random.integers(1, 90, rows).astype(float), "<b>x</b>": towns})


def drifting(windows: int = 6, fault: int = 4) -> Monitoring:
    """Watch some days; from one of them on half of the towns are new."""
    reference = reference_of(rows_of(4000, 0), Model())
    assert reference is not None
    spans = []
    for at in range(windows):
        rows = rows_of(800, 10 + at)
        if at >= fault:
            new = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("Cairo")).otherwise("town")
            rows = rows.with_columns(town=new)
        times = (BEGAN + at * DAY, BEGAN + (at + 1) * DAY)
        spans.append(counted_rows(reference, Frame.of(rows), None, Model().predict_proba(rows), times))
    version = ModelVersion("churn", "3", made="2025-12-01T00:00:00+00:00")
    watched = Watched("churn", version, None, reference, None)
    found = judged(reference, spans, quick("1/month", DAY))
    now = BEGAN + windows * DAY
    seen = Seen(watched, tuple(spans), found, (), None, Slo(), 0.001, DAY, now)
    whole = total(spans)
    return Monitoring(
        place="churn",
        model="churn",
        version="3",
        seconds=DAY,
        began=moment(whole.began),
        ended=moment(whole.ended),
        windows=windows,
        rows=whole.rows,
        requests=0,
        errors={},
        failed=0,
        breached={},
        versions={},
        latency={},
        age=now - watched.trained,
        drift=found.drift,
        performance=None,
        labelled=Labelled(),
        alerts=alerts_of(seen),
        spans=tuple(spans),
        drifts=found.drifts,
        units={unit.began: unit for unit in found.units},
        reference=reference,
    )
