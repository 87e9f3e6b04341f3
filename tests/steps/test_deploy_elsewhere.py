"""Deploying to a target that writes files: planned, written, listed and removed through the road."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from images import TOKEN, clean_environment, endpoint, free_port, serving

from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy import Plan, Written
from mlops_magics.targets.call import call
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def test_a_container_is_planned_written_listed_and_removed(
    book: Book, registered: ModelVersion, project: Path
) -> None:
    plan = book("%mlops_deploy flights/1 --to container --plan")
    assert isinstance(plan, Plan)
    assert {item.what for item in plan.differences} == {"added"}
    assert "Dockerfile" in [item.where for item in plan.differences]
    assert "Dockerfile" in str(plan)
    assert not (project / "deploy").exists()
    made = book("%mlops_deploy flights/1 --to container -o made")
    assert isinstance(made, Written)
    assert (made.name, made.version, made.target) == ("flights", registered.version, "container")
    assert made.folder == "deploy/flights/container"
    assert made.then[0] == "docker build -t flights:1 deploy/flights/container"
    (listed,) = book("%mlops_deploy --to container").endpoints
    assert (listed.name, listed.status) == ("flights", "written")
    assert "deploy/flights/container" in str(book("%mlops_deploy --to container"))
    assert book("%mlops_deploy flights/1 --to container --plan").differences == ()
    assert "nothing to do" in str(book("%mlops_deploy flights/1 --to container --plan"))
    changed = book("%mlops_deploy flights/1 --to container --workers 2 --plan").differences
    assert [(item.where, item.before, item.after) for item in changed] == [("served.json: workers", "1", "2")]
    tags = registry.versions(open_store(Settings.discover()), "flights")[0].tags
    assert '"what": "written"' in tags["mlops.deployment.flights.container"]
    assert "mlops.deployment.flights" not in tags
    assert book("%mlops_deploy flights --to container --remove").left == ""
    tags = registry.versions(open_store(Settings.discover()), "flights")[0].tags
    assert '"what": "removed"' in tags["mlops.deployment.flights.container"]
    assert not (project / "deploy").exists()
    assert book("%mlops_deploy --to container").endpoints == ()


@pytest.mark.usefixtures("registered")
def test_consents_that_go_along_are_said(book: Book) -> None:
    plain = book("%mlops_deploy flights/1 --to container")
    assert plain.consents == ()
    assert "consents" not in str(plain)
    carried = book("%mlops_deploy flights/1 --to container --name other --allow-pickle --allow-code")
    assert carried.consents == ("pickle", "code")
    assert "whoever starts it runs what is in the model's files" in str(carried)
    assert book("%mlops_deploy flights/1 --to mlserver").consents == ()


@pytest.mark.usefixtures("registered")
def test_it_goes_into_a_folder_of_the_users(book: Book, project: Path) -> None:
    made = book("%mlops_deploy flights/1 --to container --into images/late --name late")
    assert made.folder == "images/late"
    assert (project / "images" / "late" / "Dockerfile").is_file()
    with pytest.raises(NotFoundError):
        book("%mlops_deploy late --to container --remove")
    with pytest.raises(NotFoundError):
        book("%mlops_deploy other --to container --into images/late --remove")
    (project / "images" / "late" / "Dockerfile").write_text("FROM mine")
    removed = book("%mlops_deploy late --to container --into images/late --remove")
    assert removed.left == "images/late"
    assert "images/late" in str(removed)
    assert [path.name for path in (project / "images" / "late").iterdir()] == ["Dockerfile"]
    (project / "mine").mkdir()
    (project / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RefusedError, match="did not write"):
        book("%mlops_deploy flights/1 --to container --into mine")


@pytest.mark.usefixtures("registered")
def test_a_plan_of_the_local_target_starts_nothing(book: Book) -> None:
    (difference,) = book("%mlops_deploy flights/1 --plan").differences
    assert (difference.what, difference.where) == ("added", "endpoint")
    assert book("%mlops_deploy").endpoints == ()


def _planned(book: Book, line: str) -> list[tuple[str, str, str, str]]:
    found = book(f"%mlops_deploy {line} --plan").differences
    return [(item.what, item.where, item.before, item.after) for item in found]


@pytest.mark.usefixtures("registered_twice")
def test_a_plan_of_the_local_target_says_what_stands_beside_and_what_is_followed(book: Book) -> None:
    client = open_store(Settings.discover()).client
    for alias, version in (("champion", "1"), ("challenger", "2")):
        client.set_registered_model_alias("flights", alias, version)
    canary, shadow = "version 2 as a canary, 10 % of the requests", "version 2 as a shadow"
    with pytest.raises(RefusedError, match="nothing can stand beside it"):
        _planned(book, "flights/2 --canary 10")
    assert [row[1:] for row in _planned(book, "flights@champion --follow --shadow @challenger")] == [
        ("endpoint", "", "flights, version 1"),
        ("follows", "", "champion"),
        ("beside", "", f"{shadow}, follows challenger"),
    ]
    assert book("%mlops_deploy").endpoints == ()
    book("%mlops_deploy flights/1")
    try:
        (before,) = book("%mlops_deploy").endpoints
        assert _planned(book, "flights/1") == []
        assert _planned(book, "flights/2 --canary 10") == [("added", "beside", "", canary)]
        assert _planned(book, "flights@champion --follow --shadow @challenger") == [
            ("added", "follows", "", "champion"),
            ("added", "beside", "", f"{shadow}, follows challenger"),
        ]
        with pytest.raises(UsageError, match="already answers"):
            _planned(book, f"flights/1 --port {before.port + 1}")
        assert book("%mlops_deploy").endpoints == (before,)
        assert book("%mlops_deploy flights/1 --shadow 2").beside == shadow
        assert _planned(book, "flights/1 --shadow 2") == []
        assert _planned(book, "flights/2 --canary 10") == [("changed", "beside", shadow, canary)]
        assert _planned(book, "flights/1") == [("removed", "beside", shadow, "")]
    finally:
        book("%mlops_deploy flights --remove")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("flights/1 --into x", "writes no files"),
        ("flights/1 --replicas 2", "no image and no copies"),
        ("flights/1 --image x --plan", "no image and no copies"),
        ("flights/1 --workers 0", "At least one process"),
        ("flights/1 --to container --replicas 0", "number of copies"),
        ("flights/1 --to container --replicas 3,2", "number of copies"),
        ("flights/1 --to container --replicas 1,2,3", "number of copies"),
        ("flights/1 --to container --replicas two", "number of copies"),
        ("flights/1 --to container --replicas 2", "one copy"),
        ("--plan", "Which endpoint"),
    ],
)
def test_what_makes_no_sense_is_said(book: Book, line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        book(f"%mlops_deploy {line}")


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
def test_a_pipeline_answers_in_a_clean_environment_as_it_does_here(
    book: Book, shell: Any, project: Path, tmp_path: Path
) -> None:
    made = book("%mlops_deploy flights/1 --to container")
    folder = project / made.folder
    rows = shell.user_ns["test"][["town", "size", "age"]]
    body = split_body(Frame.of(rows), "predict_proba")
    port, python = free_port(), clean_environment(folder, tmp_path / "clean")
    assert not list((tmp_path / "clean").glob("lib/*/site-packages/mlflow"))
    with serving(folder, python, port) as process:
        answer = call(endpoint(port), body, token=TOKEN)
        process.terminate()
        assert process.wait(20) == 0
    wanted = shell.user_ns["model"].predict_proba(rows)
    assert orjson.loads(answer.body)["predictions"] == pytest.approx(wanted, abs=1e-12)
