"""What each part of an endpoint costs: all of them, then one left out or one more, 64 connections (needs wrk).

The parts that ``%mlops_deploy`` cannot leave out are left out by ``served/parts_app.py``, which builds the server as a
worker does.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from endpoints import registered
from serving_sides import SERVED, Side, cpu, end, free_port, wrk
from side_by_side import ROOT, environment, main, record

sys.path.insert(0, str(ROOT / "tests"))
import certificates

ALL = "everything"
VARIANTS = {
    ALL: "token, Host, each value checked, request ids, timings, metrics, journal",
    "no token": "nobody is asked for a token, no Host is looked at",
    "no check of values": "the JSON is read; its values are neither checked nor typed",
    "no metrics": "nothing is counted",
    "no journal": "nothing is kept",
    "a contract": "with a rule of range or length for each of the 14 columns",
    "a shadow": "a second version answers each request, too",
    "a canary of 10 %": "a second version answers a tenth",
    "TLS": "over TLS 1.3, connections kept",
}
ROUNDS, SECONDS = 5, 3
TOKEN = "token"  # noqa: S105 - of a server that lives for seconds


def measured(folder: Path, model: Path, variant: str, body: Path) -> dict[str, float]:
    """Load one variant in a process of its own."""
    port, made = free_port(), Path(tempfile.mkdtemp(dir=folder))
    if variant == "TLS":
        certificates.make(made, "localhost", "127.0.0.1")
    told = [sys.executable, SERVED / "parts_app.py", model, made, str(port), variant, TOKEN]
    here = environment(folder) | {"OMP_NUM_THREADS": "1"}
    with (made / "log").open("wb") as log:
        process = subprocess.Popen(
            told, env=here, start_new_session=True, stdout=log, stderr=subprocess.STDOUT
        )
    scheme = "https" if variant == "TLS" else "http"
    side = Side("ours", (), made, token=[TOKEN])
    try:
        wait(process, port, made / "log")
        url = f"{scheme}://127.0.0.1:{port}/invocations"
        wrk(side, url, body, 64, 1)
        time.sleep(1)
        family = psutil.Process(process.pid)
        before = cpu(family)
        found = wrk(side, url, body, 64, SECONDS)
        spent = (cpu(family) - before) / found["requests"] * 1e6
    finally:
        end(process)
    return {"cpu": spent, "rps": found["rps"], "p99": found["p99"]}


def wait(process: subprocess.Popen, port: int, log: Path) -> None:
    """Wait until it listens."""
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(log.read_text()[-3000:])
        if any(one.laddr.port == port for one in psutil.Process(process.pid).net_connections("tcp")):
            return
        time.sleep(0.05)
    sys.exit(f"It does not listen:\n{log.read_text()[-3000:]}")


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench, _ = registered(folder)
        bench.shell.run_line_magic("unload_ext", "mlops_magics")
        body = folder / "one.json"
        body.write_bytes(bench.body)
        model = next((folder / "mlartifacts").rglob("MLmodel")).parent
        found: dict[str, list[dict]] = {}
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                one = measured(folder, model, variant, body)
                found.setdefault(variant, []).append(one)
                print(variant, {key: round(value, 2) for key, value in one.items()}, flush=True)
        os.chdir(ROOT)
    middle = {
        variant: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for variant, runs in found.items()
    }
    whole = middle[ALL]
    lines = [
        f"One row of 14 columns a request, one worker, {ROUNDS} rounds in turn, {SECONDS} s each, each in a fresh process, medians.",
        "",
        "| variant | CPU a request | difference | requests/s | share of everything | p99 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for variant, what in VARIANTS.items():
        one = middle[variant]
        more = "" if variant == ALL else f"{one['cpu'] - whole['cpu']:+.1f} µs"
        lines.append(
            f"| {variant}: {what} | {one['cpu']:.1f} µs | {more} | {one['rps']:,.0f} | {one['rps'] / whole['rps']:.0%} "
            f"| {one['p99']:.1f} ms |"
        )
    record("parts", lines)


if __name__ == "__main__":
    main(run)
