"""The road against one real ``mlflow server``: the same calls as on SQLite, over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import leaderboard, registry
from mlops_magics.tracking.store import open_store

TABLE = """
import numpy as np, pandas as pd
random = np.random.default_rng(0)
table = pd.DataFrame({"a": random.normal(size=400), "b": random.normal(size=400)})
table["late"] = (table["a"] + random.normal(size=400) > 0).astype(int)
train, test = table[:200], table[200:]
"""
FIT = """%%mlops_track --name baseline -o run
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(train[["a", "b"]], train["late"])
"""


def test_the_road_to_a_promotion(
    shell: Any, run: Callable[..., Any], mlflow_server: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_STANDBY", "false")
    for cell in (
        f"%mlops --store {mlflow_server}",
        "%mlops_track flights",
        TABLE,
        FIT,
        "%mlops_evaluate run test --target late",
        "%mlops_register run flights",
        '%mlops_promote flights --to champion --reason "over http"',
    ):
        run(shell, cell)
    store = open_store(Settings.discover())
    assert store.uri == mlflow_server
    assert not store.local
    assert not (project / "mlflow.db").exists(), "nothing was written beside the server"
    champion = registry.aliases_of(store, "flights")["champion"]
    assert champion == "1"
    (row,) = leaderboard.top(store, store.experiment_id("flights"), metric="test_roc_auc")
    assert row.status == "FINISHED"
    assert row.metrics["test_roc_auc"] > 0.6
    deployed = run(shell, "%mlops_deploy flights@champion").result
    try:
        answer = run(shell, "%mlops_predict flights test").result
        assert (
            list(answer.values) == shell.user_ns["model"].predict(shell.user_ns["test"][["a", "b"]]).tolist()
        )
        assert answer.version == deployed.version
    finally:
        run(shell, "%mlops_deploy flights --remove")


def test_a_store_that_does_not_answer_is_not_chosen(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    from mlops_magics.foundation.errors import UnavailableError

    assert store_file
    with pytest.raises(UnavailableError):
        run(shell, "%mlops --store http://127.0.0.1:9")
    assert open_store(Settings.discover()).local
