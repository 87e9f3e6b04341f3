"""A plan for few rows; for many rows whichever of plan and pipeline proved quicker, measured on requests."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from mlops_magics.serving.engines import PlannedEngine, SpreadEngine


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


def test_what_is_quicker_is_found_for_each_size_by_itself() -> None:
    plan, pipeline = Way(PLAN, 1e-6), Way(PIPELINE, 5e-5)
    engine = PlannedEngine(plan, pipeline, quick_rows=16)
    asked(engine, 200, 6)
    plan.seconds, pipeline.seconds = 5e-5, 1e-6
    asked(engine, 600, 6)
    assert asked(engine, 200, 5) == [PLAN] * 5
    assert asked(engine, 600, 5) == [PIPELINE] * 5


class Doubles:
    """Answers each row with twice its number, and remembers who computed how many."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def predict(self, columns: Any, rows: int, method: Any) -> Any:
        self.asked.append((threading.current_thread().name, rows))
        if method == "predict_proba":
            raise ValueError("no")
        return columns["a"][:rows] * 2


@pytest.mark.parametrize("rows", [65, 100, 1000])
def test_rows_that_are_spread_over_threads_come_back_in_their_order(rows: int) -> None:
    plan = Doubles()
    engine = SpreadEngine(plan, 3)
    found = engine.predict({"a": np.arange(rows)}, rows, "predict")
    np.testing.assert_array_equal(found, np.arange(rows) * 2)
    assert sum(part for _, part in plan.asked) == rows
    assert len(plan.asked) == 3
    assert threading.current_thread().name in {name for name, _ in plan.asked}
    with pytest.raises(ValueError, match="no"):
        engine.predict({"a": np.arange(rows)}, rows, "predict_proba")


def test_only_few_rows_are_answered_where_they_arrive() -> None:
    engine = PlannedEngine(Way(PLAN, 0.0), Way(PIPELINE, 0.0), quick_rows=16)
    assert engine.quick(16)
    assert not engine.quick(17)
