"""Columns together: a drift that leaves each column as it was."""

from __future__ import annotations

import numpy as np
import orjson
import pandas as pd
import pytest
from drifting import plain, reference, window

from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.judging import Drift, judge
from mlops_magics.drift.solving import solve
from mlops_magics.drift.together import FLOOR, TOGETHER, Rows, together
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.stats.coded import CodedRows, coded


def _twins(seed: int, sign: float, rows: int = 3_000) -> pd.DataFrame:
    """Draw two normal columns that go together, or against each other; alone both look the same."""
    random = np.random.default_rng(seed)
    one, two = random.normal(size=(2, rows))
    return pd.DataFrame(
        {"one": one, "two": 0.9 * sign * one + np.sqrt(1 - 0.81) * two, **plain(seed + 50, rows)}
    )


def test_a_drift_of_columns_together_is_found() -> None:
    known = reference(_twins(0, 1.0))
    sample = coded(known, _twins(0, 1.0), 2_000)
    turned = _twins(1, -1.0)
    assert not judge(known, window(known, turned)).alarmed
    score = together(sample, coded(known, turned, 2_000))
    assert score is not None
    assert score.p is not None
    assert score.statistic > 0.9
    assert score.effect > FLOOR
    assert score.p < 1e-20
    assert "one" in score.words
    assert "two" in score.words
    assert "price" not in score.words
    assert together(sample, coded(known, turned, 2_000)) == score


def test_equal_rows_cannot_be_told_apart() -> None:
    known = reference(plain(0))
    chances = []
    for seed in range(20):
        score = together(coded(known, plain(seed + 100, 600), 600), coded(known, plain(seed, 600), 600))
        assert score is not None
        chances.append(score.p)
    assert np.mean(np.array(chances) < 0.05) <= 0.2
    assert 0.3 < np.mean(chances) < 0.7


def test_without_rows_it_is_not_applicable() -> None:
    known = reference(plain(0))
    rows = coded(known, plain(1), 1_000)
    assert together(None, rows) is None
    assert together(coded(known, plain(2), 50), rows) is None
    assert together(CodedRows((), np.zeros((500, 0))), rows) is None


def test_a_judgement_says_it_of_all_columns_where_none_moved_by_itself() -> None:
    made = reference(_twins(0, 1.0))
    sample = coded(made, _twins(0, 1.0), 2_000)

    def found(rows: pd.DataFrame, alarm: Alarm) -> Drift:
        return judge(made, window(made, rows), alarm=alarm, rows=Rows(sample, coded(made, rows, 2_000)))

    alarm = Alarm(together=0.002)
    drift = found(_twins(1, -1.0), alarm)
    (each,) = drift.alarms
    assert (each.name, each.test, each.level, each.cause) == (TOGETHER, "together", "strong", "shift")
    assert (each.since, each.windows, each.importance) == (drift.began, 1, None)
    calm = found(_twins(2, 1.0), alarm)
    assert not calm.alarmed
    assert calm.together is not None
    assert (calm.together.level, calm.together.cause, calm.together.since) == ("none", "", None)
    moved = found(_twins(1, -1.0).assign(price=1_000.0), alarm)
    assert ([each.name for each in moved.alarms], moved.together) == (["price"], None)
    assert "where one has moved by itself" in moved.notes[-1]
    # An alarm without a part for it, one that waits for windows in a row, and columns that vary anyway.
    assert found(_twins(1, -1.0), Alarm()).together is None
    assert found(_twins(1, -1.0), Alarm(together=0.002, persistence=2)).together is None
    assert not found(_twins(1, -1.0), Alarm(together=0.002, floors={"one": {"ks": 0.3}})).alarmed


def test_a_fifth_of_the_budget_is_for_columns_together() -> None:
    made = reference(plain(0))
    alone, both = (solve(made, "1/50", rows=500, draws=100, together=each) for each in (False, True))
    assert alone.together == 0
    assert both.together == pytest.approx(0.004)
    assert both.alpha < alone.alpha
    assert alone.rate == both.rate == 0.02
    assert both.expected <= 0.02
    assert Alarm.from_json(both.to_json()) == both
    old = orjson.loads(alone.to_json())
    del old["together"]  # as it was written before
    assert Alarm.from_json(orjson.dumps(old)) == alone


def test_numbers_of_single_precision_are_those_of_json() -> None:
    random = np.random.default_rng(0)
    tenths = pd.DataFrame({"a": random.integers(-50, 50, 2_000) / 30, "b": random.normal(size=2_000)})
    made = reference(tenths.astype(np.float32))
    then, now = coded(made, tenths.astype(np.float32), 2_000), coded(made, tenths, 2_000)
    assert np.array_equal(then.table[:, 0], now.table[:, 0])  # of few values, by which trees would tell them
    assert np.allclose(then.table, now.table, rtol=1e-5, atol=0)
    assert np.allclose(now.table, tenths, rtol=1e-5, atol=0)
    assert set(np.unique(coded(made, tenths * 0, 2_000).table)) == {0.0}


def test_rows_below_rows_have_the_columns_that_both_have() -> None:
    one = CodedRows(("a", "b"), np.array([[1.0, 2.0]]))
    two = CodedRows(("b", "c"), np.array([[3.0, 4.0]]))
    both = one + two
    assert (both.names, both.table.tolist()) == (("b",), [[2.0], [3.0]])
    assert one.without({"a"}).names == ("b",)
    assert one.without({"a"}).table.tolist() == [[2.0]]


def test_rows_hold_no_text_and_nothing_personal() -> None:
    table = plain(0).assign(
        mail=[f"anna{row}@mail.example" for row in range(4_000)],
        remark=[f"the parcel {row} is late" for row in range(4_000)],
        row=np.arange(4_000),
        when=pd.Timestamp("2025-01-01"),
        api_key=np.arange(4_000) % 7,
    )
    known = reference(table)
    rows = coded(known, table, 500)
    assert rows.names == ("price", "temperature", "stars", "town")
    assert rows.table.shape == (500, 4)
    named = known.by_name["town"].levels
    assert named is not None
    assert set(rows.table[:, 3]) == {float(place) for place in range(len(named.named))}
    new = coded(known, pd.DataFrame({"town": ["Paris", None], "price": ["3.5", "x"]}), 10)
    assert new.names == ("price", "town")
    assert new.table[0, 0] == 3.5
    assert new.table[0, 1] >= len(named.named)
    assert np.isnan(new.table[1]).all()


def test_what_is_written_is_read() -> None:
    known = reference(plain(0))
    rows = coded(known, plain(0), 300)
    found = CodedRows.from_bytes(rows.to_bytes())
    assert found.names == rows.names
    assert np.array_equal(found.table, rows.table, equal_nan=True)
    assert len(rows.to_bytes()) < 12_000
    for spoilt in (b"", b"x" * 100, rows.to_bytes()[:200]):
        with pytest.raises(MLOpsError, match="damaged"):
            CodedRows.from_bytes(spoilt)
