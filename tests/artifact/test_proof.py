from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flights import frame, save
from sklearn.dummy import DummyClassifier

from mlops_magics.artifact import proof
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.prover import PROVER
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError


def test_a_fresh_process_answers_the_example_as_the_notebook_does(
    saved: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    found = proof.prove(saved)
    example = frame().head(3)
    assert found.predictions == fitted.predict(example).tolist()
    assert found.probabilities == fitted.predict_proba(example).tolist()
    assert (found.rows, found.types) == (3, ())
    assert found.seconds > 0


def test_secrets_do_not_reach_the_child() -> None:
    given = {"PATH": "/bin", "HOME": "/h", "AWS_SECRET_ACCESS_KEY": "x", "MLFLOW_TRACKING_TOKEN": "y"}
    made = proof.environment(given)
    assert made["PATH"] == "/bin"
    assert made["OMP_NUM_THREADS"] == "1"
    assert not {"AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN"} & made.keys()


def test_a_refusal_comes_back_as_one(tmp_path: Path, fitted: Any) -> None:
    path = save(fitted, tmp_path / "m", frame(), serialization_format="pickle")
    with pytest.raises(RefusedError, match="is a pickle"):
        proof.prove(path)
    done = subprocess.run(
        [sys.executable, "-m", "mlops_magics.artifact", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    told = json.loads(done.stdout)["error"]
    assert "is a pickle" in told["what"]
    assert told["remedy"]


def test_a_model_without_example_says_so(tmp_path: Path) -> None:
    path = save(DummyClassifier().fit([[0]], [0]), tmp_path / "m", None)
    with pytest.raises(MLOpsError, match="no input example"):
        proof.run(path, allow_pickle=False)


def test_time_is_bounded(saved: Path) -> None:
    with pytest.raises(UnavailableError, match=r"0\.05 seconds"):
        proof.prove(saved, timeout=0.05)


@pytest.mark.parametrize("said", [b"", b"no json", b"[]", b"{}"])
def test_a_child_that_crashes_is_quoted(said: bytes, monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    ended = subprocess.CompletedProcess([], -11, said, b"Segmentation fault")
    monkeypatch.setattr(PROVER, "ask", lambda *_: ended)
    with pytest.raises(MLOpsError, match="ended with -11: Segmentation fault"):
        proof.prove(saved)


def test_asking_leaves_the_parameters_as_they_were(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    data = frame()[["hour"]]
    forest = RandomForestClassifier(3, n_jobs=2).fit(data, data["hour"] > 12)
    model = load(save(forest, tmp_path / "m", data))
    assert proof.answers(model, data.head(3))["predictions"] == forest.predict(data.head(3)).tolist()
    assert model.estimator.n_jobs == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([0.1, 0.2], [0.1, 0.2 * (1 + 1e-15)], True),
        ([0.1, 0.2], [0.1, 0.2001], False),
        ([[0.0, None]], [[0.0, None]], True),
        ([0.0], [None], False),
        ([1], [1.0], False),
        ([1], [True], False),
        (["a"], ["b"], False),
        ([1.0], [1.0, 2.0], False),
        (None, [[0.5]], False),
        (None, None, True),
    ],
)
def test_answers_are_alike_to_six_digits(one: object, other: object, same: bool) -> None:  # noqa: FBT001
    assert proof.alike(one, other) is same
