"""One-row latency, throughput and a batch of our endpoint against seven other servers of the same pipelines (needs wrk).

Each server runs in an environment of its own, which ``peers.py`` makes, and fits the same pipelines there; each
must answer right before it is timed, once a row and once a thousand. ``ARGS="--models hgb --only ours,mlflow"``
measures fewer; ``--try`` records nothing.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
from peers import SERVERS
from serving_sides import Bodies, Side, measure, sides
from side_by_side import main, record

ROUNDS, SECONDS = 3, 3
GOALS = {"mlflow": (30, 120), "vetiver": (15, 50), "mlserver": (25, 12), "bentoml": (20, 12)}


def options(models: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=models, help="which pipelines")
    parser.add_argument("--only", default="", help="which servers; all by default")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="how often each server is started and timed"
    )
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long each load lasts")
    parser.add_argument("--try", action="store_true", dest="trying", help="print, and record nothing")
    return parser.parse_args()


def lines_of(model: str, found: dict[str, list[dict]]) -> list[str]:
    """Make the table of one pipeline."""
    middle = {
        side: {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        for side, runs in found.items()
    }
    ours = middle["ours"]
    lines = [
        "",
        f"### {model}",
        "",
        (
            "| server | first answer | memory | p50 | p99 | requests/s, 64 connections | p99 "
            "| CPU a request (1 / 64) | 1,000 rows, p50 | ours is quicker: p50, throughput, batch |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side, one in middle.items():
        times = (one["p501"] / ours["p501"], ours["rps64"] / one["rps64"], one["batch"] / ours["batch"])
        told = "" if side.startswith(("ours", "floor")) else ", ".join(f"{each:.1f}" for each in times)
        batch = f"{one['batch']:.1f} ms" if side != "floor" else ""
        lines.append(
            f"| {side} | {one['cold']:.1f} s | {one['memory']:.0f} MB | {one['p501']:.2f} ms | {one['p991']:.1f} ms | "
            f"{one['rps64']:,.0f} | {one['p9964']:.0f} ms | {one['cpu1']:.0f} / {one['cpu64']:.0f} µs | {batch} | "
            f"{told} |"
        )
    if "floor" in middle:
        share = ours["rps64"] / middle["floor"]["rps64"]
        lines += ["", f"Ours answers {share:.0%} of what the same stack answers without a model (goal 25 %)."]
    return lines


def run(section: str = "serving", models: str = "hgb,rf,lr", goals: Sequence[str] = ()) -> None:
    """Measure and record.

    Args:
        section: What it is recorded as.
        models: The pipelines that are measured by default.
        goals: What is to be reached; by default what compiled pipelines are to reach.
    """
    told = options(models)
    chosen = [name for name in told.only.split(",") if name]
    lines = [
        (
            f"One row of 14 columns a request (lr: 10), one worker, OMP_NUM_THREADS=1; wrk on the same machine, "
            f"{told.rounds} rounds in turn, {told.seconds} s each, medians. `ours` is `%mlops_deploy` as it comes: it "
            "checks the token and each value, counts, and keeps a journal; the others do what they do by default. "
            "mlserver and bentoml batch (64 rows; 2 and 200 ms), ray too. `floor` answers a constant."
        ),
        "Memory is the share of the whole process tree (PSS).",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in told.models.split(","):
            found: dict[str, list[dict]] = {}
            every: list[Side] = sides(folder, model, chosen)
            for _ in range(told.rounds):
                for side in every:
                    with side.started() as (process, url, cold):
                        bodies = Bodies.of(side, model)
                        one = measure(process, url, side, bodies, told.seconds)
                    found.setdefault(side.name, []).append(one | {"cold": cold})
                    print(model, side.name, {key: round(value, 3) for key, value in one.items()}, flush=True)
            lines += lines_of(model, found)
    compiled = "; ".join(f"{name} {one} and {many}" for name, (one, many) in GOALS.items())
    usual = [f"Goals, one row and throughput: {compiled} times; batch: 3 times mlflow, 1.5 times the best."]
    lines += ["", *(goals or usual)]
    versions = ", ".join(
        f"{package} {version}" for peer in SERVERS for package, version in list(peer.versions().items())[:1]
    )
    lines += ["", f"Peers: {versions}. wrk takes a part of one of {psutil.cpu_count()} cores."]
    if told.trying:
        sys.stdout.write("\n".join(lines) + "\n")
    else:
        record(section, lines)


if __name__ == "__main__":
    main(run)
