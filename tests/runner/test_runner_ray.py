"""Notebooks in the tasks of a real Ray: the same comes back, and nothing stays behind."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from headless_runs import kept, printed, saved

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("quiet_jupyter"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="make test-slow installs Ray"),
]

# On a machine with other work Ray takes longer to start than it waits for itself.
PATIENT = {"RAY_gcs_server_port_wait_time_s": "120"}
TOKEN = "tok" + "en-9f8e7d6c5b4a3210"
# Ray leaves open what it opened: it is asked from a process of its own.
ASK = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from mlops_magics.foundation.cluster import joined
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.runner import Job
from mlops_magics.runner.ray import run_on_ray

folder = Path(sys.argv[1])
with joined():
    for name, more in json.loads(sys.argv[2]).items():
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in more.items()}
        job = Job(notebook=folder / f"{name}.ipynb", into=folder / f"{name}.done.ipynb", timeout=300, **given)
        try:
            told = asdict(run_on_ray(job))
        except MLOpsError as error:
            told = {"error": error.what}
        print(json.dumps([name, told], default=str), flush=True)
"""
SHOW = """import os, psutil
print(days, os.getcwd(), os.environ['MY_TOKEN'], os.environ.get('OTHER'))
print(any('raylet' in parent.name() for parent in psutil.Process().parents()))
"""
TELL = "import os, time; open('kernel.tmp', 'w').write(str(os.getpid())); os.rename('kernel.tmp', 'kernel')"
LOSE = """import psutil
next(each for each in psutil.Process().parents() if each.name().startswith('ray::')).kill()
time.sleep(600)
"""


def _asked(folder: Path, jobs: dict[str, Any]) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environ |= {"MY_TOKEN": TOKEN, "OTHER": "not asked for", **PATIENT}
    words = [sys.executable, "-c", ASK, str(folder), json.dumps(jobs)]
    with (folder / "errors.txt").open("w") as errors:
        return subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True)


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_happens_there_is_told_here(tmp_path: Path) -> None:
    saved(tmp_path, ("days = 7", "parameters"), SHOW, name="good.ipynb")
    saved(tmp_path, "raise ValueError('no')", name="bad.ipynb")
    saved(tmp_path, TELL, LOSE, name="lost.ipynb")
    jobs = {
        "good": {"parameters": {"days": 30}, "environment": ["MY_*"]},
        "bad": {},
        "lost": {},
    }
    with _asked(tmp_path, jobs) as child:
        assert child.stdout is not None
        told = dict(json.loads(line) for line in child.stdout if line.startswith('["'))
    assert set(told) == set(jobs), (tmp_path / "errors.txt").read_text()
    assert told["good"]["status"] == "finished", told["good"]["failure"]
    assert printed(Path(told["good"]["notebook"])) == f"30 {tmp_path} **** None\nTrue\n"
    assert TOKEN not in (tmp_path / "good.done.ipynb").read_text()
    assert kept(tmp_path / "good.done.ipynb")["metadata"]["mlops_magics"]["source"] == "good.ipynb"
    assert told["bad"]["status"] == "failed"
    assert told["bad"]["failure"] == {"name": "ValueError", "words": "no", "cell": 1}
    assert told["lost"]["status"] == "killed"
    assert "lost" in told["lost"]["failure"]["words"]
    assert kept(tmp_path / "lost.done.ipynb")["metadata"]["mlops_magics"]["status"] == "killed"
    _gone(int((tmp_path / "kernel").read_text()))


def test_when_the_one_that_asked_is_killed_the_notebook_ends(tmp_path: Path) -> None:
    saved(tmp_path, TELL, "time.sleep(600)", name="long.ipynb")
    with _asked(tmp_path, {"long": {}}) as child:
        try:
            deadline = time.monotonic() + 180
            while not (tmp_path / "kernel").exists():
                assert time.monotonic() < deadline
                assert child.poll() is None
                time.sleep(0.1)
        finally:
            child.kill()
    _gone(int((tmp_path / "kernel").read_text()))
