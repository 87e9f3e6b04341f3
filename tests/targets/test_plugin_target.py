"""A deployment plugin of MLflow's that somebody installed, as a target."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from served import EXAMPLE, ask_for
from written_targets import target_in

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.targets.plugin import PluginTarget

PLUGIN = """
import os
from mlflow.deployments import BaseDeploymentClient

MADE, SEEN = {}, []


class Client(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        if name == "torn":
            raise OSError("no room")
        SEEN.append(("create", self.target_uri, os.environ["MLFLOW_TRACKING_URI"]))
        MADE[name] = model_uri
        return {"name": name, "url": "https://planes.example.com"}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        MADE[name] = model_uri

    def delete_deployment(self, name, config=None, endpoint=None):
        del MADE[name]

    def list_deployments(self, endpoint=None):
        return [{"name": name} for name in MADE]

    def get_deployment(self, name, endpoint=None):
        return {"name": name}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        return inputs["x"] * 2


def run_local(name, model_uri, flavor=None, config=None):
    pass


def target_help():
    return ""
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from mlflow.deployments.interface import plugin_store

    packages = tmp_path / "packages"
    info = packages / "paper_planes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paper-planes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlflow.deployments]\nplanes = paper_planes\n")
    (packages / "paper_planes.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(packages)
    plugin_store.register("planes", "paper_planes")  # MLflow looks for them once, when it is imported
    import paper_planes  # type: ignore[import-not-found]

    yield paper_planes
    plugin_store.registry.pop("planes")
    plugin_store.registry.pop("planes:/here", None)
    sys.modules.pop("paper_planes", None)


def test_it_deploys_updates_answers_lists_and_removes(plugin: Any, tmp_path: Path) -> None:
    target = target_in(tmp_path / "project", "planes:/here")
    assert isinstance(target, PluginTarget)
    request = ask_for(tmp_path)
    assert [item.what for item in target.plan(request)] == ["added"]
    assert plugin.MADE == {}
    made = target.deploy(request)
    assert (made.status, made.url, made.version) == ("elsewhere", "https://planes.example.com", "1")
    assert plugin.MADE == {"flights": "models:/flights/1"}
    assert plugin.SEEN == [("create", "planes:/here", "sqlite:///tests.db")]
    assert [item.what for item in target.plan(request)] == ["changed"]
    target.deploy(ask_for(tmp_path, 2.0))
    assert plugin.MADE == {"flights": "models:/flights/2"}
    assert [item.name for item in target.list()] == ["flights"]
    assert orjson.loads(target.call("flights", EXAMPLE).body) == {"predictions": [2.0, 4.0]}
    with pytest.raises(UsageError, match="probabilities"):
        target.call("flights", orjson.dumps({**orjson.loads(EXAMPLE), "params": {}}))
    target.remove("flights")
    assert plugin.MADE == {}


@pytest.mark.usefixtures("plugin")
def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    target = target_in(tmp_path / "project", "planes")
    for changes in ({"port": 1}, {"workers": 2}, {"image": "x"}, {"replicas": (1, 2)}, {"into": tmp_path}):
        with pytest.raises(UsageError, match="cannot be told --"):
            target.deploy(ask_for(tmp_path, **changes))
    for ask in (lambda: target.remove("x"), lambda: target.call("x", EXAMPLE)):
        with pytest.raises(NotFoundError):
            ask()
    with pytest.raises(UsageError):
        target.deploy(ask_for(tmp_path, name="../x"))
    with pytest.raises(MLOpsError, match="no room"):
        target.deploy(ask_for(tmp_path, name="torn"))


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "remedy"),
    [("plane", "'planes'"), ("mlops-container", "'container'"), ("kubernets", "'kubernetes'")],
)
def test_a_target_that_is_not_there_is_named_with_the_nearest(tmp_path: Path, name: str, remedy: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        target_in(tmp_path / "project", name)
    assert remedy in caught.value.remedy
