"""What is left of a cell that was no run yet when its process ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import Failure
from mlops_magics.tracking.unmade import Unmade, cut_short

BOOK = "/somewhere/it's.ipynb"
KILLED = """
import os, signal
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.unmade import Unmade
cell = Unmade.of(Settings.discover(), Source("x", cell_id="c", notebook="/somewhere/it's.ipynb"))
cell.begun("Ridge")
cell.begun("Lasso")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_cell_whose_process_was_killed_is_named_until_it_is_executed_again(project: Path) -> None:
    assert project
    settings = Settings.discover()
    assert cut_short(settings, BOOK) == {}
    assert subprocess.run([sys.executable, "-c", KILLED], check=False).returncode < 0
    assert cut_short(settings, BOOK) == {"c": ("", "Ridge")}
    assert cut_short(settings, "/somewhere/other.ipynb") == {}
    other = Unmade.of(settings, Source("x", cell_id="d", notebook=BOOK))
    other.begun("LinearRegression")
    assert cut_short(settings, BOOK) == {"c": ("", "Ridge")}  # the other one is at it still
    assert other.path is not None
    assert other.path.stat().st_mode & 0o777 == 0o600
    other.path.write_bytes(other.path.read_bytes()[:-9])
    assert cut_short(settings, BOOK) == {"c": ("", "Ridge")}
    other.over()
    assert not other.path.exists()
    again = Unmade.of(settings, Source("y", cell_id="c", notebook=BOOK))
    assert cut_short(settings, BOOK) == {}
    again.interrupted(None)
    assert cut_short(settings, BOOK) == {}  # it was not at it yet


@pytest.mark.parametrize(
    ("run", "found"), [(None, ("", "Ridge")), (Failure("1a", "slow", "KILLED"), ("1a", "slow"))]
)
def test_a_cell_that_was_interrupted_is_named_though_its_process_lives(
    project: Path, run: Failure | None, found: tuple[str, str]
) -> None:
    assert project
    settings = Settings.discover()
    source = Source("x", cell_id="c", notebook=BOOK)
    cell = Unmade.of(settings, source)
    cell.begun("Ridge")
    cell.interrupted(run)
    cell.over()
    assert cut_short(settings, BOOK) == {"c": found}
    Unmade.of(settings, source)
    assert cut_short(settings, BOOK) == {}


def test_what_nobody_asks_for_any_more_is_forgotten(project: Path) -> None:
    assert project
    settings = Settings.discover()
    old = Unmade.of(settings, Source("x", cell_id="old", notebook=BOOK))
    old.begun("Ridge")
    assert old.path is not None
    os.utime(old.path, (0, 0))
    Unmade.of(settings, Source("x", cell_id="new", notebook=BOOK)).begun("Ridge")
    assert not old.path.exists()


def test_a_cell_that_stands_nowhere_leaves_nothing(project: Path) -> None:
    settings = Settings.discover()
    for source in (Source("x", cell_id="c"), Source("x", notebook=BOOK)):
        cell = Unmade.of(settings, source)
        cell.begun("Ridge")
        cell.over()
    assert not (settings.state / "unmade").exists()
    assert project
