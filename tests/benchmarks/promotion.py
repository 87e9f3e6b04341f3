"""The promotion card of a model with 500 versions, in a SQLite store of 1,000 models and 10,000 runs.

What the step and the card's desk cost in a process that has done nothing else, and in JupyterLab and Chromium the
time from the start of the cell to painted rows. ``ARGS=--try`` prints and records nothing, ``ARGS=--profile``
prints what a look spends its time on.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from side_by_side import ROOT, fresh, main, record

sys.path.insert(0, str(ROOT / "tests"))
from browser.jupyter import run_all, served
from many_runs import fill
from many_versions import fill_models, fill_versions
from playwright.sync_api import sync_playwright

MODELS, VERSIONS, RUNS, ROUNDS = 1_000, 500, 10_000, 5
MODEL = "m0500"
OPEN = """
import json, sys, time
from pathlib import Path
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store
folder = Path.cwd()
settings = Settings.discover(folder, {"MLOPS_STATE": str(folder / "state"), "MLOPS_STORE": f"sqlite:///{folder}/mlflow.db"})
store = open_store(settings)
"""
MADE = (
    OPEN
    + """
from mlops_magics.tracking.evaluations import Gate, Summary, as_tags
def tags(number):
    auc = 0.8 + number % 97 / 1000
    metrics = {"roc_auc": auc, "log_loss": 1 - auc, "accuracy": auc - 0.05, "f1": auc - 0.1, "brier": 0.2}
    gates = tuple(Gate(name, "pass", auc, 0.8, "roc_auc on 2,000 rows that it has not seen") for name in
                  ("quality", "latency", "leakage", "signature", "slices", "format"))
    summary = Summary("2026-10-01T08:00:00.000+00:00", "late", "d" * 64, 2000, metrics, gates, None, "p" * 64)
    return as_tags(summary) | {"mlops.manifest": f"{number:064x}", "mlops.format": "skops"}
print(json.dumps({"id": store.experiment_id("e"), "tags": [tags(at) for at in range(1, int(sys.argv[1]) + 1)]}))
"""
)
ALIASES = (
    OPEN
    + """
store.client.set_registered_model_alias(sys.argv[1], "champion", "490")
store.client.set_registered_model_alias(sys.argv[1], "candidate", "500")
print(json.dumps({}))
"""
)
DESK = (
    OPEN
    + """
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.frontends.widgets.promote import card
from mlops_magics.steps.promote import promote
model, told = sys.argv[1], {}
def timed(name, act):
    begun = time.perf_counter()
    found = act()
    told[name] = 1000 * (time.perf_counter() - begun)
    return found
review = timed("`Desk.review`, the first in the process", lambda: promote(model, settings=settings))
timed("`Desk.review` again", review.desk.review)
desk = StoreDesk(review.desk)
timed("`StoreDesk.look`, first", lambda: desk.look(None))
timed("`StoreDesk.look`, of another version", lambda: desk.look("250"))
timed("`StoreDesk.details`", lambda: desk.details("500", "champion"))
made = card(review)
sent = []
made._send = lambda message, buffers=None: sent.append(len(json.dumps(message)))
first = {name: item for name, item in made.get_state().items() if name not in {"_esm", "_css"}}
def ask(click, **request):
    made._handle_msg({"content": {"data": {"method": "custom", "content": {"click": click, **request}}}, "buffers": []})
ask("a", do="select", version="250", alias="champion")
ask("b", do="details", version="250", alias="champion")
print(json.dumps({"ms": told, "bytes": [len(json.dumps(first)), *sent], "shown": len(made.versions)}))
"""
)
PROFILE = (
    OPEN
    + """
import cProfile, pstats
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import promote
desk = StoreDesk(promote(sys.argv[1], settings=settings).desk)
with cProfile.Profile() as found:
    desk.look(None)
rows = sorted(pstats.Stats(found).stats.items(), key=lambda row: -row[1][3])
told = [f"{1000 * row[3]:7.0f} ms {row[0]:6} {Path(where[0]).name}:{where[1]} {where[2]}" for where, row in rows[:60]]
print(json.dumps({"lines": told}))
"""
)
PAINTED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = 1;
  for (const old of document.querySelectorAll(".mlp")) old.dataset.old = "";
  const begun = performance.now();
  jupyterapp.commands.execute("notebook:run-cell");
  while (!document.querySelector(".mlp:not([data-old]) .mlp-row")) await frame();
  await frame();
  return performance.now() - begun;
}"""


def filled(home: Path) -> Path:
    """Make the store and return its folder."""
    folder = home / "store"
    folder.mkdir()
    path = folder / "mlflow.db"
    made = fresh(MADE, str(VERSIONS), folder=folder)
    runs = fill(path, made["id"], RUNS)
    fill_models(path, [f"m{at:04}" for at in range(MODELS)])
    fill_versions(path, MODEL, made["tags"], runs[-VERSIONS:])
    fresh(ALIASES, MODEL, folder=folder)
    return folder


def painted(home: Path, folder: Path) -> list[float]:
    """Time the cell in JupyterLab, in a kernel that has shown the card once."""
    begin = f"%load_ext mlops_magics\n%mlops --store sqlite:///{folder}/mlflow.db"
    with (
        served("jupyterlab", home / "lab", "--LabApp.expose_app_in_browser=True") as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1100})
        page.goto(lab.notebook("promotion.ipynb", begin, f"%mlops_promote {MODEL}"))
        run_all(page)
        page.locator(".mlp-row").first.wait_for(timeout=120_000)
        found = []
        for _ in range(ROUNDS):
            page.wait_for_timeout(1_500)
            found.append(page.evaluate(PAINTED))
        browser.close()
    return found


def run() -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        folder = filled(home)
        if "--profile" in sys.argv:
            print("\n".join(fresh(PROFILE, MODEL, folder=folder)["lines"]))
            return
        found = [fresh(DESK, MODEL, folder=folder) for _ in range(ROUNDS)]
        cells = painted(home, folder)
    if any(one["shown"] != VERSIONS for one in found):
        sys.exit(f"The card does not hold {VERSIONS} versions.")
    lines = [
        f"{MODELS:,} registered models, one with {VERSIONS} versions that were each evaluated; {RUNS:,} runs; SQLite.",
        f"Medians of {ROUNDS} fresh processes, and of {ROUNDS} cells in a warm kernel. The largest in brackets.",
        "",
        "| what | ms |",
        "| --- | --- |",
    ]
    measured = {what: [one["ms"][what] for one in found] for what in found[0]["ms"]}
    measured["`%mlops_promote MODEL` to a painted card"] = cells
    lines += [f"| {what} | {statistics.median(ms):,.0f} ({max(ms):,.0f}) |" for what, ms in measured.items()]
    first, second, third = found[0]["bytes"]
    lines += [
        "",
        f"The card's first message has {first:,} bytes besides its program, the answer to another version {second:,},",
        f"that to what the evaluation found {third:,}.",
        "",
        "Goals: painted within 500 ms, no call slower than 300 ms.",
        f"Load average of the machine at the end: {os.getloadavg()[1]:.1f}.",
    ]
    if "--try" in sys.argv:
        print("\n".join(lines))
    else:
        record("promotion", lines)


main(run)
