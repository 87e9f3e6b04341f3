"""Alerts and reports in a real store: kept while they last, written once, no matter who looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import alerts, reports
from mlops_magics.tracking.alerts import Alert
from mlops_magics.tracking.reports import Point, Report
from mlops_magics.tracking.store import Store, open_store

AGE = Alert("drift", "age", "It moved.", since="2026-01-02T00:00:00+00:00").at("churn", "3")
TOWN = Alert("drift", "town", "It moved.", since="2026-01-03T00:00:00+00:00").at("churn", "3")


@pytest.fixture
def store(store_file: Path) -> Store:
    assert store_file.is_file()
    found = open_store(Settings.discover())
    found.client.create_registered_model("churn")
    return found


def test_an_alert_is_open_until_it_is_quiet(store: Store) -> None:
    first = alerts.compared(alerts.opened(store, "churn", "churn"), [AGE, TOWN])
    assert [one.subject for one in first.new] == ["age", "town"]
    alerts.settle(store, "churn", first)
    assert len(list(alerts.everywhere(store))) == 2
    later = replace(AGE, since="2026-01-05T00:00:00+00:00", words="Still.")
    second = alerts.compared(alerts.opened(store, "churn", "churn"), [later])
    assert (second.new, [one.subject for one in second.over]) == ((), ["town"])
    assert second.going_on[0].since == AGE.since
    alerts.settle(store, "churn", second)
    (left,) = alerts.opened(store, "churn")
    assert (left.subject, left.words, left.since) == ("age", "Still.", AGE.since)
    assert alerts.opened(store, "churn", "elsewhere") == ()
    with pytest.raises(NotFoundError):
        alerts.opened(store, "chrun")


def test_a_key_tells_place_version_kind_and_subject_and_nothing_else() -> None:
    assert replace(AGE, words="Other.", number=1.0, since="").at("churn", "3").key == AGE.key
    keys = {
        AGE.key,
        TOWN.key,
        AGE.at("churn", "4").key,
        AGE.at("other", "3").key,
        replace(AGE, kind="answers").at("churn", "3").key,
    }
    assert len(keys) == 5


def test_many_who_see_the_same_open_one_alert(store: Store) -> None:
    def look(_: int) -> None:
        alerts.settle(store, "churn", alerts.compared(alerts.opened(store, "churn", "churn"), [AGE]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(20)))
    assert [one.key for one in alerts.opened(store, "churn")] == [AGE.key]


def test_secrets_and_long_texts_stay_out_of_a_tag(store: Store) -> None:
    told = replace(AGE, words="password='hunter2-hunter2' " + "x" * 9000, examples=("a",) * 50)
    alerts.settle(store, "churn", alerts.compared([], [told]))
    (kept,) = alerts.opened(store, "churn")
    assert "hunter2" not in kept.words
    assert (len(kept.words), len(kept.examples)) == (600, 5)


def test_what_is_no_alert_is_passed_over(store: Store) -> None:
    store.client.set_registered_model_tag("churn", "mlops.alert.odd", "{not json")
    store.client.set_registered_model_tag("churn", "mlops.alert.list", "[1]")
    assert alerts.opened(store, "churn") == ()


def test_reports_of_a_version_are_one_run_with_a_point_a_window(store: Store) -> None:
    def report(*points: Point, text: str) -> Report:
        return Report("e", "churn/3 at churn", points, {"monitor/newest.json": text}, {"mlops.x": text})

    first = reports.keep(store, report(Point(100.0, {"rows": 1.0}), Point(200.0, {"rows": 2.0}), text="a"))
    second = reports.keep(
        store, report(Point(200.0, {"rows": 2.0}), Point(300.0, {"rows": 3.0, "drift/a{b}": 0.5}), text="b")
    )
    assert first == second
    held = store.client.get_metric_history(first, "rows")
    assert [(one.timestamp, one.value) for one in held] == [(100_000, 1.0), (200_000, 2.0), (300_000, 3.0)]
    run = store.client.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["drift/a_b_"] == 0.5
    assert run.data.tags["mlops.x"] == "b"
    path = store.client.download_artifacts(first, "monitor/newest.json")
    assert Path(path).read_text() == "b"
