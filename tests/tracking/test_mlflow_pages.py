"""MLflow's own pages: on a socket of this user's alone, and gone with whoever asked for them."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.pages import Pages, elsewhere, hindrance
from mlops_magics.tracking.store import open_store

ASKS = """
import sys, time
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.pages import Pages
from mlops_magics.tracking.store import open_store
print(Pages(open_store(Settings.discover()), "/pages").socket, flush=True)
time.sleep(600)
"""


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def answer(path: Path, asked: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(path))
        line.sendall(f"GET {asked} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return b"".join(iter(lambda: line.recv(65536), b""))


def started_for(path: Path) -> list[psutil.Process]:
    """Find all processes that were started for a socket."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(path.parent):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_it_answers_on_a_socket_of_this_user_and_on_no_port(store_file: Path) -> None:
    store = open_store(Settings.discover())
    store.experiment_id("mine")
    pages = Pages(store, "/below/here")
    try:
        until(lambda: pages.socket.exists() or pages.ended)
        assert not pages.ended, pages.told()
        assert b"200 OK" in answer(pages.socket, "/below/here/health")
        assert stat.S_IMODE(pages.socket.parent.stat().st_mode) == 0o700
        running = started_for(pages.socket)
        assert running
        for process in running:
            assert str(store_file) not in " ".join(process.cmdline())  # an address may hold a password
            assert [one for one in process.net_connections("inet") if one.status == "LISTEN"] == []
    finally:
        pages.close()
    until(lambda: not started_for(pages.socket), 20)
    assert not pages.socket.parent.exists()


def test_it_ends_with_a_process_that_is_killed(store_file: Path) -> None:
    open_store(Settings.discover())
    with subprocess.Popen(
        [sys.executable, "-c", ASKS], stdout=subprocess.PIPE, text=True, cwd=store_file.parent
    ) as asking:
        assert asking.stdout is not None
        path = Path(asking.stdout.readline().strip())
        until(path.exists)
        asking.send_signal(signal.SIGKILL)
    until(lambda: not started_for(path), 20)
    assert not path.parent.exists()


def test_a_tracking_server_has_its_own_pages_and_its_password_is_not_handed_on() -> None:
    assert elsewhere("https://me:secret@mlflow.test:8443/x") == "https://mlflow.test:8443/x"
    assert elsewhere("sqlite:///mlflow.db") is None
    assert elsewhere("postgresql+psycopg://me:secret@db/x") is None
    with pytest.raises(UnavailableError):
        elsewhere("databricks")


def test_an_mlflow_without_its_pages_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hindrance() is None
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").touch()
    found = os.fspath(tmp_path / "mlflow" / "__init__.py")
    spec = type("Spec", (), {"origin": found})
    monkeypatch.setattr("mlops_magics.tracking.pages.find_spec", lambda _: spec)
    why = hindrance()
    assert why is not None
    assert "pip install mlflow" in why[1]
