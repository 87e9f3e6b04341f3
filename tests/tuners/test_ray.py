"""A search whose fits run on a real Ray: it survives its nodes, its death and the leader's; nothing stays."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from studies import ended

from mlops_magics.foundation.errors import MissingExtraError, NotFoundError
from mlops_magics.steps.tune import tune

SEARCH = """
import os, sys, time
from pathlib import Path
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from mlops_magics import tune
from mlops_magics.foundation.errors import MLOpsError

FOLDER, SECONDS, ENGINE = sys.argv[1], float(sys.argv[2]), sys.argv[3]

class Slow(LogisticRegression):
    def fit(self, X, y):
        (Path(FOLDER) / f"{os.getpid()}-{os.getppid()}").touch()  # a worker's parent is its node
        time.sleep(SECONDS)
        return super().fit(X, y)

random = np.random.default_rng(0)
rows = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
truth = (rows["a"] + random.normal(size=200) > 0).astype(int)
try:
    study = tune(
        Slow(), rows, truth, space="C=0.01..10.0 log", trials=20, folds=2, engine=ENGINE,
        allow_pickle=True,
    )
except MLOpsError as error:
    print("error:", error)
else:
    print(len(study.trials), study.resumed, sum(each.state == "failed" for each in study.trials))
print("ray" in sys.modules)
"""
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
sys.stdin.readline()
cluster.shutdown()
"""
TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def place(project: Path, store_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where fits leave the number of their process and of their node."""
    assert importlib.util.find_spec("ray"), "make test-slow installs it"
    assert store_file.parent == project
    monkeypatch.setenv("MLOPS_EXPERIMENT", "flights")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (project / "search.py").write_text(SEARCH)
    folder = tmp_path / "fits"
    folder.mkdir()
    return folder


@pytest.fixture
def cluster(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Two nodes of one core each on the loopback address, that ask for a token."""
    assert place.is_dir()
    for name, value in {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        monkeypatch.setenv("RAY_ADDRESS", process.stdout.readline().strip())
        all_of_it = psutil.Process(process.pid).children(recursive=True)
        yield process
        process.kill()
        process.communicate()
        end(all_of_it)


def end(processes: list[psutil.Process]) -> None:
    for each in processes:
        if each.is_running():
            each.kill()
    psutil.wait_procs(processes, timeout=10)


def started(place: Path, seconds: float, engine: str = "ray") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "search.py", str(place), str(seconds), engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def nodes(place: Path) -> set[str]:
    return {path.name.split("-")[1] for path in place.iterdir()}


@pytest.mark.slow
def test_a_ray_of_ones_own_answers_this_machine_only_and_ends(
    project: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="r") as own:  # others may begin a Ray meanwhile
        monkeypatch.setenv("TMPDIR", own)
        _answers_this_machine_only(place)
        assert not list(Path(own).glob("mlops-ray-*"))
    assert project.is_dir()


def _answers_this_machine_only(place: Path) -> None:
    process = started(place, 0.3)
    wait_until(lambda: any(place.iterdir()), process)
    everything = psutil.Process(process.pid).children(recursive=True)
    ports = [
        each.laddr.ip
        for child in everything
        for each in child.net_connections(kind="inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(ports) > 3
    assert {ip.removeprefix("::ffff:") for ip in ports} == {"127.0.0.1"}
    out, err = process.communicate(timeout=120)
    assert out.split() == ["20", "0", "0", "False"], err
    assert not psutil.wait_procs(everything, timeout=10)[1]


@pytest.mark.slow
def test_two_nodes_share_the_trials_and_one_may_die(place: Path, cluster: subprocess.Popen[str]) -> None:
    process = started(place, 0.5)
    wait_until(lambda: len(nodes(place)) > 1, process)
    assert cluster.stdin is not None
    cluster.stdin.write("\n")  # it loses a node
    cluster.stdin.flush()
    out, err = process.communicate(timeout=180)
    assert out.split() == ["20", "0", "0", "False"], err


@pytest.mark.slow
def test_trials_survive_the_death_of_the_cluster(
    project: Path, place: Path, cluster: subprocess.Popen[str]
) -> None:
    process = started(place, 0.5)
    wait_until(lambda: ended(project) >= 4, process)
    began = time.monotonic()
    end(psutil.Process(cluster.pid).children(recursive=True))
    out, err = process.communicate(timeout=180)
    assert "The Ray cluster is gone.\nThe trials that ended are kept" in out, err
    assert time.monotonic() - began < 120
    again = started(place, 0.5, "local")
    out, err = again.communicate(timeout=120)
    count, resumed, failed, _ = out.split()
    assert (count, failed) == ("20", "0"), err
    assert int(resumed) >= 4


@pytest.mark.slow
def test_all_of_it_ends_with_the_one_who_leads(place: Path) -> None:
    process = started(place, 0.3)
    wait_until(lambda: any(place.iterdir()), process)
    everything = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not psutil.wait_procs(everything, timeout=30)[1]


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    began = time.monotonic()
    out, err = started(place, 0.0).communicate(timeout=180)
    assert "There is no Ray cluster to join at 127.0.0.1:1" in out, err
    assert "unset RAY_ADDRESS" in out
    assert time.monotonic() - began < 30


def test_what_is_missing_or_unknown_is_told_before_anything_begins(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setenv("MLOPS_EXPERIMENT", "flights")
    rows, truth = np.arange(40.0).reshape(-1, 1), np.arange(40) % 2
    with pytest.raises(NotFoundError, match=r"(?s)no part 'rai'.*Did you mean 'ray'"):
        tune(LogisticRegression(), rows, truth, engine="rai")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'mlops-magics\[ray\]'"):
        tune(LogisticRegression(), rows, truth, engine="ray")
    assert not (project / "mlflow.db").exists()
