"""Ten minutes at half of the peak: does the endpoint's memory stay flat, and is each request answered (needs wrk)?

``ARGS="--minutes 1 --try"`` is shorter and records nothing.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from half_load import CONNECTIONS, HalfLoad
from serving_sides import Bodies, sides
from side_by_side import main, record


def memory(process: psutil.Process) -> float:
    """Add up what the supervisor and its workers hold, in MB."""
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in family) / 2**20


def run() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long the load lasts")
    parser.add_argument("--try", action="store_true", dest="trying", help="print, and record nothing")
    options = parser.parse_args()
    seconds = int(options.minutes * 60)
    with tempfile.TemporaryDirectory() as name:
        (side,) = sides(Path(name), "hgb", ["ours"])
        with side.started() as (process, url, _):
            load = HalfLoad(Path(name), url, Bodies.of(side, "hgb").one, side.token[0])
            load.aim()
            held: list[float] = []
            done = threading.Event()

            def watch() -> None:
                while not done.wait(seconds / 20):
                    held.append(memory(process))

            watcher = threading.Thread(target=watch)
            watcher.start()
            begun = time.monotonic()
            found = load.run(seconds)
            done.set()
            watcher.join()
            took = time.monotonic() - begun
    first, last = statistics.median(held[2:6]), statistics.median(held[-4:])
    lines = [
        (
            f"One worker, one row of 14 columns a request, journal on; peak {load.peak:,.0f} requests a second, then "
            f"{took:.0f} s at {found.rate:,.0f} a second ({found.rate / load.peak:.0%} of it) on {CONNECTIONS} connections."
        ),
        "",
        "| what | figure |",
        "| --- | --- |",
        f"| requests | {found.rate * took:,.0f} |",
        f"| not answered well | {found.bad} |",
        f"| memory near the beginning, at the end | {first:.0f} MB, {last:.0f} MB |",
        f"| the most | {max(held):.0f} MB |",
        "",
        "Memory is the share of supervisor and worker (PSS), looked at 20 times.",
    ]
    if options.trying:
        sys.stdout.write("\n".join(lines) + "\n")
    else:
        record("soak", lines)


main(run)
