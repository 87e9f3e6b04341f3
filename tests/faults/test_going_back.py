"""A promotion that is taken back: the workers of the version before answer again, and none is loaded anew."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from following import Clients, Registry, followers
from places import project_in

from mlops_magics.artifact.state import State
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import deploy
from mlops_magics.steps.promote import promote
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.local_nudge import nudge
from mlops_magics.tracking import moves

from served import answer_of, end_all, family, runs, state_of, until  # isort: skip - following finds it

_PATIENCE = 60.0


class Place:
    """A project with three versions of a model, and an endpoint that follows the champion."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.registry, self.state = Registry(folder), state
        self.one, self.two, self.three = (self.registry.add(constant) for constant in (1.0, 2.0, 3.0))
        self.local = LocalTarget(Settings.discover(), f"sqlite:///{folder / 'mlflow.db'}")
        self.promotes(self.one)
        deploy("flights@champion", follow=True)

    def now(self) -> State:
        return state_of(self.state)

    def promotes(self, version: str) -> None:
        moves.point(self.registry.store, "flights", "champion", version, reason="better", kind="promotion")
        nudge(self.registry.store.settings, "flights")

    def settles(self, version: str) -> State:
        until(lambda: self.now().version == version, _PATIENCE)
        return self.now()

    def goes(self, version: str) -> State:
        self.promotes(version)
        return self.settles(version)


@pytest.fixture
def place(tmp_path: Path, store_template: Path) -> Iterator[Place]:
    with project_in(tmp_path) as folder:
        shutil.copy(store_template, folder / "mlflow.db")
        try:
            yield Place(folder, tmp_path / "state")
        finally:
            end_all(tmp_path / "state")


def test_going_back_is_a_swap_to_the_very_workers_that_answered_before(place: Place) -> None:
    first = place.now().workers
    second = place.goes(place.two).workers
    assert set(first).isdisjoint(second)
    with Clients(place.local, 2, 0.002) as clients:
        clients.meet(2.0)
        assert promote("flights", rollback=True, reason="worse").version == place.one
        assert place.settles(place.one).workers == first
        clients.meet(1.0)
        assert place.goes(place.two).workers == second  # and forth
        clients.meet(2.0)
    assert clients.failures == []
    assert [dict.fromkeys(answers) for answers in clients.answers] == [{2.0: None, 1.0: None}] * 2


def test_a_version_that_is_taken_back_while_it_is_loaded_never_answers(place: Place) -> None:
    state = place.now()
    with Clients(place.local, 2, 0.002) as clients:
        clients.meet(1.0)
        place.promotes(place.two)
        until(lambda: _beginning(state), _PATIENCE)
        (loading,) = _beginning(state)
        os.kill(loading, signal.SIGSTOP)
        assert _status(place) == "loading"
        assert promote("flights", rollback=True, reason="too soon").version == place.one
        os.kill(loading, signal.SIGCONT)
        until(lambda: _status(place) in {"dropped", "live"}, _PATIENCE)
        clients.meet(1.0)
    assert clients.failures == []
    assert [set(answers) for answers in clients.answers] == [{1.0}] * 2
    assert place.now().workers == state.workers
    assert "mlops.deployment.flights" not in place.registry.tags(place.two)  # nothing was said against it
    assert place.goes(place.two).version == place.two


def _beginning(state: State) -> set[int]:
    """Name the workers that answer nobody yet."""
    children = {child.pid for child in psutil.Process(state.pid).children()}
    return children - {*state.workers, *followers(state)}


def _status(place: Place) -> str:
    change = place.now().change
    return change.status if change else ""


@pytest.mark.slow
def test_who_rests_and_is_killed_is_loaded_anew_and_another_version_ends_the_rest(place: Place) -> None:
    first = place.now().workers
    second = place.goes(place.two).workers
    os.kill(first[0], signal.SIGKILL)
    until(lambda: not runs(first[0]))
    again = place.goes(place.one).workers
    assert set(again).isdisjoint((*first, *second))
    assert answer_of(place.local) == 1.0
    third = place.goes(place.three).workers
    until(lambda: not runs(second[0]))  # one version rests, not two
    assert all(map(runs, (*again, *third)))
    deploy("flights/3")  # it follows no more: nobody need rest
    until(lambda: len(family(place.now().pid)) == 2)
    assert answer_of(place.local) == 3.0


@pytest.mark.slow
def test_nobody_rests_where_that_is_turned_off(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_RESERVE", "0")
    deploy("flights@champion", follow=True)
    first = place.now().workers
    place.goes(place.two)
    until(lambda: not any(map(runs, first)))
    assert set(place.goes(place.one).workers).isdisjoint(first)
