"""From an empty JupyterLab to a monitored endpoint, as somebody walks it who only knows scikit-learn.

Nothing is known here of the code: each thing is found by the words that are seen. What is typed is
scikit-learn, or a word that the screen asks for.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect

from mlops_magics.steps.deploy import deploy

from .jupyter import Jupyter, shot
from .panels import settings_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 120_000  # milliseconds, for a cell on a busy machine
LOAD = """import pandas as pd
from sklearn.model_selection import train_test_split

table = pd.read_csv("tumours.csv")
X, y = table.drop(columns="malignant"), table["malignant"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=200, random_state=0, stratify=y)"""
FIT = """from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), LogisticRegression())
model.fit(X_train, y_train)"""


@dataclass
class Newcomer:
    """Somebody before a page who reads, clicks, and writes what is asked for."""

    page: Page

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("region", name="MLOps", exact=True)

    @property
    def cells(self) -> Locator:
        return self.page.get_by_label("Code Cell Content").get_by_role("textbox")

    def launch(self, card: str) -> None:
        """Press a card of the launcher; of two with the same words the first one."""
        self.page.get_by_text(card, exact=True).first.click(timeout=PATIENCE)

    def run(self, cell: Locator | None = None) -> None:
        """Run a cell, the last one by default."""
        (cell or self.cells.last).click()
        self.page.keyboard.press("Shift+Enter")

    def begin(self) -> None:
        """Run the first cell, once more where nothing comes of it.

        Pressed before the kernel is connected, JupyterLab forgets it without a word, and on a busy machine it
        says "Idle" before that.
        """
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=PATIENCE)
        for _ in range(4):
            self.run(self.cells.first)
            with contextlib.suppress(AssertionError):
                expect(self.page.get_by_text(re.compile(r"^\[(\*|1)\]:$")).first).to_be_visible(
                    timeout=10_000
                )
                break
        expect(self.page.get_by_text("[1]:")).to_be_visible(timeout=PATIENCE)

    def write(self, code: str) -> None:
        """Write into the empty cell at the end, and run it."""
        expect(self.cells.last).to_have_text("", timeout=PATIENCE)
        self.cells.last.click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def follow(self, line: str, **words: str) -> None:
        """Do what the panel says is next; what stands in capitals is filled in."""
        expect(self.panel).to_contain_text(f"Next {line}", timeout=PATIENCE)
        self.panel.get_by_role("button", name="Insert the next command").click()
        self.fill_in(line, **words)

    def fill_in(self, line: str, **words: str) -> None:
        """Change the words in capitals of the line that was put into the last cell, and run it."""
        expect(self.cells.last).to_contain_text(line)
        whole = self.cells.last.inner_text().strip()
        for word, own in words.items():
            assert word in whole, whole
            whole = whole.replace(word, own)
        self.cells.last.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(whole)
        self.page.keyboard.press("Shift+Enter")

    def sees(self, words: str | re.Pattern[str]) -> None:
        """Wait until words are there to be read below the last cell that was run."""
        expect(self.page.get_by_text(words).last).to_be_visible(timeout=PATIENCE)

    def monitors(self, rows: int) -> None:
        """Read in the monitor's card what came."""
        card = self.page.get_by_role("group", name="Monitor", exact=True)
        expect(card).to_contain_text(f"{rows} rows in 1 window", timeout=PATIENCE)

    def promote(self) -> None:
        """Promote in the card that the notebook shows."""
        card = self.page.get_by_role("group", name="Promotion").last
        card.get_by_label("Reason").fill("the first one, and better than guessing", timeout=PATIENCE)
        shot(self.page, "walk-promote")
        card.get_by_role("button", name="Promote v1 to champion").click()
        expect(card.get_by_role("status")).to_contain_text("champion is version 1 now", timeout=PATIENCE)


@pytest.fixture
def newcomer(page: Page, empty_lab: Jupyter) -> Iterator[Newcomer]:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(empty_lab.front)
    yield Newcomer(page)
    settings = settings_in(empty_lab, empty_lab.folder)
    for item in deploy(settings=settings).endpoints:
        deploy(item.name, remove=True, settings=settings)


def test_who_knows_scikit_learn_gets_to_a_monitored_endpoint(newcomer: Newcomer, empty_lab: Jupyter) -> None:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    data.data.assign(malignant=(data.target == 0).astype(int)).to_csv(
        empty_lab.folder / "tumours.csv", index=False
    )
    page, panel = newcomer.page, newcomer.panel
    newcomer.launch("Show Runs")
    expect(panel).to_contain_text("No runs yet.", timeout=PATIENCE)
    shot(page, "walk-empty")
    newcomer.launch("Python 3 (ipykernel)")
    expect(newcomer.cells).to_have_count(1, timeout=PATIENCE)
    panel.get_by_role("button", name="Insert %mlops_track work").click()
    expect(newcomer.cells).to_have_count(2)  # the first one brings the commands
    shot(page, "walk-inserted")
    newcomer.begin()
    newcomer.run(newcomer.cells.nth(1))
    newcomer.sees("Experiment work")
    expect(panel).to_contain_text("Next %%mlops_track", timeout=PATIENCE)
    newcomer.write(LOAD)
    newcomer.write(FIT)
    expect(page.get_by_role("button", name=re.compile("^Run .*: finished"))).to_be_visible(timeout=PATIENCE)
    shot(page, "walk-tracked")
    newcomer.follow("%mlops_evaluate", DATA="X_test", COLUMN="y_test")
    newcomer.sees(re.compile("gates pass"))
    shot(page, "walk-evaluated")
    newcomer.follow("%mlops_register")
    newcomer.sees("Model work")
    shot(page, "walk-registered")
    newcomer.follow("%mlops_promote work")
    newcomer.promote()
    panel.get_by_role("tab", name="Models").click()
    panel.get_by_role("option", name="work").click()
    panel.get_by_role("button", name="Deploy champion…").click(timeout=PATIENCE)
    shot(page, "walk-deploying")
    panel.get_by_role("button", name="Deploy", exact=True).click()
    expect(panel).to_contain_text("work answers with version 1 of work.", timeout=PATIENCE)
    panel.get_by_role("tab", name="Endpoints").click()
    panel.get_by_role("button", name="Predict").click()
    newcomer.fill_in("%mlops_predict work", DATA="X_test")
    newcomer.sees("200 predictions of work")
    shot(page, "walk-predicted")
    newcomer.follow("%mlops_monitor work")
    newcomer.monitors(200)
    expect(panel).to_contain_text("1 request in 5 min", timeout=PATIENCE)
    shot(page, "walk-monitored")
    panel.get_by_role("button", name="Stop…").click()
    panel.get_by_role("button", name="Stop it").click()
    expect(panel).to_contain_text("work is stopped.", timeout=PATIENCE)


def test_the_notebook_with_all_steps_leads_there_too(newcomer: Newcomer) -> None:
    page, panel = newcomer.page, newcomer.panel
    newcomer.launch("New Tracked Notebook")
    newcomer.sees("From a cell to a live endpoint")
    expect(panel).to_be_visible()  # the text speaks of it
    shot(page, "template-new")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    newcomer.promote()
    shot(page, "template-promoted")
    for line, words in (
        ("%mlops_deploy tumours@champion", {}),
        ("%mlops_predict tumours", {"DATA": "test"}),
        ("%mlops_monitor tumours", {}),
    ):
        newcomer.follow(line, **words)
    newcomer.monitors(228)
    shot(page, "template-monitored")


def test_in_notebook_7_the_way_is_the_same(page: Page, notebook7: Jupyter) -> None:
    page.goto(notebook7.front)
    page.get_by_role("menuitem", name="File", exact=True).click(timeout=PATIENCE)
    page.get_by_role("menu").get_by_text("New", exact=True).hover()
    with page.expect_popup() as popup:
        page.get_by_role("menuitem", name="New Tracked Notebook").click()
    newcomer = Newcomer(popup.value)
    newcomer.sees("From a cell to a live endpoint")
    newcomer.page.get_by_role("button", name="MLOps", exact=True).click()
    expect(newcomer.panel).to_contain_text("No runs yet.", timeout=PATIENCE)
    shot(newcomer.page, "seven-begun")
    newcomer.page.get_by_role("menuitem", name="Run", exact=True).click()
    newcomer.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    newcomer.promote()
    expect(newcomer.panel).to_contain_text("Next %mlops_deploy tumours@champion", timeout=PATIENCE)
    shot(newcomer.page, "seven-promoted")
