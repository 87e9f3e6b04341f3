"""Frames are the same by each way, hold what the columns held, and own it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving import frames
from mlops_magics.serving.codec import Codec
from mlops_magics.serving.frames import Frames
from mlops_magics.serving.rows import Columns, Typed

MOMENTS = np.array(["2024-02-29T12:30", "NaT", "1999-12-31"], dtype="M8[us]")
CELLS: Columns = {
    "a": np.array([1.5, np.nan, -2.0]),
    "b": np.array(["x", None, "1"], dtype=object),
    "c": np.array([1, 2, 3], dtype=np.int32),
    "d": np.array([0.5, 1.5, 2.5]),
    "e": MOMENTS,
    "f": np.array([True, False, True]),
    "g": np.array([None, "y", ""], dtype=object),
    "h": np.array([True, None, False], dtype=object),
}
SCHEMA = Schema((Column("a", "double"), Column("b", "string", required=False), Column("c", "double")))


@pytest.fixture(params=["blocks", "side by side"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Frames]:
    if request.param == "side by side":
        monkeypatch.setattr(frames, "_from_blocks", lambda: None)
    elif frames._from_blocks() is None:
        pytest.skip("this pandas takes no blocks")
    return Frames


@pytest.mark.parametrize("names", ["abcdefgh", "adcef", "hgfedcba", "ad", "bg", "a"])
@pytest.mark.parametrize("null", [None, np.nan, pd.NA])
def test_a_frame_holds_what_the_columns_hold(made: type[Frames], names: str, null: Any) -> None:
    columns = {name: CELLS[name] for name in names}
    found = made(null).of(columns, 3)
    assert list(found.columns) == list(names)
    assert found.index.equals(pd.RangeIndex(3))
    for name, cells in columns.items():
        assert found[name].dtype == cells.dtype
        texts = cells.dtype == object
        wanted = [null if texts and cell is None else cell for cell in cells.tolist()]
        assert all(
            one is two or one == two or (one != one and two != two)  # noqa: PLR0124 - NaN is unlike itself
            for one, two in zip(found[name].to_numpy().tolist(), wanted, strict=True)
        )


def test_who_writes_into_a_frame_changes_no_column(made: type[Frames]) -> None:
    before = {name: cells.copy() for name, cells in CELLS.items()}
    found = made("gap").of(dict(CELLS), 3)
    for name in found.columns:
        found[name].to_numpy(copy=False).flags.writeable = True
        found.loc[:, name] = found[name].to_numpy()[::-1].copy()
    found["more"] = 1
    assert found.sort_values("a").shape == (3, 9)
    for name, cells in before.items():
        np.testing.assert_array_equal(CELLS[name], cells)


def test_typed_rows_make_the_same_frame_as_their_columns(made: type[Frames]) -> None:
    rows = [[1.5, "x", 2.5], [-1.0, None, 0.0]]
    body = {"dataframe_split": {"columns": ["c", "b", "a"], "data": rows}}
    columns = (
        Codec(SCHEMA, methods=("predict",)).decode(json.dumps(body).encode(), "application/json").columns
    )
    assert isinstance(columns, Typed)
    frame = made(np.nan)
    for _ in range(2):  # the second time it knows the order
        found = frame.of(columns, 2)
        pd.testing.assert_frame_equal(found, frame.of(dict(columns), 2))
        assert found["a"].tolist() == [2.5, 0.0]
        found.iloc[0, 0] = 99.0
    assert columns["a"].tolist() == [2.5, 0.0]


def test_orders_that_clients_make_up_are_not_kept_for_ever(made: type[Frames]) -> None:
    frame = made(None)
    for number in range(300):
        frame.of({f"c{number}": np.zeros(1)}, 1)
    assert len(frame._headings) < 100
