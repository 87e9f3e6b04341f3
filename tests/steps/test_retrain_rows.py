"""Fresh rows: each is taken once, what is held out is never trained on, sources only read."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrained import rows_of

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError, UsageError
from mlops_magics.steps.retrain import source
from mlops_magics.steps.retrain.fresh import Fresh, Holding, gather
from mlops_magics.steps.retrain.marks import Watermark, after, digests_of


def found_in(frame: pd.DataFrame, since: Watermark | None = None, **options: Any) -> Fresh:
    return gather(frame, target="late", cursor="number", since=since, **options)


def marks(*frames: pd.DataFrame) -> list[int]:
    return sorted(int(mark) for frame in frames for mark in digests_of(frame))


def test_the_first_time_all_labelled_rows_are_new_and_divided() -> None:
    frame = rows_of(1000)
    frame["late"] = frame["late"].astype(float)
    frame.loc[::10, "late"] = None
    frame["number"] = frame["number"].astype(float)
    frame.loc[1::50, "number"] = None
    found = found_in(frame)
    counts = found.counts
    assert (counts.read, counts.unlabelled, counts.without_cursor) == (1000, 100, 20)
    assert (counts.new, counts.old, counts.late) == (880, 0, 0)
    assert len(found.train) + len(found.recent) + len(found.frozen) == 880
    assert 150 < len(found.recent) < 200
    assert 40 < len(found.frozen) < 100
    assert found.train["number"].max() < found.recent["number"].min()
    assert found.frozen["number"].max() < found.recent["number"].min()
    assert found.train["late"].notna().all()
    assert not set(marks(found.train)) & set(marks(found.frozen, found.recent))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=20, max_size=120),
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
)
def test_however_the_rows_arrive_each_is_trained_on_once_or_held_out(
    places: list[int], pieces: list[int]
) -> None:
    """Rows come in the order of a coarse cursor, cut anywhere: also between rows of one value."""
    frame = rows_of(len(places)).assign(number=sorted(places))
    since, frozen, held, trained = None, None, None, list[int]()
    bounds = [*np.cumsum([piece * len(places) // 24 for piece in pieces]), len(places)]
    for bound in bounds:
        found = found_in(frame.iloc[: min(bound, len(places))], since, holding=Holding(frozen, held))
        trained += marks(found.train)
        if frozen is None and found.kept is not None:
            frozen, held = found.kept, found.frozen
        since = found.mark or since
        if since is not None:
            assert Watermark.of_json(since.to_json()) == since
        assert found.counts.late == 0
    assert len(set(trained)) == len(trained)
    kept = [] if held is None else marks(held)
    assert not set(trained) & set(kept)
    assert set(trained) | set(kept) | set(marks(found.recent)) == set(marks(frame))


def test_rows_that_come_below_the_watermark_are_counted_and_not_taken() -> None:
    frame = rows_of(1000)
    first = found_in(frame)
    late = rows_of(7, begin=100, seed=9)
    later = rows_of(100, begin=1000, seed=3)
    found = found_in(pd.concat([frame, late, later]), first.mark, holding=Holding(first.kept, first.frozen))
    assert found.counts.late == 7
    assert found.counts.new == len(first.recent) + 100
    assert not set(marks(found.train)) & set(marks(late))


def test_ties_beyond_what_is_remembered_are_late() -> None:
    frame = rows_of(4000).assign(number=1)
    frame.loc[3900:, "number"] = 2
    first = found_in(frame)
    assert first.mark is not None
    assert (first.mark.value, first.mark.ties) == ("1", ())
    more = rows_of(5, seed=8).assign(number=1)
    found = found_in(pd.concat([frame, more]), first.mark, holding=Holding(first.kept, first.frozen))
    assert (found.counts.new, found.counts.late) == (100, 5)


def test_the_frozen_holdout_is_the_same_again_whatever_became_of_the_types() -> None:
    frame = rows_of(1000)
    first = found_in(frame)
    assert first.kept is not None
    more = pd.concat([frame, rows_of(500, begin=1000, seed=5)]).sample(frac=1, random_state=0)
    more["number"] = more["number"].astype(float)
    more["extra"] = 1
    # The file that it lay in is gone: the rule that drew it draws the same rows.
    found = found_in(more, first.mark, holding=Holding(first.kept))
    assert marks(found.frozen[frame.columns]) == marks(first.frozen)
    assert not set(marks(found.train[frame.columns])) & set(marks(first.frozen))
    with pytest.raises(RefusedError, match="is not what it was"):
        found_in(
            more.drop(more.index[more["number"].isin(first.frozen["number"][:1])]),
            holding=Holding(first.kept),
        )


def test_all_rows_may_be_trained_on_again_but_for_the_holdouts() -> None:
    frame = rows_of(1000)
    first = found_in(frame)
    found = found_in(frame, first.mark, holding=Holding(first.kept, first.frozen), everything=True)
    assert len(found.train) > len(first.train)
    assert not set(marks(found.train)) & set(marks(first.frozen, found.recent))
    assert found.counts.old == 800


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        (pd.date_range("2026-01-01", periods=300, freq="h"), "2026-01-05", "time"),
        (
            pd.date_range("2026-01-01", periods=300, freq="h", tz="Europe/Oslo"),
            "2026-01-05T00:00+01:00",
            "time",
        ),
        (pd.date_range("2026-01-01", periods=300, freq="h").strftime("%Y-%m-%dT%H"), "2026-01-05T00", "text"),
        (np.arange(300) / 2, "48", "number"),
    ],
)
def test_a_cursor_is_a_time_a_text_or_a_number(column: Any, value: str, kind: str) -> None:
    frame = rows_of(300).assign(number=column)
    since = after(value, "number", frame)
    assert (since.kind, since.below) == (kind, 96)
    found = found_in(frame, since)
    assert (found.counts.new, found.counts.late) == (203, 0)
    assert found_in(frame, found.mark, holding=Holding(found.kept)).counts.new == len(found.recent)


def test_a_cursor_of_another_kind_is_refused() -> None:
    frame = rows_of(100)
    with pytest.raises(UsageError, match="went by the cursor number"):
        found_in(frame.assign(number=frame["number"].astype(str)), found_in(frame).mark)
    with pytest.raises(UsageError, match="is no number"):
        after("yesterday", "number", frame)
    with pytest.raises(UsageError, match="true or false"):
        found_in(frame.assign(number=True))
    with pytest.raises(NotFoundError, match="has no column 'late'"):
        found_in(frame.drop(columns="late"))


def test_files_are_read_together_and_only_of_one_kind(project: Path) -> None:
    rows_of(10).to_parquet(project / "b.parquet")
    rows_of(10, begin=10).to_parquet(project / "a.parquet")
    found = source.rows("*.parquet")
    assert found["number"].tolist() == [*range(10, 20), *range(10)]
    rows_of(3).drop(columns="size").to_parquet(project / "c.parquet")
    with pytest.raises(UsageError, match=r"c\.parquet has other columns than .*: size"):
        source.rows("*.parquet")
    with pytest.raises(NotFoundError, match="No file is named like"):
        source.rows("*.csv")


def test_a_query_reads_and_cannot_write(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_of(10).to_parquet(project / "new.parquet")
    assert len(source.rows("select * from 'new.parquet' where number > 4")) == 5
    with pytest.raises(UsageError, match="does more than to read"):
        source.rows("select 1; create table t as select 1")
    with pytest.raises(UnavailableError, match="failed"):
        source.rows("select * from 'gone.parquet'")
    with contextlib.closing(sqlite3.connect(project / "shop.db")) as database:
        rows_of(10).to_sql("orders", database)
    monkeypatch.setenv("MLOPS_DATABASE", f"sqlite:///{project}/shop.db")
    assert source.rows("SELECT * FROM orders WHERE number >= 5")["number"].tolist() == [5, 6, 7, 8, 9]
    with pytest.raises(UnavailableError, match="readonly"):
        source.rows("with gone as (select 1) delete from orders")
    assert len(source.rows("select * from orders")) == 10
    monkeypatch.setenv("MLOPS_DATABASE", f"sqlite:///{project}/none.db")
    with pytest.raises(NotFoundError, match="There is no database"):
        source.rows("select 1")
    monkeypatch.setenv("MLOPS_DATABASE", "postgresql://ann:sesame-word@127.0.0.1:1/x")
    with pytest.raises(UnavailableError) as raised:
        source.rows("select 1")
    assert "sesame" not in str(raised.value)
