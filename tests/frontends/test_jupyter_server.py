"""The Jupyter server extension in a real Jupyter server: it answers who is logged in, and nobody else."""

from __future__ import annotations

import gzip
import html
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from many_runs import fill

from mlops_magics.foundation.settings import Settings
from mlops_magics.foundation.version import VERSION
from mlops_magics.frontends.server.acting import WRITES as ACTS
from mlops_magics.frontends.server.handlers import READS, WRITES
from mlops_magics.frontends.server.reading import READS as QUESTIONS
from mlops_magics.tracking.store import open_store

TOKEN = {"Authorization": "token right"}
BASE = "/user/ann/"  # as JupyterHub has it
ROUTES = [("GET", name) for name in ("about", "stamp", *READS)] + [("POST", name) for name in WRITES]


@dataclass
class Server:
    """A server, asked as a script or as a browser asks it."""

    port: int
    folder: Path
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: object = None
    ) -> tuple[int, Any, dict[str, str]]:
        sent = None if body is None else json.dumps(body)
        status, read, found = self.raw(method, path, headers, sent)
        try:
            return status, json.loads(read), found
        except ValueError:
            return status, None, found

    def raw(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, f"{BASE}{path}", body, headers or {})
            answer = connection.getresponse()
            read = answer.read()
            return answer.status, read, {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()

    def ours(self, method: str, name: str, **headers: str) -> int:
        body = {} if method == "POST" else None
        return self.ask(method, f"mlops-magics/{name}", headers, body)[0]

    def cookie(self) -> dict[str, str]:
        """Log in as a browser does: what it has then is a cookie, and no token in its requests."""
        if not self.cookies:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for page in ("login", "login?token=right"):  # the form brings the XSRF token
                connection.request("GET", f"{BASE}{page}")
                answer = connection.getresponse()
                answer.read()
                for value in answer.headers.get_all("Set-Cookie") or []:
                    name, _, rest = value.partition("=")
                    self.cookies[name] = rest.partition(";")[0]
            connection.close()
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "MLOPS_STATE")
    }
    command = [
        sys.executable,
        "-m",
        "jupyter_server",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.base_url={BASE}",
        "--ServerApp.open_browser=False",
        "--IdentityProvider.token=right",
        "--allow-root",
        "--ServerApp.jpserver_extensions={'mlops_magics.frontends.server': True}",
        f"--ServerApp.root_dir={folder}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=os.environ | places, stdout=log, stderr=log, start_new_session=True
        )
    server = Server(port, folder)
    try:
        deadline = time.monotonic() + 60
        while not _answers(server):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _answers(server: Server) -> bool:
    try:
        return server.ask("GET", "api")[0] == 200
    except OSError:
        return False


def test_the_routes_are_what_is_read_and_done() -> None:
    assert set(READS) == set(QUESTIONS)
    assert set(WRITES) == set(ACTS)


@pytest.mark.parametrize(("method", "name"), ROUTES)
def test_no_route_answers_a_stranger(jupyter: Server, method: str, name: str) -> None:
    host = f"127.0.0.1:{jupyter.port}"
    cookie = jupyter.cookie()
    xsrf = {"X-XSRFToken": jupyter.cookies["_xsrf"]}
    assert jupyter.ours(method, name) == 403
    assert jupyter.ours(method, name, Authorization="token wrong") == 403
    assert jupyter.ours(method, name, **TOKEN, Host="evil.test") == 403  # a name that leads here by DNS
    assert jupyter.ours(method, name, **cookie, **xsrf, Origin="http://evil.test") == 403
    assert jupyter.ours(method, name, **cookie, **xsrf, Host="evil.test") == 403
    if method == "POST":
        assert jupyter.ours(method, name, **cookie, Origin=f"http://{host}") == 403  # no XSRF token
        assert jupyter.ours("GET", name, **TOKEN) == 403 or jupyter.ours("GET", name, **TOKEN) == 405
    else:
        assert jupyter.ours("POST", name, **cookie, **xsrf) in {403, 405}


def test_who_is_logged_in_is_answered_by_token_and_by_cookie(jupyter: Server) -> None:
    assert jupyter.ask("GET", "mlops-magics/about", TOKEN)[1]["mlops_magics"] == VERSION
    assert jupyter.ask("GET", "mlops-magics/stamp", jupyter.cookie())[0] == 200


def test_looking_makes_no_store_and_says_how_to_begin(jupyter: Server) -> None:
    status, found, _ = jupyter.ask("GET", "mlops-magics/status", TOKEN)
    assert (status, found["store"]) == (200, None)
    assert found["next"] == ["%load_ext mlops_magics", f"%mlops_track {jupyter.folder.name}"]
    assert found["road"][0]["line"] == found["next"][1]
    assert not (jupyter.folder / "mlflow.db").exists()


def test_an_unchanged_answer_is_not_sent_again(jupyter: Server) -> None:
    path = "mlops-magics/models"
    _, _, headers = jupyter.ask("GET", path, TOKEN)
    status, body, _ = jupyter.ask("GET", path, TOKEN | {"If-None-Match": headers["etag"]})
    assert (status, body) == (304, None)


def test_an_answer_says_how_things_were_when_it_was_read(jupyter: Server) -> None:
    _, now, headers = jupyter.ask("GET", "mlops-magics/stamp", TOKEN)
    assert "x-mlops-stamp" not in headers
    for name in ("status", "experiments", "runs"):
        _, _, headers = jupyter.ask("GET", f"mlops-magics/{name}", TOKEN)
        assert headers["x-mlops-stamp"] == now["stamp"]
        again = TOKEN | {"If-None-Match": headers["etag"]}
        status, _, headers = jupyter.ask("GET", f"mlops-magics/{name}", again)
        assert (status, headers["x-mlops-stamp"]) == (304, now["stamp"])


def test_a_long_answer_is_packed_for_who_unpacks_it(jupyter: Server, store_template: Path) -> None:
    project = jupyter.folder / "long"
    (project / ".mlops").mkdir(parents=True)
    shutil.copy(store_template, project / "mlflow.db")
    store = open_store(Settings.discover(project, {"MLOPS_STATE": str(jupyter.folder / "mlops_state")}))
    fill(project / "mlflow.db", store.experiment_id("many"), 100, metrics=3, params=4)
    path = "mlops-magics/runs?at=long"
    _, plain, headers = jupyter.raw("GET", path, TOKEN)
    assert "content-encoding" not in headers
    _, packed, headers = jupyter.raw("GET", path, TOKEN | {"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2
    again = TOKEN | {"Accept-Encoding": "gzip", "If-None-Match": headers["etag"]}
    assert jupyter.raw("GET", path, again)[0] == 304


def test_a_folder_outside_of_the_servers_own_is_refused(jupyter: Server) -> None:
    for at in ("../..", "..%2F..%2Fetc", "x/../../.."):
        status, found, _ = jupyter.ask("GET", f"mlops-magics/status?at={at}", TOKEN)
        assert status == 400, at
        assert found["remedy"]


def test_a_refusal_says_what_and_what_to_do(jupyter: Server) -> None:
    status, found, _ = jupyter.ask("POST", "mlops-magics/deploy", TOKEN, {"model": "flights@champion"})
    assert status == 404
    assert found == {  # each as a text of the catalogue, with what belongs in its places
        "what": {"%": ["There is no store here yet."]},
        "remedy": {"%": ["%1 in a notebook makes it.", "%mlops_track NAME"]},
    }
    status, found, _ = jupyter.ask("POST", "mlops-magics/promote", TOKEN, {"model": ["x"]})
    assert status in {400, 404}
    assert set(found) == {"what", "remedy"}


@pytest.fixture(scope="module")
def pages(jupyter: Server, store_template: Path) -> tuple[str, str]:
    """MLflow's own pages of a project with a run that keeps a stranger's page; their path, and its id."""
    project = jupyter.folder / "paged"
    (project / ".mlops").mkdir(parents=True)
    shutil.copy(store_template, project / "mlflow.db")
    store = open_store(Settings.discover(project, {"MLOPS_STATE": str(jupyter.folder / "mlops_state")}))
    run = store.client.create_run(store.experiment_id("paged"))
    store.client.log_text(run.info.run_id, "<script>alert(1)</script>", "evil.html")
    status, found, _ = jupyter.ask("POST", "mlops-magics/mlflow", TOKEN, {"at": "paged"})
    assert (status, found["outside"]) == (200, False)
    path = found["url"].removeprefix(BASE)
    deadline = time.monotonic() + 120
    while (answer := jupyter.raw("GET", path, TOKEN))[0] != 200:
        assert answer[0] == 503, answer
        assert b"MLflow is starting" in answer[1]
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return path, run.info.run_id


def test_mlflows_own_pages_are_guarded_as_ours(jupyter: Server, pages: tuple[str, str]) -> None:
    path, _ = pages
    cookie = jupyter.cookie()
    xsrf = {"X-XSRFToken": jupyter.cookies["_xsrf"], "Content-Type": "application/json"}
    search = f"{path}ajax-api/2.0/mlflow/experiments/search"
    asked = {"max_results": 10}
    assert jupyter.ask("POST", search, cookie, asked)[0] == 403  # no XSRF token
    assert jupyter.ask("POST", search, {}, asked)[0] == 403
    assert jupyter.ask("POST", search, cookie | xsrf | {"Origin": "http://evil.test"}, asked)[0] == 403
    for stranger in ({}, {"Authorization": "token wrong"}, cookie | {"Host": "evil.test"}):
        assert jupyter.raw("GET", path, stranger)[0] == 403
    status, found, _ = jupyter.ask("POST", search, cookie | xsrf, asked)
    assert status == 200
    assert "paged" in {one["name"] for one in found["experiments"]}
    status, closed, _ = jupyter.raw("GET", f"mlops-magics/mlflow/{'0' * 16}/", TOKEN)
    assert status == 404
    words = re.findall(rb"data-said='([^']*)'>([^<]*)<", closed)  # as a text of the catalogue, and in English
    assert [(json.loads(html.unescape(said.decode()))["%"][0], text.decode()) for said, text in words] == [
        (text, text) for text in ("These pages are closed.", "Open them again from the MLOps panel.")
    ]


def test_nothing_but_mlflows_own_pages_acts_as_this_server(jupyter: Server, pages: tuple[str, str]) -> None:
    path, run_id = pages
    _, page, headers = jupyter.raw("GET", path, TOKEN)
    assert b"X-XSRFToken" in page
    assert "sandbox" not in headers["content-security-policy"]
    script = re.search(rb'src="(static-files/[^"]+\.js)"', page)
    assert script is not None
    status, _, headers = jupyter.raw("GET", f"{path}{script[1].decode()}", TOKEN)
    assert (status, "sandbox" in headers["content-security-policy"]) == (200, False)
    artifact = f"{path}get-artifact?path=evil.html&run_uuid={run_id}"
    status, content, headers = jupyter.raw("GET", artifact, TOKEN)
    assert (status, content) == (200, b"<script>alert(1)</script>")
    assert headers["content-security-policy"].endswith("sandbox")
    assert headers["content-disposition"].startswith("attachment")


def test_the_same_pages_are_not_started_twice(jupyter: Server, pages: tuple[str, str]) -> None:
    _, found, _ = jupyter.ask("POST", "mlops-magics/mlflow", TOKEN, {"at": "paged"})
    assert found["url"].removeprefix(BASE) == pages[0]


def test_what_lands_on_install_names_the_extension() -> None:
    root = Path(__file__).resolve().parents[2]
    found = json.loads((root / "jupyter-config" / "server" / "mlops-magics.json").read_text())
    assert found == {"ServerApp": {"jpserver_extensions": {"mlops_magics.frontends.server": True}}}
