"""What monitoring says of service: refusals by column, rules of the project, every model on one page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.frontends.cli.command import main

Book = Callable[[str], Any]


@pytest.fixture
def cleaned(book: Book) -> Iterator[None]:
    """Take every endpoint away at the end."""
    yield
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


@pytest.mark.usefixtures("cleaned", "registered")
def test_refusals_rules_and_the_fleet(
    book: Book, shell: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book("%mlops_deploy flights/1")
    book("%mlops_deploy flights/1 --name other")
    shell.user_ns["wrong"] = pd.DataFrame({"town": ["Oslo"], "size": [1.0], "age": ["old"]})
    for _ in range(12):
        with pytest.raises(UsageError):
            book("%mlops_predict flights wrong;")
    for _ in range(12):
        book("%mlops_predict flights test;")
    deadline = time.monotonic() + 20
    while sum(book("%mlops_deploy flights --traffic 10m").errors.values()) < 12:
        assert time.monotonic() < deadline
    time.sleep(1.5)  # the journal is at most a second behind
    (project / "pyproject.toml").write_text('[tool.mlops_magics.slo]\np99 = "0.001ms"\nage = "1s"\n')
    seen = book("%mlops_monitor flights --alerts alerts.jsonl -o seen")
    found = {alert.kind: alert for alert in seen.alerts}
    assert set(found) >= {"contract", "latency", "age"}
    assert (found["contract"].subject, dict(seen.breached)) == ("age", {"age": 12})
    assert found["latency"].threshold == 0.001
    assert "most of it in" in found["latency"].segment
    assert seen.failed == 0
    lines = [json.loads(line) for line in (project / "alerts.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == set(found)
    assert {line["state"] for line in lines} == {"opened"}
    assert book("%mlops").alerts == len(seen.alerts)
    assert main(["monitor", "flights", "--json"]) == 1
    assert '"kind": "contract"' in capsys.readouterr().out
    fleet = book("%mlops_monitor --all --page fleet.html --prometheus fleet.prom")
    by_place = {one.place: one for one in fleet.members}
    assert by_place["flights"].alerts == len(seen.alerts)
    assert by_place["flights"].status == by_place["other"].status == "ready"
    assert fleet.members[0].place == "flights"
    assert not fleet.holds
    assert "flights" in (project / "fleet.html").read_text()
    assert 'endpoint="other"' in (project / "fleet.prom").read_text()
    (project / "pyproject.toml").write_text("[tool.mlops_magics.slo]\n")
    quieter = book("%mlops_monitor flights --alerts alerts.jsonl")
    assert {one.kind for one in quieter.over} == {"latency", "age"}
    last = [json.loads(line) for line in (project / "alerts.jsonl").read_text().splitlines()][-1]
    assert last["state"] == "closed"
