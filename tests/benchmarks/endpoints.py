"""What some serving benchmarks share: one registered model, our endpoint, and ``mlflow models serve``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell

_ROWS = 20_000
_FIT = """%%mlops_track --name bench -o run
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
columns = make_column_transformer((encoder, ["c0", "c1", "c2", "c3"]), remainder="passthrough")
model = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0)).fit(train[names], train["late"])
"""


@dataclass(frozen=True)
class Bench:
    """A registered champion, and what a client sends and must get back."""

    shell: InteractiveShell
    folder: Path
    body: bytes
    answer: list


def registered(folder: Path) -> tuple[Bench, float]:
    """Fit, evaluate, register and promote a model in a fresh project; also return the seconds of the last two."""
    os.chdir(folder)
    os.environ |= {"MLOPS_STATE": str(folder / "state"), "IPYTHONDIR": str(folder / "ipython")}
    random = np.random.default_rng(0)
    table = pd.DataFrame({f"n{i}": random.normal(size=_ROWS) for i in range(10)})
    for i in range(4):
        table[f"c{i}"] = random.choice(["a", "b", "c", "d"], _ROWS)
    names = list(table.columns)
    table["late"] = (table["n0"] + table["n1"] * table["n2"] + random.normal(size=_ROWS) > 0).astype(int)
    shell = InteractiveShell.instance()
    shell.user_ns.update(train=table[: _ROWS // 2], test=table[_ROWS // 2 :], names=names)
    cells(shell, "%load_ext mlops_magics", "%mlops_track e;", _FIT, "%mlops_evaluate run test --target late;")
    begun = time.perf_counter()
    cells(shell, "%mlops_register run bench;", '%mlops_promote bench --to champion --reason "to measure";')
    seconds = time.perf_counter() - begun
    row = table[names].head(1)
    split = {"columns": names, "data": row.to_numpy().tolist()}
    answer = shell.user_ns["model"].predict(row).tolist()
    return Bench(shell, folder, json.dumps({"dataframe_split": split}).encode(), answer), seconds


def cells(shell: InteractiveShell, *sources: str) -> None:
    """Run cells; the first that fails ends it."""
    for source in sources:
        shell.run_cell(source, silent=True).raise_error()


def ours(bench: Bench, *, standby: bool) -> tuple[float, str]:
    """Deploy, from the standby process or without one; return seconds to the first correct answer and the address."""
    waiting = bench.shell.mlops_magics_extension.standby()
    if standby:
        waiting.start()
        time.sleep(4)  # it imports scikit-learn meanwhile, as it would behind a notebook
    else:
        waiting.stop()
    begun = time.perf_counter()
    cells(bench.shell, "%mlops_deploy bench@champion -o live")
    seconds = time.perf_counter() - begun
    return seconds, bench.shell.user_ns["live"].url


def removed(bench: Bench) -> None:
    """Take our endpoint away."""
    cells(bench.shell, "%mlops_deploy bench --remove;")


def token(bench: Bench) -> str:
    """Read the endpoint's token where ``%mlops_predict`` reads it."""
    (file,) = (bench.folder / "state" / "keys").iterdir()
    return file.read_text().strip()


@contextlib.contextmanager
def mlflow_serve(bench: Bench) -> Iterator[tuple[float, str]]:
    """Run ``mlflow models serve`` of the same files; yield seconds to the first correct answer and the address."""
    folder = next((bench.folder / "mlartifacts").rglob("MLmodel")).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # it calls uvicorn
    )
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(folder),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while ask(url, bench.body) != bench.answer:
            if process.poll() is not None or time.perf_counter() - begun > 120:
                sys.exit("mlflow models serve did not answer")
            time.sleep(0.01)
        yield time.perf_counter() - begun, url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def ask(url: str, body: bytes, token: str = "") -> list | None:
    """Send one request; None where no answer came."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"{url}/invocations", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["predictions"]
    except (OSError, urllib.error.HTTPError):
        return None
