"""A live endpoint that is asked wrongly, by strangers, or whose processes are killed while it changes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

sys.path.append(str(Path(__file__).parent.parent / "targets"))

from served import EXAMPLE, answer_of, ask_for, end_all, family, state_of, target, until

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.serving.access import OPEN
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.local import LocalTarget


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("faults") / "state"
    yield folder
    end_all(folder)


@pytest.fixture
def endpoint(tmp_path: Path, state: Path) -> Endpoint:
    """One endpoint for all of these tests, at version 1 when each begins, with none that drain."""
    found = target(state).deploy(ask_for(tmp_path))
    until(lambda: len(family(found.pid)) == 2)
    return found


def _heads(state: Path) -> dict[str, str]:
    token = target(state).key_file("flights").read_text()
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def test_no_route_of_the_whole_description_answers_a_stranger(endpoint: Endpoint, state: Path) -> None:
    heads = _heads(state)
    token = heads["authorization"].partition(" ")[2]
    with httpx.Client(base_url=endpoint.url) as client:
        document = client.get("/openapi.json", headers=heads).json()
        routes = [
            *document["paths"],
            "/",
            "/invocations/",
            "//invocations",
            "/v2/models",
            "/.env",
            "/%2e%2e/x",
        ]
        assert len(document["paths"]) > 12
        for path in routes:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
                wanted = {200} if path in OPEN and method in {"GET", "HEAD"} else {401}
                for stranger in (
                    {},
                    {"authorization": "Bearer x"},
                    {"authorization": f"Basic {token}"},
                    {"cookie": f"token={token}"},
                    {"x-mlops-trial": "x"},
                ):
                    answer = client.request(method, path, headers=stranger)
                    assert answer.status_code in wanted, (method, path, stranger)
                answer = client.request(method, path, params={"token": token})
                assert answer.status_code in wanted
                foreign = client.request(method, path, headers={**heads, "host": "evil.example.org"})
                assert foreign.status_code == 403
                page = client.request(method, path, headers={**heads, "origin": "https://evil.example.org"})
                assert page.status_code == 403
    log = "".join(path.read_text() for path in (state / "logs").iterdir())
    assert token not in log


def _split(*cells: object, columns: object = ("x",)) -> bytes:
    return orjson.dumps({"dataframe_split": {"columns": columns, "data": [list(cells)]}})


BAD: dict[str, tuple[bytes, dict[str, str], int]] = {
    "a text": (_split("x"), {}, 422),
    "null": (_split(None), {}, 422),
    "a list": (_split([1.0]), {}, 422),
    "a missing column": (_split(1.0, columns=["y"]), {}, 400),
    "a wrong width": (_split(1.0, 2.0), {}, 400),
    "no rows": (b'{"dataframe_split": {"columns": ["x"], "data": []}}', {}, 400),
    "infinity": (b'{"inputs": {"x": [Infinity]}}', {}, 400),
    "a number beyond all": (b'{"inputs": {"x": [1e999]}}', {}, 400),
    "nothing": (b"", {}, 400),
    "no UTF-8": (b'{"inputs": {"x": ["\xff\xfe"]}}', {}, 400),
    "a lone surrogate": (b'{"inputs": {"x": ["\\ud800"]}}', {}, 400),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, {}, 400),
    "deep objects": (b'{"inputs":' * 20_000 + b"1" + b"}" * 20_000, {}, 400),
    "another type": (EXAMPLE, {"content-type": "text/plain"}, 415),
    "another charset": (EXAMPLE, {"content-type": "application/json; charset=utf-16"}, 415),
    "another coding": (EXAMPLE, {"content-encoding": "br"}, 415),
    "no gzip": (EXAMPLE, {"content-encoding": "gzip"}, 400),
    "100 MB": (b" " * 100_000_000, {}, 413),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_asked_wrongly_is_refused_and_the_next_one_answered(
    name: str, endpoint: Endpoint, state: Path
) -> None:
    body, more, status = BAD[name]
    before = state_of(state).workers
    with httpx.Client(base_url=endpoint.url, headers=_heads(state), timeout=60) as client:
        try:
            answer = client.post("/invocations", content=body, headers=more)
        except httpx.TransportError:  # it does not take the rest of what is too large
            assert status == 413
        else:
            assert answer.status_code == status
            assert set(answer.json()) == {"error_code", "message", "column", "row", "request_id"}
        assert client.post("/invocations", content=EXAMPLE).json() == {"predictions": [1.0, 1.0]}
    assert state_of(state).workers == before


@pytest.mark.parametrize(
    "line",
    [
        b"GET /ping HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET  / \r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_leaves_the_others_alone(line: bytes, endpoint: Endpoint, state: Path) -> None:
    before = state_of(state).workers
    with socket.create_connection(("127.0.0.1", endpoint.port), 10) as raw, contextlib.suppress(OSError):
        raw.sendall(line)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass
    assert answer_of(target(state)) == 1.0
    assert state_of(state).workers == before


def _trial_workers(state: Path, supervisor: int) -> list[int]:
    live = state_of(state).workers
    return [each.pid for each in psutil.Process(supervisor).children() if each.pid not in live]


class _Asking(threading.Thread):
    """Asks over connections of its own until it is told to stop; what is no answer counts."""

    def __init__(self, local: LocalTarget) -> None:
        super().__init__()
        self.local, self.over = local, threading.Event()
        self.answers: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.answers.append(answer_of(self.local))
            except MLOpsError as error:
                self.failures.append(str(error))


def test_a_new_version_that_is_killed_while_it_loads_costs_no_request(
    tmp_path: Path, endpoint: Endpoint, state: Path
) -> None:
    local = target(state)
    asking, caught = _Asking(local), []

    def deploy() -> None:
        try:
            local.deploy(ask_for(tmp_path, 2.0, workers=2))
        except UnavailableError as error:
            caught.append(error)

    asking.start()
    try:
        deploying = threading.Thread(target=deploy)
        deploying.start()
        until(lambda: _trial_workers(state, endpoint.pid), 20)
        os.kill(_trial_workers(state, endpoint.pid)[0], signal.SIGKILL)  # as a system without memory does
        deploying.join(60)
    finally:
        asking.over.set()
        asking.join(30)
    assert "ended by SIGKILL" in caught[0].what
    assert "version 1 still answers" in caught[0].what
    assert (asking.failures, set(asking.answers)) == ([], {1.0})
    until(lambda: len(family(endpoint.pid)) == 2)


def test_a_live_worker_that_is_killed_during_a_change_never_mixes_versions(
    tmp_path: Path, endpoint: Endpoint, state: Path
) -> None:
    local = target(state)
    (worker,) = state_of(state).workers
    asking = _Asking(local)
    asking.start()
    try:
        deploying = threading.Thread(target=lambda: local.deploy(ask_for(tmp_path, 2.0)))
        deploying.start()
        until(lambda: _trial_workers(state, endpoint.pid), 20)
        os.kill(worker, signal.SIGKILL)
        deploying.join(60)
        until(lambda: asking.answers and asking.answers[-1] == 2.0, 20)
    finally:
        asking.over.set()
        asking.join(30)
    assert set(asking.answers) <= {1.0, 2.0}
    assert (state_of(state).version, state_of(state).pid) == ("2", endpoint.pid)
    until(lambda: len(family(endpoint.pid)) == 2)


def test_a_file_that_is_linked_in_from_elsewhere_is_not_served(tmp_path: Path, state: Path) -> None:
    local = target(state)
    secret = tmp_path / "secret"
    secret.write_text("sesame")
    request = ask_for(tmp_path, 7.0, name="linked")
    (request.model_path / "more").hardlink_to(secret)
    with pytest.raises(UnavailableError, match="more was added"):
        local.deploy(request)
    (request.model_path / "more").unlink()
    (request.model_path / "model.skops").rename(tmp_path / "away")
    (request.model_path / "model.skops").symlink_to(tmp_path / "away")
    with pytest.raises(UnavailableError, match="no plain file"):
        local.deploy(request)
    assert not [path for path in state.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()]
