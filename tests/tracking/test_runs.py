import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mlops_magics.foundation.processes import ProcessId
from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import Store

SOURCE = Source("x = 1\n", notebook="/somewhere/a.ipynb", cell_id="c1")

DIES = """
import os, signal, sys
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.store import open_store
store = open_store(Settings.discover())
print(runs.start(store, store.experiment_id("e"), name="doomed", source=Source("x"), git=None)[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_of_a_killed_kernel_is_closed_and_a_living_one_is_not(store: Store) -> None:
    experiment = store.experiment_id("e")
    alive, _ = runs.start(store, experiment, name="alive", source=SOURCE, git=None)
    killed = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    doomed = killed.stdout.strip()
    assert store.client.get_run(doomed).info.status == "RUNNING"

    assert runs.orphans(store, experiment) == (doomed,)
    assert runs.reap(store, experiment) == 1
    assert store.client.get_run(doomed).info.status == "KILLED"
    assert store.client.get_run(alive).info.status == "RUNNING"
    assert runs.reap(store, experiment) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts from the boot")
def test_a_living_run_survives_a_setting_of_the_clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = store.experiment_id("e")
    runs.start(store, experiment, name="alive", source=SOURCE, git=None)
    told = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: told(process) - 3600)
    assert runs.orphans(store, experiment) == ()


def test_a_run_that_an_earlier_release_began_is_judged_by_the_clock(store: Store) -> None:
    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name="old", source=SOURCE, git=None)
    me = ProcessId.current()
    for started, found in ((me.started, ()), (me.started - 60, (run_id,))):
        store.client.set_tag(run_id, "mlops.process", json.dumps([me.host, me.pid, started]))
        assert runs.orphans(store, experiment) == found


def test_a_run_of_another_machine_is_given_up_only_when_its_lease_is_over(store: Store) -> None:
    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name="far", source=SOURCE, git=None)
    me = ProcessId.current()
    store.client.set_tag(run_id, "mlops.process", json.dumps(["another-host", me.pid, me.started]))
    assert runs.orphans(store, experiment) == ()
    store.client.set_tag(run_id, "mlops.lease", "1000")
    assert runs.orphans(store, experiment) == (run_id,)
    store.client.set_tag(run_id, "mlflow.user", "somebody-else")
    assert runs.orphans(store, experiment) == ()


def test_a_run_that_plain_mlflow_left_open_is_not_ours_to_close(store: Store) -> None:
    experiment = store.experiment_id("e")
    store.client.create_run(experiment)
    assert runs.orphans(store, experiment) == ()


def test_more_than_mlflow_takes_in_one_call_is_logged_and_secrets_are_masked(store: Store) -> None:
    run_id, _ = runs.start(store, store.experiment_id("e"), name=None, source=SOURCE, git=None)
    params = {f"p{i}": "v" for i in range(150)} | {"long": "x" * 9000, "url": "https://me:hunter22@host/x"}
    metrics = {f"m{i}": float(i) for i in range(1200)} | {"nan": float("nan")}
    runs.log(store, run_id, params=params, metrics=metrics)
    run = store.client.get_run(run_id)
    assert len(run.data.params) == 152
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["url"] == "https://me:****@host/x"
    assert len(run.data.metrics) == 1201
    assert run.data.metrics["m1199"] == 1199.0


def test_where_the_code_stands_is_told_by_the_run(store: Store, tmp_path: Path) -> None:
    run_id, _ = runs.start(store, store.experiment_id("e"), name="n", source=SOURCE, git=None)
    runs.log_files(store, run_id, runs.source_files(Source('key = "sk-abcdefghijklm12345678"\n'), None))
    tags = store.client.get_run(run_id).data.tags
    assert tags["mlflow.source.name"] == "/somewhere/a.ipynb"
    assert tags["mlops.cell.id"] == "c1"
    assert tags["mlops.cell.sha256"] == SOURCE.digest
    folder = Path(store.client.download_artifacts(run_id, "mlops", str(tmp_path)))
    assert "sk-abc" not in (folder / "cell.py").read_text()
    assert "mlflow==" in (folder / "environment.txt").read_text()


def test_the_lease_is_renewed_while_a_cell_runs(store: Store, monkeypatch: object) -> None:
    import time

    monkeypatch.setattr(runs, "_BEAT_SECONDS", 0.05)  # type: ignore[attr-defined]
    run_id, _ = runs.start(store, store.experiment_id("e"), name="n", source=SOURCE, git=None)
    store.client.set_tag(run_id, "mlops.lease", "0")
    with runs.kept_alive(store, run_id):
        deadline = time.monotonic() + 5
        while store.client.get_run(run_id).data.tags["mlops.lease"] == "0" and time.monotonic() < deadline:
            time.sleep(0.02)
    assert float(store.client.get_run(run_id).data.tags["mlops.lease"]) > time.time() + 60
