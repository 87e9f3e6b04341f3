"""A retraining whose notebooks are tasks of a real Ray: the same comes of it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from retrained import champion, notebook, rows_of, tags, with_gaps

from mlops_magics.tracking.recall import fetched_text
from mlops_magics.tracking.records import ModelVersion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="make test-slow installs Ray"),
]

# Ray leaves open what it opened: it is asked from a process of its own.
ASK = """
import json
from mlops_magics.steps.retrain import retrain
found = retrain("flights", notebook=("train.ipynb",), data="new.parquet", cursor="number", target="late",
                engine="ray")
print(json.dumps([found.outcome, found.version, found.record]))
"""
SHOW = "import psutil\nprint('on ray:', any('raylet' in one.name() for one in psutil.Process().parents()))"


def test_its_notebooks_are_executed_on_ray(registered: ModelVersion, project: Path) -> None:
    assert registered.version == "1"
    notebook(project / "train.ipynb", SHOW)
    with_gaps(rows_of()).to_parquet(project / "new.parquet")
    store = champion()
    environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environ["RAY_gcs_server_port_wait_time_s"] = "120"  # on a machine with other work Ray starts late
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env=environ, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome, version, record = json.loads(done.stdout.splitlines()[-1])
    assert (outcome, version) == ("promoted", "2")
    assert "on ray: True" in fetched_text(store, record, "1-train.ipynb")
    assert tags(store, "2")["mlops.watermark"]
    assert [path.name for path in (project / ".mlops" / "retrain" / "flights").glob("train-*")] == []
