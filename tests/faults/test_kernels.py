"""Kernels that are killed, interrupted, doubled; cells that are run fifty times."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from kernels import Kernel, told

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

WATCHED = ("threads", "open files", "children", "handlers")

pytestmark = pytest.mark.usefixtures("quiet_jupyter")

FIT = """%%mlops_track --name {name} -o run
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.arange(40.0).reshape(20, 2)
model = LogisticRegression().fit(X, [0, 1] * 10)
{more}
"""
SLEEP = "import time; time.sleep(60)"


def _statuses(experiment: str) -> dict[str, str]:
    store = open_store(Settings.discover())
    runs = store.client.search_runs([store.experiment_id(experiment)])
    return {run.info.run_name: run.info.status for run in runs}


@pytest.fixture
def kernel(store_file: Path) -> Any:
    made = Kernel(store_file.parent)
    yield made
    made.close()


def test_a_killed_kernel_leaves_no_open_run_behind(kernel: Kernel) -> None:
    assert kernel.run("%mlops_track e")["status"] == "ok"
    kernel.client.execute(FIT.format(name="doomed", more=SLEEP))
    _until(lambda: _statuses("e").get("doomed") == "RUNNING")
    os.kill(kernel.pid, signal.SIGKILL)
    second = Kernel(Path.cwd())
    try:
        second.run("t = %mlops_track e")
        assert second.run("assert t.closed == 1")["status"] == "ok"
    finally:
        second.close()
    assert _statuses("e") == {"doomed": "KILLED"}


def test_an_interrupted_cell_is_killed_and_the_kernel_goes_on(kernel: Kernel) -> None:
    kernel.run("%mlops_track e")
    request = kernel.client.execute(FIT.format(name="slow", more=f"open('asleep', 'w').close(); {SLEEP}"))
    _until(Path("asleep").exists)  # an import that is interrupted could not be repeated
    assert _statuses("e") == {"slow": "RUNNING"}
    os.kill(kernel.pid, signal.SIGINT)
    assert kernel.reply(request)["ename"] == "KeyboardInterrupt"
    assert _statuses("e") == {"slow": "KILLED"}
    assert told(kernel.run(FIT.format(name="next", more=""))) == "ok"
    assert _statuses("e") == {"slow": "KILLED", "next": "FINISHED"}


def test_two_kernels_write_to_one_store_and_lose_nothing(store_file: Path) -> None:
    kernels = [Kernel(store_file.parent) for _ in range(2)]
    statuses = []
    try:
        for kernel in kernels:
            kernel.run("%mlops_track e")
        for i in range(5):
            asked = [
                (kernel, kernel.client.execute(FIT.format(name=f"k{number}r{i}", more="")))
                for number, kernel in enumerate(kernels)
            ]
            statuses += [told(kernel.reply(request)) for kernel, request in asked]
    finally:
        for kernel in kernels:
            kernel.close()
    assert statuses == ["ok"] * 10
    assert _statuses("e") == {f"k{number}r{i}": "FINISHED" for number in range(2) for i in range(5)}


@pytest.mark.parametrize("times", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_many_runs_of_a_cell_leave_no_thread_file_process_or_handler(
    shell: Any, run: Callable[..., Any], store_file: Path, times: int
) -> None:
    assert store_file
    shell.run_cell("%config MLOps.standby = False")
    run(shell, "%mlops_track e")

    def counts() -> tuple[int, int, int, int]:
        gc.collect()
        me = psutil.Process()
        handlers = sum(len(found) for found in shell.events.callbacks.values())
        return threading.active_count(), len(me.open_files()), len(me.children()), handlers

    for i in range(3):
        run(shell, FIT.format(name=f"w{i}", more=""))
    before = counts()
    for i in range(times):
        run(shell, FIT.format(name=f"r{i}", more=""))
    grown = [name for name, now, then in zip(WATCHED, counts(), before, strict=True) if now > then]
    assert not grown


@pytest.mark.alone
def test_a_store_that_is_down_at_the_start_costs_the_cell_nothing_and_its_run_waits(
    shell: Any, run: Callable[..., Any]
) -> None:
    os.environ["MLOPS_STORE"] = "http://127.0.0.1:9"  # the discard port: nothing listens there
    os.environ["MLOPS_EXPERIMENT"] = "e"
    begun = time.monotonic()
    run(shell, "%%mlops_track -o made\nran = True")
    assert time.monotonic() - begun < 5
    assert shell.user_ns["ran"] is True
    assert shell.user_ns["made"].id.startswith("offline-")
    assert "cannot be reached" in shell.user_ns["made"].remark


def test_a_folder_that_nobody_may_write_istold(shell: Any, run: Callable[..., Any]) -> None:
    from mlops_magics.foundation.errors import UnavailableError

    os.environ["MLOPS_STORE"] = "sqlite:////proc/mlflow.db"  # not even root may make a file there
    with pytest.raises(UnavailableError, match="cannot be made in /proc"):
        run(shell, "%mlops_track e")
    assert "MLOPS_EXPERIMENT" not in os.environ


def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
