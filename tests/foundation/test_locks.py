import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.locks import locked, unlocked

HOLD = """
import sys, time
from pathlib import Path
from mlops_magics.foundation.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
COUNT = """
import sys
from pathlib import Path
from mlops_magics.foundation.locks import locked
file = Path(sys.argv[2])
for _ in range(100):
    with locked(Path(sys.argv[1])):
        file.write_text(str(int(file.read_text()) + 1))
"""


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


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_lock_is_private_under_any_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with locked(tmp_path / "lock"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_seen_to_be_free_or_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not unlocked(path)  # nobody has ever held it
    assert not path.exists()
    with locked(path):
        assert not unlocked(path)
    assert unlocked(path)
    with locked(path, seconds=0):  # looking does not keep it
        assert not unlocked(path)
