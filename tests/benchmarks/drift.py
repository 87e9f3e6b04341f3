"""A drift check against evidently's and nannyml's: how long it takes, how often it alarms falsely, what it misses.

``make bench NAME=drift`` measures all and records it. ``ARGS="--rows 10000 --pairs 10 --sides ours"`` measures less
and only prints. Ours has a reference of some tens of kilobytes; the peers are given the rows themselves.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path

from peers import DRIFT, EVIDENTLY, NANNYML, Peer
from side_by_side import ROOT, SideError, fresh, main, median, record
from tables import table

sys.path.insert(0, str(ROOT / "tests" / "drift"))
from drifting import LEVELS, twenty  # the same draws in each environment, by its source

_BUDGETS = (20, 100)  # one false alarm in so many pairs
_TIME = """
import json, resource, sys, time
import pandas as pd
path, rows = sys.argv[1], int(sys.argv[2])
both = pd.read_parquet(path)
then, now = both.iloc[:rows].reset_index(drop=True), both.iloc[rows:].reset_index(drop=True)
{load}
begun = time.perf_counter()
{fit}
fitted = time.perf_counter()
cpu = time.process_time()
{work}
done = time.perf_counter()
print(json.dumps({{"fit": fitted - begun, "t": done - fitted, "cpu": time.process_time() - cpu, "kept": kept,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}))
"""
_ALARMS = """
import json, sys, warnings
from typing import Any
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
LEVELS = {levels!r}
{draw}
pairs, rows = int(sys.argv[1]), int(sys.argv[2])
{load}
told = {{}}
for name, shift in (("equal", 0.0), ("shifted", 0.1)):
    whole = 0
    columns = dict.fromkeys(twenty(np.random.default_rng(0), 10), 0)
    for seed in range(pairs):
        random = np.random.default_rng(1_000 + seed)
        found = alarms(seed, twenty(random, rows), twenty(random, rows, shift))
        whole += bool(found)
        for column in found:
            columns[column] += 1
    told[name] = {{"pairs": whole, "columns": columns}}
print(json.dumps(told))
"""
_MUTE = """
class Mute:
    def predict(self, rows):
        return np.zeros((len(rows), 0))
"""
_EVIDENTLY_ALARMS = """
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
# What the preset itself calls for each column, without the drawings, which would take seconds a pair.
def alarms(seed, then, now):
    found = []
    for name in then:
        one, two = (each[name].replace([np.inf, -np.inf], np.nan).dropna() for each in (then, now))
        kind = ColumnType.Categorical if name in LEVELS else ColumnType.Numerical
        test = get_stattest(one, two, kind, None)
        if test(one, two, kind, None).drifted:
            found.append(name)
    return found
"""
_NANNYML_ALARMS = """
import nannyml
def alarms(seed, then, now):
    made = nannyml.UnivariateDriftCalculator(column_names=list(then.columns))
    made.fit(then)
    frame = made.calculate(now).filter(period="analysis").to_df()
    return sorted({column[0] for column in frame if column[-1] == "alert" and frame[column].any()})
"""


@dataclass(frozen=True)
class Side:
    """One way to look for drift, as source: to time it, and to ask it which columns drifted."""

    name: str
    load: str
    fit: str
    work: str
    alarms: str
    peer: Peer | None = None

    def python(self) -> Path:
        """Return the interpreter of the side's environment."""
        return Path(sys.executable) if self.peer is None else self.peer.python()


def _ours(name: str, budget: int) -> Side:
    imports = (
        "import numpy as np\n"
        "import scipy.special\n"  # as the peers do: ours imports it when it is first asked
        "from mlops_magics.artifact.reference import Reference\n"
        "from mlops_magics.drift.judging import judge\n"
        "from mlops_magics.drift.solving import solve\n"
        "from mlops_magics.stats.reference import reference_of\n"
        "from mlops_magics.stats.windows import counted\n"
        "from mlops_magics.drift.scoring import tests\n"
        "tests()\n" + _MUTE  # imports the parts, and asks which packages bring more
    )
    return Side(
        name,
        imports,
        "content = reference_of(then, Mute()).to_json()",
        "known = Reference.from_json(content)\ndrift = judge(known, counted(known, now))\nkept = len(content) / 1024",
        imports
        + "kept = {}\n"
        + "def alarms(seed, then, now):\n"
        + "    known = reference_of(then, Mute())\n"
        + f"    if seed % 20 == 0: kept[0] = solve(known, '1/{budget}', rows=len(now))\n"
        + "    return [each.name for each in judge(known, counted(known, now), alarm=kept[0]).alarms]\n",
    )


def _evidently(name: str, dropped: str) -> Side:
    return Side(
        name,
        "from evidently import Dataset, Report\nfrom evidently.presets import DataDriftPreset\n"
        f"then, now = (each.drop(columns={dropped}) for each in (then, now))",
        "kept = then.memory_usage(deep=True).sum() / 1024",
        "Report([DataDriftPreset()]).run(Dataset.from_pandas(now), Dataset.from_pandas(then))",
        _EVIDENTLY_ALARMS,
        EVIDENTLY,
    )


SIDES = {
    "ours": _ours("ours", _BUDGETS[0]),
    "ours-rare": _ours("ours", _BUDGETS[1]),
    "evidently": _evidently("evidently DataDriftPreset", "[]"),
    "evidently-no-text": _evidently("evidently, without the texts", "['member', 'comment']"),
    "nannyml": Side(
        "nannyml univariate, without the dates",
        "import nannyml\nnames = [name for name in then if then[name].dtype.kind != 'M']",
        "made = nannyml.UnivariateDriftCalculator(column_names=names)\nmade.fit(then)",
        "made.calculate(now)\nkept = then.memory_usage(deep=True).sum() / 1024",
        _NANNYML_ALARMS,
        NANNYML,
    ),
}
_TIMED = ("ours", "evidently", "evidently-no-text", "nannyml")
_ASKED = ("ours", "ours-rare", "evidently", "nannyml")


def timed(rows: int, names: list[str], rounds: int) -> dict[str, dict[str, float] | str]:
    """Let the sides check the same two tables in turn; the first turn warms the caches."""
    path = table(2 * rows, 20)
    runs: dict[str, list[dict]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name in names:
            side = SIDES[name]
            source = _TIME.format(load=side.load, fit=side.fit, work=side.work)
            if name in failed:
                continue
            try:
                one = fresh(source, str(path), str(rows), python=side.python(), timeout=1_800)
            except SideError as error:
                print(f"{side.name} failed:\n{error}", flush=True)
                failed[name] = str(error).strip().splitlines()[-1][:200]
                continue
            if turn:
                runs[name].append(one)
    keys = ("fit", "t", "cpu", "kept", "peak")
    return {name: failed.get(name) or {key: median(runs[name], key) for key in keys} for name in names}


def time_lines(rows: int, found: dict[str, dict[str, float] | str]) -> list[str]:
    """Write what the sides took for one size, beside ours."""
    ours = found.get("ours")
    lines = [
        f"### {rows:,} rows against {rows:,}, 20 columns",
        "",
        "| side | check, s | over ours | fit, s | CPU of the check, s | peak MB | kept of the reference, KB |",
        "| --- |" + " --- |" * 6,
    ]
    for name, one in found.items():
        if isinstance(one, str):
            lines.append(f"| {SIDES[name].name} | failed: {one} | | | | | |")
            continue
        over = f"{one['t'] / ours['t']:.1f}" if isinstance(ours, dict) else ""
        lines.append(
            f"| {SIDES[name].name} | {one['t']:.3f} | {over} | {one['fit']:.3f} | {one['cpu']:.3f} "
            f"| {one['peak']:,.0f} | {one['kept']:,.0f} |"
        )
    return [*lines, ""]


def asked(names: list[str], pairs: int, rows: int) -> dict[str, dict]:
    """Ask each side about equal pairs, and about pairs of which three columns are carried by 0.1 sd."""
    found = {}
    for name in names:
        side = SIDES[name]
        source = _ALARMS.format(levels=LEVELS, draw=inspect.getsource(twenty), load=side.alarms)
        found[name] = fresh(source, str(pairs), str(rows), python=side.python(), timeout=7_200)
        print(side.name, json.dumps(found[name]), flush=True)
    return found


def alarm_lines(found: dict[str, dict], pairs: int, rows: int) -> list[str]:
    """Write how often each side alarmed."""
    lines = [
        f"### {pairs} pairs of {rows:,} rows, 20 columns",
        "",
        (
            "Equal pairs are drawn from one distribution; of shifted ones three normal columns are carried by a tenth of "
            "a standard deviation."
        ),
        "",
        "| side | equal pairs with an alarm | allowed | shifted pairs with an alarm | each of the three found in |",
        "| --- |" + " --- |" * 4,
    ]
    budgets = {"ours": f"1 in {_BUDGETS[0]}", "ours-rare": f"1 in {_BUDGETS[1]}"}
    for name, one in found.items():
        three = ", ".join(str(one["shifted"]["columns"][f"norm{place}"]) for place in range(3))
        lines.append(
            f"| {SIDES[name].name} | {one['equal']['pairs']} | {budgets.get(name, 'cannot be said')} "
            f"| {one['shifted']['pairs']} | {three} |"
        )
    return [*lines, ""]


def growth(found: dict[int, dict[str, dict[str, float] | str]]) -> list[str]:
    """Write how our check grows with the rows; an exponent of 1 is linear."""
    known = [
        (rows, one["ours"]["t"]) for rows, one in sorted(found.items()) if isinstance(one.get("ours"), dict)
    ]
    if len(known) < 3:
        return []
    powers = [log(later / t) / log(more / rows) for (rows, t), (more, later) in pairwise(known)]
    told = ", ".join(f"{rows:,}: {t:.3f} s" for rows, t in known)
    return [f"Growth of our check: {told}; exponents {', '.join(f'{power:.2f}' for power in powers)}.", ""]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="30000,100000,300000", help="rows of the tables that are timed")
    parser.add_argument("--peer-rows", type=int, default=100_000, help="up to which the peers are timed")
    parser.add_argument("--rounds", type=int, default=5, help="runs that count (default 5)")
    parser.add_argument("--pairs", type=int, default=200, help="pairs that are judged (default 200)")
    parser.add_argument("--pair-rows", type=int, default=10_000)
    parser.add_argument("--sides", default=",".join(SIDES), help=f"of {','.join(SIDES)}")
    parser.add_argument("--no-record", action="store_true", help="only print")
    return parser.parse_args()


def run() -> None:
    """Time the sides, ask them, print, and record when all was measured."""
    options = _options()
    sides = options.sides.split(",")
    sizes = [int(rows) for rows in options.rows.split(",")]
    versions = "; ".join(
        ", ".join(f"{name} {which}" for name, which in peer.versions().items())
        for peer in DRIFT
        if any(SIDES[name].peer is peer for name in sides)
    )
    lines = [f"Each peer in an environment of its own: {versions}.", ""]
    found = {}
    for rows in sizes:
        names = [name for name in _TIMED if name in sides and (name == "ours" or rows <= options.peer_rows)]
        found[rows] = timed(rows, names, options.rounds)
        lines += time_lines(rows, found[rows])
    lines += [
        (
            "check is reading the stored reference, counting the rows and judging them (ours), the whole report (evidently), "
            "or calculate (nannyml); fit is before it, and tables are loaded before both. Goals: 100 and 8 times ours."
        ),
        "",
        *growth(found),
    ]
    judged = asked([name for name in _ASKED if name in sides], options.pairs, options.pair_rows)
    lines += alarm_lines(judged, options.pairs, options.pair_rows)
    whole = len(sides) == len(SIDES) and options.pairs >= 200 and 100_000 in sizes and not options.no_record
    if whole:
        record("drift", lines)
    else:
        print("\n".join([*lines, "Nothing was recorded: this was not the whole measurement."]))


if __name__ == "__main__":
    main(run)
