"""One-row latency and throughput of the endpoint, against ``mlflow models serve`` of the same files (needs wrk)."""

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from endpoints import ask, mlflow_serve, ours, registered, removed, token
from side_by_side import main, record

_ROUNDS, _SECONDS = 5, 4
_LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{token}
wrk.body = [==[{body}]==]
"""


def _wrk(folder: Path, url: str, body: bytes, connections: int, key: str) -> dict[str, float]:
    script = folder / "post.lua"
    auth = f'wrk.headers["Authorization"] = "Bearer {key}"' if key else ""
    script.write_text(_LUA.format(token=auth, body=body.decode()))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{_SECONDS}s",
        "--timeout",
        "10s",
        "--latency",
        "-s",
        str(script),
        f"{url}/invocations",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        sys.exit(said)
    errors = re.search(r"Socket errors: (.*)", said)
    return {
        "p50": _ms(re.search(r"50%\s+([\d.]+)(us|ms|s)", said)),
        "p99": _ms(re.search(r"99%\s+([\d.]+)(us|ms|s)", said)),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        "errors": 0 if errors is None else 1,
    }


def _ms(found: re.Match) -> float:
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench, _ = registered(folder)
        _, url = ours(bench, standby=False)
        key = token(bench)
        sides: dict[str, dict[str, list[float]]] = {}
        try:
            with mlflow_serve(bench) as (_, theirs):
                if ask(url, bench.body, key) != bench.answer:
                    sys.exit("the endpoint answers wrongly")
                for _ in range(_ROUNDS):
                    for side, address, secret in (("ours", url, key), ("mlflow", theirs, "")):
                        for connections in (1, 64):
                            for what, value in _wrk(folder, address, bench.body, connections, secret).items():
                                sides.setdefault(side, {}).setdefault(f"{what}{connections}", []).append(
                                    value
                                )
        finally:
            removed(bench)
    figures = {side: {key: statistics.median(v) for key, v in found.items()} for side, found in sides.items()}
    one, two = figures["ours"], figures["mlflow"]
    lines = [
        (
            "One row of 14 columns a request, a pipeline with HistGradientBoosting, one worker, OMP_NUM_THREADS=1; "
            f"wrk, {_ROUNDS} rounds in turn, {_SECONDS} s each, median. Ours validates each value, checks the token "
            "and counts; the pipeline itself answers (no compiled plan yet)."
        ),
        "",
        "| side | p50, 1 connection | p99 | requests/s, 64 connections | p99 |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {side} | {item['p501']:.2f} ms | {item['p991']:.1f} ms | {item['rps64']:,.0f} | {item['p9964']:.0f} ms |"
        for side, item in (("`%mlops_deploy`", one), ("`mlflow models serve`", two))
    ]
    lines += [
        "",
        (
            f"{two['p501'] / one['p501']:.1f} times quicker for one row, {one['rps64'] / two['rps64']:.0f} times the "
            "throughput. The goals of 30 and 120 times ask for the plan compiler."
        ),
    ]
    record("serving", lines)


main(run)
