"""One browser, one harness page a test, and one real JupyterLab for the session."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Page, Route, sync_playwright

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_STATIC = _ROOT / "mlops_magics" / "frontends" / "widgets" / "static"
_AXE = _ROOT / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
_SITE = "http://card.test/"
_STARTS_WITHIN = 60  # seconds, on a busy machine
_TOKEN = "only-for-this-test"  # noqa: S105 - guards a server that lives for one test session on loopback


def _missing(words: str) -> None:
    """Skip on a developer's machine; in CI a test that cannot run is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="module")  # Playwright holds this thread's event loop until it is closed
def browser() -> Iterator[Browser]:
    if not (program := shutil.which("chromium")):
        _missing("No Chromium. Install it with: apt-get install chromium")
    if not (_STATIC / "promote.js").is_file():
        _missing("The front end is not built. Build it with: make widgets")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@dataclass
class Card:
    """A card on the harness page, with a fake kernel behind it."""

    page: Page
    outside: list[str]  # requests that left the page; there must be none
    errors: list[str]

    def mount(self, state: object) -> None:
        self.page.evaluate("(state) => mount(state)", state)

    def push(self, **changes: Any) -> None:
        self.page.evaluate("(changes) => model.push(changes)", changes)

    def answer(self, script: str) -> None:
        """Play the kernel: a JavaScript function (request, state) -> changed parts of the state."""
        self.page.evaluate(f"() => {{ model.answer = {script} }}")

    @property
    def sent(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("model.sent")
        return found


@pytest.fixture
def new_card(browser: Browser) -> Iterator[Callable[..., Card]]:
    contexts = []
    cards: list[Card] = []

    def new(state: object = None, name: str = "promote", **options: Any) -> Card:
        context = browser.new_context(viewport={"width": 900, "height": 760}, **options)
        contexts.append(context)
        card = Card(context.new_page(), [], [])
        cards.append(card)
        card.page.on("dialog", lambda dialog: card.errors.append(f"a dialog: {dialog.message}"))
        card.page.on("pageerror", lambda error: card.errors.append(str(error)))
        card.page.route("**/*", lambda route: _serve(route, card.outside))
        card.page.goto(f"{_SITE}?{name}")
        card.page.wait_for_function("window.ready")
        if state is not None:
            card.mount(state)
        return card

    yield new
    for context in contexts:
        context.close()
    assert [card.outside for card in cards if card.outside] == [], "a card asked the network"
    assert [card.errors for card in cards if card.errors] == []


def _serve(route: Route, outside: list[str]) -> None:
    name = route.request.url.removeprefix(_SITE)
    if name.startswith("?"):
        route.fulfill(path=_HERE / "harness.html", content_type="text/html")
    elif name.removesuffix(".js").removesuffix(".css") in {"promote", "profile"}:
        route.fulfill(path=_STATIC / name)
    else:
        outside.append(route.request.url)
        route.abort()


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """Scan our own element with axe-core."""
    if not _AXE.is_file():
        _missing("axe-core is not installed. Install it with: npm ci --prefix widgets")

    def scan(page: Page) -> list[str]:
        page.add_script_tag(path=_AXE)
        found = page.evaluate("axe.run('.mlp')")
        return [
            f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    return scan


@dataclass
class Lab:
    """A JupyterLab on loopback."""

    address: str
    folder: Path

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook and give the address that opens it."""
        code = [
            {
                "cell_type": "code",
                "id": f"cell-{at}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for at, source in enumerate(cells)
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        content = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": code}
        (self.folder / name).write_text(json.dumps(content), "utf-8")
        # A workspace of its own, or the last test's notebook would be opened beside it.
        return f"{self.address}/lab/workspaces/{Path(name).stem}/tree/{name}?token={_TOKEN}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("lab")
    work = home / "work"
    work.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), "utf-8")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | folders
    environment |= {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_HERE), str(_HERE.parent))),
    }
    options = [
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={_TOKEN}",
        f"--ServerApp.root_dir={work}",
        "--LabApp.expose_app_in_browser=True",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/api/status?token={_TOKEN}", server, home / "log")
        yield Lab(f"http://127.0.0.1:{port}", work)
    finally:
        _end(server)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server on loopback
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and its kernels: they share its process group or answer to its shutdown."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
