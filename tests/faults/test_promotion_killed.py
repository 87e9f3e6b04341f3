"""Kill -9 in the middle of a promotion or a rollback: alias and history agree after recover."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prepared import Prepared, begin

from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import promote
from mlops_magics.steps.recover import recover
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import Store, open_store

# The writes of a promotion: the intent, the alias, the record; the process dies right after one of them.
KILLED = """
import os, signal, sys
from mlflow import MlflowClient
from mlops_magics.steps.promote import promote

last = int(sys.argv[1])
written = []

def dying(name):
    write = getattr(MlflowClient, name)
    def call(*arguments, **options):
        write(*arguments, **options)
        written.append(name)
        if len(written) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(MlflowClient, name, call)

for name in ("set_registered_model_tag", "set_registered_model_alias", "delete_registered_model_tag"):
    dying(name)
version, way = sys.argv[2:]
promote("flights", version=version or None, to="champion", reason="killed", rollback=way == "back")
"""


@pytest.fixture
def store(
    shell: Any, run: Callable[..., Any], store_file: Path, project: Path, prepared_twice: Prepared
) -> Store:
    """Two versions of which the first was champion, and the second is compared with it."""
    assert store_file.is_file()
    begin(shell, run)
    prepared_twice.copy_into(project, shell.user_ns)
    run(shell, '%mlops_promote flights --version 1 --to champion --reason "first"')
    run(shell, "%mlops_evaluate flights/2 test --target late --against flights@champion")
    return open_store(Settings.discover())


def killed(after: int, version: str, way: str) -> None:
    words = [sys.executable, "-c", KILLED, str(after), version, way]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("after", "holder", "ending"), [(1, "1", "undone"), (2, "2", "completed"), (3, "2", "completed")]
)
def test_a_killed_promotion_is_finished_or_undone(store: Store, after: int, holder: str, ending: str) -> None:
    killed(after, "2", "on")
    assert registry.resolve(store, ModelAddress("flights", alias="champion")).version == holder
    found = recover()
    assert [(each.model, each.event.new, each.ending) for each in found.repairs] == [("flights", "2", ending)]
    assert ending in found.to_html()
    assert found.outside == ()
    assert registry.aliases_of(store, "flights")["champion"] == holder
    done = [move.new for move in registry.moves_of(store, "flights") if move.alias == "champion"]
    assert done == ["1", "2"][: int(holder)]
    assert recover("flights").repairs == ()
    again = promote("flights", version="2", to="champion", reason="once more")
    assert again.kind == ("promotion" if ending == "undone" else "unchanged")


def test_a_rollback_that_was_killed_is_finished_by_the_next_promotion(store: Store) -> None:
    promote("flights", version="2", to="champion", reason="as good")
    killed(2, "", "back")
    assert registry.aliases_of(store, "flights")["champion"] == "1"
    # Nobody called recover: the next one to move an alias does it, and knows what to go back to.
    assert promote("flights", version="2", to="champion", reason="after all").before == "1"
    told = [(move.kind, move.new) for move in registry.moves_of(store, "flights") if move.alias == "champion"]
    assert told == [("promotion", "1"), ("promotion", "2"), ("rollback", "1"), ("promotion", "2")]
