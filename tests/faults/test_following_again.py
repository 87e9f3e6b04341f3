"""After a restart of the machine an endpoint finds its store again, and no disk holds what was secret."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest
from following import Registry, followers, following
from places import project_in
from proxy import Proxy
from units import environment_file, started

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.paths import order_path
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import deploy
from mlops_magics.targets.local import LocalTarget

from served import answer_of, end_all, family, runs, state_of, until  # isort: skip - following finds it

_PATIENCE = 60.0


def _killed(state: Path) -> None:
    members = family(state_of(state).pid)
    for member in members:
        os.kill(member, signal.SIGKILL)
    until(lambda: not any(map(runs, members)))


def _texts(state: Path) -> list[bytes]:
    """Read all that lies on the disk, and what the processes show that are no followers."""
    texts = [path.read_bytes() for path in state.rglob("*") if path.is_file() and path.suffix != ".env"]
    found = state_of(state)
    its = followers(found)
    for pid in family(found.pid):
        with contextlib.suppress(psutil.NoSuchProcess):  # one that rested ends at this moment
            process = psutil.Process(pid)
            texts.append(str(process.cmdline()).encode())
            if pid not in its:
                texts.append(str(process.environ()).encode())
    return texts


@pytest.mark.slow
def test_a_store_behind_a_password_is_followed_again_where_the_user_gives_it_along(
    mlflow_server: str, tmp_path: Path
) -> None:
    proxy, state = Proxy(mlflow_server), tmp_path / "state"
    with project_in(tmp_path) as folder:
        told = {
            "MLFLOW_TRACKING_URI": proxy.url.replace("//", "//somebody:sesame-url@"),
            "MLFLOW_TRACKING_TOKEN": "sesame-token",
            "AWS_SECRET_ACCESS_KEY": "sesame-aws",
            "AWS_PROFILE": "team",
        }
        os.environ |= told
        try:
            registry = Registry(folder)
            versions = [registry.add(constant) for constant in (1.0, 2.0, 3.0)]
            registry.point(versions[0])
            deploy("flights@champion", follow=True)
            unit = deploy("flights", unit=tmp_path / "units")
            file, name = unit.file, unit.secrets
            assert environment_file(file) == name
            assert set(unit.withheld) >= {"MLOPS_STORE", *told} - {"AWS_PROFILE"}
            assert not {"AWS_PROFILE", "MLOPS_STATE", "MLOPS_VERIFY"} & set(unit.withheld)
            shown = str(unit)
            assert all(each in shown for each in unit.withheld)
            kept = Order.from_json(order_path(next((state / "endpoints").glob("*.json"))).read_bytes())
            assert kept.follow is not None
            assert kept.follow.home is not None
            assert kept.follow.home.environ["AWS_PROFILE"] == "team"

            _killed(state)
            with started(file) as again:
                until(lambda: state_of(state).pid == again.pid and state_of(state).status == "ready", 30)
                (listed,) = deploy().endpoints
                assert "without MLOPS_STORE" in listed.remark
                assert str(name) in following(state).remark.remedy  # type: ignore[union-attr]
                assert followers(state_of(state)) == []
                assert not [text for text in _texts(state) if b"sesame" in text]
                _killed(state)

            registry.point(versions[1])
            store = Settings.discover().store
            lines = [f"{each}={value}" for each, value in {**told, "MLOPS_STORE": store}.items()]
            name.write_text("\n".join(lines) + "\n")
            name.chmod(0o600)
            with started(file) as again:
                until(lambda: state_of(state).version == versions[1], _PATIENCE)
                assert state_of(state).pid == again.pid
                assert answer_of(LocalTarget(Settings.discover(), masked(store))) == 2.0
                registry.point(versions[2])
                until(lambda: state_of(state).version == versions[2], _PATIENCE)
                assert not [text for text in _texts(state) if b"sesame" in text]
                deploy("flights", remove=True)
                assert again.wait(20) == 0
            assert not name.exists()
        finally:
            end_all(state)
            proxy.close()
