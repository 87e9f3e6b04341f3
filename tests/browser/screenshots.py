"""The pictures of the documentation, made anew: make screenshots.

A real JupyterLab runs a notebook of the quickstart's flights; its cards and the panel are photographed in
light and dark. Chromium and the built front end are needed.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from .jupyter import Jupyter, command, run_all, served

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WIDE = {"width": 1280, "height": 900}
PATIENCE = 240_000  # milliseconds, for a whole notebook on a busy machine

DATA = """%load_ext mlops_magics
%config MLOps.standby = False
%config MLOps.verify = False
%mlops_track flights --off
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
flights = pd.read_parquet("flights.parquet").dropna(subset="arr_delay").reset_index(drop=True)
flights["late"] = (flights.pop("arr_delay") > 15).astype(int)
train = flights[flights["month"] <= 6].sample(20_000, random_state=0)
july = flights[flights["month"] == 7].sample(8_000, random_state=0)
few = ["hour", "distance"]
numbers = [*few, "seats", "temp", "humid", "wind_speed", "precip", "pressure", "visib", "plane_year"]"""
SIMPLE = """%%mlops_track --name simple -o simple
model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
model.fit(train[few], train["late"]);"""
BOOSTED = """%%mlops_track --name boosted -o boosted
model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
model.fit(train[numbers], train["late"]);"""
SHALLOW = """%%mlops_track --name shallow
model = HistGradientBoostingClassifier(max_iter=60, max_depth=2, random_state=0)
model.fit(train[numbers], train["late"])
test_accuracy = model.score(july[numbers], july["late"])"""
FIRST = """%mlops_evaluate simple july --target late;
%mlops_register simple flights;
%mlops_promote flights --to champion --reason "the first one that beats guessing";"""
SECOND = """%mlops_evaluate boosted july --target late --against flights@champion;
%mlops_register boosted flights;"""
LATER = """%mlops_predict flights july --proba;
later = flights[flights["month"] > 6].sample(40_000, random_state=0)
later.loc[later["month"] == 12, "distance"] *= 1.609  # somebody sends kilometres
%mlops_monitor flights/1 --data later --time sched_dep --window 14d"""
CELLS = (
    DATA,
    "%mlops_profile train --target late",
    SIMPLE,
    FIRST,
    BOOSTED,
    SECOND,
    SHALLOW,
    "%mlops_promote flights",
    "%mlops_track",
    "%mlops_deploy flights@champion",
    LATER,
)
# Which cell shows which card; the picture's name.
CARDS = {1: "profile", 7: "promotion", 8: "runs", 9: "endpoint", 10: "monitor"}


@contextmanager
def lab() -> Iterator[Jupyter]:
    """Run a JupyterLab with the extension that was built here, for somebody called ada."""
    os.environ["LOGNAME"] = "ada"  # who promotes, on a store that does not ask
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        os.environ["HOME"] = str(home)  # paths are shown from there on
        extensions = Path(place) / "labextensions"
        shutil.copytree(ROOT / "mlops_magics" / "labextension", extensions / "mlops-magics")
        options = ("--LabApp.expose_app_in_browser=True", f"--LabApp.extra_labextensions_path={extensions}")
        with served("jupyterlab", home, *options) as jupyter:
            yield jupyter


def theme(page: Page, name: str) -> None:
    """Change the theme, and wait for its sheet."""
    command(page, "apputils:change-theme", theme=f"JupyterLab {name}")
    page.wait_for_selector(f"body[data-jp-theme-light={str(name == 'Light').lower()}]", state="attached")
    page.wait_for_timeout(700)


def into_view(page: Page, at: int) -> None:
    """Bring a cell into view: cells that are far away are not drawn."""
    page.evaluate(
        "at => { const book = jupyterapp.shell.currentWidget.content; book.activeCellIndex = at;"
        " return book.scrollToItem(at, 'start'); }",
        at,
    )


def card(page: Page, at: int) -> Locator:
    """Find the card below a cell."""
    into_view(page, at)
    found = page.locator(f".jp-Cell[data-windowed-list-index='{at}'] .mlp").first
    expect(found).to_be_visible(timeout=PATIENCE)
    return found


def photographed(page: Page, what: Locator, name: str) -> None:
    """Take a picture of a part in both themes."""
    for light in ("Light", "Dark"):
        theme(page, light)
        kept(what.screenshot(), f"{name}{'' if light == 'Light' else '_dark'}")


def kept(taken: bytes, name: str) -> None:
    """Write a picture with 256 colours, which nobody sees and which makes it a third as large."""
    few = Image.open(io.BytesIO(taken)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(DOCS / f"{name}.png", optimize=True)


def main() -> None:
    """Take them all."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("No Chromium. Install it with: apt-get install chromium")
    with lab() as jupyter, sync_playwright() as playwright:
        project = jupyter.folder / "flights"
        (project / ".mlops").mkdir(parents=True)
        shutil.copy(ROOT / "notebooks" / "data" / "flights.parquet", project)
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1180, "height": 1500})
        page.goto(jupyter.notebook("flights/flights.ipynb", *CELLS))
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=PATIENCE)
        command(page, "application:toggle-left-area")
        run_all(page)
        page.wait_for_function(
            "at => jupyterapp.shell.currentWidget.content.widgets[at].model.executionCount !== null"
            " && jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
            arg=len(CELLS) - 1,
            timeout=PATIENCE,
        )
        try:
            for at, name in CARDS.items():
                what = card(page, at)
                if name == "monitor":
                    what.get_by_role("button", name="distance").click()  # what lies behind the answers
                photographed(page, what, name)
            panel(page)
        finally:
            browser.close()
            _removed(project, jupyter)


def panel(page: Page) -> None:
    """Take the whole window: the panel beside the notebook, with the promotion desk in it."""
    page.set_viewport_size(WIDE)
    theme(page, "Light")
    command(page, "mlops:show-runs")
    found = page.get_by_role("region", name="MLOps")
    expect(found).to_be_visible(timeout=PATIENCE)
    into_view(page, 4)
    expect(found.get_by_role("listbox", name="Runs").get_by_role("option").first).to_be_visible(
        timeout=PATIENCE
    )
    for light in ("Light", "Dark"):
        theme(page, light)
        kept(page.screenshot(), f"lab{'' if light == 'Light' else '_dark'}")


def _removed(project: Path, jupyter: Jupyter) -> None:
    """Take the endpoint away."""
    from mlops_magics.foundation.settings import Settings
    from mlops_magics.steps.deploy import deploy

    settings = Settings.discover(project, {"MLOPS_STATE": str(jupyter.folder.parent / "state")})
    deploy("flights", remove=True, settings=settings)


if __name__ == "__main__":
    main()
