"""A plan for few rows; for many rows whichever of plan and pipeline proved quicker, measured on requests."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from mlops_magics.serving.engines import PlannedEngine


class Way:
    """Answers with its own number, after a time for each row."""

    def __init__(self, answer: float, seconds: float) -> None:
        self.answer, self.seconds = answer, seconds

    def predict(self, columns: Any, rows: int, method: Any) -> Any:
        del columns, method
        time.sleep(self.seconds * rows)
        return np.full(rows, self.answer)


PLAN, PIPELINE = 1.0, 2.0


def asked(engine: PlannedEngine, rows: int, times: int, method: Any = "predict") -> list[float]:
    return [float(engine.predict({}, rows, method)[0]) for _ in range(times)]


@pytest.mark.parametrize(("slower", "quicker"), [(PLAN, PIPELINE), (PIPELINE, PLAN)])
def test_many_rows_take_the_way_that_proved_quicker(slower: float, quicker: float) -> None:
    plan, pipeline = (Way(number, 5e-5 if number == slower else 1e-6) for number in (PLAN, PIPELINE))
    engine = PlannedEngine(plan, pipeline, quick_rows=16)
    tried = asked(engine, 200, 6)
    assert sorted(tried) == [PLAN] * 3 + [PIPELINE] * 3
    assert asked(engine, 200, 5) == [quicker] * 5
    assert set(asked(engine, 200, 6, "predict_proba")) == {PLAN, PIPELINE}  # each method by itself
    assert asked(engine, 64, 5) == [PLAN] * 5


def test_only_few_rows_are_answered_where_they_arrive() -> None:
    engine = PlannedEngine(Way(PLAN, 0.0), Way(PIPELINE, 0.0), quick_rows=16)
    assert engine.quick(16)
    assert not engine.quick(17)
