"""An endpoint after a restart of the machine: systemd's unit starts what was served last."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from served import answer_of, ask_for, end_all, family, runs, state_of, target, until
from units import environment_file, said, started

from mlops_magics.artifact.paths import lock_path
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError
from mlops_magics.foundation.locks import try_lock
from mlops_magics.foundation.machine import boot, installation
from mlops_magics.targets.local import LocalTarget


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'a "state" of 100% $HOME \\ x'
    yield folder
    end_all(folder)


def _end(state: Path, name: str) -> None:
    members = family(state_of(state, name).pid)
    for member in members:
        os.kill(member, signal.SIGKILL)
    until(lambda: not any(map(runs, members)))


def _answers(local: LocalTarget, state: Path, name: str) -> bool:
    found: State = state_of(state, name)
    return found.status == "ready" and found.process.alive() is True and answer_of(local, name) == 2.0


def test_an_endpoint_is_there_again_as_it_was(tmp_path: Path, state: Path) -> None:
    name = "my flights"
    local = target(state)
    local.deploy(ask_for(tmp_path, name=name))
    first = local.deploy(ask_for(tmp_path, 2.0, name=name, workers=2))
    token = local.key_file(name).read_text()
    granted = local.grant(name, "asker", ("predict",))
    file, unit = local.unit(name, tmp_path / "units")
    assert file == tmp_path / "units" / unit
    assert token not in file.read_text()
    if shutil.which("systemd-analyze"):
        told = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", str(file)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        assert unit not in told.stderr, told.stderr
        assert told.returncode == 0, told.stderr

    with started(file) as again:
        assert again.wait(20) == 2  # it runs
    _end(state, name)
    assert [found.status for found in local.list()] == ["down"]
    with started(file) as again:
        try:
            until(lambda: _answers(local, state, name), 30)
            until(lambda: [each.workers for each in local.list()] == [2], 30)  # one is a little later
            (found,) = local.list()
            assert (found.port, found.version, found.workers, found.pid) == (first.port, "2", 2, again.pid)
            assert local.key_file(name).read_text() == token
            assert granted.exists()
            local.deploy(ask_for(tmp_path, 3.0, name=name))  # it is deployed to as before
            assert answer_of(local, name) == 3.0
        finally:
            again.terminate()
            assert again.wait(20) == 0
    kept, secrets = Path(said(file, "ConditionPathExists")), environment_file(file)
    assert kept.exists()
    assert secrets.parent == local.key_file(name).parent
    secrets.write_text("MLFLOW_TRACKING_TOKEN=x\n")
    local.remove(name)
    assert not kept.exists()
    assert not secrets.exists()
    with started(file) as again:
        assert again.wait(20) == 2


def _written(state: Path, **told: str) -> Path:
    """Change a state file as if it had been written under other circumstances."""
    (path,) = (state / "endpoints").glob("flights-*.json")
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | told))
    return path


REBOOTED = {"node": "the-name-of-before", "birth": "another-boot:7"}
KNOWN = pytest.mark.skipif(not installation(), reason="no id of its own: systemd-machine-id-setup")


@KNOWN
def test_an_endpoint_is_there_again_when_the_machine_has_another_name(tmp_path: Path, state: Path) -> None:
    local = target(state)
    first = local.deploy(ask_for(tmp_path, 2.0))
    file, _ = local.unit("flights", tmp_path / "units")
    _end(state, "flights")
    _written(state, **REBOOTED)
    assert [found.status for found in local.list()] == ["down"]
    with started(file) as again:
        until(lambda: state_of(state).pid == again.pid and _answers(local, state, "flights"), 30)
        assert [(found.port, found.version) for found in local.list()] == [(first.port, "2")]
        _written(state, node="the-name-of-before")  # it has been given another one while it serves
        assert [found.status for found in local.list()] == ["ready"]
        assert local.deploy(ask_for(tmp_path, 3.0)).pid == again.pid
        assert answer_of(local) == 3.0
        local.remove("flights")
        assert again.wait(20) == 0


@KNOWN
def test_who_only_shares_the_folder_starts_nothing(tmp_path: Path, state: Path) -> None:
    local = target(state)
    local.deploy(ask_for(tmp_path))
    file, _ = local.unit("flights", tmp_path / "units")
    _end(state, "flights")
    path = _written(state, **REBOOTED)
    lock = try_lock(lock_path(path))  # as by another container of the same image, which has the same id
    assert lock is not None
    with lock, started(file) as again:
        assert again.wait(20) == 2
        assert [found.status for found in local.list()] == ["elsewhere"]
    _written(state, machine="another one")
    with started(file) as again:
        assert again.wait(20) == 2
    assert [found.status for found in local.list()] == ["elsewhere"]
    with pytest.raises(UnavailableError, match="deployed from the-name-of-before"):
        local.deploy(ask_for(tmp_path, 2.0))
    for told in ({"machine": installation()}, {"machine": "", "birth": f"{boot()}:7"}):
        _written(state, **told)
        assert [found.status for found in local.list()] == ["down"]
    local.remove("flights")


@pytest.mark.slow
def test_a_second_process_does_not_serve_what_one_serves(tmp_path: Path, state: Path) -> None:
    local = target(state)
    live = local.deploy(ask_for(tmp_path))
    file, _ = local.unit("flights", tmp_path / "units")
    before = _written(state).read_bytes()
    _written(state, birth="another-boot:7")  # whatever is made of the state
    with started(file) as again:
        assert again.wait(30) == 3
    (path,) = (state / "endpoints").glob("flights-*.json")
    path.write_bytes(before)
    assert [(found.status, found.pid) for found in local.list()] == [("ready", live.pid)]
    assert answer_of(local) == 1.0


@pytest.mark.slow
def test_a_start_that_failed_leaves_what_the_unit_starts(tmp_path: Path, state: Path) -> None:
    local = target(state)
    local.deploy(ask_for(tmp_path))
    file, _ = local.unit("flights", tmp_path / "units")
    _end(state, "flights")
    with pytest.raises(Exception, match="other predictions"):
        local.deploy(ask_for(tmp_path, 2.0, expected=[9.0, 9.0]))
    with started(file) as again:
        until(lambda: state_of(state).pid == again.pid and state_of(state).status == "ready", 30)
        assert answer_of(local) == 1.0
        again.terminate()


def test_what_was_not_written_here_is_left_alone(tmp_path: Path, state: Path) -> None:
    local = target(state)
    with pytest.raises(NotFoundError):
        local.unit("flights", tmp_path)
    local.deploy(ask_for(tmp_path))
    file, _ = local.unit("flights", tmp_path)
    assert local.unit("flights", tmp_path)[0] == file
    file.write_text("[Unit]\n")
    with pytest.raises(RefusedError, match="not written here"):
        local.unit("flights", tmp_path)
    assert file.read_text() == "[Unit]\n"
