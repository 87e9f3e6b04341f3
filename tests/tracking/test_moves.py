"""Moving aliases: one wins, both are told, records are only added, what died in the middle is finished."""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking import history, moves, registry
from mlops_magics.tracking.store import Store

ROUNDS = 8


@pytest.fixture
def flights(store: Store, tmp_path: Path) -> str:
    for _ in range(4):
        registry.create_version(store, "flights", source=str(tmp_path), run_id=None, model_id=None, tags={})
    return "flights"


def intents(store: Store) -> list[str]:
    return [key for key in registry.tags_of(store, "flights") if key.startswith("mlops.intent.")]


def announced(store: Store, event: history.Event, process: ProcessId, until: float) -> None:
    """Leave an intent as a process does that is killed right after it."""
    intent = moves.Intent(event, process, until)
    store.client.set_registered_model_tag("flights", intent.key, moves._as_json(intent))


def gone() -> ProcessId:
    """Name a process that does not run."""
    mine = ProcessId.current()
    return ProcessId(mine.pid, mine.started - 1000, mine.host, f"{mine.birth[:-2]}1" if mine.birth else "")


def test_of_two_on_two_machines_one_wins_each_time(store: Store, flights: str) -> None:
    """Each has a client of its own; nothing but the registry is shared."""
    both = threading.Barrier(2)

    def work(versions: str) -> list[bool]:
        mine = Store(store.uri, MlflowClient(store.uri, store.uri), store.settings)
        won = []
        for number in range(ROUNDS):
            both.wait(60)
            holder = registry.aliases_of(mine, flights).get("champion")
            version = versions[number % 2]
            both.wait(60)
            try:
                moves.move(mine, flights, history.event("champion", holder, version, f"round {number}"))
                won.append(True)
            except RefusedError as error:
                won.append("at the same moment" not in error.what)  # any other refusal would count as two
        return won

    with ThreadPoolExecutor(2) as pool:
        # Each round is for two versions that are not there yet: a move to where it is already moves nothing.
        first, second = pool.map(work, ["12", "34"])
    done = registry.moves_of(store, flights)
    assert len(done) == sum(first) + sum(second)
    assert all(one.new == two.old for one, two in itertools.pairwise(done))
    assert [one + two for one, two in zip(first, second, strict=True)] == [1] * ROUNDS
    assert registry.aliases_of(store, flights)["champion"] == done[-1].new
    assert intents(store) == []


@pytest.mark.parametrize("moved", [True, False])
def test_what_a_dead_process_left_is_finished_once(store: Store, flights: str, *, moved: bool) -> None:
    left = history.event("champion", None, "2", "because")
    announced(store, left, gone(), time.time() + 100)
    if moved:
        store.client.set_registered_model_alias(flights, "champion", "2")
    assert moves.recover(store, flights) == ((left, "completed" if moved else "undone"),)
    assert registry.moves_of(store, flights) == ((left,) if moved else ())
    assert moves.outside(registry.aliases_of(store, flights), registry.moves_of(store, flights)) == ()
    assert intents(store) == []
    assert moves.recover(store, flights) == ()


def test_a_move_that_was_written_down_is_not_written_again(store: Store, flights: str) -> None:
    left = history.event("champion", None, "2", "because")
    announced(store, left, gone(), time.time() + 100)
    store.client.set_registered_model_alias(flights, "champion", "2")
    history.write(store, flights, left)
    moves.recover(store, flights)
    assert registry.moves_of(store, flights) == (left,)


def test_the_next_move_finishes_what_is_dead_and_waits_for_what_lives(
    store: Store, flights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = history.event("champion", None, "2", "because")
    announced(store, left, gone(), time.time() + 100)
    store.client.set_registered_model_alias(flights, "champion", "2")
    moves.move(store, flights, history.event("champion", "2", "3", "next"))
    assert [move.reason for move in registry.moves_of(store, flights)] == ["because", "next"]
    monkeypatch.setattr(moves, "_PAUSE", 0.001)
    living = history.event("champion", "3", "1", "slow")
    announced(store, living, ProcessId.current(), time.time() + 100)
    assert moves.recover(store, flights) == ()
    with pytest.raises(RefusedError, match=r"Another move of champion of flights does not come to an end"):
        moves.move(store, flights, history.event("champion", "3", "2", "impatient"))
    assert intents(store) == [f"mlops.intent.{living.id}"]
    # Another alias is another matter, and a lease that has run out is no hindrance.
    moves.move(store, flights, history.event("challenger", None, "2", "meanwhile"))
    announced(store, living, ProcessId.current(), time.time() - 1)
    moves.move(store, flights, history.event("champion", "3", "2", "at last"))
    assert registry.aliases_of(store, flights) == {"challenger": "2", "champion": "2"}


def test_a_store_that_fails_after_the_move_gets_the_record_or_keeps_the_intent(
    store: Store, flights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = history.write
    fail = UnavailableError("The store failed.", "Wait.")
    failures = iter([fail, None])

    def failing(*arguments: object) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(history, "write", failing)
    with pytest.raises(UnavailableError):
        moves.move(store, flights, history.event("champion", None, "2", "because"))
    assert [move.new for move in registry.moves_of(store, flights)] == ["2"]
    assert intents(store) == []
    failures = iter([fail, fail])
    with pytest.raises(UnavailableError):
        moves.move(store, flights, history.event("champion", "2", "3", "again"))
    assert len(intents(store)) == 1
    assert registry.aliases_of(store, flights) == {"champion": "3"}


def test_records_of_earlier_releases_are_read_and_what_is_none_is_left_out(
    store: Store, flights: str
) -> None:
    old = {"when": "2026-01-01T10:00:00.000+00:00", "who": "ann", "verified": False, "alias": "champion"}
    old |= {"old": None, "new": "1", "reason": "first", "kind": "promotion"}
    store.client.set_registered_model_tag(flights, "mlops.promotion.000001", json.dumps(old))
    store.client.set_registered_model_tag(flights, "mlops.promotion.000002", "no json")
    store.client.set_registered_model_tag(flights, "mlops.intent.x", "{}")
    store.client.set_registered_model_alias(flights, "champion", "1")
    moves.move(store, flights, history.event("champion", "1", "2", "second"))
    first, second = registry.moves_of(store, flights)
    assert (first.who, first.new, first.id) == ("ann", "1", "000001")
    assert second.reason == "second"
