"""Labels that come late, twice, for nobody, or in an odd form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from journal_lines import DAY, HOUR, lines_of, put
from monitorings import drifting

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.monitor import keeping, labels
from mlops_magics.steps.monitor.observed import Labelled
from mlops_magics.steps.monitor.performance import Number, Performance
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking import alerts
from mlops_magics.tracking.alerts import Alert
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

VERSION = ModelVersion("churn", "3", made="2025-12-01T00:00:00+00:00")
WATCHED = Watched("churn", VERSION, None, None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a journal: 40 requests of one row, of which each has two lines, and one request of ten rows."""
    single = lines_of(40, DAY + 10 * HOUR, 1)
    chances = single.with_columns(
        prediction=pl.lit(None, pl.Int64), probabilities=pl.Series([[0.2, 0.8]] * 40)
    )
    ten = lines_of(10, DAY + 10 * HOUR + 60, 2).with_columns(
        request_id=pl.lit("ten"), row=pl.int_range(10, dtype=pl.Int32)
    )
    other = lines_of(5, DAY + 10 * HOUR, 3, version=["2"] * 5)
    put(tmp_path, 1, pl.concat([single, chances, other], how="diagonal_relaxed"))
    put(tmp_path, 2, ten)
    return tmp_path


def join(folder: Path, **columns: Any) -> labels.Labels:
    return labels.joined(folder, pd.DataFrame(columns), None, "1", DAY)


def test_a_label_that_is_given_again_is_the_later_one(folder: Path) -> None:
    found = join(folder, request_id=["1-0", "1-1", "1-0"], truth=[0, 0, 1])
    assert dict(zip(found.joined["request_id"], found.joined["truth"], strict=True)) == {"1-0": 1, "1-1": 0}
    assert (found.given, found.unknown) == (2, 0)
    numbered = join(folder, request_id=["1-0", "1-0"], row=[0, 0], truth=[0, 1])
    assert numbered.joined["truth"].to_list() == [1]


def test_a_request_of_ten_rows_is_labelled_in_its_order_and_again(folder: Path) -> None:
    first = join(folder, request_id=["ten"] * 10, truth=list(range(10)))
    assert first.joined.sort("row")["truth"].to_list() == list(range(10))
    again = join(folder, request_id=["ten"] * 20, truth=[*range(10), *range(100, 110)])
    assert again.joined.sort("row")["truth"].to_list() == list(range(100, 110))
    some = join(folder, request_id=["ten"] * 2, row=[9, 3], truth=["x", None])
    assert some.joined.select("row", "truth").rows() == [(9, "x")]


def test_labels_of_nobody_and_of_another_version_are_counted(folder: Path) -> None:
    found = join(folder, request_id=["1-0", "gone", "gone", "3-0", None], truth=[1, 1, 0, 1, 1])
    assert (found.joined.height, found.given, found.unknown) == (1, 5, 4)
    none = join(folder, request_id=["gone"], truth=[1])
    assert (none.joined.height, none.unknown) == (0, 1)


def test_rows_that_wait_are_counted_once_though_they_have_two_lines(folder: Path) -> None:
    found = join(folder, request_id=["1-0", "1-39"], truth=[1, 0])
    assert found.waiting == 38
    assert found.joined["probabilities"].null_count() == 0  # both lines became one row


def test_rows_that_are_no_numbers_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="holds no numbers of rows"):
        join(folder, request_id=["1-0"], row=["first"], truth=[1])


def test_metrics_of_late_labels_are_kept_when_they_come_and_when_they_change(store_file: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())
    store.client.create_registered_model("churn")
    seen = drifting()

    def look(*values: float) -> list[tuple[int, float]]:
        measured = tuple(
            Performance(span.began, span.ended, 500, (Number("accuracy", value),))
            for span, value in zip(seen.spans, values, strict=False)
        )
        kept = keeping.kept(store, WATCHED, replace(seen, measured=measured), alerts.compared((), ()))
        assert kept.run_id is not None
        held = store.client.get_metric_history(kept.run_id, "accuracy")
        return [(one.step, one.value) for one in sorted(held, key=lambda one: (one.timestamp, one.step))]

    ends = [int(span.ended) for span in seen.spans]
    assert look() == []
    assert look(0.8) == [(ends[0], 0.8)]
    assert look(0.8, 0.7) == [(ends[0], 0.8), (ends[1], 0.7)]
    assert look(0.8, 0.6) == [(ends[0], 0.8), (ends[1], 0.7), (ends[1], 0.6)]
    assert len(look(0.8, 0.6)) == 3


def test_a_look_without_labels_leaves_alerts_of_performance_open(store_file: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())
    store.client.create_registered_model("churn")
    worse = Alert("performance", "roc_auc", "It is worse.", since="2026-01-02T00:00:00+00:00").at(
        "churn", "3"
    )
    older = Alert("performance", "roc_auc", "It was worse.").at("churn", "2")
    alerts.settle(store, "churn", alerts.compared((), (worse, older)))
    calm = drifting(fault=99)
    seen, changed = keeping.settled(store, WATCHED, calm)
    assert [one.key for one in changed.over] == [older.key]
    assert [one.key for one in alerts.opened(store, "churn")] == [worse.key]
    assert seen.over == changed.over
    labelled = replace(calm, labelled=Labelled(given=500, joined=500))
    assert [one.key for one in keeping.settled(store, WATCHED, labelled)[1].over] == [worse.key]
    assert alerts.opened(store, "churn") == ()
