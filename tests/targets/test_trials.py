"""What a deploy itself asks an endpoint is no traffic: not in the journal, the metrics or what is watched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from served import EXAMPLE, answer_of, ask_for, end_all, state_of, target, until

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.paths import order_path
from mlops_magics.serving.journal import files
from mlops_magics.steps.deploy.traffic import read
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.local import LocalTarget


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


def _metrics(local: LocalTarget) -> str:
    return local.look("flights", "/metrics").body.decode()


def _lines(endpoint: Endpoint) -> int:
    assert endpoint.journal is not None
    return len(read("flights", endpoint.journal, 600.0).frame)


def test_a_deploy_leaves_no_traffic_whichever_way_it_tries_a_version(tmp_path: Path, state: Path) -> None:
    local = target(state)
    ways = (
        ask_for(tmp_path, 1.0),
        ask_for(tmp_path, 2.0),
        ask_for(tmp_path, 3.0, beside="canary", percent=50.0),
        ask_for(tmp_path, 3.0, beside="shadow"),
    )
    for request in ways:
        endpoint = local.deploy(request)
        told = _metrics(local)
        assert "/invocations" not in told
        assert "mlops_rows_total" in told
        assert 'outcome="answered"} 1' not in told
    time.sleep(1.2)  # the journal is half a second behind
    assert _lines(endpoint) == 0
    assert answer_of(local) == 2.0
    until(lambda: _lines(endpoint) == 4)  # two rows, and the shadow's
    told = _metrics(local)
    assert 'route="/invocations",status="200"} 1' in told
    assert 'version="2",role="live",outcome="answered"} 1' in told
    assert 'version="3",role="shadow",outcome="answered"} 1' in told


def test_nobody_else_can_ask_without_being_counted(tmp_path: Path, state: Path) -> None:
    local = target(state)
    endpoint = local.deploy(ask_for(tmp_path))
    kept = Order.from_json(order_path(next((state / "endpoints").glob("*.json"))).read_bytes())
    assert kept.trial_sha256 == ""
    token = local.key_file("flights").read_text()
    words = ("", "x", token, kept.token_sha256, "0" * 64)
    heads = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    for word in words:
        asked = httpx.post(
            f"{endpoint.url}/invocations", content=EXAMPLE, headers=heads | {"x-mlops-trial": word}
        )
        assert asked.status_code == 200
    bare = httpx.post(f"{endpoint.url}/invocations", content=EXAMPLE, headers={"x-mlops-trial": "x"})
    assert bare.status_code == 401
    assert f'route="/invocations",status="200"}} {len(words)}' in _metrics(local)
    until(lambda: len(files.paths(endpoint.journal or tmp_path)) > 0)
    until(lambda: _lines(endpoint) == 2 * len(words))
    assert state_of(state).status == "ready"
