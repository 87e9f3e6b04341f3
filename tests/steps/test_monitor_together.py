"""Columns together in a monitoring: rows that are kept where asked, and a drift that shows in no column."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from journal_lines import DAY, HOUR, lines_of, put

from mlops_magics.artifact.reference import Reference
from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.coded import NAME, CodedRows, coded
from mlops_magics.stats.reference import reference_of
from mlops_magics.steps.monitor.spans import Span
from mlops_magics.steps.monitor.together import of_journal
from mlops_magics.steps.monitor.watched import Watched, rows_of
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import Glimpse, ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

CELL = """%%mlops_track --name both{options}
from sklearn.linear_model import LogisticRegression
both = LogisticRegression().fit(pair, wanted)
"""


def twins(seed: int, sign: float = 1.0, rows: int = 3_000) -> pd.DataFrame:
    """Draw two columns that go together, or against each other; alone both look the same."""
    random = np.random.default_rng(seed)
    one, two = random.normal(size=(2, rows))
    return pd.DataFrame({"one": one, "two": 0.9 * sign * one + np.sqrt(1 - 0.81) * two})


@pytest.fixture
def pair(book: Book, shell: Any) -> Book:
    rows = twins(0)
    shell.user_ns |= {"pair": rows, "wanted": rows["one"] > 0, "turned": twins(2, -1.0), "same": twins(3)}
    return book


def version(number: str = "1") -> tuple[Any, ModelVersion]:
    store = open_store(Settings.discover())
    return store, registry.resolve(store, ModelAddress("pairs", number))


def test_a_drift_of_columns_together_is_an_alert(pair: Book, shell: Any) -> None:
    run = pair(CELL.format(options=" --reference-rows 2000"))
    pair(f"%mlops_register {run.id} pairs")
    seen = pair("%mlops_monitor pairs/1 --data turned -o seen")
    (alert,) = seen.alerts
    assert (alert.kind, alert.subject) == ("drift", "columns together")
    assert "tells new rows from old ones" in alert.words
    assert alert.cause.startswith("shift: Each column alone is as it was")
    assert seen.moved[0].name == "columns together"
    assert "columns together" in str(seen)
    calm = pair("%mlops_monitor pairs/1 --data same")
    assert calm.holds, calm
    assert calm.drift.together is not None
    assert not any("not compared" in note for note in (*calm.notes, *calm.drift.notes))
    days = pd.date_range("2026-03-05", periods=6_000, freq="2min")  # in the second half they are turned
    shell.user_ns["timed"] = pd.concat([twins(5), twins(6, -1.0)]).assign(when=days)
    late = pair("%mlops_monitor pairs/1 --data timed --time when --window 100h --alarm 1/100")
    assert [one.subject for one in late.alerts] == ["columns together"]
    assert late.alerts[0].since == "2026-03-13T00:00:00+00:00"  # the newest window, of the last eight hours


def test_without_rows_it_is_said_how_to_keep_some(pair: Book, shell: Any) -> None:
    run = pair(CELL.format(options=""))
    pair(f"%mlops_register {run.id} pairs")
    seen = pair("%mlops_monitor pairs/1 --data turned")
    assert seen.holds
    assert seen.drift.together is None
    assert any("--reference-rows 2000" in note for note in seen.notes)
    shell.user_ns["run"] = run
    pair("%mlops_register run pairs --reference-rows 500")  # the rows are still in the notebook
    store, second = version("2")
    assert second.tags["mlops.reference.rows"] == "500"
    rows = rows_of(store, second, Reference(3_000, ()))
    assert rows is not None
    assert rows.table.shape == (500, 2)
    assert [one.subject for one in pair("%mlops_monitor pairs/2 --data turned").alerts] == [
        "columns together"
    ]


def test_rows_that_are_gone_or_changed_are_not_kept(pair: Book, shell: Any) -> None:
    run = pair(CELL.format(options=""))
    shell.user_ns["run"] = run
    shell.user_ns["pair"].loc[0, "one"] = 100.0
    with pytest.raises(RefusedError, match="have been changed since"):
        pair("%mlops_register run pairs --reference-rows 500")
    with pytest.raises(RefusedError, match="are not here"):
        pair(f"%mlops_register {run.id} pairs --reference-rows 500")
    for count in (-1, 50, 20_000):
        with pytest.raises(UsageError, match="--reference-rows cannot be"):
            pair(CELL.format(options=f" --reference-rows {count}"))


def test_what_is_kept_is_numbers_and_another_run_than_without(pair: Book, project: Path) -> None:
    bare = pair(CELL.format(options=""))
    kept = pair(CELL.format(options=" --reference-rows 300"))
    assert kept.id != bare.id
    assert pair(CELL.format(options=" --reference-rows 300")).id == kept.id
    (file,) = project.rglob(Path(NAME).name)
    rows = CodedRows.from_bytes(file.read_bytes())
    assert rows.names == ("one", "two")
    assert rows.table.shape == (300, 2)


def test_a_search_keeps_rows_too(pair: Book, project: Path) -> None:
    pair("from sklearn.linear_model import LogisticRegression; plain = LogisticRegression()")
    pair("%mlops_tune plain pair wanted --trials 2 --workers 1 --reference-rows 250")
    (file,) = project.rglob(Path(NAME).name)
    assert CodedRows.from_bytes(file.read_bytes()).table.shape == (250, 2)


class Zero:
    """A model that always answers the same."""

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


def test_rows_of_a_journal_are_taken_from_all_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_magics.steps.monitor.together.MOST", 500)
    fitted = pl.DataFrame({"x": np.random.default_rng(0).normal(size=2000)})
    reference = reference_of(fitted, Zero())
    assert reference is not None
    began, parts = DAY + HOUR, []
    for at in range(5):
        frame = lines_of(700, began + 700 * at, at, version=["1" if at % 2 else "2"] * 700)
        both = frame.with_columns(method=pl.lit("predict_proba"))  # asked in two ways: two lines, one row
        put(tmp_path, at, pl.concat([frame, both, lines_of(50, began, 90 + at, role=["shadow"] * 50)]))
        parts.append(frame)
    unit = Span(began, began + 3_500, rows=3_500)
    watched = Watched("x", ModelVersion("x", "1"), tmp_path, reference, None, coded(reference, fitted, 400))
    rows = of_journal(watched, unit)
    assert rows is not None
    every = pl.concat(parts)["input.x"].to_numpy()
    assert np.allclose(rows.now.table[:, 0], every[::7], rtol=1e-5, atol=0)
    assert rows.then is watched.rows
    assert of_journal(Watched("x", ModelVersion("x", "1"), tmp_path, reference, None), unit) is None


def test_a_run_holds_rows_only_as_long_as_somebody_else_does() -> None:
    rows = twins(0, rows=10)
    held = Glimpse(rows)
    assert held() is rows
    assert copy.deepcopy(held)() is None
    del rows
    gc.collect()
    assert held() is None
    assert Glimpse(None)() is Glimpse((1, 2))() is None
