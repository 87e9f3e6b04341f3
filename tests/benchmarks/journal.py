"""Ten million rows in an endpoint's journal: how large they are, and how soon Polars, DuckDB and we read them (needs wrk).

The rows come over HTTP, a hundred a request, until there are as many. ``ARGS="--rows 100000 --try"`` is shorter.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from endpoints import cells, registered, token
from side_by_side import fresh, main, record

AT_ONCE, DIFFERENT, TURN = 100, 500, 20  # rows of a request, different requests, seconds of a load
READERS = {
    "Polars: rows and mean of a column, by version": """
import json, sys, time
import polars as pl
begun = time.perf_counter()
found = pl.scan_parquet(f"{sys.argv[1]}/*.parquet").group_by("version").agg(pl.len(), pl.col("input.n0").mean()).collect()
took = time.perf_counter() - begun
rows = int(found["len"].sum())
""",
    "DuckDB: the same": """
import json, sys, time
import duckdb
begun = time.perf_counter()
told = f'select version, count(*), avg("input.n0") from "{sys.argv[1]}/*.parquet" group by version'
rows = sum(row[1] for row in duckdb.sql(told).fetchall())
took = time.perf_counter() - begun
""",
    "DuckDB: p99 of the time to predict": """
import json, sys, time
import duckdb
begun = time.perf_counter()
told = f"select count(*), quantile_cont(predict_ms, 0.99) from '{sys.argv[1]}/*.parquet'"
rows = duckdb.sql(told).fetchall()[0][0]
took = time.perf_counter() - begun
""",
}
_LAST = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"took": took, "rows": rows, "memory": int(peak.split()[1]) / 1024}))
"""
_LUA = """local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local turn = 0
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
function request()
  turn = turn % #bodies + 1
  return wrk.format("POST", nil, nil, bodies[turn])
end
"""


def bodies(body: bytes) -> str:
    """Make requests of rows that all differ, a line each."""
    one = json.loads(body)["dataframe_split"]
    random = np.random.default_rng(0)
    made = []
    for _ in range(DIFFERENT):
        numbers = random.normal(size=(AT_ONCE, 10)).tolist()
        words = random.choice(["a", "b", "c", "d"], (AT_ONCE, 4)).tolist()
        rows = [some + others for some, others in zip(numbers, words, strict=True)]
        made.append(json.dumps({"dataframe_split": one | {"data": rows}}))
    return "\n".join(made)


def load(script: Path, url: str) -> int:
    """Send them in turn for a while; return how many were answered."""
    told = ["wrk", "-t1", "-c64", f"-d{TURN}s", "--timeout", "30s", "-s", script, url]
    said = subprocess.run(told, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    return int(re.search(r"(\d+) requests in", said)[1])


def run() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="how many rows")
    parser.add_argument("--try", action="store_true", dest="trying", help="print, and record nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench, _ = registered(folder)
        cells(bench.shell, "%mlops_deploy bench@champion -o live", "%mlops_deploy bench --traffic 1s -o seen")
        live, journal = bench.shell.user_ns["live"], bench.shell.user_ns["seen"].journal
        (folder / "bodies").write_text(bodies(bench.body))
        script = folder / "many.lua"
        script.write_text(_LUA.format(bodies=folder / "bodies", token=token(bench)))
        sent, begun = 0, time.perf_counter()
        while sent * AT_ONCE < options.rows:
            sent += load(script, f"{live.url}/invocations")
        spent = time.perf_counter() - begun
        time.sleep(70)  # until files were put together once more
        files = list(journal.glob("*.parquet"))
        size = sum(file.stat().st_size for file in files)
        found = {reader: fresh(source + _LAST, str(journal)) for reader, source in READERS.items()}
        read = time.perf_counter()
        cells(bench.shell, "%mlops_deploy bench --traffic 80s -o traffic")
        read = time.perf_counter() - read
        lines_read = len(bench.shell.user_ns["traffic"].frame)
        cells(bench.shell, "%mlops_deploy bench --remove;")
        bench.shell.run_line_magic("unload_ext", "mlops_magics")
        os.chdir("/")
    rows = {one["rows"] for one in found.values()}
    if len(rows) != 1 or not sent * AT_ONCE <= max(rows) <= (sent + 64 * len(files)) * AT_ONCE + 1:
        sys.exit(f"{sent * AT_ONCE:,.0f} rows were answered, {rows} read")
    kept = rows.pop()
    lines = [
        (
            f"{kept:,} rows of 14 columns, {AT_ONCE} a request on 64 connections in {spent:.0f} s: {kept / spent:,.0f} rows a "
            f"second. The journal then has {len(files)} files of {size / 2**20:,.0f} MB together, {size / kept:.0f} bytes a row "
            f"({DIFFERENT * AT_ONCE:,} different ones, again and again)."
        ),
        "",
        "| reader, in a fresh process | seconds | peak memory |",
        "| --- | --- | --- |",
        *[f"| {reader} | {one['took']:.2f} | {one['memory']:,.0f} MB |" for reader, one in found.items()],
        f"| `--traffic 80s`, {lines_read:,} lines to pandas | {read:.2f} | |",
    ]
    if options.trying:
        sys.stdout.write("\n".join(lines) + "\n")
    else:
        record("journal", lines)


main(run)
