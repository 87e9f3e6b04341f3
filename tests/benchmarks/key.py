"""The key of a cell that reads a frame of a million rows, and the same cell with --reuse, beside hashing the frame."""

from side_by_side import in_turn, main, median, record

DATA = """
import contextlib, io, json, time
import numpy as np, pandas as pd
random = np.random.default_rng(0)
rows = 1_000_000
frame = pd.DataFrame({f"f{i}": random.normal(size=rows) for i in range(15)})
for i in range(6):
    frame[f"i{i}"] = random.integers(0, 1000, rows)
for i in range(4):
    frame[f"s{i}"] = random.choice(["alpha", "beta", "gamma", None], rows)
for i in range(2):
    frame[f"d{i}"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s")
frame["b"] = random.random(rows) > 0.5
frame["c"] = pd.Categorical(random.choice(["x", "y", "z"], rows))
frame["n"] = pd.array(random.integers(0, 9, rows), dtype="Int64")
"""
KEY = (
    DATA
    + """
from mlops_magics.steps.track.attempt import Start
from mlops_magics.steps.track.body import Body, Options
from mlops_magics.tracking.provenance import Source
code = "total = frame['f0'].sum()"
Start.of(Body(Source(code), code, {"frame": frame.head(9)}, lambda: None), Options())
begun = time.perf_counter()
Start.of(Body(Source(code), code, {"frame": frame}, lambda: None), Options())
print(json.dumps({"s": time.perf_counter() - begun}))
"""
)
HASHED = (
    DATA
    + "import joblib\nbegun = time.perf_counter()\nHASH\nprint(json.dumps({'s': time.perf_counter() - begun}))\n"
)
REUSED = (
    DATA
    + """
import os
os.environ.update(MLOPS_VERIFY="false", MLOPS_STANDBY="false")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns.update(frame=frame)
CELL = "%%mlops_track --reuse -o run\\ntotal = float(frame['f0'].sum())\\nlast = frame['f1'].tail(1000).to_numpy()"
with contextlib.redirect_stdout(io.StringIO()):
    shell.run_line_magic("load_ext", "mlops_magics")
    shell.run_cell("%mlops_track e")
    shell.mlops_magics_extension.watch().off()
    shell.run_cell(CELL).raise_error()
    begun = time.perf_counter()
    shell.run_cell(CELL).raise_error()
    seconds = time.perf_counter() - begun
assert shell.user_ns["run"].remark.startswith("Not executed"), shell.user_ns["run"].remark
print(json.dumps({"s": seconds}))
"""
)
SIDES = {
    "key and digests of a cell that reads it": KEY,
    "the whole cell with `--reuse`, not executed": REUSED,
    "`joblib.hash` of the frame": HASHED.replace("HASH", "joblib.hash(frame)"),
    "pandas' own hashing": HASHED.replace("HASH", "pd.util.hash_pandas_object(frame).sum()"),
}


def run() -> None:
    """Measure and record."""
    found = in_turn(SIDES, rounds=5)
    lines = [
        "A frame of 1,000,000 x 30, medians of 5 fresh processes.",
        "",
        "| what | seconds |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {median(found[name], 's'):.3f} |" for name in SIDES]
    record("key", [*lines, "", "Goals: under 0.2 s, and a cell with `--reuse` in that time."])


main(run)
