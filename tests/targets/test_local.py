from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import (
    EXAMPLE,
    STORE,
    Pool,
    answer_of,
    ask_for,
    end_all,
    family,
    pool,
    runs,
    state_of,
    target,
    until,
)

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.targets import TARGETS
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.standby import Standby


@pytest.fixture(scope="module")
def warm() -> Iterator[Pool]:
    yield from pool(2)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


def test_the_room_knows_the_local_target() -> None:
    assert TARGETS.get("local") is LocalTarget


def test_from_deploy_to_remove(tmp_path: Path, state: Path, warm: Pool) -> None:
    local = target(state)
    standby = warm.take()
    waiting = standby.pid
    first = local.deploy(ask_for(tmp_path), standby=standby)
    assert standby.pid is None
    assert not runs(waiting or 0)  # reaped: the supervisor is init's child
    assert (first.status, first.version, first.workers, first.store) == ("ready", "1", 1, STORE)
    assert answer_of(local) == 1.0
    assert local.list() == (first,)
    assert target(state, "sqlite:///other.db").list() == ()

    token = local.key_file("flights").read_text()
    second = local.deploy(ask_for(tmp_path, 2.0, workers=2))
    assert (second.port, second.pid, second.version, second.workers) == (first.port, first.pid, "2", 2)
    assert local.key_file("flights").read_text() == token
    assert answer_of(local) == 2.0
    assert len(list((state / "models").iterdir())) == 1
    _assert_private(state)
    _assert_clean_environment((second.pid, *state_of(state).workers), token)

    for path in state.rglob("*"):
        if path.is_file() and path != local.key_file("flights"):
            assert token.encode() not in path.read_bytes(), path

    with pytest.raises(UsageError, match="already answers"):
        local.deploy(ask_for(tmp_path, 2.0, port=second.port + 1))

    members = family(second.pid)
    assert len(members) in {3, 4}  # the supervisor, two workers, and the old one while it drains
    local.remove("flights")
    assert not any(map(runs, members))
    left = [path for path in state.rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix != ".parquet"] == [state / "deploy.lock"]
    assert all(path.is_relative_to(state / "journals") for path in left if path.suffix == ".parquet")
    assert list((state / "models").iterdir()) == []
    assert local.list() == ()


def _assert_private(state: Path) -> None:
    for path in (state, *state.rglob("*")):
        allowed = 0o700 if path.is_dir() else 0o600
        if path.name != "deploy.lock":
            assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def _assert_clean_environment(pids: tuple[int, ...], token: str) -> None:
    for member in pids:
        environment = Path(f"/proc/{member}/environ").read_bytes()
        assert token.encode() not in environment
        assert b"PYTEST" not in environment
        assert token.encode() not in Path(f"/proc/{member}/cmdline").read_bytes()


def test_what_is_not_there_is_named(state: Path) -> None:
    local = target(state)
    with pytest.raises(NotFoundError, match="no endpoint flights"):
        local.remove("flights")
    with pytest.raises(NotFoundError):
        local.call("flights", EXAMPLE)
    with pytest.raises(UsageError):
        local.remove("../keys/x")


_KERNEL = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from served import ask_for, target
from mlops_magics.targets.standby import Standby
standby = Standby()
standby.start()
print(target(Path({state!r})).deploy(ask_for(Path({tmp!r})), standby=standby).pid, flush=True)
standby.start()
print(standby.pid, flush=True)
sys.stdin.read()
"""


def test_an_endpoint_outlives_its_kernel_and_a_standby_does_not(tmp_path: Path, state: Path) -> None:
    code = _KERNEL.format(tests=str(Path(__file__).parent), state=str(state), tmp=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as kernel:
        assert kernel.stdout is not None
        supervisor, standby = int(kernel.stdout.readline()), int(kernel.stdout.readline())
        os.killpg(kernel.pid, signal.SIGINT)  # Ctrl-C in its terminal
        os.kill(kernel.pid, signal.SIGKILL)
    until(lambda: not runs(standby), 5)
    assert runs(supervisor)
    local = target(state)
    assert answer_of(local) == 1.0
    assert [endpoint.status for endpoint in local.list()] == ["ready"]
    os.kill(state_of(state).workers[0], signal.SIGKILL)
    until(lambda: local.list()[0].workers == 0 or state_of(state).workers)
    assert answer_of(local) == 1.0  # the port never closed: the request waited for the next worker
    local.remove("flights")
    assert not runs(supervisor)


def test_two_stores_keep_endpoints_of_one_name(tmp_path: Path, state: Path, warm: Pool) -> None:
    ours, theirs = target(state), target(state, "sqlite:///other.db")
    ours.deploy(ask_for(tmp_path), standby=warm.take())
    dead = Standby()
    dead.start()
    os.kill(dead.pid or 0, signal.SIGKILL)
    until(lambda: dead.pid is None)
    theirs.deploy(ask_for(tmp_path, 2.0), standby=dead)  # it starts without
    assert (answer_of(ours), answer_of(theirs)) == (1.0, 2.0)
    assert len(list((state / "models").iterdir())) == 2
    theirs.remove("flights")
    assert answer_of(ours) == 1.0
    assert len(list((state / "models").iterdir())) == 1


def test_standby_starts_once_and_stops() -> None:
    standby = Standby()
    standby.start()
    pid = standby.pid
    standby.start()
    assert standby.pid == pid
    standby.stop()
    standby.stop()
    assert standby.pid is None
    assert pid is not None
    assert not runs(pid)
    assert not Standby().pid
