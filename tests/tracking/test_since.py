"""What came of a validation: the runs that it made, and those that its cells came to again."""

from __future__ import annotations

import time

import pytest

from mlops_magics.tracking import identity, runs
from mlops_magics.tracking.context import VARIABLE, context_tags, told_of
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.since import VALIDATION, tracked_since
from mlops_magics.tracking.store import Store


def made(store: Store, name: str, notebook: str | None, key: str = "") -> str:
    experiment = store.experiment_id("e")
    source = Source("x = 1\n", notebook=notebook)
    run_id, _ = runs.start(store, experiment, name=name, source=source, git=None, tags={identity.KEY: key})
    runs.finish(store, run_id, "FINISHED")
    return run_id


def test_a_run_that_is_repeated_came_of_it_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, "another's", "/somewhere/b.ipynb", "k2")
    made(store, "before", "/somewhere/else/a.ipynb", "k1")
    time.sleep(0.01)
    begun = time.time()
    made(store, "new", "/here/a.ipynb")
    made(store, "by nobody knows whom", None)
    made(store, "another's, meanwhile", "/here/b.ipynb")
    (before,) = identity.known(store, store.experiment_id("e"), "k1")
    (variable, text), *_ = told_of({VARIABLE: '{"mine": "1"}'}, VALIDATION, "7").items()
    monkeypatch.setenv(variable, text)
    assert context_tags() == {"mine": "1", VALIDATION: "7"}
    identity.attach(store, before)
    found = [run.name for run in tracked_since(store, begun, "/here/a.ipynb", "7")]
    assert found == ["before", "new", "by nobody knows whom"]
    assert [run.name for run in tracked_since(store, begun, "/here/a.ipynb", "8")] == found[1:]
