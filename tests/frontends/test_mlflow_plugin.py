"""Our targets behind MLflow's own deployments client."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.deployments import get_deploy_client

from mlops_magics.foundation.errors import UsageError
from mlops_magics.targets import TARGETS

TABLE = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
random = np.random.default_rng(0)
table = pd.DataFrame({"a": random.normal(size=200), "b": random.normal(size=200)})
late = (table["a"] > 0).astype(int)
"""
FIT = "%%mlops_track --name n -o run\nmodel = LogisticRegression().fit(table, late);"


def test_mlflows_client_deploys_asks_lists_and_deletes(
    shell: Any, run: Callable[..., Any], store_file: Any
) -> None:
    assert store_file
    for cell in (
        "%config MLOps.standby = False",
        "%mlops_track e",
        TABLE,
        FIT,
        "%mlops_register run flights",
    ):
        run(shell, cell)
    client = get_deploy_client("mlops-local")
    assert client.list_deployments() == []
    made = client.create_deployment("mine", "models:/flights/1", config={"workers": "1"})
    try:
        assert made["version"] == "1"
        table = shell.user_ns["table"]
        assert client.predict("mine", table) == shell.user_ns["model"].predict(table).tolist()
        assert client.get_deployment("mine")["url"] == made["url"]
        assert client.update_deployment("mine", "models:/flights/1")["url"] == made["url"]
    finally:
        client.delete_deployment("mine")
    client.delete_deployment("mine")
    assert client.list_deployments() == []
    _writes_for_kubernetes()


def _writes_for_kubernetes() -> None:
    client = get_deploy_client("mlops-kubernetes")
    config = {"image": "example.com/flights:1", "replicas": "2,5"}
    made = client.create_deployment("mine", "models:/flights/1", config=config)
    assert made["folder"] == "deploy/mine/kubernetes"
    assert Path(made["folder"], "horizontalpodautoscaler.json").is_file()
    assert [item["status"] for item in client.list_deployments()] == ["written"]
    assert get_deploy_client("mlops-local").list_deployments() == []
    client.delete_deployment("mine")
    assert not Path("deploy").exists()


@pytest.mark.parametrize("target", TARGETS.table)
def test_each_target_is_a_plugin(target: str, project: Path) -> None:
    assert project.is_dir()
    assert get_deploy_client(f"mlops-{target}").list_deployments() == []


def test_what_it_cannot_do_is_said() -> None:
    client = get_deploy_client("mlops-local")
    with pytest.raises(UsageError, match="not a registered version"):
        client.create_deployment("x", "runs:/abc/model")
    with pytest.raises(UsageError, match="gpus=2"):
        client.create_deployment("x", "models:/flights/1", config={"gpus": "2"})
    with pytest.raises(UsageError, match="port=nine"):
        client.create_deployment("x", "models:/flights/1", config={"port": "nine"})
    with pytest.raises(UsageError, match="Which version"):
        client.update_deployment("x")
