"""Kubeflow's own reader judges our pipelines, in an environment of its own: its SDK wants older packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain import schedule
from mlops_magics.steps.retrain.schedule import Wanted

pytestmark = pytest.mark.slow

SDK = ("kfp==2.17.3", "kfp-kubernetes==2.17.3")
CHECK = """
import sys
import yaml
from google.protobuf.json_format import ParseDict, ParseError
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2 as platform
from kfp.pipeline_spec import pipeline_spec_pb2 as spec

with open(sys.argv[1]) as file:
    pipeline, *rest = yaml.safe_load_all(file)
ParseDict(pipeline, spec.PipelineSpec())
ParseDict(pipeline["deploymentSpec"], spec.PipelineDeploymentConfig())
for document in rest:
    ParseDict(document, spec.PlatformSpec())
    for executor in document["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        ParseDict(executor, platform.KubernetesExecutorConfig())
loaded = components.load_component_from_file(sys.argv[1])
assert loaded.name == "retrain-flights", loaded.name
for broken in ({**pipeline, "nonsense": 1}, {**pipeline, "root": {"dag": {"tasks": []}}}):
    try:
        ParseDict(broken, spec.PipelineSpec())
    except ParseError:
        continue
    raise AssertionError("the reader takes anything")
print("read", 1 + len(rest))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with Kubeflow's SDK."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv is not None
    folder = tmp_path_factory.mktemp("kfp") / "environment"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    made = folder / "bin" / "python"
    words = [uv, "pip", "install", "--quiet", "--system-certs", "--python", str(made), *SDK]
    environ = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    subprocess.run(words, check=True, env=environ)
    return made


@pytest.mark.parametrize(("secrets", "documents"), [((), 1), (("MLFLOW_TRACKING_TOKEN", "OTHER"), 2)])
def test_kubeflow_reads_the_pipeline(
    python: Path, tmp_path: Path, secrets: tuple[str, ...], documents: int
) -> None:
    wanted = Wanted(
        command=("mlops", "retrain", "flights", "--when", "drift or age > 7d", "y", "0123", "é😀"),
        when="6h",
        name="retrain-flights",
        image="registry.example.com/flights:1",
        variables={"A": "on"},
        secrets=secrets,
    )
    settings = Settings(root=tmp_path, store="", state=tmp_path / "state")
    done = schedule.write("kubeflow", wanted, settings)
    words = [str(python), "-W", "ignore", "-c", CHECK, str(done.folder / "retrain-flights.yaml")]
    told = subprocess.run(words, check=False, capture_output=True, text=True)
    assert told.stdout == f"read {documents}\n", told.stderr
