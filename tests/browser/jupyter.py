"""Real JupyterLab and Notebook servers on loopback, apart from the machine's own settings."""

from __future__ import annotations

import contextlib
import itertools
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
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Page

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_SHOTS = os.environ.get("MLOPS_SHOTS")  # read now: a test's project has an environment of its own
_STARTS_WITHIN = 60  # seconds, on a busy machine
_ENDS_WITHIN = 15
_TOKEN = "only-for-this-test"  # noqa: S105 - guards a server that lives for one test session on loopback
# In JupyterLab a workspace of its own each time: a layout that is restored has the notebook already, and the
# address activates it once more a while later, which takes the focus away from whatever has it by then.
_PAGES = {"jupyterlab": "lab/workspaces/{workspace}/tree", "notebook": "notebooks"}
_WORKSPACES = itertools.count()
# The notebook's own sign says "idle" too early: running then opens the kernel dialog.
_KERNEL_READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.status === "idle";
}"""


@dataclass
class Jupyter:
    """A server: of JupyterLab, or of Notebook 7."""

    address: str
    folder: Path
    pages: str

    @property
    def front(self) -> str:
        """The address that a person opens who has no notebook yet."""
        return f"{self.address}/?token={_TOKEN}"

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
        page = self.pages.format(workspace=f"{Path(name).stem}-{next(_WORKSPACES)}")
        return f"{self.address}/{page}/{name}?token={_TOKEN}"


def run_all(page: Page) -> None:
    """Wait for the kernel of the open notebook, and run all its cells."""
    kernel_ready(page)
    command(page, "notebook:run-all-cells")


def kernel_ready(page: Page) -> None:
    """Wait for the kernel of the open notebook.

    One that was restarted is waited for as well: a server that is ended meanwhile hangs until it is killed.
    """
    page.wait_for_function(_KERNEL_READY, timeout=40_000)


def command(page: Page, name: str, **arguments: str) -> None:
    """Start a command of the application; what it leads to is waited for on the page."""
    page.evaluate("([name, args]) => { jupyterapp.commands.execute(name, args) }", [name, arguments])


def shot(page: Page, name: str) -> None:
    """Keep a picture where MLOPS_SHOTS points: how the card looks is judged by eye."""
    if _SHOTS:
        page.screenshot(path=Path(_SHOTS) / f"{name}.png")


@contextlib.contextmanager
def served(program: str, home: Path, *options: str, base: str = "") -> Iterator[Jupyter]:
    """Run a server for the length of a ``with`` block; neither it nor a kernel outlives that.

    All it reads and writes for itself lies in ``home``, and its notebooks in ``home/work``. It answers below
    ``base``, as JupyterHub has it.
    """
    work = home / "work"
    work.mkdir(parents=True)
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), "utf-8")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command_line = [
        sys.executable,
        "-m",
        program,
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={_TOKEN}",
        f"--ServerApp.root_dir={work}",
        f"--ServerApp.base_url={base}/",
        *(["--allow-root"] if os.geteuid() == 0 else []),
        *options,
    ]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command_line, env=_environment(home), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}{base}"
        _wait(f"{address}/api/status?token={_TOKEN}", server, home / "log")
        yield Jupyter(address, work, _PAGES[program])
    finally:
        _end(server)
    left = _ours(home)
    assert not left, f"left running: {left}"


def _environment(home: Path) -> dict[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("MLOPS_", "MLFLOW_", "JPY_"))
    }
    folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    return (
        kept
        | folders
        | {
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "MLOPS_STATE": str(home / "state"),
            "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_HERE), str(_HERE.parent))),
        }
    )


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server on loopback
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"The server did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and its kernels: they share its process group or answer to its shutdown."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _ours(home: Path) -> list[list[str]]:
    """List what still runs of what a server started, given a moment to end."""
    until = time.monotonic() + _ENDS_WITHIN
    while True:
        here = [
            process.info["cmdline"]
            for process in psutil.process_iter(["cmdline", "environ"])
            if (process.info["environ"] or {}).get("MLOPS_STATE") == str(home / "state")
        ]
        if not here or time.monotonic() > until:
            return here
        time.sleep(0.1)
