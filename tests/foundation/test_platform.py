import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlops_magics.foundation import platform
from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.platform import ProcessId, locked, private_folder, write_atomic

HOLD = """
import sys, time
from pathlib import Path
from mlops_magics.foundation.platform import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
COUNT = """
import sys
from pathlib import Path
from mlops_magics.foundation.platform import locked
file = Path(sys.argv[2])
for _ in range(100):
    with locked(Path(sys.argv[1])):
        file.write_text(str(int(file.read_text()) + 1))
"""


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _holder(lock: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_is_private_is_so_under_any_umask(tmp_path: Path, mask: int) -> None:
    with _umask(mask):
        folder = private_folder(tmp_path / "a" / "b")
        write_atomic(folder / "secret", "s", private=True)
        write_atomic(folder / "plain", "p")
        with locked(folder / "lock"):
            pass
    assert _mode(folder) == 0o700
    assert (_mode(folder / "secret"), _mode(folder / "lock")) == (0o600, 0o600)
    assert _mode(folder / "plain") == 0o666 & ~mask


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert _mode(private_folder(tmp_path / "open")) == 0o700


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnavailableError, match="cannot be made"):
            private_folder(path)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    for content in ("é", b"\0\xff"):
        write_atomic(tmp_path / "f", content)
        assert (tmp_path / "f").read_bytes() == (content.encode() if isinstance(content, str) else content)
    long = tmp_path / ("n" * 250)
    write_atomic(long, "x")
    assert {item.name for item in tmp_path.iterdir()} == {"f", long.name}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_after_a_failure_the_previous_content_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    write_atomic(tmp_path / "f", "before")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises((UnavailableError, KeyboardInterrupt)) as caught:
        write_atomic(tmp_path / "f", "after")
    if isinstance(error, OSError):
        assert str(tmp_path / "f") in caught.value.what
        assert "(5 bytes)" in caught.value.what
        assert "No space left" in caught.value.what
    assert [item.name for item in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "before"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    file, contents = tmp_path / "f", {"a" * 100_000, "b" * 100_000}
    write_atomic(file, "a" * 100_000)
    done = threading.Event()

    def write() -> None:
        for _ in range(30):
            for content in contents:
                write_atomic(file, content)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(file.read_text())
    writer.join()
    assert seen <= contents


@pytest.mark.alone
def test_a_lock_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "promote"
    with _holder(lock):
        begun = time.monotonic()
        with (
            pytest.raises(UnavailableError, match=r"held promote for 0\.2 seconds"),
            locked(lock, seconds=0.2),
        ):
            pytest.fail("the lock is held by another process")
        assert time.monotonic() - begun < 2


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "promote"
    with _holder(lock) as process:
        process.send_signal(signal.SIGKILL)
        with locked(lock, seconds=5):
            pass


def test_a_lock_is_free_after_an_error_and_kept_from_other_threads(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locked(lock):
        raise ZeroDivisionError
    refused = []

    def other() -> None:
        try:
            with locked(lock, seconds=0):
                pass
        except UnavailableError as error:
            refused.append(error)

    with locked(lock, seconds=0):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_two_processes_lose_no_update(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    words = [sys.executable, "-c", COUNT, str(tmp_path / "lock"), str(tmp_path / "count")]
    for process in [subprocess.Popen(words) for _ in range(2)]:
        assert process.wait(30) == 0
    assert (tmp_path / "count").read_text() == "200"


def test_a_lock_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(UnavailableError, match="cannot be opened"), locked(tmp_path / "lock"):
        pytest.fail("a folder is no lock")


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    me = ProcessId.current()
    assert me.pid == os.getpid()
    assert me.alive() is True
    assert dataclasses.replace(me, host="another machine").alive() is None


def test_a_system_is_known_by_its_own_id_which_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(platform, "_MACHINE", file)
    assert platform.installation() == ""
    found = set()
    for told in ("0" * 32, "1" * 32):
        file.write_text(f"{told}\n")
        found.add(platform.installation())
        assert platform.installation() == platform.installation()
        assert told not in platform.installation()
    assert len(found - {""}) == 2
    for spoilt in ("", "uninitialized\n", "0" * 31, "\xff" * 32):
        file.write_text(spoilt)
        assert platform.installation() == ""


def test_a_lock_is_seen_to_be_free_or_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not platform.unlocked(path)  # nobody has ever held it
    assert not path.exists()
    with locked(path):
        assert not platform.unlocked(path)
    assert platform.unlocked(path)
    with locked(path, seconds=0):  # looking does not keep it
        assert not platform.unlocked(path)


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


@pytest.mark.parametrize(
    ("share", "most"),
    [
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("max 100000", 8),
        ("", 8),
        ("9 0", 8),
        ("1600000 100000", 8),
    ],
)
def test_a_container_computes_on_its_share_of_the_processors(
    share: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(platform, "_QUOTA", tmp_path / "cpu.max")
    assert platform.processors() == 8
    (tmp_path / "cpu.max").write_text(share)
    assert platform.processors() == most


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
