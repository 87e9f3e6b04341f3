"""Leases: of those who want one at once one gets it, and none outlives its holder."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking import leases, registry
from mlops_magics.tracking.leases import BusyError, Lease, leased
from mlops_magics.tracking.store import Store


@pytest.fixture
def store(store: Store, tmp_path: Path) -> Store:
    """A store with a model."""
    registry.create_version(store, "flights", source=str(tmp_path), run_id=None, model_id=None, tags={})
    return store


def test_of_many_who_want_a_lease_at_once_one_gets_it(store: Store) -> None:
    inside, most, got, lock = [], [], [], threading.Lock()

    def want(number: int) -> None:
        try:
            with leased(store, "flights", "trial", f"w{number}"):
                with lock:
                    inside.append(number)
                    most.append(len(inside))
                    got.append(number)
                time.sleep(1.0)
                with lock:
                    inside.remove(number)
        except BusyError:
            pass

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(want, range(5)))
    assert max(most) == 1
    assert got
    assert leases.holders(store, "flights", "trial") == ()


def test_a_lease_of_another_machine_is_over_only_when_nobody_renews_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_WATCHED", 1.0)
    elsewhere = replace(ProcessId.current(), host="elsewhere")
    for until_ in (time.time() + 60, time.time() - 5, time.time() + 3600 * 24):
        other = Lease("other", elsewhere, until_, held=True)
        key = "mlops.lease.retraining.other"
        store.client.set_registered_model_tag("flights", key, json.dumps(asdict(other)))
        if until_ - time.time() > 30 and until_ - time.time() < 100:
            with pytest.raises(BusyError, match="of elsewhere"), leased(store, "flights", "retraining", "me"):
                pass
            continue
        stop = threading.Event()

        def renewing(beaten: Lease = other, stop: threading.Event = stop, key: str = key) -> None:
            while not stop.wait(0.2):
                beaten = replace(beaten, beat=beaten.beat + 1)
                store.client.set_registered_model_tag("flights", key, json.dumps(asdict(beaten)))

        thread = threading.Thread(target=renewing)
        thread.start()
        with pytest.raises(BusyError), leased(store, "flights", "retraining", "me"):
            pass
        stop.set()
        thread.join()
        with leased(store, "flights", "retraining", "me") as held:  # it renews it no more
            held.check()
            assert [one.id for one in leases.holders(store, "flights", "retraining")] == ["me"]


def test_a_lease_that_this_process_no_longer_knows_of_is_nobodys(store: Store) -> None:
    lost = Lease("lost", ProcessId.current(), time.time() + 100, held=True)
    store.client.set_registered_model_tag("flights", "mlops.lease.trial.lost", json.dumps(asdict(lost)))
    with leased(store, "flights", "trial", "me"):
        assert [one.id for one in leases.holders(store, "flights", "trial")] == ["me"]


def test_a_lease_of_a_living_process_is_over_when_it_is_no_longer_renewed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_WATCHED", 1.0)
    alive = ProcessId.of(os.getppid())
    for left, busy in ((60.0, True), (-5.0, False)):
        other = Lease("other", alive, time.time() + left, held=True)
        store.client.set_registered_model_tag("flights", "mlops.lease.trial.other", json.dumps(asdict(other)))
        told = pytest.raises(BusyError) if busy else contextlib.nullcontext()
        with told, leased(store, "flights", "trial", "me"):
            pass
    assert leases.holders(store, "flights", "trial") == ()


def test_a_store_that_is_busy_when_a_lease_is_given_back_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, drop = [], leases._drop

    def busy(*asked: Any) -> None:
        said.append(asked)
        if len(said) < 3:
            raise UnavailableError("The store is busy.", "Try again.")
        drop(*asked)

    with leased(store, "flights", "trial", "me"):
        monkeypatch.setattr(leases, "_drop", busy)
    assert len(said) == 3
    assert "mlops.lease.trial.me" not in registry.tags_of(store, "flights")


def test_a_renewal_that_the_store_takes_late_leaves_no_lease_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, goes_on, write = threading.Event(), threading.Event(), leases._write
    monkeypatch.setattr(leases, "_BEAT", 0.05)

    def late(*asked: Any) -> None:
        if asked[-1].beat:
            reached.set()
            goes_on.wait(30)
        write(*asked)

    monkeypatch.setattr(leases, "_write", late)
    with leased(store, "flights", "trial", "me"):
        assert reached.wait(10)
    assert "mlops.lease.trial.me" not in registry.tags_of(store, "flights")
    goes_on.set()
    for thread in threading.enumerate():
        if thread.name == "mlops-lease":
            thread.join(timeout=30)
    assert "mlops.lease.trial.me" not in registry.tags_of(store, "flights")
