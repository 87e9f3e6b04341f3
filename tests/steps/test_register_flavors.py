"""Models of plain MLflow that only MLflow can load, on the second half of the road."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from plain_mlflow import BOTH, RANKS, state_of

from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.follow.job import LIVE, Job
from mlops_magics.frontends.follow.renewing import renewed
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


def _logs() -> str:
    return "".join(path.read_text() for path in Settings.discover().state.rglob("*.log"))


def _refused(book: Book, line: str) -> None:
    """Be refused with the line that agrees."""
    for less in ("", " --allow-pickle", " --allow-code"):
        with pytest.raises(
            RefusedError, match=r"it has: python_function\): MLflow itself loads it"
        ) as caught:
            book(line + less)
        assert caught.value.remedy == f"If you trust its author: {line} {BOTH}"


def test_a_function_goes_the_second_half_of_the_road(theirs: Book, shell: Any, project: Path) -> None:
    theirs("log(Late(), input_example=taken.head(3))")
    _refused(theirs, "%mlops_register models:/theirs/1")
    made = theirs(f"%mlops_register models:/theirs/1 {BOTH} -o made")
    checks = dict(made.checks)
    assert checks["format"] == "pyfunc (python_function), loaded by MLflow itself by your consents"
    assert checks["fresh process"] == "3 example rows predicted alike"
    assert (made.format, made.tags["mlops.consent.pickle"], made.tags["mlops.consent.code"]) == (
        "pyfunc",
        "yes",
        "yes",
    )

    _refused(theirs, "%mlops_deploy theirs/1")
    store = open_store(Settings.discover())
    store.client.set_registered_model_alias("theirs", "champion", "1")
    job = Job(
        name="theirs", model="theirs", alias="champion", mark="m", state="none.json",
        allow_pickle=True, allow_code=False,
    )  # fmt: skip
    outcome = renewed(job, LIVE)  # what an endpoint that follows does, with the consents that it has
    assert outcome.fault is not None
    assert "MLflow itself loads it" in outcome.fault.what
    assert outcome.fault.remedy.endswith(f"%mlops_deploy theirs@champion --follow {BOTH}")
    assert theirs("%mlops_deploy").endpoints == ()

    live = theirs(f"%mlops_deploy theirs/1 {BOTH}")
    assert live.engine == "pyfunc: requests together"
    assert "computed by the model itself, as MLflow loads it (requests together)" in " ".join(
        str(live).split()
    )
    asked = shell.user_ns["asked"] = pd.concat([shell.user_ns["taken"]] * 4, ignore_index=True).head(1000)
    right = (asked["age"] > 45).astype(int).tolist()
    shell.user_ns["one"] = asked.head(1)
    assert list(theirs("%mlops_predict theirs asked").values) == right
    assert list(theirs("%mlops_predict theirs one").values) == right[:1]

    shell.user_ns["odd"] = asked.head(2).assign(age=-1.0)
    with pytest.raises(MLOpsError) as caught:
        theirs("%mlops_predict theirs odd")
    logged = _logs()
    assert "RuntimeError in predict" in logged
    assert "s3cr3t" not in logged + str(caught.value)

    (worker,) = state_of().workers
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert list(theirs("%mlops_predict theirs one").values) == right[:1]
            break
        except UnavailableError:
            assert time.monotonic() < deadline
    assert not (project / "mlruns").exists()
    assert list(Settings.discover().state.rglob("mlflow.db")) == []  # the server made no store of its own


@pytest.mark.slow
def test_one_without_example_is_completed_judged_promoted_and_scored(
    theirs: Book, shell: Any, project: Path
) -> None:
    theirs("log(Late())")
    with pytest.raises(RefusedError, match="logged without example rows"):
        theirs(f"%mlops_register models:/theirs/1 {BOTH}")
    made = theirs(f"%mlops_register models:/theirs/1 --example taken {BOTH} -o made")
    assert dict(made.checks)["fresh process"] == "200 example rows predicted alike"
    assert len(json.loads(made.tags["mlops.example.predictions"])) == 5

    with pytest.raises(RefusedError, match="MLflow itself loads it"):
        theirs("%mlops_evaluate theirs/1 test --target late")
    judged = theirs(f"%mlops_evaluate theirs/1 test --target late {BOTH} -o judged")
    test = shell.user_ns["test"]
    assert judged.metrics["accuracy"] == pytest.approx(((test["age"] > 45) == test["late"]).mean())
    assert "format" in judged.assessment.failed
    (project / "policy.toml").write_text('[gates]\ngates = ["format"]\nallow_pickle = true\n')
    theirs("%mlops_promote theirs --policy policy.toml")
    assert theirs(f"%mlops_evaluate theirs/1 test --target late {BOTH}").passed
    assert theirs('%mlops_promote theirs --to champion --reason "first"').version == "1"

    shell.user_ns["asked"] = test[["town", "age"]].assign(id=np.arange(len(test)))
    shell.user_ns["asked"].to_parquet(project / "rows.parquet")
    with pytest.raises(RefusedError, match="MLflow itself loads it"):
        theirs("%mlops_predict theirs/1 --input rows.parquet --output none")
    told = theirs(f"%mlops_predict theirs/1 --input rows.parquet --output scored {BOTH}")
    found = pl.read_parquet(project / "scored" / "part-*.parquet").sort("id")
    assert found.columns == ["id", "error", "prediction"]
    assert (told.rows, told.refused) == (len(test), int(found["error"].is_not_null().sum()))
    right = (test["age"] > 45).astype(int).to_numpy()
    answered = found.filter(pl.col("prediction").is_not_null())
    assert len(answered) > 0
    assert answered["prediction"].to_list() == right[answered["id"].to_numpy()].tolist()


@pytest.mark.slow
def test_what_hangs_on_its_neighbours_stands_beside_and_follows(
    theirs: Book, shell: Any, project: Path, fitted: Any
) -> None:
    assert fitted
    (project / "ranks.py").write_text(RANKS)
    theirs("log(Late(), input_example=taken.head(3))")
    theirs("log('ranks.py', input_example=taken.head(3))")
    for version in (1, 2):
        theirs(f"%mlops_register models:/theirs/{version} {BOTH}")
    client = open_store(Settings.discover()).client
    client.set_registered_model_alias("theirs", "champion", "1")
    shell.user_ns["asked"] = asked = shell.user_ns["taken"].head(40)

    theirs(f"%mlops_deploy theirs@champion --follow {BOTH}")
    client.set_registered_model_alias("theirs", "champion", "2")
    _until(lambda: state_of().version == "2")
    (listed,) = theirs("%mlops_deploy").endpoints
    assert listed.engine.startswith("pyfunc: each request alone, its answers hang on the rows beside them")
    ranked = asked[["age"]].rank().assign(town=asked["town"]).to_dict(orient="records")
    assert list(theirs("%mlops_predict theirs asked -o answered").values) == ranked
    assert "town" in str(shell.user_ns["answered"])
    rows = [asked.iloc[[place]] for place in range(40)]
    from mlops_magics import predict

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        each = list(clients.map(lambda row: dict(predict("theirs", row).to_dict()["values"][0])["age"], rows))
    assert each == [1.0] * 40  # the first of its own rows, whoever asks at the same time

    theirs(f"%mlops_deploy theirs/2 {BOTH}")
    assert theirs(f"%mlops_deploy theirs/1 --canary 50 {BOTH}").beside == (
        "version 1 as a canary, 50 % of the requests"
    )
    said = [theirs("%mlops_predict theirs asked") for _ in range(20)]
    assert {one.version for one in said} == {"1", "2"}
    late = (asked["age"] > 45).astype(int).tolist()
    assert all(list(one.values) == (late if one.version == "1" else ranked) for one in said)

    theirs("%mlops_register run theirs")  # version 3, of scikit-learn
    client.set_registered_model_alias("theirs", "champion", "3")
    theirs("%mlops_deploy theirs@champion --follow --allow-pickle")
    assert state_of().version == "3"
    client.set_registered_model_alias("theirs", "champion", "1")
    _until(lambda: "MLflow itself loads it" in str(theirs("%mlops_deploy")))
    assert state_of().version == "3"


def _until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)
