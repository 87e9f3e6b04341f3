"""Each part of each store goes away in the middle of a cell, and comes back; or does not let anyone in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_kinds import TEMPLATE, Place, Servers, stores

from mlops_magics.foundation.errors import MissingExtraError, NotFoundError, RefusedError, UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.failures import forget_client
from mlops_magics.tracking.spool import Spool
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

CELL = """%%mlops_track --name {name} -o run
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C={c}).fit(train[["age"]], train["late"])
score = model.score(test[["age"]], test["late"])
{more}
"""
AWAY = (
    *("server", "postgresql", "postgresql, files on s3", "sqlite, files on s3"),
    *(
        "server on postgresql and s3",
        "server, files on s3 by clients",
        "server, files in a folder by clients",
    ),
)


def _waiting() -> int:
    return len(Spool.of(Settings.discover()))


@stores(*AWAY)
def test_a_store_that_goes_away_in_the_middle_of_a_cell_loses_and_doubles_nothing(
    book: Book, place: Place, experiment: str, shell: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    book(CELL.format(name="first", c=1, more=""))
    assert place.parts
    for part, proxy in place.parts.items():
        shell.user_ns["turn"] = proxy.turn
        capfd.readouterr()
        begun = time.monotonic()
        middle = book(CELL.format(name=part, c=2, more="turn('refuse')"))
        assert time.monotonic() - begun < 5, part
        assert middle.id.startswith("offline-"), part
        assert "waits on this machine" in middle.remark
        begun = time.monotonic()
        after = book(CELL.format(name=f"{part}2", c=3, more=""))
        assert time.monotonic() - begun < 5, part
        assert after.id.startswith("offline-"), part
        assert _waiting() == 2
        assert "Traceback" not in "".join(capfd.readouterr()), "a page of MLflow's own was shown"
        proxy.turn("pass")
        book("%mlops_track")
        assert _waiting() == 0, part
        runs = place.runs(experiment)
        for name, run in ((part, middle), (f"{part}2", after)):
            found = runs[name]
            assert (found.info.status, found.data.metrics["score"]) == ("FINISHED", run.metrics["score"])
            assert len(place.client.get_metric_history(found.info.run_id, "score")) == 1
            (output,) = found.outputs.model_outputs
            assert any("model.skops" in path for path in place.holds(output.model_id))
    assert len(place.runs(experiment)) == 1 + 2 * len(place.parts)
    assert {run.info.status for run in place.runs(experiment).values()} == {"FINISHED"}


@stores("postgresql")
def test_a_database_that_answers_nobody_costs_a_cell_less_than_a_second(book: Book, place: Place) -> None:
    book(CELL.format(name="first", c=1, more=""))
    begun = time.monotonic()
    book(CELL.format(name="up", c=2, more=""))
    usual = time.monotonic() - begun
    place.parts["database"].turn("hang")
    begun = time.monotonic()
    run = book(CELL.format(name="down", c=3, more=""))
    assert time.monotonic() - begun < usual + 1.0
    assert run.id.startswith("offline-")


@stores("postgresql")
def test_a_database_that_is_started_again_between_two_cells_is_used_again(
    book: Book, place: Place, experiment: str, servers: Servers
) -> None:
    book(CELL.format(name="before", c=1, more=""))
    servers.postgres().stop()
    try:
        assert book(CELL.format(name="meanwhile", c=2, more="")).id.startswith("offline-")
    finally:
        servers.postgres().start()
    assert not book(CELL.format(name="after", c=3, more="")).id.startswith("offline-")
    book("%mlops_track")
    statuses = {name: run.info.status for name, run in place.runs(experiment).items()}
    assert statuses == dict.fromkeys(("before", "meanwhile", "after"), "FINISHED")


@pytest.mark.slow
def test_a_database_that_does_not_let_us_in_is_told_at_once(
    shell: Any, run: Callable[..., Any], servers: Servers
) -> None:
    server = servers.postgres()
    begun = time.monotonic()
    with pytest.raises(RefusedError, match="password authentication failed") as refused:
        run(shell, f"%mlops --store {server.url(TEMPLATE).replace(server.password, 'hunter22')}")
    with pytest.raises(UnavailableError, match='database "nowhere" does not exist') as absent:
        run(shell, f"%mlops --store {server.url('nowhere')}")
    assert time.monotonic() - begun < 10, "MLflow tries for 100 seconds"
    assert "hunter22" not in str(refused.value)
    assert server.password not in str(absent.value)
    assert "password" in refused.value.remedy
    assert open_store(Settings.discover()).local, "the old store is still the chosen one"


@pytest.mark.slow
def test_two_kernels_that_open_an_empty_database_at_once_make_its_tables_once(
    project: Path, servers: Servers
) -> None:
    name = f"new{uuid.uuid4().hex[:8]}"
    url = servers.postgres().create(name)
    program = (
        "from mlops_magics.foundation.settings import Settings\n"
        "from mlops_magics.tracking.store import open_store\n"
        "print(open_store(Settings.discover()).experiment_id('e'))\n"
    )
    try:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.PIPE,
                text=True,
                cwd=project,
                env=os.environ | {"MLOPS_STORE": url},
            )
            for _ in range(2)
        ]
        told = [child.communicate(timeout=120)[0].strip() for child in children]
    finally:
        servers.postgres().drop(name)
    assert [child.returncode for child in children] == [0, 0]
    assert told[0] == told[1] != ""


def test_a_driver_that_is_not_installed_is_named_with_its_line(
    shell: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError) as caught:
        run(shell, "%mlops --store postgresql:///nowhere")
    assert "mlops-magics[postgresql]" in caught.value.remedy


@stores("sqlite, files on s3", "postgresql, files on s3", "server, files on s3 by clients")
def test_keys_that_the_bucket_refuses_are_told_and_right_ones_count_at_once(
    book: Book, place: Place, experiment: str, shell: Any, model: str
) -> None:
    good = book(CELL.format(name="good", c=1, more=""))
    right = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    os.environ |= dict.fromkeys(right, "wrong")
    forget_client()  # as in a kernel that begins with the wrong keys
    waits = book(CELL.format(name="waits", c=2, more=""))
    assert waits.id.startswith("offline-")
    assert "AWS_ACCESS_KEY_ID" in waits.remark
    assert _waiting() == 1
    shell.user_ns["good"] = good
    refused = shell.run_cell(f"%mlops_register good {model}").error_in_exec
    assert isinstance(refused, RefusedError)
    assert "AWS_ACCESS_KEY_ID" in refused.remedy
    assert not place.client.search_registered_models(f"name = '{model}'")
    os.environ |= right
    assert book("%mlops_track").waiting == 0
    found = place.runs(experiment)["waits"]
    assert found.info.status == "FINISHED"
    (output,) = found.outputs.model_outputs
    assert any("model.skops" in path for path in place.holds(output.model_id))
    assert book(f"%mlops_register good {model}").version == "1"


@stores("sqlite, files on s3")
def test_a_bucket_that_is_not_there_is_named_and_the_run_waits(book: Book, place: Place) -> None:
    assert place.artifacts
    book("%mlops --artifacts s3://nowhere/files")
    book(f"%mlops_track e-{uuid.uuid4().hex[:8]}")
    waits = book(CELL.format(name="waits", c=1, more=""))
    assert "the bucket for its files does not exist" in waits.remark
    with pytest.raises(NotFoundError, match="waits on this machine"):
        book("%mlops_register run flights")
    assert _waiting() == 1
    assert not place.client.search_registered_models()
