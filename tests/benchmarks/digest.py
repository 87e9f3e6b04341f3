"""The digest of every value of a mixed frame, against joblib.hash, pandas' hashing and MLflow's digest."""

from side_by_side import in_turn, main, median, record

SIZES = (100_000, 300_000, 1_000_000)
DATA = """
import json, time
import numpy as np, pandas as pd
random = np.random.default_rng(0)
rows = {rows}
frame = pd.DataFrame({{f"f{{i}}": random.normal(size=rows) for i in range(16)}})
for i in range(6):
    frame[f"i{{i}}"] = random.integers(0, 1000, rows)
for i in range(4):
    frame[f"s{{i}}"] = random.choice(["alpha", "beta", "gamma", None], rows)
for i in range(2):
    frame[f"c{{i}}"] = pd.Categorical(random.choice(["x", "y", "z"], rows))
frame["d"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s")
frame["b"] = random.random(rows) > 0.5
{setup}
begun = time.perf_counter()
{work}
print(json.dumps({{"s": time.perf_counter() - begun}}))
"""
SIDES = {
    "ours": (
        (
            "from mlops_magics.foundation.digests import digest\nfrom mlops_magics.foundation.frames import Frame\n"
            "digest(Frame.of(frame.head(10)))"
        ),
        "digest(Frame.of(frame))",
    ),
    "joblib.hash": ("import joblib; joblib.hash(frame.head(10))", "joblib.hash(frame)"),
    "pandas.util.hash_pandas_object": ("", "pd.util.hash_pandas_object(frame).sum()"),
    "mlflow.data digest (10,000 rows only)": (
        "import mlflow.data; mlflow.data.from_pandas(frame.head(10))",
        "mlflow.data.from_pandas(frame).digest",
    ),
}


def run() -> None:
    """Measure and record."""
    rows = []
    for size in SIZES:
        found = in_turn(
            {name: DATA.format(rows=size, setup=setup, work=work) for name, (setup, work) in SIDES.items()},
            rounds=3,
        )
        rows.append({name: median(found[name], "s") for name in SIDES})
    table = [
        "| side | " + " | ".join(f"{size:,} x 30" for size in SIZES) + " |",
        "| --- |" + " --- |" * len(SIZES),
    ]
    table += [f"| {name} | " + " | ".join(f"{row[name]:.3f} s" for row in rows) + " |" for name in SIDES]
    last = rows[-1]
    table += [
        "",
        (
            f"At a million rows ours reads every value {last['joblib.hash'] / last['ours']:.0f} times faster than "
            f"joblib.hash and {last['pandas.util.hash_pandas_object'] / last['ours']:.0f} times faster than pandas; "
            "goal: under 1 s. Median of 3 fresh processes."
        ),
    ]
    record("digest", table)


main(run)
