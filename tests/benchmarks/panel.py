"""The panel of JupyterLab on a store of 10,000 runs and 1,000 models: its first paint, and each of its calls.

    python tests/benchmarks/panel.py [--runs 10000] [--models 1000] [--repeat 5]

A real JupyterLab and Chromium. The goals: what the panel shows first stands within half a second of the click, and
each call is answered within 0.3 s. A call is asked cold (the store was just written to: nothing is taken from
memory) and warm. Times of a busy machine say little.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.jupyter import _TOKEN, Jupyter, command, served
from many_runs import fill
from many_versions import fill_models
from playwright.sync_api import Page, sync_playwright

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

PAINT, CALL = 0.5, 0.3  # seconds
QUESTIONS = (
    ("stamp", {}),
    ("status", {}),
    ("experiments", {}),
    ("runs", {}),
    ("runs", {"filter": "forest auc>0.8"}),
    ("runs", {"sort": "metrics.auc"}),
    ("runs", {"first": "9900"}),
    ("models", {}),
    ("models", {"filter": "0999"}),
    ("endpoints", {}),
    ("alerts", {}),
)
EXTENSION = Path(__file__).parents[2] / "mlops_magics" / "labextension"


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=10_000)
    words.add_argument("--models", type=int, default=1_000)
    words.add_argument("--repeat", type=int, default=5)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="panel-", ignore_cleanup_errors=True) as made:
        home = Path(made) / "home"
        extensions = Path(made) / "labextensions"
        shutil.copytree(EXTENSION, extensions / "mlops-magics")
        options = (
            "--LabApp.expose_app_in_browser=True",
            f"--LabApp.extra_labextensions_path={extensions}",
        )
        with served("jupyterlab", home, *options) as lab:
            file = prepare(lab, asked.runs, asked.models)
            good = all([calls(lab, file, asked.repeat), paint(lab, file, asked.repeat)])
    sys.exit(0 if good else 1)


def prepare(lab: Jupyter, runs: int, models: int) -> Path:
    project = lab.folder / "many"
    (project / ".mlops").mkdir(parents=True)
    store = open_store(Settings.discover(project, {"MLOPS_STATE": str(lab.folder.parent / "state")}))
    file = project / "mlflow.db"
    fill(file, store.experiment_id("many"), runs, metrics=8, params=12)
    fill_models(file, [f"model-{at:04}" for at in range(models)])
    print(f"{runs:,} runs, {models:,} models")
    return file


def touch(file: Path) -> None:
    """Write to the store, so that nothing that was read before is true any more."""
    with closing(sqlite3.connect(file)) as store, store:
        store.execute(
            "UPDATE registered_models SET last_updated_time = last_updated_time + 1 WHERE name = 'model-0000'"
        )


def calls(lab: Jupyter, file: Path, repeat: int) -> bool:
    good = True
    print(f"{'call':<42} {'cold':>8} {'warm':>8}   median of {repeat}, ms")
    ask(lab, "status", {})  # the tracker is imported for the first question of a server's life
    for name, words in QUESTIONS:
        cold, warm = [], []
        for _ in range(repeat):
            touch(file)
            cold.append(ask(lab, name, words))
            warm.append(ask(lab, name, words))
        shown = f"{name} {json.dumps(words) if words else ''}"
        print(f"{shown:<42} {1000 * statistics.median(cold):8.1f} {1000 * statistics.median(warm):8.1f}")
        good = good and statistics.median(cold) < CALL
    print(f"each call within {CALL} s: {'yes' if good else 'NO'}")
    return good


def ask(lab: Jupyter, name: str, words: dict[str, str]) -> float:
    query = urllib.parse.urlencode({"at": "many", **words})
    request = urllib.request.Request(
        f"{lab.address}/mlops-magics/{name}?{query}", headers={"Authorization": f"token {_TOKEN}"}
    )
    begun = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - begun


def paint(lab: Jupyter, file: Path, repeat: int) -> bool:
    """Measure from the command that opens the panel to the frame in which its first runs stand."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        first, again = [], []
        for _ in range(repeat):
            touch(file)
            page = browser.new_page(viewport={"width": 1200, "height": 860})
            page.goto(lab.notebook("many/many.ipynb", "1"))
            page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=60_000)
            page.wait_for_timeout(3_000)  # the kernel starts
            first.append(opened(page))
            command(page, "application:toggle-left-area")
            page.wait_for_timeout(500)
            touch(file)
            again.append(opened(page))
            page.context.close()
        browser.close()
    for name, found in (("first paint of a page", first), ("opened again, the store changed", again)):
        print(f"{name:<42} {1000 * statistics.median(found):8.1f}   (most {1000 * max(found):.0f})")
    good = statistics.median(first) < PAINT
    print(f"first paint within {PAINT} s: {'yes' if good else 'NO'}")
    return good


def opened(page: Page) -> float:
    return float(
        page.evaluate(
            """async () => {
              const begun = performance.now();
              jupyterapp.commands.execute("mlops:show-runs");
              const shown = () => {
                const row = document.querySelector('.mlp-lab [role="option"]');
                return row && row.getBoundingClientRect().height > 0;
              };
              while (!shown()) await new Promise((go) => requestAnimationFrame(go));
              await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
              return (performance.now() - begun) / 1000;
            }"""
        )
    )


if __name__ == "__main__":
    main()
