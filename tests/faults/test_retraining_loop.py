"""The whole loop, with a real server and traffic: a planted fault, alert, retraining, gate, refresh."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pytest
from prepared import Prepared, begin
from retrained import COLUMNS, champion, notebook, rows_of, with_gaps

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import deploy
from mlops_magics.steps.monitor import monitor
from mlops_magics.steps.predict import predict
from mlops_magics.steps.retrain import retrain
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import alerts, moves, registry, retrainings
from mlops_magics.tracking.store import Store


def usual_rows(count: int) -> pd.DataFrame:
    """Make rows like those that the champion was fitted on."""
    return with_gaps(rows_of(count, seed=7, limit=45.0, spread=20.0))


def in_months(rows: pd.DataFrame) -> pd.DataFrame:
    """Plant the fault: somebody upstream began to write ages in months."""
    return rows.assign(age=12 * rows["age"])


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    known = rows[COLUMNS].astype(object)
    return known.where(known.notna(), None).to_dict("records")


class Traffic:
    """One row after another for the length of a ``with`` block; every answer that is none counts."""

    def __init__(self, rows: pd.DataFrame) -> None:
        local = LocalTarget(Settings.discover(), Settings.discover().store)
        (endpoint,) = local.list()
        self.versions, self.failures = list[str](), list[str]()
        self._url, self._token = f"{endpoint.url}/invocations", local.key_file("flights").read_text()
        self._rows, self._over = _records(rows), threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        heads = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        place = 0
        while not self._over.wait(0.02):
            body = json.dumps({"dataframe_records": [self._rows[place % len(self._rows)]]}).encode()
            try:
                request = urllib.request.Request(self._url, body, heads)  # noqa: S310 - our own loopback
                with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                    assert json.load(response)["predictions"] in ([0], [1])
                    self.versions.append(response.headers["x-model-version"] or "")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that was lost
                self.failures.append(repr(error))
            place += 1


@pytest.fixture
def store(
    shell: Any, run: Callable[..., Any], store_file: Path, project: Path, prepared: Prepared
) -> Iterator[Store]:
    """An endpoint that follows its champion, the notebook that trained it, and rows with the fault."""
    assert store_file.is_file()
    begin(shell, run)
    prepared.copy_into(project, shell.user_ns)
    notebook(project / "train.ipynb")
    in_months(with_gaps(rows_of())).to_parquet(project / "new.parquet")
    (project / "policy.toml").write_text("machine = true\n")
    run(shell, "%mlops_promote flights --policy policy.toml")
    opened = champion()
    deploy("flights@champion", follow=True)
    yield opened
    deploy("flights", remove=True)


def looped(**options: Any) -> Any:
    asked = {"data": "new.parquet", "cursor": "number", "target": "late", "when": "drift", "watch": "2s"}
    return retrain("flights", notebook=("train.ipynb",), promote="champion", **{**asked, **options})


def answered(rows: pd.DataFrame) -> None:
    """Let the endpoint answer rows, and wait until its journal has them."""
    predict("flights", rows[COLUMNS])
    until = time.monotonic() + 30
    while deploy("flights", traffic="10m").rows < len(rows):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_an_alert_ends_in_a_refreshed_endpoint_without_a_lost_request(store: Store) -> None:
    usual = usual_rows(800)
    answered(usual)
    found = looped()
    assert (found.outcome, found.why) == ("skipped", "'drift' does not hold: no drift.")
    with Traffic(in_months(usual)) as traffic:
        answered(in_months(usual_rows(2400)))
        seen = monitor("flights")
        assert not seen.holds
        assert "age" in {one.subject for one in seen.alerts}
        keys = {one.key for one in alerts.opened(store, "flights")}
        found = looped()
        assert (found.outcome, found.version, found.before) == ("promoted", "2", "1"), found
        assert found.reason == "drift"
        assert "flights answers with version 2." in found.notes
        (endpoint,) = deploy().endpoints
        assert (endpoint.version, endpoint.follows, endpoint.remark) == ("2", "champion", "")
        asked = len(traffic.versions)
        time.sleep(1.0)
        assert len(traffic.versions) > asked
        # The same alarm again, and again: it was answered.
        assert "has answered these alerts already" in looped().why
    assert traffic.failures == []
    assert registry.aliases_of(store, "flights")["champion"] == "2"
    attempt = next(one for one in retrainings.attempts(store, "flights") if one.outcome == "promoted")
    assert set(attempt.answers) == keys
    assert f"retrained ({attempt.id}): drift" in registry.moves_of(store, "flights")[-1].reason


@pytest.mark.slow
def test_where_the_gate_refuses_the_endpoint_keeps_the_champion(store: Store) -> None:
    rows = in_months(usual_rows(2400))
    with Traffic(rows) as traffic:
        answered(rows)
        found = looped(parameters=("noise=0.5",))
        assert (found.outcome, found.exit_code, found.version) == ("refused", 3, "2"), found
        assert "the gate champion" in found.why or "the gate quality" in found.why
        time.sleep(2.0)  # whoever follows looks every second
        (endpoint,) = deploy().endpoints
        assert (endpoint.version, endpoint.remark) == ("1", "")
        predict("flights", rows[COLUMNS].head(10))
    assert traffic.failures == []
    assert registry.aliases_of(store, "flights") == {"candidate": "2", "champion": "1"}


@contextlib.contextmanager
def _crashing_once_it_answers(version: str, *, before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Kill the endpoint as soon as it answers with a version."""

    def crash() -> None:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            (endpoint,) = deploy().endpoints
            if endpoint.version == version:
                before()
                os.kill(endpoint.pid, signal.SIGKILL)
                return
            time.sleep(0.2)

    thread = threading.Thread(target=crash)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.slow
def test_what_somebody_else_has_promoted_meanwhile_is_not_rolled_back(store: Store) -> None:
    answered(in_months(usual_rows(2400)))

    def by_hand() -> None:
        moves.point(store, "flights", "champion", "1", reason="by hand", kind="promotion")

    with _crashing_once_it_answers("2", before=by_hand):
        found = looped(watch="60s")
    assert (found.outcome, found.version) == ("promoted", "2"), found
    assert "somebody has made version 1 the champion since, and it stays" in found.why
    assert registry.moves_of(store, "flights")[-1].reason == "by hand"
    assert registry.aliases_of(store, "flights")["champion"] == "1"


@pytest.mark.slow
def test_where_the_endpoint_goes_down_with_the_new_version_it_is_rolled_back(store: Store) -> None:
    answered(in_months(usual_rows(2400)))
    with _crashing_once_it_answers("2"):
        found = looped(watch="60s")
    assert (found.outcome, found.exit_code, found.before) == ("rolled back", 3, "1"), found
    assert "he endpoint flights is down" in found.why
    assert registry.aliases_of(store, "flights")["champion"] == "1"
    last = registry.moves_of(store, "flights")[-1]
    assert (last.kind, last.new) == ("rollback", "1")
    assert "went wrong: the endpoint flights is down" in last.reason


@pytest.mark.slow
def test_where_other_rows_come_than_it_was_fitted_on_it_is_rolled_back(store: Store) -> None:
    answered(in_months(usual_rows(2400)))
    with Traffic(usual_rows(800)) as traffic:  # who wrote months does so no more: 50 rows a second
        found = looped(watch="30s")
    assert (found.outcome, found.exit_code, found.before) == ("rolled back", 3, "1"), found
    assert "lights drifts in age" in found.why
    assert traffic.versions.count("2") > 200
    assert traffic.failures == []
    assert registry.aliases_of(store, "flights")["champion"] == "1"
    assert "drifts in age" in registry.moves_of(store, "flights")[-1].reason


@pytest.mark.slow
def test_where_it_breaks_a_rule_of_service_it_is_rolled_back(store: Store, project: Path) -> None:
    rows = in_months(usual_rows(2400))
    answered(rows)
    (project / "pyproject.toml").write_text('[tool.mlops_magics.slo]\np99 = "0.001ms"\n')
    with Traffic(rows) as traffic:
        found = looped(watch="5s")
    assert (found.outcome, found.before) == ("rolled back", "1"), found
    assert "requests to flights took more than 0.001 ms; the project asks for 99 of 100" in found.why
    assert traffic.failures == []
    assert registry.aliases_of(store, "flights")["champion"] == "1"
