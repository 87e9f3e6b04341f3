"""Ten minutes at half of the peak: does the endpoint's memory stay flat, and is each request answered (needs wrk)?

``ARGS="--minutes 1 --try"`` is shorter and records nothing.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from serving_sides import Bodies, sides
from side_by_side import main, record

CONNECTIONS, PEAK_SECONDS = 64, 10
_LUA = """local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
local pause = {pause}
function delay() return pause * (0.5 + math.random()) end
"""


def load(script: Path, url: str, seconds: int) -> tuple[float, int]:
    """Send requests; return how many a second, and how many were not answered well."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(next(line for line in said.splitlines() if "Requests/sec" in line).split()[-1])
    bad = [line for line in said.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    return rate, sum(
        int(word.rstrip(",")) for line in bad for word in line.split() if word.rstrip(",").isdigit()
    )


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
        script = Path(name) / "soak.lua"
        with side.started() as (process, url, _):
            body = Bodies.of(side, "hgb").one
            script.write_text(_LUA.format(body=body, token=side.token[0], pause=0))
            peak, _ = load(script, url, PEAK_SECONDS)
            pause = CONNECTIONS / (peak / 2)  # seconds from one request of a connection to the next
            script.write_text(_LUA.format(body=body, token=side.token[0], pause=1000 * pause))
            tried, _ = load(script, url, PEAK_SECONDS)
            pause = max(pause - (CONNECTIONS / tried - pause), 0.0)  # the answer takes its time as well
            script.write_text(_LUA.format(body=body, token=side.token[0], pause=1000 * pause))
            held: list[float] = []
            done = threading.Event()

            def watch() -> None:
                while not done.wait(seconds / 20):
                    held.append(memory(process))

            watcher = threading.Thread(target=watch)
            watcher.start()
            begun = time.monotonic()
            rate, bad = load(script, url, seconds)
            done.set()
            watcher.join()
            took = time.monotonic() - begun
    first, last = statistics.median(held[2:6]), statistics.median(held[-4:])
    lines = [
        (
            f"One worker, one row of 14 columns a request, journal on; peak {peak:,.0f} requests a second, then "
            f"{took:.0f} s at {rate:,.0f} a second ({rate / peak:.0%} of it) on {CONNECTIONS} connections."
        ),
        "",
        "| what | figure |",
        "| --- | --- |",
        f"| requests | {rate * took:,.0f} |",
        f"| not answered well | {bad} |",
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
