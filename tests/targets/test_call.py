from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError, UsageError
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.call import call

TOKEN = "secret"  # noqa: S105 - of a server that ends with the test


class Echo(BaseHTTPRequestHandler):
    """Answers with the status that the body asks for."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = int(body.split()[0])
        said = b'{"error_code": "X", "message": "because"}' if b"json" in body else self._told()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _told(self) -> bytes:
        return f"{self.headers['Authorization']} {self.headers['Host']} {self.path}".encode()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield at(server.server_port)
        server.shutdown()
        thread.join()


def at(port: int) -> Endpoint:
    return Endpoint(
        name="flights",
        url=f"http://127.0.0.1:{port}",
        model="flights",
        version="1",
        port=port,
        pid=1,
        started=0,
        status="ready",
        workers=1,
    )


def test_an_answer_comes_with_its_headers_past_every_proxy(endpoint: Endpoint) -> None:
    answer = call(endpoint, b"200", token=TOKEN)
    assert answer.status == 200
    assert answer.body.decode() == f"Bearer secret 127.0.0.1:{endpoint.port} /invocations"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UsageError),
        (401, RefusedError),
        (403, RefusedError),
        (413, UsageError),
        (415, UsageError),
        (422, UsageError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
        (504, UnavailableError),
    ],
)
def test_a_refusal_becomes_an_error_with_the_servers_message(
    endpoint: Endpoint, status: int, kind: type[MLOpsError]
) -> None:
    with pytest.raises(kind, match="because") as caught:
        call(endpoint, f"{status} json".encode(), token=TOKEN)
    assert caught.value.remedy
    with pytest.raises(kind):
        call(endpoint, str(status).encode(), token=TOKEN)  # another program's answer, no JSON


def test_nobody_there_is_told_with_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"port {port}"):
        call(at(port), b"200", token=TOKEN)


def test_a_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnavailableError, match=r"0\.1 seconds"),
    ):
        call(at(silent.getsockname()[1]), b"200", token=TOKEN, timeout=0.1)
