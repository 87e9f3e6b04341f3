import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.processes import ProcessId


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    me = ProcessId.current()
    assert me.pid == os.getpid()
    assert me.alive() is True
    assert dataclasses.replace(me, host="another machine").alive() is None


@pytest.fixture(params=[-3600.0, 3600.0], ids=["back", "forward"])
def set_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Set the clock by an hour, as psutil sees it: it adds a start's ticks to the time of boot."""
    told = psutil.Process.create_time

    def stepped(process: psutil.Process) -> float:
        return float(told(process)) + float(request.param)

    return lambda: monkeypatch.setattr(psutil.Process, "create_time", stepped)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts from the boot")
def test_setting_the_clock_neither_kills_nor_revives_anybody(set_clock: Callable[[], None]) -> None:
    me = ProcessId.current()
    assert me.birth
    earlier = dataclasses.replace(me, birth=f"{me.birth.rpartition(':')[0]}:1")  # the number was used again
    rebooted = dataclasses.replace(me, birth=f"another-boot:{me.birth.rpartition(':')[2]}")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        for _ in range(2):
            assert me.alive() is True
            assert earlier.alive() is False
            assert rebooted.alive() is False
            assert me.may_have_started(child.pid)
            assert not ProcessId.of(child.pid).may_have_started(me.pid)
            assert not rebooted.may_have_started(child.pid)
            assert not dataclasses.replace(me, birth=f"{me.birth}x").may_have_started(child.pid)
            set_clock()
        child.communicate()


def test_what_an_earlier_release_wrote_of_a_process_is_understood() -> None:
    me = dataclasses.replace(ProcessId.current(), birth="")
    assert me.alive() is True
    assert dataclasses.replace(me, started=me.started - 60).alive() is False
    assert me.may_have_started(me.pid)
    assert not dataclasses.replace(me, started=me.started + 60).may_have_started(me.pid)


def test_a_program_with_a_strange_name_is_known_too(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    try:
        named = ProcessId.of(process.pid)
        assert named.alive() is True
        assert ProcessId.current().may_have_started(named.pid)
    finally:
        process.kill()
        process.communicate()
    assert named.alive() is False


def test_an_ended_process_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    named = ProcessId.of(process.pid)
    assert named.alive() is True
    process.kill()
    for _ in range(100):  # not waited for: it is a zombie
        if psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.02)
    assert named.alive() is False
    process.communicate()
    assert named.alive() is False
    with pytest.raises(UnavailableError, match=f"No process {process.pid} runs"):
        ProcessId.of(process.pid)
