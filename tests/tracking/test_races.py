"""Kernels that write the same thing at the same moment: the slower one finds what the faster one wrote."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_magics.tracking import registry, runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import Dataset
from mlops_magics.tracking.store import Store, raced

WRITERS, ROUNDS = 4, 8


def _at_once(write: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(WRITERS)

    def one(number: int) -> object:
        barrier.wait()
        return write(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def test_a_table_read_by_several_runs_at_once_is_kept_once(store: Store) -> None:
    experiment = store.experiment_id("e")
    made = [
        runs.start(store, experiment, name=f"r{i}", source=Source("x"), git=None)[0] for i in range(WRITERS)
    ]
    for i in range(ROUNDS):
        table = Dataset("flights", 10, 2, f"{i:032x}")
        _at_once(lambda number, table=table: runs.log_datasets(store, made[number], [table], "training"))
    for run_id in made:
        inputs = store.client.get_run(run_id).inputs.dataset_inputs
        assert sorted(item.dataset.digest for item in inputs) == [f"{i:032x}" for i in range(ROUNDS)]


def test_an_experiment_that_several_kernels_make_at_once_is_one(store: Store) -> None:
    for i in range(ROUNDS):
        assert len(set(_at_once(lambda _, name=f"new{i}": store.experiment_id(name)))) == 1


def test_a_model_that_several_kernels_register_at_once_has_a_version_each(store: Store) -> None:
    def register(_: int) -> str:
        return registry.create_version(store, "m", source="/x", run_id=None, model_id=None, tags={})

    assert sorted(map(str, _at_once(register))) == [str(i + 1) for i in range(WRITERS)]


def test_what_is_not_a_race_is_raised_at_once() -> None:
    asked = []

    def write() -> None:
        asked.append(1)
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="disk is full"):
        raced(write)
    assert len(asked) == 1
