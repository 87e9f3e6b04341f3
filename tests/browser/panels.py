"""The panel on a page of JupyterLab: opening it, and what several tests do there."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from mlops_magics.foundation.settings import Settings

from .jupyter import Jupyter, command

QUIET = "%config MLOps.standby = False\n%config MLOps.verify = False"
FIT = (
    "from sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])"
)
# On a slow machine JupyterLab puts its layout back, and the focus into a cell, after the notebook is ready.
_SETTLED = """async () => {
  await jupyterapp.restored;
  await jupyterapp.shell.currentWidget.content.activeCell?.ready;
}"""
EVIL = "<img src=x onerror=alert(1)>\u202eevil"


def settings_in(lab: Jupyter, folder: Path) -> Settings:
    return Settings.discover(folder, {"MLOPS_STATE": str(lab.folder.parent / "state")})


def opened(page: Page, lab: Jupyter, folder: str, *cells: str) -> Locator:
    """Open a notebook of a folder, and the panel beside it."""
    (lab.folder / folder / ".mlops").mkdir(parents=True, exist_ok=True)
    page.goto(lab.notebook(f"{folder}/{folder}.ipynb", *cells))
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=40_000)
    page.evaluate(_SETTLED)
    command(page, "mlops:show-runs")
    panel = page.get_by_role("region", name="MLOps")
    expect(panel).to_be_visible(timeout=20_000)
    return panel


def tab(panel: Locator, name: str) -> None:
    panel.get_by_role("tab", name=name).click()


def theme(page: Page, name: str) -> None:
    command(page, "apputils:change-theme", theme=f"JupyterLab {name}")
    light = str(name == "Light").lower()
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    page.wait_for_timeout(500)  # the theme's sheet


def said(panel: Locator, words: str) -> None:
    expect(panel.locator(":scope > .mlp-status")).to_contain_text(words, timeout=60_000)
