"""The runs table over 1,000, 10,000 and 30,000 runs (20 metrics, 30 parameters): in JupyterLab, and as a frame.

From the start of the cell, or from the press on a heading or Enter in the filter, to rows that are painted.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, fresh, main, median, record

sys.path.insert(0, str(ROOT / "tests"))
from browser.jupyter import run_all, served
from many_runs import fill
from playwright.sync_api import Page, sync_playwright

SIZES = (1_000, 10_000, 30_000)
ROUNDS = 5
OPEN = """
from pathlib import Path
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store
folder = Path.cwd()
settings = Settings.discover(folder, {"MLOPS_STATE": str(folder / "state"), "MLOPS_STORE": f"sqlite:///{folder}/mlflow.db"})
store = open_store(settings)
"""
MADE = OPEN + 'print(__import__("json").dumps({"id": store.experiment_id("e")}))'
OURS = (
    OPEN
    + """
import json, time
import pandas
from mlops_magics.steps.track import track
from dataclasses import replace
board = track(settings=replace(settings, experiment="e"))
begun = time.perf_counter()
frame = board.to_pandas()
print(json.dumps({"s": time.perf_counter() - begun, "shape": frame.shape}))
"""
)
MLFLOWS = (
    OPEN
    + """
import json, time
import mlflow
mlflow.set_tracking_uri(store.uri)
mlflow.search_runs(experiment_names=["e"], max_results=1)
begun = time.perf_counter()
frame = mlflow.search_runs(experiment_names=["e"], max_results=50_000)
print(json.dumps({"s": time.perf_counter() - begun, "shape": frame.shape}))
"""
)
PAINTED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = 1;
  for (const old of document.querySelectorAll(".mlp-runs")) old.dataset.old = "";
  const begun = performance.now();
  jupyterapp.commands.execute("notebook:run-cell");
  while (!document.querySelector(".mlp-runs:not([data-old]) tbody tr[data-at]")) await frame();
  await frame();
  return performance.now() - begun;
}"""
ANSWERED = """async ([key, filter]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const table = document.querySelector(".mlp-runs");
  const box = document.querySelector(".mlp-tools input");
  if (filter !== null) box.value = filter;
  const begun = performance.now();
  if (filter === null) table.querySelector(`th[data-key="${key}"] button`).click();
  else box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  while (table.getAttribute("aria-busy") === "true") await frame();
  await frame();
  return performance.now() - begun;
}"""
SORTS = ("metrics.auc", "metrics.log_loss", "name", "duration", "params.depth", "started")
FILTERS = (
    "auc>0.8",
    "model=forest,linear auc>0.6",
    "score_15>0.5 drawn_09<50",
    "status=failed",
    "forest-77",
    "",
)


def _page(page: Page) -> dict[str, list[float]]:
    """Time one size in an open notebook whose first cell has chosen the experiment."""
    run_all(page)
    page.locator(".mlp-runs tbody tr[data-at]").first.wait_for(timeout=120_000)
    found = {"paint": [], "sort": [], "filter": []}
    for _ in range(ROUNDS):
        page.wait_for_timeout(800)
        found["paint"].append(page.evaluate(PAINTED))
    page.wait_for_timeout(800)
    for key in SORTS:
        found["sort"].append(page.evaluate(ANSWERED, [key, None]))
        page.wait_for_timeout(300)
    for text in FILTERS:
        found["filter"].append(page.evaluate(ANSWERED, ["", text]))
        page.wait_for_timeout(500)
    return found


def run() -> None:
    """Measure and record."""
    lines = [
        "In JupyterLab and Chromium, SQLite, a warm kernel; median of 5 cells, and of 6 sorts and 6 filters of",
        "which some name columns that were not read before. The largest in brackets. The filter itself waits",
        "140 ms for the next key, or for Enter. 20 metrics and 30 parameters a run, half of them the same in all.",
        "",
        "| runs | cell to painted table | sort | filter | `to_pandas()` | `mlflow.search_runs` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        stores = {}
        for size in SIZES:
            stores[size] = home / str(size)
            stores[size].mkdir()
            made = fresh(MADE, folder=stores[size])
            fill(stores[size] / "mlflow.db", made["id"], size)
        frames = {
            size: (
                median([fresh(OURS, folder=folder) for _ in range(3)], "s"),
                median([fresh(MLFLOWS, folder=folder) for _ in range(3)], "s") if size <= 10_000 else None,
            )
            for size, folder in stores.items()
        }
        with (
            served("jupyterlab", home / "lab", "--LabApp.expose_app_in_browser=True") as lab,
            sync_playwright() as playwright,
        ):
            program = shutil.which("chromium")
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for size, folder in stores.items():
                begin = f"%load_ext mlops_magics\n%mlops --store sqlite:///{folder}/mlflow.db\n%mlops_track e --off"
                page = browser.new_page(viewport={"width": 1300, "height": 1100})
                page.goto(lab.notebook(f"runs{size}.ipynb", begin, "%mlops_track"))
                found = _page(page)
                page.close()
                told = " | ".join(
                    f"{statistics.median(values):,.0f} ms ({max(values):,.0f})" for values in found.values()
                )
                ours, theirs = frames[size]
                peer = "" if theirs is None else f"{theirs:.2f} s"
                lines.append(f"| {size:,} | {told} | {ours:.2f} s | {peer} |")
            browser.close()
    lines += [
        "",
        "Goals at 10,000: the table painted within 1 s, a sort or a filter within 100 ms.",
        f"Load average of the machine at the end: {os.getloadavg()[1]:.1f}.",
    ]
    record("runs", lines)


main(run)
