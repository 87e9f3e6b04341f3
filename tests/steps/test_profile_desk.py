"""What a card asks of the kernel's data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from profiles import FLIGHTS, flights, summary_of

from mlops_magics.stats.summary import Relation, TableSummary, TargetSummary
from mlops_magics.steps.profile.desk import DataDesk
from mlops_magics.steps.profile.result import Profile


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return flights(3000)


def of_target(frame: pd.DataFrame, target: TargetSummary | None) -> TableSummary:
    return replace(summary_of(frame), target=target)


@pytest.mark.parametrize(
    "turn", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
def test_the_target_in_each_bin_and_value(frame: pd.DataFrame, turn: Any) -> None:
    table = summary_of(frame, target="late")
    desk = DataDesk(turn(frame), table)
    late = frame["late"] == "yes"
    aimed = desk.aimed(6)
    assert aimed is not None
    expected = late[frame["carrier"] == table.columns[6].top[0].value].mean()
    assert aimed.levels[0] == pytest.approx(expected)
    assert aimed.bins == []
    aimed = desk.aimed(10)
    assert aimed is not None
    histogram = table.columns[10].numbers.histogram  # type: ignore[union-attr]
    assert len(aimed.bins) == len(histogram.counts)
    inside = (frame["distance"] >= histogram.edges[0]) & (frame["distance"] < histogram.edges[1])
    assert aimed.bins[0] == pytest.approx(late[inside].mean())
    assert aimed.bins[-5] is None, "an empty bin has no mean"
    dates = desk.aimed(0)
    assert dates is not None
    assert all(value is not None for value in dates.bins)


def test_gaps_in_the_target_are_left_out() -> None:
    frame = pd.DataFrame({"x": ["a"] * 30 + ["b"] * 30, "y": [1.0, np.nan, 3.0] * 20})
    desk = DataDesk(frame, of_target(frame, TargetSummary("y", "number", None, 2.0, (), ())))
    aimed = desk.aimed(0)
    assert aimed is not None
    assert (aimed.levels, aimed.rows) == ([2.0, 2.0], 40)


@pytest.mark.parametrize("positive", [True, 1])
def test_a_flag_may_be_the_target(positive: Any) -> None:
    frame = pd.DataFrame({"x": ["a"] * 20 + ["b"] * 20, "y": [True] * 30 + [False] * 10})
    relation = Relation("x", 0.1, 0.1, 0.1)
    desk = DataDesk(frame, of_target(frame, TargetSummary("y", "binary", positive, 0.75, (relation,), ())))
    aimed = desk.aimed(0)
    assert aimed is not None
    assert sorted(aimed.levels) == [0.5, 1.0]


def test_what_cannot_be_said_is_not_said(frame: pd.DataFrame) -> None:
    table = summary_of(frame, target="late")
    assert DataDesk(frame, table).aimed(21) is None, "the target itself"
    assert DataDesk(frame, summary_of(frame)).aimed(0) is None, "no target"
    assert DataDesk(frame.iloc[:-1], table).aimed(0) is None, "the table was changed since"


def test_a_file_is_read_when_asked(tmp_path: Path) -> None:
    frame = flights(500)
    frame.to_parquet(tmp_path / "f.parquet")
    aimed = DataDesk(tmp_path / "f.parquet", summary_of(frame, target="late")).aimed(6)
    assert aimed is not None
    assert aimed.rows == len(frame)
    assert FLIGHTS.is_file()


def test_code_reaches_columns_with_odd_names() -> None:
    frame = pd.DataFrame(
        [[1, 2, 3, 4, 5, None]] * 3, columns=["x", "x", 0, ("a", 1), pd.Timestamp("2020-01-01"), "y"]
    )
    table = summary_of(frame, "df")
    desk = DataDesk(frame, table)
    assert desk.odd == {
        "x": ".iloc[:, 0]",
        "x#1": ".iloc[:, 1]",
        "0": "[0]",
        "a.1": "[('a', 1)]",
        "2020-01-01 00:00:00": ".iloc[:, 4]",
    }
    profile = Profile(table, desk=desk)
    for place in range(6):
        for _label, line in profile.detail(place)["code"]:
            exec(line, {"df": frame.copy()})  # noqa: S102 - the code that a reader would run
    assert DataDesk(flights(100), summary_of(flights(100))).odd == {}
