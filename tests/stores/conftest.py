"""A notebook that is sent to a store of any kind."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prepared import TABLE
from store_kinds import MAKERS, Place, Servers

Book = Callable[[str], Any]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("servers"))
    with made.stack:
        yield made


@pytest.fixture
def place(request: pytest.FixtureRequest, project: Path) -> Iterator[Place]:
    """The store of a test, one after the other."""
    assert project.is_dir()
    with ExitStack() as stack:
        made: Place = MAKERS[request.param](request, stack)
        os.environ.update(made.environment)
        yield made


@pytest.fixture
def experiment() -> str:
    return f"e-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def model() -> str:
    """A name of its own for a registered model: a server is shared by all tests of a session."""
    return f"m-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def book(shell: Any, run: Callable[..., Any], place: Place, experiment: str) -> Book:
    """Run cells of a notebook that was sent to the store, and whose table is there."""
    run(shell, "%config MLOps.standby = False")
    artifacts = f" --artifacts {place.artifacts}" if place.artifacts else ""
    run(shell, f"%mlops --store {place.uri}{artifacts}")
    run(shell, f"%mlops_track {experiment}")
    run(shell, "%mlops_track --off")
    run(shell, TABLE)
    return lambda source: run(shell, source).result
