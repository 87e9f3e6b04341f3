"""Profiles of mixed tables, against skrub's and fg-data-profiling's reports and against decoding each column once.

``make bench NAME=profile`` measures all and records it. ``ARGS="--sizes 100000x20 --sides ours,skrub"`` measures
some and only prints; ``ARGS=--help`` names the options. Needs Linux, which tells the peak of memory.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise

from peers import FG, PEERS, SKRUB, Peer
from side_by_side import SideError, fresh, main, median, record
from tables import TARGET, table

from mlops_magics.road import VERBS

_SOURCE = """
import json, sys, time
path, started, sizes = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "sizes"
def memory(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
{load}
peak, before = memory("VmHWM"), memory("VmRSS")
with open("/proc/self/clear_refs", "w") as peaks:
    peaks.write("5")  # from here the peak is that of the work
cpu, begun = time.process_time(), time.perf_counter()
{work}
found = {{"t": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "wall": time.monotonic() - started}}
found |= {{"peak": max(peak, memory("VmHWM")), "rise": memory("VmHWM") - before}}
if sizes:
    found |= {{"html": len(page.encode()) / 1024, "json": len({document}.encode()) / 1024, "frame": {frame}}}
print(json.dumps(found))
"""
_FRAME = "frame.memory_usage(deep=True).sum() / 2**20"
_READ = "import pandas as pd\nframe = pd.read_parquet(path)\n"
_LIMIT = 1_800  # seconds for one process


@dataclass(frozen=True)
class Side:
    """One way to profile a table, as source: what to import and load, and the work, which leaves ``page``."""

    name: str
    load: str
    work: str
    document: str = "''"
    frame: str = "0"
    peer: Peer | None = None
    slow: bool = False  # fewer rounds

    def run(self, path: str, *, sizes: bool) -> dict[str, float]:
        """Profile the file in a fresh process; ``sizes`` also asks for what the report weighs."""
        source = _SOURCE.format(load=self.load, work=self.work, document=self.document, frame=self.frame)
        asked = (path, repr(time.monotonic()), "sizes" if sizes else "")
        if self.peer is None:
            return fresh(source, *asked, timeout=_LIMIT)
        return fresh(source, *asked, python=self.peer.python(), timeout=_LIMIT)


def _ours(name: str, load: str, given: str) -> Side:
    return Side(
        name,
        f"from mlops_magics import profile\n{load}",
        f"report = profile({given}, target={TARGET!r})\npage = report.to_html()",
        "report.to_json()",
        _FRAME if load else "0",
    )


def _skrub(name: str, options: str) -> Side:
    return Side(
        name,
        f"from skrub import TableReport\n{_READ}",
        f"report = TableReport(frame, verbose=0{options})\npage = report.html()",
        "report.json()",
        _FRAME,
        SKRUB,
    )


def _fg(name: str, *, minimal: bool) -> Side:
    return Side(
        name,
        f"from data_profiling import ProfileReport\n{_READ}",
        f"report = ProfileReport(frame, minimal={minimal}, progress_bar=False)\npage = report.to_html()",
        "report.to_json()",
        _FRAME,
        FG,
        slow=True,
    )


SIDES = {
    "ours": _ours("ours, from pandas", _READ, "frame"),
    "ours-parquet": _ours("ours, from parquet", "", "path"),
    "skrub": _skrub("skrub TableReport", ""),
    "skrub-all": _skrub(
        "skrub, plots and associations on", ", plot_distributions=True, compute_associations=True"
    ),
    "fg-minimal": _fg("fg-data-profiling, minimal", minimal=True),
    "fg": _fg("fg-data-profiling", minimal=False),
    "floor": Side(
        "floor: Polars decodes each column once",
        "import polars\nnames = polars.scan_parquet(path).collect_schema().names()",
        "for name in names:\n    polars.scan_parquet(path).select(name).collect()\npage = ''",
    ),
}
_OURS, _SKRUB, _FG, _FLOOR = (
    ("ours", "ours-parquet"),
    ("skrub", "skrub-all"),
    ("fg-minimal", "fg"),
    ("floor",),
)
PLAN: dict[tuple[int, int], tuple[str, ...]] = {
    (10_000, 20): _OURS + _SKRUB + _FG,
    (30_000, 20): _OURS + _SKRUB + _FG,
    (100_000, 20): _OURS + _SKRUB + _FG + _FLOOR,
    (300_000, 20): _OURS + _SKRUB + _FLOOR,
    (3_000_000, 20): _OURS + _FLOOR,
    (10_000_000, 20): ("ours-parquet", *_FLOOR),
    (1_000_000, 50): _OURS + _SKRUB + _FLOOR,
}
_GOALS = {
    (
        100_000,
        20,
    ): "Goals: 60, 25 and 8 times ours for fg-data-profiling, its minimal mode and skrub; a page under 150 KB.",
    (1_000_000, 50): (
        "Goals: 8 times ours for skrub with all on; peak memory under 1.5 times the frame; "
        "from parquet under 400 MB."
    ),
    (10_000_000, 20): "Goals: 3.5 times the floor, under 1.5 GB.",
}


@dataclass
class Found:
    """What one side needed for one table: medians, or why there are none."""

    figures: dict[str, float]
    rounds: int
    failure: str = ""


def measure(size: tuple[int, int], names: Sequence[str], rounds: int, slow: int) -> dict[str, Found]:
    """Let the sides take turns; the first turn warms the caches and weighs the reports."""
    path = str(table(*size))
    weights: dict[str, dict[str, float]] = {}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name in names:
            side = SIDES[name]
            if name in failures or turn > (slow if side.slow else rounds):
                continue
            try:
                one = side.run(path, sizes=not turn)
            except SideError as error:
                failures[name] = str(error).strip().splitlines()[-1][:200]
                print(f"{side.name} failed at {_words(size)}:\n{error}", flush=True)
                continue
            if turn:
                runs[name].append(one)
            else:
                weights[name] = {key: one[key] for key in ("html", "json", "frame")}
    return {
        name: Found({}, 0, failures[name])
        if name in failures
        else Found(
            weights[name] | {key: median(runs[name], key) for key in ("t", "cpu", "wall", "peak", "rise")},
            len(runs[name]),
        )
        for name in names
    }


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]}"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _kilobytes(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def lines_of(size: tuple[int, int], found: dict[str, Found]) -> list[str]:
    """Write one table's figures, each side beside ours."""
    ours = next((found[name].figures["t"] for name in _OURS if name in found and found[name].figures), None)
    lines = [
        f"### {_words(size)}",
        "",
        "| side | t, s | t over ours | CPU, s | start to page, s | peak MB | MB over loaded | HTML KB | JSON KB | runs |",
        "| --- |" + " --- |" * 9,
    ]
    for name, item in found.items():
        if item.failure:
            lines.append(f"| {SIDES[name].name} | failed: {item.failure} |" + " |" * 8)
            continue
        one = item.figures
        cells = [
            SIDES[name].name,
            _seconds(one["t"]),
            f"{one['t'] / ours:.2f}" if ours else "",
            _seconds(one["cpu"]),
            _seconds(one["wall"]),
            f"{one['peak']:,.0f}",
            f"{one['rise']:,.0f}",
            _kilobytes(one["html"]),
            _kilobytes(one["json"]),
            str(item.rounds),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *_said(size, found), ""]


def _said(size: tuple[int, int], found: dict[str, Found]) -> list[str]:
    said = []
    frames = [item.figures["frame"] for item in found.values() if item.figures.get("frame")]
    if frames:
        said.append(f"The frame itself: {frames[0]:,.0f} MB.")
    one, floor = (found.get(name, Found({}, 0)).figures for name in ("ours-parquet", "floor"))
    if one and floor:
        said.append(f"From parquet {one['t'] / floor['t']:.1f} times the floor.")
    return [" ".join([*said, _GOALS.get(size, "")]).strip()]


def growth(found: dict[tuple[int, int], dict[str, Found]]) -> list[str]:
    """Write how time and memory grow with the rows; an exponent of 1 is linear, below 1 less than that."""
    lines = []
    for name, side in SIDES.items():
        sizes = sorted(size for size, sides in found.items() if name in sides and sides[name].figures)
        known = [(size[0], found[size][name].figures) for size in sizes if size[1] == 20]
        if len(known) < 3:
            continue
        lines += [
            f"| {side.name}, rows x 20 |" + "".join(f" {rows:,} |" for rows, _ in known),
            "| --- |" + " --- |" * len(known),
            "| t, s |" + "".join(f" {_seconds(one['t'])} |" for _, one in known),
            "| microseconds a row |" + "".join(f" {one['t'] / rows * 1e6:.2f} |" for rows, one in known),
            "| exponent from the size before | |" + "".join(f" {value:.2f} |" for value in _exponents(known)),
            "| peak MB |" + "".join(f" {one['peak']:,.0f} |" for _, one in known),
            "| MB over loaded |" + "".join(f" {one['rise']:,.0f} |" for _, one in known),
            "",
        ]
    return ["### Growth", "", *lines] if lines else []


def _exponents(known: list[tuple[int, dict[str, float]]]) -> list[float]:
    return [
        math.log(later["t"] / one["t"]) / math.log(more / rows)
        for (rows, one), (more, later) in pairwise(known)
    ]


def _told() -> list[str]:
    peers = "; ".join(
        ", ".join(f"{name} {which}" for name, which in peer.versions().items()) for peer in PEERS
    )
    return [
        f"Beside those above: polars {version('polars')}, pyarrow {version('pyarrow')}. Each peer in an environment of its own: {peers}.",
        "",
        (
            "t is the work alone, after import and load: build the report and render its page. Peak MB is that of the "
            "whole process and counts mapped pages of files; MB over loaded is the rise during the work. Medians of "
            "fresh processes in turn, after one warm-up. Ours also looks for leaks to the target, which no peer does."
        ),
        "",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ",".join(f"{rows}x{columns}" for rows, columns in PLAN)
    parser.add_argument("--sizes", help=f"some tables only, of {known}, or others")
    parser.add_argument("--sides", help=f"some sides only, of {','.join(SIDES)}")
    parser.add_argument("--rounds", type=int, default=5, help="runs that count (default 5)")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of fg-data-profiling (default 3)")
    parser.add_argument("--no-record", action="store_true", help="only print")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> dict[tuple[int, int], list[str]]:
    sizes = list(PLAN)
    if options.sizes:
        sizes = [
            (int(rows), int(columns))
            for rows, columns in (one.split("x") for one in options.sizes.split(","))
        ]
    asked = options.sides.split(",") if options.sides else list(SIDES)
    if unknown := set(asked) - set(SIDES):
        raise SystemExit(f"no such side: {', '.join(sorted(unknown))}; there are {', '.join(SIDES)}")
    there = [name for name in asked if "profile" in VERBS or name not in _OURS]
    chosen = {size: [name for name in PLAN.get(size, tuple(SIDES)) if name in there] for size in sizes}
    return {size: names for size, names in chosen.items() if names}


def run() -> None:
    """Measure, print each table as it is done, and record when all was measured."""
    options = _options()
    found: dict[tuple[int, int], dict[str, Found]] = {}
    lines: list[str] = []
    for size, names in _chosen(options).items():
        found[size] = measure(size, names, options.rounds, options.slow_rounds)
        lines += lines_of(size, found[size])
        print("\n".join(lines_of(size, found[size])), flush=True)
    lines += growth(found)
    failed = any(sides[name].failure for sides in found.values() for name in _OURS if name in sides)
    part = options.sizes or options.sides or options.no_record or "profile" not in VERBS
    whole = not (part or failed)
    if whole:
        record("profile", [*_told(), *lines])
    else:
        print(
            "\n".join(
                [
                    *_told(),
                    *growth(found),
                    "Nothing was recorded: this was not the whole measurement, or ours failed.",
                ]
            )
        )


if __name__ == "__main__":  # the standard library has a module of this name, which others may import
    main(run)
