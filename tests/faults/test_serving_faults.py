from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import psutil
import pytest

sys.path.append(str(Path(__file__).parent.parent / "targets"))

from served import EXAMPLE, Pool, answer_of, ask_for, end_all, family, pool, runs, state_of, target, until

from mlops_magics.artifact import manifest
from mlops_magics.artifact.state import Change, Fault, Following, State
from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.targets.base import Endpoint


@pytest.fixture(scope="module")
def warm() -> Iterator[Pool]:
    yield from pool(3)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shared") / "state"
    yield folder
    end_all(folder)


@pytest.fixture
def endpoint(tmp_path: Path, shared: Path, warm: Pool) -> Endpoint:
    """One endpoint for many tests, at version 1 when each begins."""
    return target(shared).deploy(ask_for(tmp_path), standby=None if target(shared).list() else warm.take())


@pytest.mark.usefixtures("endpoint")
def test_a_killed_worker_is_replaced(shared: Path) -> None:
    local, state = target(shared), shared
    (worker,) = state_of(state).workers
    os.kill(worker, signal.SIGKILL)
    until(lambda: (found := state_of(state).workers) and worker not in found)
    assert answer_of(local) == 1.0

    (kept,) = (state / "models").iterdir()
    model, spoilt = kept / "model.skops", kept / "spoilt"
    spoilt.write_bytes(model.read_bytes())  # each worker checks the whole folder before it loads
    os.kill(state_of(state).workers[0], signal.SIGKILL)
    until(lambda: state_of(state).status == "failed")
    error = state_of(state).error
    assert error is not None
    assert "spoilt was added" in error.what
    assert [endpoint.status for endpoint in local.list()] == ["failed"]
    spoilt.unlink()
    assert answer_of(local) == 1.0
    until(lambda: [endpoint.status for endpoint in local.list()] == ["ready"])  # noted after it answers


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts from the boot")
@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_setting_the_clock_leaves_an_endpoint_alone(
    endpoint: Endpoint, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    told = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: told(process) + seconds)
    local = target(shared)
    assert [(one.pid, one.status) for one in local.list()] == [(endpoint.pid, "ready")]
    again = local.deploy(ask_for(tmp_path, 2.0))
    assert (again.pid, again.port, answer_of(local)) == (endpoint.pid, endpoint.port, 2.0)


def test_a_taken_port_is_named_and_nothing_stays(tmp_path: Path, state: Path) -> None:
    local = target(state)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"Port {port} ") as caught:
            local.deploy(ask_for(tmp_path, port=port))
    assert "another port" in caught.value.remedy
    assert local.list() == ()
    assert [path.name for path in state.rglob("*") if path.is_file()] == ["deploy.lock"]


def test_a_version_that_fails_leaves_the_old_one_serving(
    tmp_path: Path, shared: Path, endpoint: Endpoint
) -> None:
    local, state, before = target(shared), shared, endpoint
    old = state_of(state).workers

    tampered = ask_for(tmp_path, 2.0)
    model = tampered.model_path / "model.skops"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    unreadable = ask_for(tmp_path, 3.0)
    (unreadable.model_path / "model.skops").write_bytes(b"no model")
    unreadable = replace(unreadable, digest=manifest.write(unreadable.model_path))
    disagreeing = replace(ask_for(tmp_path, 4.0), expected=[4.0, 5.0])
    refusing = replace(ask_for(tmp_path, 5.0), example=b'{"dataframe_split": {}}')
    linked = ask_for(tmp_path, 6.0)
    (linked.model_path / "link").symlink_to("/etc/passwd")

    for request, said in (
        (tampered, r"model\.skops differs"),
        (unreadable, "cannot be"),
        (disagreeing, "other predictions"),
        (refusing, "did not accept"),
        (linked, "no plain file"),
    ):
        with pytest.raises(UnavailableError, match=said) as caught:
            local.deploy(request)
        assert "version 1 still answers" in caught.value.what
        assert answer_of(local) == 1.0
        assert local.list() == (replace(before, replaced=None),)
    assert state_of(state).workers == old
    assert [path.name for path in (state / "models").iterdir()] == [
        ask_for(tmp_path).digest.removeprefix("sha256:")
    ]
    until(lambda: len(family(before.pid)) == 2)  # the supervisor and its worker: no trial is left
    assert not list((state / "endpoints").glob("*.mail"))


def test_a_first_version_that_fails_leaves_nothing(tmp_path: Path, state: Path, warm: Pool) -> None:
    request = ask_for(tmp_path)
    (request.model_path / "model.skops").write_bytes(b"no model")
    local = target(state)
    with pytest.raises(UnavailableError, match=r"nothing is left behind.*differs"):
        local.deploy(request)
    request = replace(request, digest=manifest.write(request.model_path))
    with pytest.raises(UnavailableError, match=r"nothing is left behind.*cannot be") as caught:
        local.deploy(request, standby=warm.take())
    assert "The log ends with" in caught.value.remedy
    assert local.list() == ()
    assert [path.name for path in state.rglob("*") if path.is_file()] == ["deploy.lock"]
    assert list((state / "models").iterdir()) == []


class Client(threading.Thread):
    """Asks as fast as it can over one kept connection; every failure counts, a reset as well."""

    def __init__(self, endpoint: Endpoint, token: str, stop: threading.Event) -> None:
        super().__init__()
        self.endpoint, self.token, self.stop = endpoint, token, stop
        self.answers: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        while not self.stop.is_set():
            try:
                connection.request("POST", "/invocations", EXAMPLE, headers)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    self.failures.append(f"{response.status} {body[:200]!r}")
                self.answers.append(orjson.loads(body)["predictions"][0])
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_no_request_fails_while_versions_change(tmp_path: Path, shared: Path, endpoint: Endpoint) -> None:
    local = target(shared)
    stop = threading.Event()
    clients = [Client(endpoint, local.key_file("flights").read_text(), stop) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        for constant in (2.0, 3.0, 4.0):
            time.sleep(0.2)
            local.deploy(ask_for(tmp_path, constant))
        with pytest.raises(UnavailableError):
            local.deploy(replace(ask_for(tmp_path, 5.0), expected=[0.0, 0.0]))
        time.sleep(1.3)  # the last old workers drain
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert [client.failures for client in clients] == [[]] * len(clients)
    for client in clients:
        assert client.answers == sorted(client.answers)  # no client ever meets an older version again
        assert client.answers[-1] == 4.0
        assert len(client.answers) > 20
    until(lambda: len(family(endpoint.pid)) == 2)


def test_a_killed_supervisor_takes_its_workers_along_and_comes_back_as_it_was(
    tmp_path: Path, shared: Path, endpoint: Endpoint, warm: Pool
) -> None:
    local = target(shared)
    token = local.key_file("flights").read_text()
    workers = state_of(shared).workers
    os.kill(endpoint.pid, signal.SIGKILL)
    assert until(lambda: not any(map(runs, (*workers, endpoint.pid))), 5) < 2
    assert [found.status for found in local.list()] == ["down"]
    with pytest.raises(UnavailableError, match="cannot be reached"):
        answer_of(local)

    with (
        socket.create_server(("127.0.0.1", endpoint.port)),
        pytest.raises(UnavailableError, match=f"stays down.*Port {endpoint.port} "),
    ):
        local.deploy(ask_for(tmp_path, 3.0))
    assert [(found.status, found.version) for found in local.list()] == [("down", "1")]

    second = local.deploy(ask_for(tmp_path, 2.0), standby=warm.take())
    assert (second.port, second.version, second.status) == (endpoint.port, "2", "ready")
    assert second.pid != endpoint.pid
    assert local.key_file("flights").read_text() == token
    assert answer_of(local) == 2.0


def test_two_deploys_at_once_come_one_after_the_other(
    tmp_path: Path, shared: Path, endpoint: Endpoint
) -> None:
    requests = [ask_for(tmp_path, constant) for constant in (2.0, 3.0)]
    served: list[Endpoint] = []
    deploys = [
        threading.Thread(target=lambda asked=asked: served.append(target(shared).deploy(asked)))
        for asked in requests
    ]
    for deploy in deploys:
        deploy.start()
    for deploy in deploys:
        deploy.join()
    assert sorted(one.version for one in served) == ["2", "3"]
    assert {one.pid for one in served} == {endpoint.pid}
    assert f"{answer_of(target(shared)):g}" == served[-1].version


def test_a_state_file_cut_anywhere_is_read_or_ignored(tmp_path: Path) -> None:
    state = State(
        name="flights",
        pid=1,
        started=2.5,
        node="here",
        birth="boot:7",
        host="127.0.0.1",
        port=3,
        model="flights",
        version="1",
        digest="sha256:0",
        workers=(4, 5),
        wanted=2,
        status="ready",
        error=Fault(what="a", remedy="b"),
        since=6.5,
        change=Change(change="c", status="failed", error=Fault(what="d", remedy="e")),
        follow=Following(alias="f", mark="g", pid=8, version="2", remark=Fault(what="h", remedy="i")),
    )
    whole = state.to_json()
    path = tmp_path / "state.json"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert State.read(path) is None
    path.write_bytes(whole)
    assert State.read(path) == state
    assert State.read(tmp_path / "none.json") is None
    path.write_bytes(whole.replace(b'"birth":"boot:7",', b""))  # as an earlier release wrote it
    assert State.read(path) == replace(state, birth="")
