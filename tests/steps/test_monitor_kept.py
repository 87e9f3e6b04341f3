"""A store that does not take a look: the alerts are shown all the same, and why they were not kept."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from monitorings import drifting

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.monitor import keeping
from mlops_magics.steps.monitor.fleet import Fleet, Member
from mlops_magics.steps.monitor.spans import Span
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking import alerts
from mlops_magics.tracking.alerts import Settled
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

VERSION = ModelVersion("churn", "3", made="2025-12-01T00:00:00+00:00")


def test_a_look_is_kept_with_its_windows_and_its_page(store_file: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())
    store.client.create_registered_model("churn")
    watched = Watched("churn", VERSION, None, None, None)
    seen, changed = keeping.settled(store, watched, drifting())
    seen = keeping.kept(store, watched, seen, changed)
    assert seen.run_id is not None
    assert [one.key for one in alerts.opened(store, "churn")] == [one.key for one in seen.alerts]
    history = store.client.get_metric_history(seen.run_id, "drift/town")
    assert [one.timestamp / 1000 for one in history] == [span.ended for span in seen.spans]
    assert history[-1].value > 0.5 > history[0].value
    files = {item.path for item in store.client.list_artifacts(seen.run_id, "monitor")}
    assert {"monitor/newest.json", "monitor/newest.html"} < files
    assert len(files) == 4  # a report that opened an alert stays
    again, unchanged = keeping.settled(store, watched, drifting())
    keeping.kept(store, watched, again, unchanged)
    assert (unchanged.new, unchanged.over) == ((), ())
    assert {item.path for item in store.client.list_artifacts(seen.run_id, "monitor")} == files
    assert len(store.client.get_metric_history(seen.run_id, "drift/town")) == len(history)


def test_what_cannot_be_kept_is_said_and_shown_all_the_same(store_file: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())
    odd = replace(store, settings=store.settings.with_(experiment="no/such name"))
    watched = Watched("churn", VERSION, None, None, None)  # the model is not registered, or not any more
    seen, changed = keeping.settled(odd, watched, drifting())
    seen = keeping.kept(odd, watched, seen, changed)
    assert seen.alerts
    assert not seen.holds
    assert seen.run_id is None
    alerts_note, report_note = seen.notes
    assert alerts_note.startswith("The alerts were not kept: There is no registered model 'churn'")
    assert report_note.startswith("The report was not kept")


def test_a_window_is_kept_when_it_is_over_and_not_before(store_file: Path, tmp_path: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())
    store.client.create_registered_model("churn")
    watched = Watched("churn", VERSION, tmp_path, None, None)
    seen = replace(drifting(), journal=tmp_path)
    *over, last = seen.spans

    def rows(*spans: Span) -> list[float]:
        kept = keeping.kept(store, watched, replace(seen, spans=spans), Settled((), (), ()))
        assert kept.run_id is not None
        return [one.value for one in store.client.get_metric_history(kept.run_id, "rows")]

    half = replace(last, ended=time.time() + 600, rows=400)
    assert rows(*over, half) == [800.0] * 5
    assert (
        rows(*over, replace(last, ended=time.time() - 5)) == [800.0] * 5
    )  # the last lines may be on their way
    assert rows(*over, last) == [800.0] * 6


def test_a_look_at_all_is_kept_in_one_run_and_dated_where_something_changed(store_file: Path) -> None:
    assert store_file.is_file()
    store = open_store(Settings.discover())

    def look(alerts: int) -> tuple[str, set[str]]:
        members = (Member("a", "flights", "1", status="ready", alerts=alerts), Member("", "churn", "3"))
        seen = keeping.kept_all(store, Fleet(members, 7 * 86_400.0))
        assert seen.run_id is not None
        assert seen.ids() == {"run_id": seen.run_id}
        files = {item.path for item in store.client.list_artifacts(seen.run_id, "monitor")}
        return seen.run_id, files - {"monitor/newest.json", "monitor/newest.html"}

    run, first = look(0)
    assert len(first) == 1
    assert look(0) == (run, first)
    time.sleep(1.1)  # files are named by the second
    again, second = look(2)
    assert (again, len(second)) == (run, 2)
    assert store.client.get_run(run).data.tags["mlops.monitor.alerts"] == "2"
    history = store.client.get_metric_history(run, "models")
    assert [one.value for one in history] == [2.0]  # a point a window
    odd = replace(store, settings=store.settings.with_(experiment="no/such name"))
    assert "The report was not kept" in str(keeping.kept_all(odd, Fleet((), 1.0)))
