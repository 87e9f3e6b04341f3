"""Ranking columns, against scikit-learn's own mutual information and permutation importance by hand.

``make bench NAME=features`` measures all and records it. ``ARGS="--sizes 100000x20 --rounds 1"`` measures some and
only prints.
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise

from side_by_side import SideError, fresh, main, median, record
from tables import TARGET, table

_LIMIT = 900  # seconds for one process
_SOURCE = """
import json, os, sys, time
{before}
import pandas as pd
frame = pd.read_parquet(sys.argv[1])
{setup}
cpu, begun = time.process_time(), time.perf_counter()
{work}
found = {{"t": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "kept": kept, "folds": folds}}
print(json.dumps(found))
"""
_OURS = (
    "",
    "from mlops_magics import features\nfeatures(frame.head(500), target={target!r})",
    "made = features(frame, target={target!r}, budget=120)\nkept, folds = len(made.names), made.folds",
)
# The same model on one thread, which on a busy machine is the quicker way by far; codes for texts, numbers for dates.
_HAND = """
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_selection import mutual_info_classif
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold
def model():
    return HistGradientBoostingClassifier(max_iter=60, learning_rate=0.12, max_bins=63, max_leaf_nodes=16,
                                          l2_regularization=1.0, early_stopping=False, random_state=0)
def numbers(column):
    if column.dtype.kind == "M":
        return column.astype("int64").astype(float)
    return column.astype(float) if column.dtype.kind in "biuf" else pd.Series(pd.factorize(column)[0], column.index)
"""
_WORK = """
{sample}
goal = frame[{target!r}].astype(int)
columns = frame.drop(columns={target!r}).apply(numbers)
mutual_info_classif(columns.fillna(columns.median()), goal, random_state=0)
folds = list(KFold({folds}, shuffle=True, random_state=0).split(columns))[:{used}]
for seen, judged in folds:
    fitted = model().fit(columns.iloc[seen], goal.iloc[seen])
    permutation_importance(fitted, columns.iloc[judged], goal.iloc[judged], scoring="neg_log_loss", n_repeats=1, random_state=0)
kept, folds = columns.shape[1], len(folds)
"""
_ALONE = 'os.environ["OMP_NUM_THREADS"] = "1"'
SIDES = {
    "`%mlops_features`": _OURS,
    "by hand, all rows, one split": (_ALONE, _HAND, _WORK.replace("{sample}", "").replace("{used}", "1")),
    "by hand, 20,000 rows, five folds": (
        _ALONE,
        _HAND,
        _WORK.replace("{sample}", "frame = frame.sample(min(len(frame), 20_000), random_state=0)").replace(
            "{used}", "5"
        ),
    ),
}
_FIRST, _SLOW, _ = SIDES
PLAN = {
    (30_000, 20): [_FIRST],
    (100_000, 20): list(SIDES),
    (300_000, 20): [_FIRST],
    (1_000_000, 20): [_FIRST],
    (1_000_000, 50): list(SIDES),
}


def measure(size: tuple[int, int], names: list[str], rounds: int) -> dict[str, list[dict] | str]:
    """Let the sides take turns; a side that fails or takes too long is not asked again."""
    path = str(table(*size))
    found: dict[str, list[dict] | str] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names:
            runs = found[name]
            if isinstance(runs, str) or (turn and name == _SLOW):
                continue
            before, setup, work = (part.replace("{target!r}", repr(TARGET)) for part in SIDES[name])
            source = _SOURCE.format(before=before, setup=setup, work=work.replace("{folds}", "5"))
            try:
                runs.append(fresh(source, path, timeout=_LIMIT))
            except SideError as error:
                found[name] = str(error).strip().splitlines()[-1][:120]
    return found


def lines_of(size: tuple[int, int], found: dict[str, list[dict] | str]) -> list[str]:
    """Write one table's figures."""
    lines = [
        f"### {size[0]:,} x {size[1]}",
        "",
        "| side | seconds | over ours | CPU seconds | folds |",
        "| --- | --- | --- | --- | --- |",
    ]
    ours = median(found[_FIRST], "t") if isinstance(found[_FIRST], list) else math.nan
    for name, runs in found.items():
        if isinstance(runs, str):
            lines.append(f"| {name} | {runs} | | | |")
            continue
        seconds, cpu = median(runs, "t"), median(runs, "cpu")
        lines.append(f"| {name} | {seconds:.2f} | {seconds / ours:.1f} | {cpu:.2f} | {runs[0]['folds']} |")
    return [*lines, ""]


def growth(times: dict[int, float]) -> list[str]:
    """Write how time grows with the rows of twenty columns; an exponent of 1 is linear."""
    if len(times) < 2:
        return []
    steps = pairwise(sorted(times.items()))
    exponents = [math.log(later / one) / math.log(more / rows) for (rows, one), (more, later) in steps]
    return [
        "### Growth, rows x 20",
        "",
        "| |" + "".join(f" {rows:,} |" for rows in sorted(times)),
        "| --- |" + " --- |" * len(times),
        "| seconds |" + "".join(f" {times[rows]:.2f} |" for rows in sorted(times)),
        "| exponent from the size before | |" + "".join(f" {value:.2f} |" for value in exponents),
        "",
    ]


def run() -> None:
    """Measure, print, and record when all was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", help="some tables only, as 100000x20,1000000x50")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = (
        [tuple(map(int, one.split("x"))) for one in options.sizes.split(",")] if options.sizes else [*PLAN]
    )
    lines: list[str] = []
    times: dict[int, float] = {}
    failed = False
    for size in sizes:
        found = measure(size, PLAN.get(size, list(SIDES)), options.rounds)
        failed |= any(isinstance(runs, str) for runs in found.values())
        lines += lines_of(size, found)
        print("\n".join(lines_of(size, found)), flush=True)
        if size[1] == 20 and isinstance(found[_FIRST], list):
            times[size[0]] = median(found[_FIRST], "t")
    said = (
        "Ours is the whole call with a budget of 120 s: summary, leaks, copies, skill of each column alone, five folds, "
        "three shadows, and the check that what goes is not missed. By hand: mutual information, fit and permutation "
        "importance (once a column) of the same model, on one thread. After import and load; medians of fresh "
        f"processes in turn, {options.rounds} each (one on all rows); none may take more than {_LIMIT} s."
    )
    lines = [said, "", *lines, *growth(times)]
    if options.sizes or failed:
        print(
            "\n".join([*lines, "Nothing was recorded: this was not the whole measurement, or a side failed."])
        )
    else:
        record("features", lines)


if __name__ == "__main__":
    main(run)
