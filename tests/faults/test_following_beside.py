"""An endpoint that follows one alias, and the version beside it that follows another."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from following import Clients, Registry, following
from places import project_in
from units import started

from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import deploy
from mlops_magics.targets.base import Request
from mlops_magics.targets.call import post
from mlops_magics.targets.local import LocalTarget

from served import EXAMPLE, answer_of, end_all, family, runs, state_of, until  # isort: skip - following finds it

_PATIENCE = 60.0


class Place:
    """A project with five versions; the champion is the first, the challenger the second."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.registry, self.folder, self.state = Registry(folder), folder, state
        self.local = LocalTarget(Settings.discover(), f"sqlite:///{folder / 'mlflow.db'}")
        for constant in (1.0, 2.0, 3.0, 4.0, 5.0):
            self.registry.add(constant)
        self.point("champion", "1")
        self.point("challenger", "2")

    def point(self, alias: str, version: str) -> None:
        self.registry.client.set_registered_model_alias("flights", alias, version)

    def now(self) -> State:
        return state_of(self.state)

    def settles(self, live: str, beside: str) -> None:
        """Wait until both are where they should be, and nothing is said."""

        def settled() -> bool:
            state = self.now()
            told = state.follow
            second = state.beside.version if state.beside else ""
            return (state.version, second) == (live, beside) and bool(told and told.pid and not told.remark)

        until(settled, _PATIENCE)

    def named(self, version: str) -> int:
        """Ask a version by its name; return the status."""
        (endpoint,) = self.local.list()
        token = self.local.key_file("flights").read_text()
        return post(endpoint, EXAMPLE, token=token, version=version).status

    def shadows(self, version: str) -> bool:
        """Ask the endpoint, and tell whether this version answered it unheard."""
        answer_of(self.local)
        text = self.local.look("flights", "/metrics").body.decode()
        counts = [line for line in text.splitlines() if 'role="shadow",outcome="answered"' in line]
        return any(f'version="{version}"' in line and not line.endswith(" 0") for line in counts)


@pytest.fixture
def place(tmp_path: Path, store_template: Path) -> Iterator[Place]:
    with project_in(tmp_path) as folder:
        shutil.copy(store_template, folder / "mlflow.db")
        try:
            yield Place(folder, tmp_path / "state")
        finally:
            end_all(tmp_path / "state")


@pytest.mark.slow
def test_a_shadow_follows_its_own_alias_and_no_request_is_lost(place: Place) -> None:
    live = deploy("flights@champion", follow=True, shadow="@challenger")
    assert (live.follows, live.beside) == ("champion", "version 2 as a shadow, follows challenger")
    place.settles("1", "2")
    with Clients(place.local, 2, 0.005) as clients:
        place.point("challenger", "3")
        place.settles("1", "3")
        place.point("champion", "3")  # the challenger is promoted: there is nothing to compare with any more
        place.settles("3", "3")
        clients.meet(3.0)
        (listed,) = deploy().endpoints
        assert listed.beside == "no shadow now: challenger is the version that is live, follows challenger"
        place.point("challenger", "4")  # and the next one comes
        place.settles("3", "4")
        place.point("challenger", "5")  # both at once
        place.point("champion", "4")
        place.settles("4", "5")
        clients.meet(4.0)
    assert clients.failures == []
    assert {answer for answers in clients.answers for answer in answers} == {1.0, 3.0, 4.0}
    until(lambda: place.shadows("5"))
    assert (place.named("4"), place.named("5"), place.named("2")) == (200, 404, 404)
    until(lambda: "mlops.deployment.flights" in place.registry.tags("5"), _PATIENCE)  # noted when it is live
    tags = place.registry.tags("5")
    assert orjson.loads(tags["mlops.deployment.flights"])["what"] == "deployed"
    frame = deploy("flights", traffic="10m").frame
    shadows = frame[frame["role"] == "shadow"]
    assert set(shadows["version"]) >= {"3", "4"}

    place.registry.client.delete_registered_model_alias("flights", "challenger")
    until(lambda: "version 5 stays beside it" in str(following(place.state).remark), _PATIENCE)
    fixed = deploy("flights@champion", follow=True, shadow="5")  # a version goes nowhere
    assert fixed.beside == "version 5 as a shadow"
    place.point("challenger", "2")
    place.point("champion", "1")
    place.settles("1", "5")


@pytest.mark.slow
def test_a_canary_follows_where_the_endpoint_does_and_keeps_its_share(place: Place) -> None:
    deploy("flights@champion")
    with pytest.raises(UnavailableError, match="follows no alias"):
        deploy("flights@challenger", canary=30, follow=True)
    assert answer_of(place.local) == 1.0
    deploy("flights@champion", follow=True)
    told = deploy("flights@challenger", canary=30, follow=True)
    assert told.follows == "champion"
    assert told.beside == "version 2 as a canary, 30 % of the requests, follows challenger"
    place.point("challenger", "3")
    place.settles("1", "3")
    assert deploy().endpoints[0].beside.startswith("version 3 as a canary, 30 % of the requests")
    assert {answer_of(place.local) for _ in range(60)} == {1.0, 3.0}
    pickled = place.registry.add(6.0, pickled=True)
    place.point("challenger", pickled)
    until(lambda: "is a pickle" in str(following(place.state).remark), _PATIENCE)
    assert {answer_of(place.local) for _ in range(60)} == {1.0, 3.0}
    kept = orjson.loads(place.registry.tags(pickled)["mlops.deployment.flights"])
    assert kept["what"] == "refused"
    place.point("champion", "2")  # the one refusal does not hold up the other alias
    until(lambda: place.now().version == "2", _PATIENCE)
    place.point("challenger", "4")
    place.settles("2", "4")


def test_an_order_by_a_follower_puts_nothing_beside_that_was_not_asked_for(place: Place) -> None:
    deploy("flights@champion", follow=True)
    place.settles("1", "")
    asked = Request(
        name="flights",
        model="flights",
        version="3",
        digest=place.registry.tags("3")["mlops.manifest"],
        model_path=place.folder / "model-3",
        follow="champion",
        mark=following(place.state).mark,
        beside="shadow",
        beside_follows="challenger",
    )
    with pytest.raises(UnavailableError, match="Nothing beside flights follows"):
        place.local.deploy(asked)
    with pytest.raises(RefusedError, match="no longer follows"):
        place.local.deploy(replace(asked, mark="old"))
    assert place.now().beside is None
    deploy("flights@champion", follow=True, shadow="@challenger")
    other = replace(asked, mark=following(place.state).mark, beside_follows="other")
    with pytest.raises(UnavailableError, match="Nothing beside flights follows"):
        place.local.deploy(other)
    place.settles("1", "2")


@pytest.mark.slow
def test_what_a_unit_starts_goes_on_to_follow_both_aliases(place: Place) -> None:
    deploy("flights@champion", follow=True, shadow="@challenger")
    place.settles("1", "2")
    told = deploy("flights", unit=place.folder / "units")
    assert "goes on to follow champion" in str(told)
    assert "sqlite" not in told.file.read_text()  # nothing of the store
    members = family(place.now().pid)
    for member in members:
        os.kill(member, signal.SIGKILL)
    until(lambda: not any(map(runs, members)))
    place.point("champion", "3")  # while nobody is there
    with started(told.file) as again:
        place.settles("3", "2")
        assert place.now().pid == again.pid
        (listed,) = deploy().endpoints
        assert (listed.follows, listed.version, listed.remark) == ("champion", "3", "")
        assert listed.beside == "version 2 as a shadow, follows challenger"
        place.point("challenger", "4")
        place.settles("3", "4")
        until(lambda: place.shadows("4"))
        assert (place.named("3"), place.named("4")) == (200, 404)
        deploy("flights", remove=True)
        assert again.wait(20) == 0
