"""What each part of an endpoint costs: all of them, then one left out or one more, 64 connections (needs wrk).

The parts that ``%mlops_deploy`` cannot leave out are left out by ``served/parts_app.py``, which builds the server as a
worker does.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
PROCESSES, TURNS = 3, 5  # of the journal by itself
TOKEN = "token"  # noqa: S105 - of a server that lives for seconds


@contextlib.contextmanager
def started(folder: Path, model: Path, variant: str) -> Iterator[tuple[psutil.Process, str, Side]]:
    """Start one variant in a process of its own."""
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
        yield psutil.Process(process.pid), f"{scheme}://127.0.0.1:{port}/invocations", side
    finally:
        end(process)


def measured(folder: Path, model: Path, variant: str, body: Path) -> dict[str, float]:
    """Load one variant."""
    with started(folder, model, variant) as (process, url, side):
        wrk(side, url, body, 64, 1)
        return loaded(process, url, side, body)


def loaded(process: psutil.Process, url: str, side: Side, body: Path) -> dict[str, float]:
    """Load what has been started, after a rest."""
    time.sleep(1)
    before = cpu(process)
    found = wrk(side, url, body, 64, SECONDS)
    spent = (cpu(process) - before) / found["requests"] * 1e6
    return {"cpu": spent, "rps": found["rps"], "p99": found["p99"]}


def switched(folder: Path, model: Path, body: Path) -> str:
    """Switch the journal off and on in one process: two processes differ by more than it costs."""
    found: dict[bool, list[dict]] = {True: [], False: []}
    for _ in range(PROCESSES):
        with started(folder, model, ALL) as (process, url, side):
            wrk(side, url, body, 64, 1)
            for turn in range(2 * TURNS):
                found[turn % 2 == 0].append(loaded(process, url, side, body))
                process.send_signal(signal.SIGUSR1)
    on, off = (
        {key: statistics.median(one[key] for one in found[which]) for key in ("cpu", "rps", "p99")}
        for which in (True, False)
    )
    return (
        f"The journal switched off and on in one process, {PROCESSES} processes, {TURNS} turns each, {SECONDS} s a turn, "
        f"medians: {on['cpu']:.1f} and {off['cpu']:.1f} µs a request, {on['rps']:,.0f} and {off['rps']:,.0f} requests/s with "
        f"and without: it costs {1 - on['rps'] / off['rps']:.1%} of the throughput (goal: under 5 %); p99 {on['p99']:.1f} and "
        f"{off['p99']:.1f} ms."
    )


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
        journal = switched(folder, model, body)
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
    record("parts", [*lines, "", journal])


if __name__ == "__main__":
    main(run)
