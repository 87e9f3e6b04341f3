"""Ray: what is written for Serve and KubeRay, and a real Ray on this machine that serves it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_validate
import orjson
import psutil
import pytest
from images import SHA256, TOKEN, endpoint, free_port
from served import EXAMPLE, ask_for
from written_targets import IMAGE, target_in

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.targets.call import call


def written(tmp: Path, **changes: Any) -> Path:
    folder = target_in(tmp / "project", "ray").deploy(ask_for(tmp, **changes)).folder
    assert folder is not None
    return folder


@pytest.mark.parametrize("replicas", [None, (1, 1), (2, 2), (1, 4)])
def test_replicas_and_workers_agree_in_both_files(tmp_path: Path, replicas: tuple[int, int] | None) -> None:
    folder = written(tmp_path, replicas=replicas, image=IMAGE)
    least, most = replicas or (1, 1)
    configuration = json.loads((folder / "serve.json").read_text())
    (application,) = configuration["applications"]
    (deployment,) = application["deployments"]
    if least < most:
        assert "num_replicas" not in deployment
        scaling = deployment["autoscaling_config"]
        assert (scaling["min_replicas"], scaling["max_replicas"]) == (least, most)
    else:
        assert "autoscaling_config" not in deployment
        assert deployment["num_replicas"] == least
    assert configuration["http_options"]["host"] == "127.0.0.1"
    service = json.loads((folder / "rayservice.json").read_text())
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    assert set(service["spec"]) == {"serveConfigV2", "rayClusterConfig"}
    within = json.loads(service["spec"]["serveConfigV2"])
    assert within.pop("http_options") == {"host": "0.0.0.0", "port": 8000}  # noqa: S104 - a pod's own
    assert within == {key: value for key, value in configuration.items() if key != "http_options"}
    cluster = service["spec"]["rayClusterConfig"]
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["replicas"], workers["maxReplicas"]) == (least, least, most)
    assert cluster["enableInTreeAutoscaling"] == (least < most)
    assert f"ray[serve]=={cluster['rayVersion']}" in (folder / "requirements.txt").read_text().splitlines()
    assert all(
        isinstance(value, str)
        for group in (workers, cluster["headGroupSpec"])
        for value in group["rayStartParams"].values()
    )


def test_its_pods_hold_to_kubernetes_schema_and_are_confined(tmp_path: Path) -> None:
    service = json.loads((written(tmp_path) / "rayservice.json").read_text())
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        kubernetes_validate.validate(pod, "1.33", strict=True)
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["image"] == "flights:1-ray"
        assert {"name": "MLOPS_TOKEN_SHA256_FILE", "value": "/run/secrets/mlops/sha256"} in container["env"]
    assert cluster["workerGroupSpecs"][0]["template"]["spec"]["automountServiceAccountToken"] is False
    assert cluster["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("changes", [{"workers": 2}, {"port": 9000}, {"name": "Flights"}, {"image": "a b"}])
def test_what_does_not_fit_ray_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        written(tmp_path, **changes)


@contextmanager
def ray_serving(folder: Path, port: int, room: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run what is written, on the loopback address; Ray itself asks for a token, too."""
    from mlops_magics.foundation import cluster

    configuration = json.loads((folder / "serve.json").read_text())
    configuration["http_options"]["port"] = port
    (room / "serve.json").write_text(json.dumps(configuration))
    environment = {
        **os.environ,
        **cluster._ALWAYS,
        **cluster._HERE,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_TMPDIR": str(room),
        "MLOPS_FOLDER": str(folder),
        "MLOPS_TOKEN_SHA256": SHA256,
    }
    line = [str(Path(sys.executable).parent / "serve"), "run"]
    with (room / "log").open("wb") as log:
        process = subprocess.Popen([*line, str(room / "serve.json")], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for each in psutil.wait_procs(family, timeout=10)[1]:
                each.kill()


@pytest.mark.slow
def test_a_real_ray_runs_its_replicas_and_asks_for_the_token(tmp_path: Path) -> None:
    assert importlib.util.find_spec("ray"), "make test-slow installs it"
    folder = written(tmp_path, replicas=(2, 2))
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as room,
        ray_serving(folder, port, Path(room)) as process,
    ):
        deadline = time.monotonic() + 180
        while True:
            assert process.poll() is None, (Path(room) / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (Path(room) / "log").read_text()[-3000:]
            try:
                answer = call(endpoint(port), EXAMPLE, token=TOKEN)
                break
            except Exception:  # noqa: BLE001 - it is not there yet, in many ways
                time.sleep(1)
        assert orjson.loads(answer.body)["predictions"] == [1.0, 1.0]
        assert answer.headers["x-model-version"] == "1"
        with pytest.raises(RefusedError, match="token"):
            call(endpoint(port), EXAMPLE, token="another")  # noqa: S106 - it is wrong
        with pytest.raises(UsageError, match="did not accept"):
            call(endpoint(port), b'{"dataframe_split": {"columns": ["x"], "data": [["a"]]}}', token=TOKEN)
        replicas = [
            each
            for each in psutil.Process(process.pid).children(recursive=True)
            if "Model" in " ".join(each.cmdline())
        ]
        assert len(replicas) == 2
