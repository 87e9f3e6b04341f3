"""The Jupyter server extension in a real Jupyter server: it answers who is logged in, and nobody else."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_magics.foundation.version import VERSION


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {name: str(folder / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")}
    command = [
        sys.executable,
        "-m",
        "jupyter_server",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
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
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while _status(f"{url}/api", None) != 200:
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _status(url: str, token: str | None) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"} if token else {})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)
    except OSError:
        return 0


def test_about_answers_only_who_is_logged_in(jupyter: str) -> None:
    url = f"{jupyter}/mlops-magics/about"
    assert _status(url, None) == 403
    assert _status(url, "wrong") == 403
    request = urllib.request.Request(url, headers={"Authorization": "token right"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
        about = json.load(response)
    assert about["mlops_magics"] == VERSION


def test_what_lands_on_install_names_the_extension() -> None:
    root = Path(__file__).resolve().parents[2]
    found = json.loads((root / "jupyter-config" / "server" / "mlops-magics.json").read_text())
    assert found == {"ServerApp": {"jpserver_extensions": {"mlops_magics.frontends.server": True}}}
