"""Deploying through the road; what the local target does with processes is tested in tests/targets."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


@pytest.fixture
def cleaned(book: Book) -> Iterator[None]:
    """Take every endpoint away at the end."""
    yield
    for endpoint in book("%mlops_deploy").endpoints:
        book(f"%mlops_deploy {endpoint.name} --remove")


def _workers() -> list[int]:
    (path,) = (Settings.discover().state / "endpoints").glob("*.json")
    state = State.read(path)
    assert state is not None
    assert state.workers
    return list(state.workers)


@pytest.mark.usefixtures("cleaned")
def test_a_version_is_deployed_listed_swapped_and_removed(book: Book, registered: ModelVersion) -> None:
    with pytest.raises(NotFoundError, match="no champion yet"):
        book("%mlops_deploy flights")
    book('%mlops_promote flights --to champion --reason "first"')
    first = book("%mlops_deploy flights")
    assert (first.name, first.version, first.target) == ("flights", registered.version, "local")
    assert first.url.startswith("http://127.0.0.1:")
    book("%mlops_register run flights")
    second = book("%mlops_deploy flights/2 -o live")
    assert (second.url, second.version) == (first.url, "2")
    assert (first.undo, second.undo) == ("", "%mlops_deploy flights/1")
    assert "undo: %mlops_deploy flights/1" in str(second)
    back = book(second.undo)
    assert (back.version, back.undo) == ("1", "%mlops_deploy flights/2")
    assert book(back.undo).version == "2"
    (listed,) = book("%mlops_deploy").endpoints
    assert (listed.name, listed.status, listed.version) == ("flights", "ready", "2")
    tags = registry.versions(open_store(Settings.discover()), "flights")[0].tags
    noted = json.loads(tags["mlops.deployment.flights"])
    assert (noted["what"], noted["engine"]) == ("deployed", "plan")
    removed = book("%mlops_deploy flights --remove")
    assert removed.undo == "%mlops_deploy flights/2"
    assert "undo: %mlops_deploy flights/2" in str(removed)
    assert book("%mlops_deploy").endpoints == ()
    assert book(removed.undo).version == "2"
    book("%mlops_deploy flights --remove")
    tags = registry.versions(open_store(Settings.discover()), "flights")[0].tags
    assert '"what": "removed"' in tags["mlops.deployment.flights"]
    with pytest.raises(NotFoundError):
        book("%mlops_deploy flights --remove")


@pytest.mark.slow
@pytest.mark.usefixtures("cleaned", "registered_twice")
def test_the_line_that_takes_a_deploy_back_brings_what_was_followed_and_what_stood_beside_it(
    book: Book,
) -> None:
    book('%mlops_promote flights --version 1 --to challenger --reason "to compare"')
    book("%mlops_deploy flights/2")
    canary = book("%mlops_deploy flights/1 --canary 10")
    assert canary.undo == "%mlops_deploy flights/2"
    assert book(canary.undo).beside == ""
    beside = book("%mlops_deploy flights/2 --shadow 1")
    assert (beside.beside, beside.undo) == ("version 1 as a shadow", "%mlops_deploy flights/2")
    other = book("%mlops_deploy flights/1")
    assert other.undo == "%mlops_deploy flights/2 --shadow 1"
    assert book(other.undo).beside == "version 1 as a shadow"
    book("%mlops_deploy flights/2")
    book("%mlops_deploy flights/1 --canary 20")
    removed = book("%mlops_deploy flights --remove")
    assert removed.undo.split("\n") == ["%mlops_deploy flights/2", "%mlops_deploy flights/1 --canary 20"]
    assert "undo: %mlops_deploy flights/2, then %mlops_deploy flights/1 --canary 20" in str(removed)
    assert book(removed.undo).beside == "version 1 as a canary, 20 % of the requests"
    book("%mlops_deploy flights@challenger --follow --workers 2")
    fixed = book("%mlops_deploy flights/2")
    assert fixed.undo == "%mlops_deploy flights@challenger --follow --workers 2"
    again = book(fixed.undo)
    assert (again.follows, again.undo) == ("challenger", "%mlops_deploy flights/2")
    assert book(fixed.undo).undo == ""  # nothing has changed


@pytest.mark.usefixtures("cleaned", "registered")
def test_what_came_to_an_endpoint_can_be_read_back(book: Book) -> None:
    live = book("%mlops_deploy flights/1")
    assert live.engine == "plan"
    asked = book("%mlops_predict flights test")
    (endpoint,) = book("%mlops_deploy").endpoints
    deadline = time.monotonic() + 10
    while book("%mlops_deploy flights --traffic 10m").rows < len(asked.values):
        assert time.monotonic() < deadline
    listing = book("%mlops_deploy")
    rate = listing.rates["flights"]
    assert (rate.requests, rate.refused) == (len(asked.request_ids), 0)
    (row,) = [line for line in str(listing).splitlines() if "127.0.0.1" in line]
    assert f" {len(asked.request_ids) / 5:g} " in row
    for worker in _workers():
        os.kill(worker, signal.SIGKILL)
    seen = book("%mlops_deploy flights --traffic 10m -o seen")
    lines = seen.frame[seen.frame["request_id"] == asked.request_id]
    assert lines["prediction"].tolist() == list(asked.values)
    assert lines["row"].tolist() == list(range(len(asked.values)))
    assert set(lines["version"]) == {"1"}
    assert [stage.name for stage in seen.stages] == ["decode", "queue", "predict", "encode"]
    assert seen.journal == endpoint.journal
    found = book(f"%mlops_why {asked.request_id}")
    assert (found.version.version, found.run.name) == ("1", "baseline")
    with pytest.raises(NotFoundError):
        book(f"%mlops_why {'0' * 32}")
    assert "frame" not in seen.to_dict()
    with pytest.raises(UsageError, match="--traffic cannot be 'soon'"):
        book("%mlops_deploy flights --traffic soon")
    with pytest.raises(NotFoundError, match="no endpoint flihgts"):
        book("%mlops_deploy flihgts --traffic 1h")


@pytest.mark.usefixtures("cleaned", "registered")
def test_without_a_journal_nothing_is_kept(book: Book) -> None:
    book("%mlops_deploy flights/1 --no-journal")
    book("%mlops_predict flights test")
    assert book("%mlops_deploy").rates == {}
    with pytest.raises(NotFoundError, match="keeps no journal"):
        book("%mlops_deploy flights --traffic 1h")


@pytest.mark.usefixtures("cleaned", "registered")
def test_files_that_were_changed_after_registering_are_refused(book: Book, project: Path) -> None:
    (file,) = project.glob("mlartifacts/**/requirements.txt")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(RefusedError, match="not those that were registered"):
        book("%mlops_deploy flights/1")
    assert book("%mlops_deploy").endpoints == ()


@pytest.mark.usefixtures("cleaned", "registered")
def test_another_scikit_learn_is_refused_with_the_remedy(book: Book, project: Path) -> None:
    (file,) = project.glob("mlartifacts/**/requirements.txt")
    file.write_text("scikit-learn==0.1.0\n")
    with pytest.raises(RefusedError, match=r"scikit-learn 0\.1\.0 made the model") as caught:
        book("%mlops_deploy flights/1")
    assert "pip install 'scikit-learn==0.1.0'" in caught.value.remedy


@pytest.mark.usefixtures("cleaned")
def test_a_model_without_pins_is_deployed_with_a_note(book: Book, fitted: Any, project: Path) -> None:
    assert fitted
    (file,) = project.glob("mlartifacts/**/requirements.txt")
    file.unlink()
    book("%mlops_register run flights")
    assert "names no pins" in book("%mlops_deploy flights/1").notes[0]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("flights/9", NotFoundError, "no version 9"),
        ("flihgts@champion", NotFoundError, "no registered model"),
        ("flights/1 --to moon", NotFoundError, "no part 'moon'"),
        ("flights/1 --name ../x", UsageError, "cannot be the name"),
        ("flights/1 --port nine", UsageError, "--port"),
        ("--remove", UsageError, "Which endpoint"),
        ("flights/1 --token abc", UsageError, "no option --token"),
        ("flights/1 --follow", UsageError, "points nowhere else"),
    ],
)
def test_what_is_not_there_is_named(book: Book, line: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        book(f"%mlops_deploy {line}")
