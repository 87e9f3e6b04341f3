"""An endpoint that follows an alias: nothing is lost, what is refused never answers, nothing stays behind."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from following import Clients, Registry, followers, following
from places import project_in
from proxy import Proxy
from servers import postgres

from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import deploy
from mlops_magics.steps.status import status
from mlops_magics.targets.base import Request
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking.store import open_store

from served import answer_of, end_all, family, runs, state_of, until  # isort: skip - following finds it

_PATIENCE = 60.0  # the machine may be busy; an attempt takes two seconds where it is not


class Place:
    """A project with five versions of a model and an endpoint that follows the champion."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.registry, self.folder, self.state = Registry(folder), folder, state
        self.local = LocalTarget(Settings.discover(), f"sqlite:///{folder / 'mlflow.db'}")
        for constant in (1.0, 2.0, 3.0, 4.0, 5.0):
            self.registry.add(constant)

    def now(self) -> State:
        return state_of(self.state)

    def begin(self) -> State:
        """Be followed, at version 1 or 2."""
        if not [found for found in deploy().endpoints if found.follows]:
            self.registry.point("1")
            deploy("flights@champion", follow=True)
        self.settles(self.now().version)
        return self.now()

    def settles(self, version: str) -> None:
        """Wait until a version answers and nothing more is said."""

        def settled() -> bool:
            told = following(self.state)
            return self.now().version == version and told.pid != 0 and told.remark is None

        until(settled, _PATIENCE)

    def move(self) -> str:
        """Move the alias to another version that is sound; return it."""
        version = "2" if self.now().version == "1" else "1"
        self.registry.point(version)
        return version

    def moves(self) -> None:
        """Move the alias, and wait until that version is loaded beside the old one."""
        version, before = self.move(), self.now().change
        until(lambda: self.now().change != before or self.now().version == version, _PATIENCE)

    def refused(self, version: str) -> str:
        """Wait until a version was refused; return why."""
        until(lambda: following(self.state).version == version, _PATIENCE)
        remark = following(self.state).remark
        assert remark is not None
        return remark.what


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[Place]:
    parent = tmp_path_factory.mktemp("following")
    with project_in(parent) as folder:
        shutil.copy(store_template, folder / "mlflow.db")
        try:
            yield Place(folder, parent / "state")
        finally:
            end_all(parent / "state")


def test_five_promotions_under_load_lose_no_request(place: Place) -> None:
    before = place.begin()
    place.registry.point("1")
    place.settles("1")
    with Clients(place.local, 2, 0.002) as clients:
        for version in ("2", "3", "4", "5", "1"):  # the last one is a rollback
            place.registry.point(version)
            place.settles(version)
            clients.meet(float(version))
    assert clients.failures == []
    for answers in clients.answers:
        assert [key for key, _ in itertools.groupby(answers)] == [1.0, 2.0, 3.0, 4.0, 5.0, 1.0]
    after = place.now()
    assert (after.pid, after.port) == (before.pid, before.port)
    # The supervisor, its worker, one that rests, the follower and its hand.
    until(lambda: len(family(after.pid)) == 5)
    assert json.loads(place.registry.tags("5")["mlops.deployment.flights"])["what"] == "deployed"


def test_what_is_refused_never_answers(place: Place) -> None:
    before = place.begin()
    registry = place.registry
    pickled = registry.add(6.0, pickled=True)
    blind = registry.add(7.0, blind=True)
    spoilt = registry.add(8.0)
    file = registry.folder / "model-8" / "model.skops"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    cases = ((pickled, "is a pickle"), (blind, "status 500"), (spoilt, "not those that were registered"))
    with Clients(place.local, 1, 0.01) as clients:
        for version, said in cases:
            registry.point(version)
            assert said in place.refused(version)
            kept = json.loads(registry.tags(version)["mlops.deployment.flights"])
            assert kept["what"] == "refused"
            assert said in kept["why"]
            (listed,) = deploy().endpoints
            assert (listed.version, listed.follows) == (before.version, "champion")
            assert said in listed.remark
            assert said in str(status())
    assert clients.failures == []
    assert set(clients.answers[0]) == {float(before.version)}
    assert place.now().workers == before.workers
    file.write_bytes(whole)  # its files are changed: it need not wait for its turn
    place.settles(spoilt)
    assert answer_of(place.local) == 8.0


@pytest.mark.slow
def test_it_ends_at_the_last_of_two_promotions_whatever_is_killed_meanwhile(place: Place) -> None:
    state = place.begin()
    follower = following(place.state).pid
    place.moves()
    (hand,) = set(followers(state)) - {follower}
    os.kill(hand, signal.SIGKILL)
    place.registry.point("3")
    place.settles("3")
    assert answer_of(place.local) == 3.0
    assert hand not in followers(state)
    os.kill(follower, signal.SIGKILL)
    until(lambda: following(place.state).pid not in {0, follower}, _PATIENCE)
    place.settles("3")
    until(lambda: len(family(state.pid)) == 4)  # the old one's hand is gone, and nobody needs a new one
    assert place.now().pid == state.pid


@pytest.mark.slow
def test_an_alias_or_a_store_that_is_gone_keeps_it_serving(place: Place) -> None:
    before = place.begin().version
    place.registry.client.delete_registered_model_alias("flights", "champion")
    until(lambda: following(place.state).remark, _PATIENCE)
    assert f"has no champion any more; version {before} still answers" in deploy().endpoints[0].remark
    file = place.folder / "mlflow.db"
    file.rename(file.with_suffix(".away"))
    until(lambda: "cannot be read" in place.local.list()[0].remark, _PATIENCE)
    assert answer_of(place.local) == float(before)
    file.with_suffix(".away").rename(file)
    place.registry.point(before)
    place.settles(before)


def test_an_order_by_a_follower_brings_no_consent_and_none_by_an_old_one_is_taken(place: Place) -> None:
    before = place.begin()
    pickled = place.registry.add(10.0, pickled=True)
    asked = Request(
        name="flights",
        model="flights",
        version=pickled,
        digest=place.registry.tags(pickled)["mlops.manifest"],
        model_path=place.folder / "model-10",
        allow_pickle=True,
        follow="champion",
        mark=following(place.state).mark,
    )
    with pytest.raises(UnavailableError, match="is a pickle"):
        place.local.deploy(asked)
    with pytest.raises(RefusedError, match="no longer follows champion"):
        place.local.deploy(replace(asked, mark="old"))
    with pytest.raises(RefusedError, match="no longer follows champion"):
        place.local.deploy(replace(asked, name="other"))  # one that is not there: none is started
    assert (place.now().version, place.now().workers) == (before.version, before.workers)
    assert [endpoint.name for endpoint in deploy().endpoints] == ["flights"]


def test_deploying_without_follow_ends_it(place: Place) -> None:
    state = place.begin()
    before = followers(state)
    again = deploy("flights@champion", follow=True)
    assert (again.follows, again.notes[1:]) == ("champion", ())
    until(lambda: not any(map(runs, before)))
    (second,) = followers(place.now())
    fixed = deploy("flights/2")
    assert fixed.follows == ""
    assert "no longer follows champion" in fixed.notes[-1]
    until(lambda: not runs(second))
    assert place.now().follow is None
    assert deploy("flights@champion").notes[1:] == ()
    assert followers(place.now()) == []
    left = sorted(path.suffix for path in (place.state / "endpoints").glob("*.json.*"))
    assert left == [".lock", ".order"]  # neither mail nor pipe
    deploy("flights@champion", follow=True)
    place.settles(place.now().version)


def test_a_new_version_gets_the_consents_and_the_workers_of_its_endpoint(place: Place) -> None:
    place.begin()
    pickled = place.registry.add(9.0, pickled=True)
    deploy("flights@champion", follow=True, allow_pickle=True, workers=2)
    place.registry.point(pickled)
    place.settles(pickled)
    assert answer_of(place.local) == 9.0
    assert (place.now().wanted, len(place.now().workers)) == (2, 2)


def test_remove_ends_all_of_it(place: Place) -> None:
    state = place.begin()
    place.moves()
    members = family(state.pid)
    deploy("flights", remove=True)
    until(lambda: not any(map(runs, members)))
    assert deploy().endpoints == ()
    left = {path.name for path in place.state.rglob("*") if path.is_file() and path.suffix != ".parquet"}
    assert left <= {"deploy.lock", "create-store"}


def test_kill_9_of_the_supervisor_leaves_nobody_behind(place: Place) -> None:
    state = place.begin()
    place.moves()
    members = family(state.pid)
    assert len(members) >= 4
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: not any(map(runs, members)))
    (down,) = deploy().endpoints
    assert (down.status, down.version, down.follows) == ("down", state.version, "")


@pytest.mark.slow
def test_a_server_that_goes_away_is_followed_again_and_no_secret_is_kept(
    mlflow_server: str, tmp_path: Path
) -> None:
    proxy, state = Proxy(mlflow_server), tmp_path / "state"
    with project_in(tmp_path) as folder:
        os.environ |= {
            "MLFLOW_TRACKING_URI": proxy.url.replace("//", "//somebody:sesame-url@"),
            "MLFLOW_TRACKING_TOKEN": "sesame-token",
            "AWS_SECRET_ACCESS_KEY": "sesame-aws",
            "OTHER_SECRET": "sesame-other",
        }
        try:
            registry = Registry(folder)
            versions = [registry.add(constant) for constant in (1.0, 2.0)]
            registry.point(versions[0])
            deploy("flights@champion", follow=True)
            proxy.turn("401")
            until(lambda: "it answers 401" in str(following(state).remark), _PATIENCE)
            assert answer_of(LocalTarget(Settings.discover(), masked(Settings.discover().store))) == 1.0
            proxy.turn("pass")
            registry.point(versions[1])
            until(lambda: state_of(state).version == versions[1], _PATIENCE)
            found = state_of(state)
            until(lambda: len(family(found.pid)) == 5)  # the old worker rests
            its = followers(found)  # these know how to sign in, from their environment alone
            texts = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
            for pid in family(found.pid):
                process = psutil.Process(pid)
                texts.append(str(process.cmdline()).encode())
                if pid not in its:
                    texts.append(str(process.environ()).encode())
            assert not [text for text in texts if b"sesame" in text]
            assert not [pid for pid in its if "OTHER_SECRET" in psutil.Process(pid).environ()]
        finally:
            end_all(state)
            proxy.close()


@pytest.mark.slow
def test_a_minute_of_promotions_under_load_loses_no_request(place: Place) -> None:
    place.begin()
    over = time.monotonic() + 60
    with Clients(place.local, 8, 0.0) as clients:
        for version in itertools.cycle("12345"):
            place.registry.point(version)
            place.settles(version)
            if time.monotonic() > over and version == "5":
                break
    assert clients.failures == []
    for answers in clients.answers:
        assert set(answers) >= {1.0, 2.0, 3.0, 4.0, 5.0}
        assert len(answers) > 1000


@pytest.mark.slow
def test_a_database_that_restarts_is_followed_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with postgres() as server, project_in(tmp_path) as folder:
        os.environ["MLOPS_STORE"] = server.create("following")
        try:
            registry = Registry(folder)
            versions = [registry.add(constant) for constant in (1.0, 2.0, 3.0)]
            registry.point(versions[0])
            deploy("flights@champion", follow=True)
            registry.point(versions[1])
            until(lambda: state_of(state).version == versions[1], _PATIENCE)
            server.stop()
            until(lambda: "still answers" in str(following(state).remark), _PATIENCE)
            assert answer_of(LocalTarget(Settings.discover(), masked(Settings.discover().store))) == 2.0
            server.start()
            open_store(Settings.discover()).client.set_registered_model_alias(
                "flights", "champion", versions[2]
            )
            until(lambda: state_of(state).version == versions[2], _PATIENCE)
            assert server.password not in str(following(state))
            for path in state.rglob("*"):
                assert not path.is_file() or server.password.encode() not in path.read_bytes()
        finally:
            end_all(state)
