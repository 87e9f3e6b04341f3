"""What recording costs over a whole notebook, and what comes of it: the notebook bare, recorded, and tracked.

``make bench NAME=recording ARGS=NOTEBOOK.ipynb`` takes any notebook; without one, the made chapter of the
tests. Each side is a fresh process. Every run that automatic tracking made is then made again from its cells.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import nbformat
from side_by_side import ROOT, fresh, main, median, record

ROUNDS = 3
SOURCE = """
import contextlib, io, json, os, sys, time, warnings
warnings.simplefilter("ignore")
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
mode, cells = sys.argv[1], json.loads(open(sys.argv[2]).read())
quiet = Config()
quiet.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=quiet)
told = {"failed": 0}
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    if mode != "bare":
        os.environ.update(MLOPS_VERIFY="false", MLOPS_STANDBY="false")
        shell.run_line_magic("load_ext", "mlops_magics")
    if mode == "tracked":
        shell.run_cell("%mlops_track real")
    begun = time.perf_counter()
    for cell in cells:
        told["failed"] += not shell.run_cell(cell, store_history=True).success
    told["s"] = time.perf_counter() - begun
if mode != "bare":
    told["overhead"] = shell.mlops_magics_extension.recording.recorder.overhead
if mode == "tracked":
    import mlops_magics
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.tracking.store import open_store
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        store = open_store(Settings.discover())
        runs = store.client.search_runs([store.experiment_id("real")])
        made = [mlops_magics.reproduce(run.info.run_id, effects=True) for run in runs]
    told["cells"] = [run.data.tags["mlops.slice.cells"] for run in runs]
    told["said"] = [run.data.tags["mlops.reproducible"] for run in runs]
    told["again"] = [item.reproduced for item in made]
print(json.dumps(told))
"""


def cells_of(path: str) -> list[str]:
    """Read the code cells of a notebook."""
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def made() -> list[str]:
    """Return the cells of the tests' own chapter."""
    sys.path.insert(0, str(ROOT / "tests"))
    from slice_notebooks import CHAPTER

    return list(CHAPTER)


def run() -> None:
    """Measure and record."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    cells = cells_of(named) if named else made()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(cells))
        file.flush()
        found: dict[str, list[dict]] = {"bare": [], "recorded": [], "tracked": []}
        for turn in range(ROUNDS + 1):
            for mode, told in found.items():
                one = fresh(SOURCE, mode, file.name)
                if turn:
                    told.append(one)
    bare, recorded, tracked = (median(found[mode], "s") for mode in found)
    overhead, last = median(found["recorded"], "overhead"), found["tracked"][-1]
    kept = [int(text.split()[0]) for text in last["cells"]]
    lines = [
        f"{Path(named).name or 'the chapter of the tests'}, {len(cells)} cells ({last['failed']} fail), medians of {ROUNDS}.",
        "",
        "| side | seconds | within the recorder |",
        "| --- | --- | --- |",
        f"| bare | {bare:.2f} | |",
        f"| recorded | {recorded:.2f} | {overhead:.2f} s, {100 * overhead / bare:.1f} % |",
        f"| `%mlops_track` | {tracked:.2f} | {median(found['tracked'], 'overhead'):.2f} s |",
        "",
        (
            f"{len(kept)} runs, of {min(kept, default=0)} to {max(kept, default=0)} cells each; "
            f"{last['said'].count('yes')} said to be reproducible, {sum(last['again'])} made again the same."
        ),
        "Goal: under 3 %.",
    ]
    record("recording", lines)


main(run)
