"""Candidate against champion on 100,000 rows, interval and p-value, beside a 1,000-fold bootstrap of scikit-learn's metrics.

``make bench NAME=champion``; ``ARGS="--folds 100"`` bootstraps fewer folds, scales their time, and says so.
"""

import argparse

from side_by_side import in_turn, main, median, record

ROWS, FOLDS, ROUNDS = 100_000, 1_000, 3
DATA = """
import json, math, time
import numpy as np
random = np.random.default_rng(0)
rows = {rows}
hidden = random.normal(size=rows)
truth = (hidden + random.normal(size=rows) > 0.7).astype(float)
chance = [1 / (1 + np.exp(0.8 - hidden - spread * random.normal(size=rows))) for spread in (0.80, 0.82)]
numbers = hidden + random.normal(size=rows)
guesses = [hidden + spread * random.normal(size=rows) for spread in (0.80, 0.82)]
"""
OURS = (
    DATA
    + """
from mlops_magics.checks import intervals
from mlops_magics.checks.metrics import Measured, measure, metrics
from mlops_magics.checks.model import Predictions
from mlops_magics.checks.paired import compare
from mlops_magics.checks.problem import Problem
import scipy.stats

def auc():
    positive, ones = truth == 1, np.ones((rows, 1))
    scarce = int(min(positive.sum(), (~positive).sum()))
    sides = [Measured(ones, {{}}, {{"roc_auc": intervals.roc_auc(positive, score)}}, scarce=scarce) for score in chance]
    return metrics(Problem("binary", (0, 1)), Predictions(truth), sides[0]), compare(*sides)

def whole(problem, wanted, given):
    sides = [measure(problem, wanted, each) for each in given]
    return metrics(problem, given[0], sides[0]), compare(*sides)

def binary():
    given = [Predictions((one > 0.5).astype(float), np.column_stack([1 - one, one]), one) for one in chance]
    return whole(Problem("binary", (0, 1)), truth, given)

def regression():
    return whole(Problem("regression"), numbers, [Predictions(one) for one in guesses])

def timed(work):
    times = []
    for _ in range(4):
        begun = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - begun)
    return found, times[0], sorted(times[1:])[1]

told = {{}}
for name, work in (("auc", auc), ("binary", binary), ("regression", regression)):
    intervals._weights.cache_clear()  # drawn once in a process: the first call of each pays for it
    (alone, found), told[name + "_first"], told[name] = timed(work)
    told[name + "_metrics"] = len(found)
    for one in found:
        told[name + " " + one.metric] = [one.difference, one.low, one.high, one.p_value]
print(json.dumps(told))
"""
)
BOOTSTRAP = (
    DATA
    + """
from sklearn import metrics
folds = {folds}
METRIC

def bootstrap(count):
    apart = np.empty(count)
    mine, theirs = np.empty(count), np.empty(count)
    for fold in range(count):
        drawn = random.integers(0, rows, rows)
        wanted = known[drawn]
        mine[fold], theirs[fold] = score(wanted, sides[0][drawn]), score(wanted, sides[1][drawn])
    apart = mine - theirs
    difference = score(known, sides[0]) - score(known, sides[1])
    bounds = [np.quantile(each, (0.025, 0.975)) for each in (mine, theirs, apart)]
    p_value = math.erfc(abs(difference) / apart.std(ddof=1) / math.sqrt(2))
    return [difference, *map(float, bounds[2]), p_value]

bootstrap(2)
begun = time.perf_counter()
found = bootstrap(folds)
print(json.dumps({{"s": time.perf_counter() - begun, "found": found}}))
"""
)
SCORES = {
    "roc_auc": "known, sides, score = truth, chance, metrics.roc_auc_score",
    "accuracy": "known, sides, score = truth, [(one > 0.5).astype(float) for one in chance], metrics.accuracy_score",
    "log_loss": "known, sides, score = truth, chance, metrics.log_loss",
    "rmse": "known, sides, score = numbers, guesses, metrics.root_mean_squared_error",
}
KINDS = {"roc_auc": "auc", "accuracy": "binary", "log_loss": "binary", "rmse": "regression"}


def row(metric: str, found: dict[str, list[dict]], folds: int) -> str:
    """Put one metric beside its bootstrap, and hold their answers against each other."""
    kind = KINDS[metric]
    first, again = median(found["ours"], f"{kind}_first"), median(found["ours"], kind)
    seconds = median(found[metric], "s") * FOLDS / folds
    ours, theirs = found["ours"][0][f"{kind} {metric}"], found[metric][0]["found"]
    assert abs(ours[0] - theirs[0]) < 1e-9, (metric, ours, theirs)
    if folds >= 100:  # fewer folds hardly reach the ends of an interval
        assert 0.75 < (ours[2] - ours[1]) / (theirs[2] - theirs[1]) < 1.33, (metric, ours, theirs)
    many = found["ours"][0][f"{kind}_metrics"]
    alone = "it alone" if many == 1 else f"all {many} of its kind"
    told = f"{ours[0]:.5f} ({ours[1]:.5f} to {ours[2]:.5f}), {ours[3]:.2g}"
    other = f"({theirs[1]:.5f} to {theirs[2]:.5f}), {theirs[3]:.2g}"
    return (
        f"| {metric} | {alone} | {1000 * first:.0f} ms | {1000 * again:.0f} ms | {seconds:.1f} s | "
        f"{seconds / first:,.0f} / {seconds / again:,.0f} | {told} | {other} |"
    )


def run() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folds", type=int, default=FOLDS, help="folds of the bootstrap that are really drawn"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fresh processes a side")
    options = parser.parse_args()
    sources = {"ours": OURS.format(rows=ROWS)}
    for metric, setup in SCORES.items():
        sources[metric] = BOOTSTRAP.format(rows=ROWS, folds=options.folds).replace("METRIC", setup)
    found = in_turn(sources, rounds=options.rounds)
    scaled = (
        f"{FOLDS:,} folds, each drawn"
        if options.folds == FOLDS
        else f"scaled to {FOLDS:,} folds from the {options.folds:,} that were drawn"
    )
    lines = [
        (
            f"Two models on the same {ROWS:,} rows: difference, 95 % interval, p-value. The bootstrap draws rows and "
            f"asks scikit-learn's metric of both models in each fold: {scaled}. Medians of {options.rounds} fresh "
            "processes, in turn."
        ),
        "",
        (
            "| metric | ours measures | the first time | again | bootstrap | times (first / again) | "
            "ours: difference, p-value | bootstrap: interval, p-value |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row(metric, found, options.folds) for metric in SCORES),
        "",
        (
            "Goals: 1,000 times for ROC AUC, 10 times for any other metric. Beside ROC AUC our time is that of all "
            "metrics of the kind (`measure`, `metrics`, `compare`), held against the bootstrap of one."
        ),
    ]
    record("champion", lines)


main(run)
