"""Monitoring through the road: a real endpoint with real requests, and rows of a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.cli.command import main
from mlops_magics.tracking import alerts
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


@pytest.fixture
def cleaned(book: Book) -> Iterator[None]:
    """Take every endpoint away at the end."""
    yield
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


def rows_of(rows: int, seed: int, **changed: Any) -> pd.DataFrame:
    """Make rows as those that the prepared model was fitted on."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "size": random.normal(size=rows),
            "age": random.integers(1, 90, rows).astype(float),
        }
    )
    table.loc[::7, "town"] = None
    table.loc[::5, "size"] = None
    table["late"] = (table["age"] + 20 * random.normal(size=rows) > 45).astype(int)
    return table.assign(**changed)


def until(book: Book, rows: int) -> None:
    """Wait until the journal has so many rows."""
    deadline = time.monotonic() + 20
    while book("%mlops_deploy flights --traffic 10m").rows < rows:
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("cleaned", "registered")
def test_an_endpoint_is_watched_from_its_journal(book: Book, shell: Any) -> None:
    book("%mlops_deploy flights/1")
    shell.user_ns["usual"] = rows_of(600, 3)
    asked = book("%mlops_predict flights usual --proba")
    until(book, 600)
    seen = book("%mlops_monitor flights --window 1h -o seen")
    assert (seen.place, seen.model, seen.version) == ("flights", "flights", "1")
    assert (seen.rows, seen.requests) == (600, 1)  # what deploying asked is none of it
    assert seen.holds, seen
    assert seen.drift.judged
    assert {each.name for each in seen.drift.columns} == {"town", "size", "age"}
    assert set(seen.latency) == {"decode", "queue", "predict", "encode", "all"}
    facts = seen.facts()
    assert facts["drift"] is False
    assert facts["errors"] == 0
    assert facts["p99"] > 0
    again = book("%mlops_monitor flights --window 1h")
    assert (again.rows, again.run_id) == (600, seen.run_id)
    labels = pd.DataFrame({"request_id": asked.request_id, "late": shell.user_ns["usual"]["late"]})
    shell.user_ns["labels"] = labels[:500]
    late = book("%mlops_monitor flights --labels labels --target late")
    assert (late.labelled.joined, late.labelled.waiting) == (500, 100)
    assert late.performance.numbers[0].name == "roc_auc"
    assert not late.performance.numbers[0].estimated
    assert late.facts()["auc"] == late.facts()["roc_auc"] > 0.7
    assert "Monitor flights" in str(late)
    for secret in (shell.user_ns["usual"]["town"][1],):
        assert secret not in late.to_json()


@pytest.mark.usefixtures("cleaned", "registered")
def test_a_planted_fault_is_an_alert_that_explains_itself(
    book: Book, shell: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book("%mlops_deploy flights/1")
    bad = rows_of(800, 4)
    bad["age"] *= 1000
    shell.user_ns["bad"] = bad
    asked = book("%mlops_predict flights bad")
    until(book, 800)
    seen = book("%mlops_monitor flights")
    assert not seen.holds
    alert = next(one for one in seen.alerts if one.subject == "age")
    assert alert.kind == "drift"
    assert alert.cause.startswith("unit change")
    assert asked.request_id in alert.examples
    assert alert.since
    assert alert.segment
    assert alert.then == "%mlops_deploy flights --traffic 1h"
    assert seen.facts()["drift"] is True
    store = open_store(Settings.discover())
    assert [one.key for one in alerts.opened(store, "flights")] == [one.key for one in seen.alerts]
    again = book("%mlops_monitor flights")
    assert [one.key for one in again.alerts] == [one.key for one in seen.alerts]
    assert len(list(alerts.everywhere(store))) == len(seen.alerts)
    assert main(["monitor", "flights", "--alerts", str(project / "alerts.jsonl")]) == 1
    assert alert.cause[:20] in capsys.readouterr().out
    assert not (project / "alerts.jsonl").exists()  # nothing is new


@pytest.mark.usefixtures("registered")
def test_rows_of_a_table_by_windows_of_time(book: Book, shell: Any, project: Path) -> None:
    usual = rows_of(3000, 5).assign(when=pd.date_range("2026-01-01", periods=3000, freq="10min"))
    later = rows_of(1500, 6).assign(when=pd.date_range("2026-02-01", periods=1500, freq="10min"))
    later.loc[::2, "town"] = "Cairo"
    shell.user_ns["year"] = pd.concat([usual, later])
    line = "%mlops_monitor flights/1 --data year --time when --window 2d --target late"
    seen = book(f"{line} --page page.html --prometheus numbers.prom -o seen")
    alert = next(one for one in seen.alerts if one.subject == "town")
    assert alert.cause.startswith("new category")
    assert "Cairo" in alert.segment
    assert alert.since.startswith("2026-01-")  # the window in which the last usual rows lie as well
    assert len(seen.measured) > 10
    assert seen.performance.numbers[0].name == "roc_auc"
    page = (project / "page.html").read_text()
    assert page.count("<svg") >= 4
    assert "Cairo" in page
    assert 'mlops_monitor_alerts{endpoint="rows of flights"' in (project / "numbers.prom").read_text()
    shell.user_ns["usual"] = usual
    quiet = book("%mlops_monitor flights/1 --data usual --time when --window 2d")
    assert quiet.holds, quiet
    assert [one.subject for one in quiet.over] == [one.subject for one in seen.alerts]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("", UsageError, "Which endpoint"),
        ("flihgts", NotFoundError, "no endpoint flihgts"),
        ("flights --window soon", UsageError, "--window cannot be 'soon'"),
        ("flights --data table --labels table", UsageError, "belong to a journal"),
        ("flights --time late", UsageError, "--time names a column"),
        ("flights/1 --data table --time late", UsageError, "holds numbers"),
        ("flights/1 --data table --time nothing", NotFoundError, "no column 'nothing'"),
        ("flights/1 --data table --alarm often", UsageError, "no budget"),
        ("flights --all", UsageError, "every endpoint"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    book: Book, line: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        book(f"%mlops_monitor {line}")


@pytest.mark.usefixtures("registered")
def test_what_counts_as_usual_is_tried_and_shown(book: Book, shell: Any) -> None:
    usual = rows_of(6000, 7).assign(when=pd.date_range("2026-01-01", periods=6000, freq="10min"))
    usual.loc[::12, "town"] = "Cairo"  # not in the rows that it was fitted on, and normal here
    later = rows_of(900, 8).assign(when=pd.date_range("2026-02-12", periods=900, freq="10min"))
    later.loc[::2, "town"] = "Paris"
    line = "%mlops_monitor flights/1 --data rows --time when --window 2d --usual 30d --alarm 2/year"
    shell.user_ns["rows"] = usual
    calm = book(line)
    assert calm.holds, calm
    assert "there would have been" in calm.alarm
    assert not book(line.replace(" --usual 30d", "")).holds
    shell.user_ns["rows"] = pd.concat([usual, later])
    assert [one.subject for one in book(line).alerts if one.kind == "drift"] == ["town"]
    with pytest.raises(UsageError, match="All of the time"):
        book(line.replace("30d", "90d"))
