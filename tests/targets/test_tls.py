"""An endpoint over TLS: what it shows, what it refuses to be shown, and what our own client believes."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from certificates import Authority, make
from served import EXAMPLE, answer_of, ask_for, end_all, make_model, runs, state_of, target, until

from mlops_magics.artifact.certificate import checked, shown, trusting
from mlops_magics.artifact.order import Order
from mlops_magics.artifact.proof import environment
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError, UsageError
from mlops_magics.steps.deploy.facts import guard_of
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.call import call


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


def _client(file: Path) -> ssl.SSLContext:
    """A client that knows nothing of ours: it trusts the file and checks the name."""
    return ssl.create_default_context(cafile=str(file))


def _shown(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def test_an_endpoint_answers_over_tls_and_goes_on_so(tmp_path: Path, state: Path) -> None:
    file, key = make(tmp_path / "tls", "localhost", "flights.example.org")
    local = target(state)
    first = local.deploy(ask_for(tmp_path, certificate=checked(file, key)))
    assert first.url == f"https://localhost:{first.port}"
    assert first.certificate == file
    assert answer_of(local) == 1.0
    (listed,) = local.list()
    assert (listed.status, listed.url, listed.certificate) == ("ready", first.url, file)
    assert httpx.get(f"{first.url}/ping", verify=_client(file)).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{first.port}/ping")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{first.url}/ping")
    named = {"host": f"flights.example.org:{first.port}"}  # as through a forwarded port
    assert httpx.get(f"{first.url}/ping", verify=_client(file), headers=named).status_code == 200
    assert (
        httpx.get(
            f"{first.url}/ping", verify=_client(file), headers={"host": "other.example.org"}
        ).status_code
        == 403
    )

    second = local.deploy(ask_for(tmp_path, 2.0))  # says nothing of TLS
    assert (second.url, second.certificate) == (first.url, file)
    assert answer_of(local) == 2.0
    (worker,) = state_of(state).workers
    os.kill(worker, signal.SIGKILL)
    until(lambda: state_of(state).workers not in {(), (worker,)})
    assert answer_of(local) == 2.0
    assert key.read_bytes() not in b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path, state: Path) -> None:
    file, key = make(tmp_path / "tls", "localhost")
    local = target(state)
    endpoint = local.deploy(ask_for(tmp_path, certificate=checked(file, key)))
    (worker,) = state_of(state).workers
    before = _shown(endpoint.port)
    new_file, new_key = make(tmp_path / "new", "localhost")
    new_file.replace(file)  # one of the two: the endpoint goes on with what it has
    until(lambda: "not shown" in state_log(state), 15)
    assert _shown(endpoint.port) == before
    with pytest.raises(MLOpsError, match="certificate"):
        answer_of(local)
    new_key.replace(key)
    until(lambda: _shown(endpoint.port) != before, 15)
    assert answer_of(local) == 1.0
    assert state_of(state).workers == (worker,)


def state_log(state: Path) -> str:
    return "".join(path.read_text() for path in (state / "logs").iterdir())


def test_a_worker_that_starts_again_reads_the_files_anew(tmp_path: Path, state: Path) -> None:
    file, key = make(tmp_path / "tls", "localhost")
    local = target(state)
    local.deploy(ask_for(tmp_path, certificate=checked(file, key)))
    (worker,) = state_of(state).workers
    make(tmp_path / "tls", "localhost")
    os.kill(worker, signal.SIGKILL)
    until(lambda: not runs(worker))
    until(lambda: state_of(state).workers not in {(), (worker,)})
    assert answer_of(local) == 1.0


def test_what_cannot_be_shown_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file, key = make(tmp_path / "good", "localhost")
    assert checked(file, key).names == ("localhost",)
    key.chmod(0o640)
    with pytest.raises(RefusedError, match="read by others") as caught:
        checked(file, key)
    assert f"chmod 600 {key}" in caught.value.remedy
    key.chmod(0o600)
    _, other = make(tmp_path / "other", "localhost")
    with pytest.raises(RefusedError, match="no certificate with its key"):
        checked(file, other)
    with pytest.raises(RefusedError, match="no certificate with its key"):
        checked(other, other)
    with pytest.raises(RefusedError, match="expired"):
        checked(*make(tmp_path / "old", "localhost", days=-1))
    with pytest.raises(RefusedError, match="encrypted"):
        checked(*make(tmp_path / "locked", "localhost", word=b"word"))
    with pytest.raises(UnavailableError, match="cannot be read"):
        checked(tmp_path / "none.pem", key)
    with pytest.raises(UnavailableError, match="cannot be read"):
        checked(file, tmp_path / "none.pem")


def test_a_key_that_became_public_stops_the_next_version_and_not_the_live_one(
    tmp_path: Path, state: Path
) -> None:
    file, key = make(tmp_path / "tls", "localhost")
    local = target(state)
    local.deploy(ask_for(tmp_path, certificate=checked(file, key)))
    key.chmod(0o644)
    with pytest.raises(UnavailableError, match="read by others"):
        local.deploy(ask_for(tmp_path, 2.0))
    assert answer_of(local) == 1.0


class _Impostor:
    """Answers TLS at a port with a certificate, and keeps what it is sent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.heard = b""
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        line, _ = self._socket.accept()
        with line:
            try:
                with self._context.wrap_socket(line, server_side=True) as tls:
                    tls.settimeout(5)
                    self.heard = tls.recv(65536)
            except OSError:
                pass

    def close(self) -> None:
        self._thread.join(10)
        self._socket.close()


@pytest.mark.parametrize("kin", [True, False])
def test_our_client_sends_no_token_to_somebody_else(tmp_path: Path, *, kin: bool) -> None:
    authority = Authority() if kin else None
    file, _ = make(tmp_path / "ours", "localhost", authority=authority)
    theirs = checked(*make(tmp_path / "theirs", "localhost", authority=authority))
    impostor = _Impostor(shown(theirs))
    endpoint = Endpoint(
        name="flights",
        url=f"https://localhost:{impostor.port}",
        model="flights",
        version="1",
        port=impostor.port,
        pid=0,
        started=0.0,
        status="ready",
        workers=1,
        at="127.0.0.1",
        certificate=file,
    )
    try:
        with pytest.raises(MLOpsError, match="another certificate" if kin else "not accepted"):
            call(endpoint, EXAMPLE, token="secret")  # noqa: S106 - made up here
    finally:
        impostor.close()
    assert impostor.heard == b""


def test_a_living_endpoint_does_not_change_how_it_is_asked(tmp_path: Path, state: Path) -> None:
    local = target(state)
    local.deploy(ask_for(tmp_path))
    tls = checked(*make(tmp_path / "tls", "localhost"))
    with pytest.raises(UsageError, match="answers without TLS"):
        local.deploy(ask_for(tmp_path, certificate=tls))
    with pytest.raises(UsageError, match="answers at 127"):
        local.deploy(ask_for(tmp_path, host="127.0.0.2"))
    assert answer_of(local) == 1.0


def test_beyond_loopback_an_endpoint_answers_over_tls_only(tmp_path: Path, state: Path) -> None:
    with pytest.raises(UsageError, match="beyond this machine") as caught:
        guard_of("0.0.0.0", None, None, "local")  # noqa: S104 - it is refused
    assert "--certificate" in caught.value.remedy
    with pytest.raises(UsageError, match="no address"):
        guard_of("flights.example.org", None, None, "local")
    with pytest.raises(UsageError, match="go together"):
        guard_of(None, tmp_path / "x", None, "local")
    file, key = make(tmp_path / "tls", "flights.example.org", "localhost")
    guard = guard_of("0.0.0.0", file, key, "local")  # noqa: S104 - over TLS
    local = target(state)
    asked = ask_for(tmp_path, host=guard.host, certificate=guard.certificate)
    endpoint = local.deploy(asked)
    assert endpoint.url == f"https://flights.example.org:{endpoint.port}"
    assert answer_of(local) == 1.0
    with socket.create_connection(("127.0.0.2", endpoint.port)) as line:  # not the address of loopback
        context = trusting(file)
        with context.wrap_socket(line) as tls:
            tls.sendall(b"GET /ping HTTP/1.1\r\nHost: flights.example.org\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in tls.recv(4096)
    local.deploy(ask_for(tmp_path, 2.0))
    assert answer_of(local) == 2.0


def test_a_supervisor_refuses_an_order_to_listen_beyond_loopback_without_tls(tmp_path: Path) -> None:
    order = Order(
        name="flights",
        model_path=tmp_path / "model",
        model="flights",
        version="7",
        digest=make_model(tmp_path / "model", 7.0),
        token_sha256=hashlib.sha256(b"token").hexdigest(),
        state_path=tmp_path / "endpoints" / "flights.json",
        log_path=tmp_path / "logs" / "flights.log",
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "mlops_magics.serving", "serve"],
        stdin=subprocess.PIPE,
        env=environment(os.environ),
        start_new_session=True,
    ) as process:
        process.communicate(replace(order, host="0.0.0.0").to_json() + b"\n")  # noqa: S104 - it is refused
    until(lambda: (found := State.read(order.state_path)) and found.status == "failed", 20)
    found = State.read(order.state_path)
    assert found is not None
    assert "beyond this machine" in str(found.error)
    until(lambda: not runs(found.pid))
