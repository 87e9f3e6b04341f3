"""Notebooks that hang, die, are killed, fill memory, or lose their folder: nothing is left, all is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from headless_runs import executed, job, kept, printed, saved
from prepared import Prepared

from mlops_magics.runner import Executed, run
from mlops_magics.runner.processes import marked
from mlops_magics.runner.surroundings import MARK
from mlops_magics.steps.deploy import deploy

pytestmark = pytest.mark.usefixtures("quiet_jupyter")

# Children that leave the kernel's process group and session, and one whose parent is dead.
BROOD = """
import os, subprocess, sys
print("first", flush=True)
kin = [os.getpid(), subprocess.Popen(["sleep", "600"]).pid,
       subprocess.Popen(["sleep", "600"], start_new_session=True).pid]
code = ("import subprocess; null = subprocess.DEVNULL; print(subprocess.Popen(['sleep', '600'],"
        " start_new_session=True, stdout=null, stderr=null).pid)")
kin.append(int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout))
"""
TELL = "open('kin.tmp', 'w').write(' '.join(map(str, kin))); os.rename('kin.tmp', 'kin')"
HANG = f"{TELL}; import time; time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    time.sleep(1)
"""


def _kin(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "kin").read_text().split()]


def _gone(pids: list[int], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def _running(folder: Path, *cells: str, **changes: Any) -> Iterator[list[Executed]]:
    """Execute a notebook in another thread; afterwards the list holds what came of it."""
    found: list[Executed] = []
    asked = job(folder, *cells, **changes)
    thread = threading.Thread(target=lambda: found.append(run(asked)))
    thread.start()
    try:
        yield found
    finally:
        thread.join(120)
    assert not thread.is_alive()


def _supervisor(kernel: int) -> psutil.Process:
    parent = psutil.Process(kernel).parent()
    assert parent is not None
    assert "mlops_magics.runner" in parent.cmdline()
    return parent


@pytest.mark.slow
def test_a_notebook_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    begun = time.monotonic()
    found = executed(tmp_path, BROOD, f"try:\n    {HANG}\nfinally:\n    print('tidied')", timeout=12)
    assert time.monotonic() - begun < 40
    assert found.status == "timed out"
    assert found.failure is not None
    assert (found.failure.name, found.failure.cell) == ("Timeout", 2)
    assert found.failure.words == "The notebook did not end within 12 seconds."
    assert len(_kin(tmp_path)) == 4
    assert _gone(_kin(tmp_path))
    assert printed(found) == "first\ntidied\n"
    assert kept(found)["metadata"]["mlops_magics"]["status"] == "timed out"
    assert kept(found)["cells"][1]["outputs"][-1]["ename"] == "KeyboardInterrupt"


@pytest.mark.slow
def test_a_cell_that_does_not_hear_an_interrupt_is_ended_too(tmp_path: Path) -> None:
    found = executed(tmp_path, BROOD, TELL, STUBBORN, cell_timeout=10)
    assert found.status == "timed out"
    assert found.failure is not None
    assert found.failure.words.startswith("The cell did not end within 10 seconds. It did not end when")
    assert _gone(_kin(tmp_path))
    assert printed(found) == "first\n"


def test_a_grandchild_that_holds_a_port_lets_go_of_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    hold = (
        "import socket, subprocess, sys, time\n"
        f"code = \"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)\"\n"
        'behind = \'setsid "$1" -c "$2" & sleep 600\'\n'
        "shell = subprocess.Popen(['sh', '-c', behind, 'x', sys.executable, code])\n"
        "while True:\n"
        f"    try: socket.create_connection(('127.0.0.1', {port})).close(); break\n"
        "    except OSError: time.sleep(0.05)\n"
        "raise RuntimeError('now')"
    )
    found = executed(tmp_path, hold)
    assert found.failure is not None
    assert found.failure.words == "now"
    socket.create_server(("127.0.0.1", port)).close()


def test_a_kernel_that_is_killed_leaves_what_it_had_printed(tmp_path: Path) -> None:
    last = f"{TELL}; print('last', flush=True); import time; time.sleep(0.5); os.kill(os.getpid(), 9)"
    found = executed(tmp_path, BROOD, last)
    assert found.status == "dead kernel"
    assert found.failure is not None
    assert found.failure.cell == 2
    assert "signal 9" in found.failure.words
    assert printed(found) == "first\nlast\n"
    assert _gone(_kin(tmp_path))


@pytest.mark.slow
def test_a_supervisor_that_is_killed_takes_all_with_it(tmp_path: Path) -> None:
    with _running(tmp_path, BROOD, HANG) as found:
        _until((tmp_path / "kin").exists)
        kin = _kin(tmp_path)
        _supervisor(kin[0]).kill()
    (told,) = found
    assert told.status == "killed"
    assert told.failure is not None
    assert "signal 9" in told.failure.words
    assert _gone(kin)
    node = kept(told)
    assert node["metadata"]["mlops_magics"]["status"] == "killed"
    assert printed(told) == "first\n"


@pytest.mark.slow
def test_a_supervisor_that_is_asked_to_end_keeps_what_the_cell_had_printed(tmp_path: Path) -> None:
    with _running(
        tmp_path, BROOD, f"print('second', flush=True)\nimport time; time.sleep(1)\n{HANG}"
    ) as found:
        _until((tmp_path / "kin").exists)
        kin = _kin(tmp_path)
        _supervisor(kin[0]).terminate()
    (told,) = found
    assert told.status == "killed"
    assert _gone(kin)
    assert printed(told) == "first\nsecond\n"


PARENT = """
import sys
from pathlib import Path
from mlops_magics.runner import Job, run
run(Job(notebook=Path(sys.argv[1]), into=Path(sys.argv[2]), timeout=120))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_when_the_one_that_asked_ends_all_end(tmp_path: Path, how: signal.Signals) -> None:
    source, into = saved(tmp_path, BROOD, HANG), tmp_path / "executed.ipynb"
    words = [sys.executable, "-c", PARENT, str(source), str(into)]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environ = {**os.environ, "TMPDIR": str(temporary)}
    parent = subprocess.Popen(words, stderr=subprocess.DEVNULL, env=environ)
    try:
        _until((tmp_path / "kin").exists)
        kin = _kin(tmp_path)
        supervisor = _supervisor(kin[0]).pid
        parent.send_signal(how)
        parent.wait(60)
    finally:
        parent.kill()
        parent.wait()
    assert _gone([*kin, supervisor])
    assert printed(into) == "first\n"
    assert kept(into)["metadata"]["mlops_magics"]["status"] == "killed"
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_both_killed_leave_no_kernel(tmp_path: Path) -> None:
    source, into = saved(tmp_path, BROOD, HANG), tmp_path / "executed.ipynb"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(source), str(into)], stderr=subprocess.DEVNULL
    )
    _until((tmp_path / "kin").exists)
    kin = _kin(tmp_path)
    supervisor = _supervisor(kin[0])
    mark = psutil.Process(kin[0]).environ()[MARK]
    parent.kill()
    supervisor.kill()
    parent.wait()
    assert _gone(kin[:1])  # the kernel sees that its parent is another one
    for process in marked(mark):  # of the rest nobody is left who could know
        process.kill()
    assert _gone(kin)
    assert printed(into) == "first\n"


@pytest.mark.skipif(sys.platform != "linux", reason="no other system ends a process with its parent")
def test_a_kernel_that_lets_no_thread_run_does_not_outlive_its_parents(tmp_path: Path) -> None:
    # This call of C holds the lock that each thread waits for, also the one that looks for parents.
    stuck = f"import ctypes, os; kin = [os.getpid()]; {TELL}; ctypes.PyDLL(None).sleep(600)"
    source, into = saved(tmp_path, stuck), tmp_path / "executed.ipynb"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(source), str(into)], stderr=subprocess.DEVNULL
    )
    _until((tmp_path / "kin").exists)
    (kernel,) = _kin(tmp_path)
    try:
        supervisor = _supervisor(kernel)
        time.sleep(0.5)  # from the file to the call
        parent.kill()
        supervisor.kill()
        parent.wait()
        assert _gone([kernel], seconds=10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(kernel, signal.SIGKILL)


@pytest.mark.slow
def test_a_notebook_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    found = executed(tmp_path, "print('small')", "x = bytearray(900_000_000); import time; time.sleep(60)",
                     memory=600_000_000)  # fmt: skip
    assert found.status == "killed"
    assert found.failure is not None
    assert (found.failure.name, found.failure.cell) == ("Memory", 2)
    assert "600,000,000 are allowed" in found.failure.words
    assert printed(found) == "small\n"


def test_a_notebook_that_cannot_be_kept_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    cells = ("import shutil; shutil.rmtree('out')", "open('later', 'w')")
    found = executed(tmp_path, *cells, into=tmp_path / "out" / "a.ipynb")
    assert found.status == "failed"
    assert found.failure is not None
    assert "cannot be written" in found.failure.words
    assert not (tmp_path / "later").exists()


def test_a_full_disk_is_told_and_what_was_kept_before_stands(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False,
                             capture_output=True)  # fmt: skip
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        found = executed(tmp_path, "print('small')", "print('x' * 200_000)", into=disk / "a.ipynb")
        assert found.status == "failed"
        assert found.failure is not None
        assert "a.ipynb" in found.failure.words
        assert "bytes) cannot be written: No space left" in found.failure.words
        assert [path.name for path in disk.iterdir()] == ["a.ipynb"]
        assert printed(found) == "small\n"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_an_endpoint_that_a_notebook_deploys_lives_on(project: Path, prepared: Prepared) -> None:
    prepared.copy_into(project, {})
    cells = (
        "%load_ext mlops_magics",
        "%mlops_deploy flights/1",
        "import os; assert 'NOTEBOOK_RUN_MARK' in os.environ",
        "raise RuntimeError('after that')",
    )
    found = executed(project, *cells)
    try:
        assert found.failure is not None
        assert found.failure.words == "after that"
        (endpoint,) = deploy().endpoints
        assert endpoint.status == "ready"
        assert MARK not in psutil.Process(endpoint.pid).environ()
    finally:
        deploy("flights", remove=True)
