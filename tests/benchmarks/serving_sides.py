"""How each server of the serving benchmark is started, asked and measured."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from peers import BENTOML, FASTAPI_MLFLOW, MLSERVER, RAY_SERVE, VETIVER
from side_by_side import ROOT, environment

SERVED = ROOT / "tests" / "benchmarks" / "served"
_PATIENCE = 120.0
_LUA = """local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
{token}
"""


@dataclass(frozen=True)
class Side:
    """One server.

    Attributes:
        name: Its name in the table.
        command: What starts it; ``{port}`` is filled in. Empty for our endpoint, which is deployed.
        models: The folder with the model and the bodies.
        form: Which form its requests have.
        path: Where they go.
        environment: What it finds in its environment.
        answer: What reads the labels of an answer.
        deployed: Our endpoint's own start: see ``served_by_us``.
    """

    name: str
    command: Sequence[str]
    models: Path
    form: str = "split"
    path: str = "/invocations"
    environment: dict[str, str] = field(default_factory=dict)
    answer: Callable[[dict], list] = lambda told: told["predictions"]
    deployed: Callable[[], tuple[int, str, str, float, Callable[[], None]]] | None = None
    constant: bool = False
    token: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def started(self) -> Iterator[tuple[psutil.Process, str, float]]:
        """Start it; yield its process, where it answers, and seconds to the first right answer."""
        if self.deployed:
            pid, url, token, seconds, remove = self.deployed()
            self.token[:] = [token]
            try:
                yield psutil.Process(pid), f"{url}{self.path}", seconds
            finally:
                remove()
            return
        begun = time.perf_counter()
        port = free_port()
        command = [word.format(port=port) for word in self.command]
        here = {**environment(self.models), **self.environment, "OMP_NUM_THREADS": "1", "PORT": str(port)}
        here["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{here['PATH']}"
        log = (self.models / f"{self.name}.log").open("wb")
        process = subprocess.Popen(
            command, env=here, cwd=SERVED, start_new_session=True, stdout=log, stderr=subprocess.STDOUT
        )
        url = f"http://127.0.0.1:{port}{self.path.format(port=port)}"
        try:
            self._wait(process, url, begun)
            yield psutil.Process(process.pid), url, time.perf_counter() - begun
        finally:
            end(process)
            log.close()

    def _wait(self, process: subprocess.Popen, url: str, begun: float) -> None:
        bodies = Bodies.of(self, self.environment.get("MODEL", ""))
        while not self.right(url, bodies.one, bodies.expected[:1]):
            if process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                sys.exit(
                    f"{self.name} did not answer:\n{(self.models / f'{self.name}.log').read_text()[-3000:]}"
                )
            time.sleep(0.01)

    def right(self, url: str, body: Path, expected: list) -> bool:
        """Ask once, and tell whether the answer is right; a wrong one ends the benchmark."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token[0]}"
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, body.read_bytes(), headers), timeout=30
            ) as said:
                found = [int(one) for one in self.answer(json.load(said))]
        except OSError:  # not there yet, or not ready yet, which servers tell in different ways
            return False
        if not self.constant and found != expected:
            sys.exit(f"{self.name} answers wrongly")
        return True


@dataclass(frozen=True)
class Bodies:
    """What is sent to a server, and what must come back."""

    one: Path
    many: Path
    expected: list

    @classmethod
    def of(cls, side: Side, model: str) -> Bodies:
        """Find the files of one server and pipeline."""
        files = (side.models / f"{model}_{side.form}_{many}.json" for many in (1, 1000))
        return cls(*files, json.loads((side.models / f"{model}_expected.json").read_text()))


QUIET = 1.0  # seconds between two loads: none shall pay for what is left of the one before


def measure(process: psutil.Process, url: str, side: Side, bodies: Bodies, seconds: int) -> dict[str, float]:
    """Load a server with one row on one connection, a thousand rows on one, and one row on 64."""
    found: dict[str, float] = {}
    if not side.constant and not side.right(url, bodies.many, bodies.expected):
        sys.exit(f"{side.name} does not answer 1,000 rows")
    wrk(side, url, bodies.one, 4, 1)
    for connections, body, name in ((1, bodies.one, "1"), (1, bodies.many, "batch"), (64, bodies.one, "64")):
        time.sleep(QUIET)
        before = cpu(process)
        one = wrk(side, url, body, connections, seconds)
        if name == "batch":
            found["batch"] = one["p50"]
            continue
        found |= {f"{key}{name}": value for key, value in one.items() if key != "requests"}
        found[f"cpu{name}"] = (cpu(process) - before) / max(one["requests"], 1) * 1e6
    found["memory"] = sum(one.memory_full_info().pss for one in _family(process)) / 2**20
    return found


def wrk(side: Side, url: str, body: Path, connections: int, seconds: int) -> dict[str, float]:
    """Load an address with one body."""
    script = side.models / "post.lua"
    token = f'wrk.headers["Authorization"] = "Bearer {side.token[0]}"' if side.token else ""
    script.write_text(_LUA.format(body=body, token=token))
    told = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        script,
        url,
    ]
    said = subprocess.run(told, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said and side.name == "ours":
        sys.exit(said)
    return {
        "p50": _ms(re.search(r"50%\s+([\d.]+)(us|ms|s)", said)),
        "p99": _ms(re.search(r"99%\s+([\d.]+)(us|ms|s)", said)),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        "requests": float(re.search(r"(\d+) requests in", said)[1]),
        "errors": float((re.search(r"Non-2xx or 3xx responses: (\d+)", said) or [0, 0])[1]),
    }


def _ms(found: re.Match) -> float:
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def _family(process: psutil.Process) -> Iterator[psutil.Process]:
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            one.status()
            yield one


def cpu(process: psutil.Process) -> float:
    """Add up the seconds that a server and all it started have computed."""
    total = 0.0
    for one in _family(process):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def free_port() -> int:
    """Find a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def end(process: subprocess.Popen) -> None:
    """End a server and all that it started."""
    family = list(_family(psutil.Process(process.pid))) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for one in alive:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait(20)


def _models(folder: Path, python: Path | str) -> Path:
    """Fit the pipelines with one environment's own libraries."""
    made = folder / f"models-{Path(python).parent.parent.name}"
    if not made.exists():
        subprocess.run([python, SERVED / "train.py", made], check=True, env=environment(folder))
    return made


def sides(folder: Path, model: str, chosen: Sequence[str]) -> list[Side]:
    """Make the servers of one pipeline; only what is chosen, if anything is."""
    every = {"floor": _floor, "ours": _ours, "ours, no journal": _ours_bare, **_PEERS}
    return [
        make(folder, model) for name, make in every.items() if not chosen or name in chosen or name == "ours"
    ]


def _floor(folder: Path, model: str) -> Side:
    command = _uvicorn(sys.executable, "floor_app:app")
    return Side(
        "floor", command, _models(folder, sys.executable), environment={"MODEL": model}, constant=True
    )


def _uvicorn(python: Path | str, app: str) -> list[str]:
    told = [python, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "{port}"]
    return [*map(str, told), "--log-level", "warning", "--no-access-log"]


def _mlflow(folder: Path, model: str) -> Side:
    models = _models(folder, sys.executable)
    told = [
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(models / f"mlflow_{model}"),
        "--env-manager",
        "local",
    ]
    command = [sys.executable, *told, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"]
    return Side("mlflow", command, models, environment={"MODEL": model})


def _vetiver(folder: Path, model: str) -> Side:
    models = _models(folder, VETIVER.python())
    return Side(
        "vetiver",
        _uvicorn(VETIVER.python(), "vetiver_app:app"),
        models,
        form="list",
        path="/predict",
        environment={"MODEL": model, "MODELS": str(models)},
        answer=lambda told: told["predict"],
    )


def _fastapi_mlflow(folder: Path, model: str) -> Side:
    models = _models(folder, FASTAPI_MLFLOW.python())
    return Side(
        "fastapi-mlflow",
        _uvicorn(FASTAPI_MLFLOW.python(), "fastapi_mlflow_app:app"),
        models,
        form="data",
        path="/predictions",
        environment={"MODEL": model, "MODELS": str(models)},
        answer=lambda told: [next(iter(row.values())) for row in told["data"]],
    )


def _mlserver(folder: Path, model: str) -> Side:
    """Serve with MLServer's scikit-learn runtime and adaptive batching."""
    python = MLSERVER.python()
    models = _models(folder, python)
    settings = folder / f"mlserver-{model}"
    settings.mkdir(exist_ok=True)
    port, grpc, metrics = (free_port() for _ in range(3))
    told = {
        "name": "m",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(models / f"{model}.joblib")},
        "max_batch_size": 64,
        "max_batch_time": 0.002,
    }
    (settings / "model-settings.json").write_text(json.dumps(told))
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "debug": False,
    }
    (settings / "settings.json").write_text(json.dumps(server | {"parallel_workers": 1}))
    return _Fixed(
        "mlserver",
        [str(python.with_name("mlserver")), "start", str(settings)],
        models,
        form="v2",
        path="/v2/models/m/infer",
        environment={"MODEL": model},
        answer=lambda said: said["outputs"][0]["data"],
        port=port,
    )


@dataclass(frozen=True)
class _Fixed(Side):
    """A server whose port stands in a file."""

    port: int = 0

    @contextlib.contextmanager
    def started(self) -> Iterator[tuple[psutil.Process, str, float]]:
        """Start it."""
        begun = time.perf_counter()
        here = {**environment(self.models), **self.environment, "OMP_NUM_THREADS": "1"}
        log = (self.models / f"{self.name}.log").open("wb")
        process = subprocess.Popen(
            self.command, env=here, start_new_session=True, stdout=log, stderr=subprocess.STDOUT
        )
        url = f"http://127.0.0.1:{self.port}{self.path}"
        try:
            self._wait(process, url, begun)
            yield psutil.Process(process.pid), url, time.perf_counter() - begun
        finally:
            end(process)
            log.close()


def _bentoml(folder: Path, model: str) -> Side:
    python = BENTOML.python()
    models = _models(folder, python)
    command = [str(python.with_name("bentoml")), "serve", "bentoml_app:Service", "-p", "{port}"]
    told = {
        "MODEL": model,
        "MODELS": str(models),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bento"),
    }
    return Side(
        "bentoml",
        [*command, "--host", "127.0.0.1"],
        models,
        form="rows",
        environment=told,
        answer=lambda said: said,
    )


def _ray(folder: Path, model: str) -> Side:
    python = RAY_SERVE.python()
    models = _models(folder, python)
    told = {"MODEL": model, "MODELS": str(models), "RAY_USAGE_STATS_ENABLED": "0"}
    return Side("ray serve", [str(python), "ray_app.py"], models, form="records", path="/", environment=told)


def _ours(folder: Path, model: str) -> Side:
    return _deployed(folder, model, "ours", "")


def _ours_bare(folder: Path, model: str) -> Side:
    return _deployed(folder, model, "ours, no journal", " --no-journal")


def _deployed(folder: Path, model: str, name: str, words: str) -> Side:
    """Track, register and deploy the pipeline as a notebook would."""
    from served_by_us import deployed

    models = _models(folder, sys.executable)
    return Side(name, (), models, deployed=lambda: deployed(folder, model, words))


_PEERS = {
    "mlflow": _mlflow,
    "vetiver": _vetiver,
    "fastapi-mlflow": _fastapi_mlflow,
    "mlserver": _mlserver,
    "bentoml": _bentoml,
    "ray serve": _ray,
}
