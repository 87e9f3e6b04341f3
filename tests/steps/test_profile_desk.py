"""What a card asks of the kernel's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from profiles import flights

from mlops_magics.stats.engine import survey
from mlops_magics.steps.profile.desk import DataDesk
from mlops_magics.steps.profile.result import Profile


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return flights(3000)


@pytest.mark.parametrize(
    "turn", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
def test_the_target_in_each_bin_and_value(frame: pd.DataFrame, turn: Any) -> None:
    found = survey(turn(frame), target="late")
    table = found.table
    desk = DataDesk(turn(frame), found)
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
    aimed = DataDesk(frame, survey(frame, target="y")).aimed(0)
    assert aimed is not None
    assert aimed.rows == 40
    assert len(aimed.levels) == 2
    numbers = frame.assign(y=frame["y"] + np.linspace(0, 1, 60))  # no classes any more
    aimed = DataDesk(numbers, survey(numbers, target="y")).aimed(0)
    assert aimed is not None
    means = [numbers["y"][:30].mean(), numbers["y"][30:].mean()]
    assert sorted(value or 0.0 for value in aimed.levels) == pytest.approx(sorted(means))


def test_a_flag_may_be_the_target() -> None:
    frame = pd.DataFrame({"x": ["a"] * 20 + ["b"] * 20, "y": [True] * 30 + [False] * 10})
    aimed = DataDesk(frame, survey(frame, target="y")).aimed(0)
    assert aimed is not None
    assert sorted(value for value in aimed.levels if value is not None) == [0.5, 1.0]


def test_what_cannot_be_said_is_not_said(frame: pd.DataFrame) -> None:
    assert DataDesk(frame, survey(frame, target="late")).aimed(21) is None, "the target itself"
    assert DataDesk(frame, survey(frame)).aimed(0) is None, "no target"


def test_a_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    flights(500).to_parquet(path)
    desk = DataDesk(path, survey(path, target="late"))
    path.unlink()
    aimed = desk.aimed(6)
    assert aimed is not None
    assert aimed.rows == len(flights(500))
    assert desk.odd == {}


def test_code_reaches_columns_with_odd_names() -> None:
    frame = pd.DataFrame(
        [[1, 2, 3, 4, 5, None]] * 3, columns=["x", "x", 0, ("a", 1), pd.Timestamp("2020-01-01"), "y"]
    )
    found = survey(frame, source="df")
    table = found.table
    desk = DataDesk(frame, found)
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
    assert DataDesk(flights(100), survey(flights(100))).odd == {}
