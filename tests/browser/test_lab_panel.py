"""The panel in a real JupyterLab, on real stores: what is read there, done there, and marked on cells."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from mlops_magics.steps.deploy import deploy
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import Store

from .jupyter import Jupyter, command, kernel_ready, run_all, shot
from .panels import FIT, QUIET, opened, said, tab, theme

pytestmark = pytest.mark.browser

SLOW_FIT = """from sklearn.linear_model import LogisticRegression
class Slow(LogisticRegression):
    def fit(self, X, y):
        print("at it", flush=True)
        while not pathlib.Path("on").exists():
            time.sleep(0.1)
        return super().fit(X, y)
slow = Slow().fit([[0.0], [1.0]], [0, 1])"""
RAN = "jupyterapp.shell.currentWidget.content.widgets[{}].model.outputs.length > 0"
Scan = Callable[[Page], list[str]]


def test_an_empty_project_is_told_how_to_begin(page: Page, lab: Jupyter, violations: Scan) -> None:
    panel = opened(page, lab, "empty", "1")
    expect(panel).to_contain_text("No runs yet.", timeout=30_000)
    panel.get_by_role("button", name="Insert %load_ext mlops_magics").click()
    said(panel, "It is in a cell")
    source = "jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
    assert page.evaluate(source) == "%load_ext mlops_magics"
    for name, words in (
        ("Models", "No models yet."),
        ("Endpoints", "Nothing is live"),
        ("Alerts", "Nothing"),
    ):
        tab(panel, name)
        expect(panel).to_contain_text(words)
        assert violations(page) == []
    tab(panel, "Runs")
    shot(page, "panel-empty")
    assert not (lab.folder / "empty" / "mlflow.db").exists()


def test_opening_the_panel_asks_for_each_thing_once(page: Page, lab: Jupyter, flights: Store) -> None:
    assert flights
    page.goto(lab.notebook("flights/once.ipynb", "1"))  # a page of its own: no layout that shows the panel
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=40_000)
    page.wait_for_timeout(1_000)
    asked: Counter[str] = Counter()
    name = re.compile(r"/mlops-magics/(\w+)\?")
    page.on("request", lambda request: asked.update(name.findall(request.url)))
    with page.expect_response("**/mlops-magics/status?**"):
        command(page, "mlops:show-runs")
    expect(page.get_by_role("listbox", name="Runs").get_by_role("option")).to_have_count(100)
    page.wait_for_timeout(1_000)
    asked.pop("stamp", None)  # on a slow machine the panel has looked again meanwhile
    assert asked == {"experiments": 1, "runs": 1, "status": 1}


def test_runs_are_filtered_ordered_and_opened_by_keys(
    page: Page, lab: Jupyter, flights: Store, violations: Scan
) -> None:
    assert flights
    panel = opened(page, lab, "flights", "1")
    runs = panel.get_by_role("listbox", name="Runs")
    expect(runs.get_by_role("option")).to_have_count(100, timeout=40_000)
    expect(runs.get_by_role("option").nth(1)).to_contain_text("evil")
    assert violations(page) == []
    shot(page, "panel-runs")
    panel.get_by_label("Order").select_option(label="best auc")
    expect(runs.get_by_role("option").first).to_contain_text("auc 0.9")
    search = panel.get_by_role("searchbox")
    search.fill("forest auc>0.8")
    expect(panel.locator(".mlp-count:visible")).to_contain_text("of 1,001 runs")
    search.fill("forest aux>0.8")
    expect(panel.get_by_role("alert")).to_contain_text("auc")
    search.fill("baseline")
    expect(runs.get_by_role("option")).to_have_count(1)
    search.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="baseline")).to_be_visible()
    expect(panel).to_contain_text("accuracy")
    expect(panel.get_by_role("button", name="flights/1")).to_be_visible()
    assert violations(page) == []
    shot(page, "panel-run")
    page.keyboard.press("Escape")
    expect(runs).to_be_visible()


def test_a_version_is_promoted_deployed_and_stopped_from_the_panel(
    page: Page, lab: Jupyter, flights: Store, violations: Scan
) -> None:
    store = flights
    panel = opened(page, lab, "flights", "1")
    tab(panel, "Models")
    panel.get_by_role("option", name="flights").click()
    desk = panel.get_by_role("group", name="Promotion")
    expect(desk).to_be_visible(timeout=40_000)
    desk.get_by_label("Reason").fill("Better on the test set")
    assert violations(page) == []
    shot(page, "panel-model")
    desk.get_by_role("button", name="Promote v2 to champion").click()
    expect(desk.get_by_role("status")).to_contain_text("flights@champion is version 2 now.", timeout=40_000)
    assert registry.aliases_of(store, "flights")["champion"] == "2"
    try:
        panel.get_by_role("button", name="Deploy champion…").click()
        expect(panel.get_by_role("button", name="Cancel")).to_be_focused()
        shot(page, "panel-deploy")
        panel.get_by_role("button", name="Deploy", exact=True).click()
        said(panel, "flights answers with version 2 of flights.")
        tab(panel, "Endpoints")
        expect(panel.get_by_role("heading", name="flights")).to_be_visible()
        expect(panel).to_contain_text("ready")
        assert violations(page) == []
        shot(page, "panel-endpoints")
        panel.get_by_role("button", name="Stop…").click()
        page.keyboard.press("Escape")
        expect(panel.get_by_role("button", name="Stop…")).to_be_focused()
        panel.get_by_role("button", name="Stop…").click()
        panel.get_by_role("button", name="Stop it").click()
        said(panel, "flights is stopped.")
        expect(panel).to_contain_text("Nothing is live here yet.")
    finally:
        live = deploy(settings=store.settings).endpoints
        for item in live:
            deploy(item.name, remove=True, settings=store.settings)
    assert live == ()


@pytest.mark.slow
def test_what_changes_elsewhere_is_shown_by_itself_and_alerts_are_counted(
    page: Page, lab: Jupyter, flights: Store, violations: Scan
) -> None:
    store = flights
    panel = opened(page, lab, "flights", "1")
    tab(panel, "Alerts")
    expect(panel).to_contain_text("Nothing asks for your attention.", timeout=40_000)
    store.client.set_registered_model_alias("flights", "champion", "1")
    expect(panel.get_by_role("tab", name="Alerts, 1")).to_be_visible(timeout=20_000)
    expect(panel).to_contain_text("flights@champion points to version 1")
    assert violations(page) == []
    theme(page, "Dark")
    shot(page, "panel-alerts-dark")
    expect(page.get_by_role("button", name="MLOps: e · 1 alert")).to_be_visible()
    panel.get_by_role("button", name="Open flights").click()
    desk = panel.get_by_role("group", name="Promotion")
    expect(desk).to_be_visible(timeout=40_000)
    # The card is narrow here: nothing of it may be out of reach.
    room = desk.evaluate("card => card.scrollWidth - card.clientWidth")
    assert room <= 0
    assert violations(page) == []
    shot(page, "panel-model-dark")
    tab(panel, "Runs")
    expect(panel.get_by_role("listbox", name="Runs")).to_be_visible()
    assert violations(page) == []
    shot(page, "panel-runs-dark")
    theme(page, "Light")  # the server keeps it


@pytest.mark.slow
def test_a_tracked_cell_has_a_badge_that_knows_when_it_was_edited(
    page: Page, lab: Jupyter, store_template: Path
) -> None:
    (lab.folder / "badges").mkdir(exist_ok=True)
    shutil.copy(store_template, lab.folder / "badges" / "mlflow.db")
    cells = (
        f"%load_ext mlops_magics\n{QUIET}\n%mlops_track wine",
        f"%%mlops_track --name named\n{FIT}\nscore = model.score([[0.0]], [0])",
        "other = LogisticRegression(C=2.0).fit([[0.0], [1.0]], [0, 1])\nscore = 0.5",
    )
    panel = opened(page, lab, "badges", *cells)
    run_all(page)
    badges = page.locator(".mlp-badge")
    expect(badges).to_have_count(2, timeout=90_000)
    expect(badges.first).to_contain_text("named score 1")
    expect(badges.first).not_to_contain_text("edited")
    expect(badges.last).not_to_contain_text("edited")
    live = panel.get_by_role("option", name=re.compile("^finished"))
    expect(live).to_have_count(2, timeout=30_000)  # nobody pressed anything
    shot(page, "badges")
    edit = "at => jupyterapp.shell.currentWidget.content.widgets[at].model.sharedModel"
    page.evaluate(f"at => {{ const cell = ({edit})(at); cell.setSource(cell.getSource() + '# later') }}", 1)
    expect(badges.first).to_contain_text("edited since")
    expect(badges.last).not_to_contain_text("edited")
    badges.first.click()
    expect(panel.get_by_role("heading", name="named")).to_be_visible(timeout=20_000)
    shot(page, "badges-edited")
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    kernel_ready(page)
    expect(badges).to_have_count(2)  # what ran is still what ran
    expect(badges.first).to_contain_text("edited since")
    expect(badges.last).not_to_contain_text("edited")
    command(page, "docmanager:save")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.wait_for_timeout(1_500)  # the layout is kept a second after its last change
    page.reload()
    expect(badges).to_have_count(2, timeout=60_000)
    expect(badges.first).to_contain_text("edited since")
    expect(badges.last).not_to_contain_text("edited")
    expect(live).to_have_count(2, timeout=60_000)  # the panel is there again, and reads
    badges.last.click()
    expect(panel.get_by_role("heading", name="LogisticRegression")).to_be_visible(timeout=20_000)


@pytest.mark.slow
def test_a_cell_whose_kernel_ended_says_so_until_it_is_run_again(
    page: Page, lab: Jupyter, store_template: Path, violations: Scan
) -> None:
    (lab.folder / "ended").mkdir(exist_ok=True)
    shutil.copy(store_template, lab.folder / "ended" / "mlflow.db")
    slow = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.1)"
    first, cell = f"%load_ext mlops_magics\n{QUIET}\n%mlops_track wine", f"%%mlops_track --name long\n{slow}"
    panel = opened(page, lab, "ended", first, cell, SLOW_FIT)
    run_all(page)
    expect(panel.get_by_role("option", name=re.compile("^running"))).to_be_visible(timeout=60_000)
    badge, fitted = page.locator("button.mlp-badge"), page.locator("span.mlp-badge")
    expect(page.locator(".mlp-badge")).to_have_count(0)
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(badge).to_contain_text("✗ long interrupted", timeout=30_000)
    named = "Run long: killed, interrupted. Open it in the MLOps panel."
    expect(badge).to_have_accessible_name(named)
    assert violations(page) == []
    shot(page, "badge-ended")
    kernel_ready(page)
    command(page, "docmanager:save")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    expect(badge).to_have_accessible_name(named, timeout=60_000)
    badge.click()
    expect(panel.get_by_role("heading", name="long")).to_be_visible(timeout=20_000)
    (lab.folder / "ended" / "go").touch()
    run_all(page)
    expect(badge).to_have_accessible_name("Run long: finished. Open it in the MLOps panel.", timeout=60_000)
    page.wait_for_function(RAN.format(2), timeout=30_000)  # the last cell is at its fit, and no run yet
    expect(fitted).to_have_count(0)
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(fitted).to_have_text("✗ Slow interrupted, no run", timeout=30_000)
    assert violations(page) == []
    shot(page, "badge-ended-without-a-run")
    kernel_ready(page)
    (lab.folder / "ended" / "on").touch()
    run_all(page)
    expect(badge.last).to_have_accessible_name(
        "Run Slow: finished. Open it in the MLOps panel.", timeout=60_000
    )
    expect(fitted).to_have_count(0)


@pytest.mark.slow
def test_a_tracked_cell_that_fails_has_a_badge_and_any_other_has_none(
    page: Page, lab: Jupyter, store_template: Path, violations: Scan
) -> None:
    (lab.folder / "failing").mkdir(exist_ok=True)
    shutil.copy(store_template, lab.folder / "failing" / "mlflow.db")
    panel = opened(page, lab, "failing", f"%load_ext mlops_magics\n{QUIET}\n%mlops_track wine", "1 / 0")
    run_all(page)
    page.wait_for_function(RAN.format(1), timeout=60_000)
    expect(page.locator(".mlp-badge")).to_have_count(0)
    edit = "text => jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource(text)"
    page.evaluate(edit, f"%%mlops_track --name bad\n{FIT}\n1 / 0")
    run_all(page)
    badge = page.locator(".mlp-badge")
    expect(badge).to_contain_text("✗ bad", timeout=60_000)
    expect(badge).to_have_accessible_name("Run bad: failed. Open it in the MLOps panel.")
    assert violations(page) == []
    shot(page, "badge-failed")
    page.evaluate(edit, f"%%mlops_track --name bad\n{FIT}\n2 / 0")
    expect(badge).to_contain_text("edited since")
    badge.click()
    expect(panel.get_by_role("heading", name="bad")).to_be_visible(timeout=20_000)
    expect(panel.locator(".mlp-detail:visible")).to_contain_text("✗ failed")


@pytest.mark.slow
def test_the_template_opens_from_the_launcher_and_runs(page: Page, lab: Jupyter) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    opened(page, lab, "fresh", "1")
    command(page, "launcher:create", cwd="fresh")
    for name in ("New Tracked Notebook", "Show Runs", "Show Models"):
        card = page.locator(".jp-LauncherCard", has_text=name)
        expect(card).to_be_in_viewport(ratio=1, timeout=20_000)  # nobody looks for what is further down
    shot(page, "launcher")
    card = page.locator(".jp-LauncherCard", has_text="New Tracked Notebook")
    card.click()
    page.wait_for_function("jupyterapp.shell.currentWidget?.context?.path === 'fresh/Untitled.ipynb'")
    kernel_ready(page)
    expect(page.locator(".jp-Notebook").last).to_contain_text("From a cell to a live endpoint")


@pytest.mark.slow
def test_notebook_7_has_badges_and_the_panel(page: Page, notebook7: Jupyter, store_template: Path) -> None:
    (notebook7.folder / ".mlops").mkdir()
    shutil.copy(store_template, notebook7.folder / "mlflow.db")
    cell = f"%%mlops_track --name named\n{FIT}"
    first = f"%load_ext mlops_magics\n{QUIET}\n%mlops_track wine"
    page.goto(notebook7.notebook("seven.ipynb", first, cell, "%mlops_track"))
    run_all(page)
    badge = page.locator(".mlp-badge").first
    expect(badge).to_contain_text("named", timeout=90_000)
    card = page.locator(".jp-OutputArea .mlp")
    expect(card.get_by_role("row", name=re.compile("named"))).to_be_visible(timeout=40_000)
    badge.click()
    panel = page.get_by_role("region", name="MLOps")
    expect(panel.get_by_role("heading", name="named")).to_be_visible(timeout=20_000)
    shot(page, "notebook7-panel")
    # The sheet of the runs card is on the page too, and must not rearrange the panel.
    back = panel.get_by_role("button", name="Back to the runs").bounding_box()
    name = panel.get_by_role("heading", name="named").bounding_box()
    assert back is not None
    assert name is not None
    assert name["x"] - back["x"] - back["width"] < 20
    panel.get_by_role("button", name="Insert the next command").click()
    source = "jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
    assert str(page.evaluate(source)).startswith("%mlops_evaluate named")
    # An application that holds one document shows MLflow's own pages in a tab of the browser.
    with page.expect_popup(timeout=30_000) as popup:
        panel.get_by_role("button", name="Open MLflow's own pages in a tab").click()
    expect(popup.value).to_have_title("MLflow", timeout=120_000)
    expect(popup.value.get_by_role("link", name="Experiments").first).to_be_visible(timeout=120_000)
