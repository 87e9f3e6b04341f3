"""Pages that are sessions are done from top to bottom, on a real store, with a real endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, blocks, walk

Walked = Callable[[str], dict[str, Any]]


@pytest.fixture
def walked(shell: Any, run: Callable[[Any, str], Any], project: Path, store_file: Path) -> Iterator[Walked]:
    """Do a page; no endpoint of it is left."""
    import mlflow

    assert store_file.is_file()
    run(shell, "%config MLOps.standby = False")

    def do(name: str) -> dict[str, Any]:
        walk(ROOT / "docs" / name, shell, run, project)
        names: dict[str, Any] = shell.user_ns
        return names

    before = mlflow.get_tracking_uri()
    yield do
    mlflow.set_tracking_uri(before)
    for endpoint in run(shell, "%mlops_deploy").result.endpoints:
        run(shell, f"%mlops_deploy {endpoint.name} --remove")


@pytest.mark.slow
def test_the_tutorial_ends_with_an_alarm_that_is_right(walked: Walked) -> None:
    names = walked("tutorial.md")
    assert names["judged"].passed
    assert names["said"] == list(names["answers"].values)[:3]
    assert names["quiet"].holds, str(names["quiet"])
    for found, cause in (("seen", "range"), ("alone", "unit change")):
        (alert,) = [one for one in names[found].alerts if one.subject == "mean radius"]
        assert alert.cause.startswith(cause)
    assert "would only learn the fault" in alert.then
    assert names["compared"].to_dict()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*MLflow doesn't validate:UserWarning")
def test_from_plain_mlflow_and_back_again(walked: Walked, project: Path) -> None:
    names = walked("migrate.md")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    assert str(client.get_model_version_by_alias("wine", "champion").version) == "2"
    first, second = (client.get_model_version("wine", number) for number in ("1", "2"))
    assert first.tags["mlops.manifest"].startswith("sha256:")
    assert second.tags["mlops.manifest"].startswith("sha256:")
    assert not names["judged"].passed, "pickle holds it back, as the page says"
    assert client.get_run(names["run"].id).data.tags["team"] == "cellar"
    assert [run.name for run in names["runs"].rows] == ["before"]


def test_each_block_of_a_walked_page_is_done_or_is_no_code() -> None:
    """A block without a language is a text; it must not look like a cell of ours."""
    for name in ("tutorial.md", "migrate.md", "team.md"):
        for block in blocks(ROOT / "docs" / name):
            if not block.language:
                assert "%mlops" not in block.text, block.place
