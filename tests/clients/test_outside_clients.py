"""Clients that are not ours, each in an environment of its own, before an endpoint at a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent.parent / "serving"))
sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from endpoint import MODEL, ROWS, TENSORS, TOKEN, VERSION, application, loaded, served
from peers import KSERVE, MLSERVER_TYPES, SCHEMATHESIS, Peer

pytestmark = pytest.mark.slow
_HERE = Path(__file__).parent


def _cells() -> dict[str, list[Any]]:
    """The good request without gaps: KServe's tensors of numbers have none, and "rank" may be missing."""
    filled = {"delay": [0.0, 3.5, 0.0], "note": ["", "x", ""]}
    return {name: filled.get(name, cells) for name, cells in ROWS.items() if name != "rank"}


def _frame() -> pd.DataFrame:
    return pd.DataFrame({**_cells(), "rank": [None] * 3})


def _python(peer: Peer) -> Path:
    try:
        return peer.python()
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"{peer.name} cannot be installed here ({error}): uv pip install {' '.join(peer.pins)}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(application()) as (host, port):
        yield f"http://{host}:{port}"


def _answers(peer: Peer, script: str, url: str) -> dict[str, Any]:
    columns = {name: [TENSORS[name], cells] for name, cells in _cells().items()}
    told = {"url": url, "model": MODEL, "token": TOKEN, "columns": columns}
    done = subprocess.run(
        [_python(peer), _HERE / script],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=_HERE.anchor,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_kserve_s_client_is_answered(url: str) -> None:
    found = _answers(KSERVE, "kserve_side.py", url)
    labels = loaded().estimator.predict(_frame()).tolist()
    chances = np.asarray(loaded().estimator.predict_proba(_frame()))
    assert (found["live"], found["ready"], found["model ready"]) == (True, True, True)
    for question in (False, True):
        for answer in (False, True):
            told = found[f"binary {question} {answer}"]
            assert (told["id"], told["model"]) == ("my id", MODEL)
            assert told["outputs"]["predict"] == labels
            np.testing.assert_array_equal(told["outputs"]["predict_proba"], chances)
    assert found["plain"]["outputs"] == {"predict": labels}
    assert (found["no token"][0], "token" in found["no token"][1]) == (401, True)
    assert (found["no column"][0], "missing" in found["no column"][1]) == (400, True)


def test_mlserver_s_types_and_codecs_are_answered(url: str) -> None:
    found = _answers(MLSERVER_TYPES, "mlserver_side.py", url)
    labels = loaded().estimator.predict(_frame()).tolist()
    assert (found["id"], found["model"], found["version"]) == ("my id", MODEL, VERSION)
    assert found["labels"] == found["predict"] == found["codecs"] == labels
    np.testing.assert_array_equal(found["probabilities"], loaded().estimator.predict_proba(_frame()))
    assert found["inputs"] == {name: [datatype, [-1]] for name, datatype in TENSORS.items()}
    assert found["server"] == "mlops-magics"
    assert (found["matrix"][0], "one tensor a column" in found["matrix"][1]) == (400, True)


def test_schemathesis_finds_nothing_that_is_not_as_described(url: str, tmp_path: Path) -> None:
    python = _python(SCHEMATHESIS)
    line = [python.with_name("schemathesis"), "run", f"{url}/openapi.json"]
    line += ["--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "60", "--seed", "1"]
    # A schema cannot say that columns are of one length, or a text a date: what fits it may be refused.
    line += ["--exclude-checks", "positive_data_acceptance", "--phases", "examples,coverage,fuzzing"]
    done = subprocess.run(
        list(map(str, line)),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
