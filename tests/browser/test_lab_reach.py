"""Each part of the panel: by the keyboard alone, and for axe in light and dark, wide and narrow."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, Route, expect

from mlops_magics.tracking.store import Store

from .jupyter import Jupyter, command, shot
from .panels import opened, theme

pytestmark = pytest.mark.browser

Scan = Callable[[Page], list[str]]
STATUS, RUN = "**/mlops-magics/status?**", "**/mlops-magics/run?**"
# What sticks out of the panel, or is cut off without a way to reach it.
OUTSIDE = """panel => [...panel.querySelectorAll("*")].filter(one => {
  const box = one.getBoundingClientRect(), room = panel.getBoundingClientRect();
  if (!box.width || one.closest(".mlp-unseen, .mlp-sideways, .mlp-scroll")) return false;
  return box.right > room.right + 1 || box.left < room.left - 1;
}).map(one => one.outerHTML.slice(0, 120))"""


def focused(page: Page) -> str:
    found = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    return str(page.evaluate(found))


def held_back(page: Page, address: str) -> Callable[[], int]:
    """Hold back some questions, as a busy server does; call what is returned to let them go."""
    late: list[Route] = []
    gone: list[bool] = []

    def take(route: Route) -> None:
        if gone:
            route.continue_()
        else:
            late.append(route)

    def let_go() -> int:
        gone.append(True)
        for route in late:
            route.continue_()
        return len(late)

    page.route(address, take)
    return let_go


@pytest.mark.slow
def test_each_part_is_reached_by_the_keyboard_alone(page: Page, lab: Jupyter, flights: Store) -> None:
    assert flights
    panel = opened(page, lab, "flights", "1")
    runs = panel.get_by_role("listbox", name="Runs")
    expect(runs.get_by_role("option").first).to_be_visible(timeout=40_000)
    expect(panel.get_by_role("searchbox")).to_be_focused()  # where the command puts it
    page.keyboard.press("Shift+Tab")
    assert focused(page).startswith("Runs")
    for name in ("Models", "Endpoints", "Alerts", "Runs"):
        page.keyboard.press("ArrowRight")
        expect(panel.get_by_role("tab", name=name)).to_be_focused()
        expect(panel.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "Refresh"
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "Open MLflow's own pages in a tab"
    for _ in range(4):  # back over the tabs and the search box into the list's controls
        page.keyboard.press("Tab")
    assert (
        focused(page).startswith("Experiment") or page.evaluate("document.activeElement.tagName") == "SELECT"
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(runs.get_by_role("option").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    back = panel.get_by_role("button", name="Back to the runs")
    expect(back).to_be_focused(timeout=30_000)
    page.keyboard.press("Enter")
    expect(runs.get_by_role("option").nth(1)).to_be_focused()


@pytest.mark.slow
def test_whoever_went_back_is_not_brought_to_the_run_again(page: Page, lab: Jupyter, flights: Store) -> None:
    """The head of the panel is read beside the run, and may come last: it must move nobody."""
    assert flights
    panel = opened(page, lab, "flights", "1")
    rows = panel.get_by_role("listbox", name="Runs").get_by_role("option")
    expect(rows.first).to_be_visible(timeout=40_000)
    let_go = held_back(page, STATUS)
    rows.nth(1).press("Enter")
    expect(panel.get_by_role("button", name="Copy id")).to_be_visible(timeout=30_000)
    expect(panel.get_by_role("button", name="Back to the runs")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows.nth(1)).to_be_focused()
    with page.expect_response(STATUS):
        assert let_go()
    page.wait_for_timeout(300)  # what an answer leads to
    expect(rows.nth(1)).to_be_focused()


@pytest.mark.slow
def test_the_focus_stays_while_what_has_it_is_made_anew(page: Page, lab: Jupyter, flights: Store) -> None:
    panel = opened(page, lab, "flights", "1")
    row = panel.get_by_role("listbox", name="Runs").get_by_role("option", name="baseline")
    search = panel.get_by_role("searchbox")
    search.fill("baseline")
    expect(row).to_be_visible(timeout=40_000)
    row.press("Enter")
    version = panel.get_by_role("button", name="flights/1")
    version.focus()
    run = flights.client.search_runs([flights.experiment_id("e")], "attributes.run_name = 'baseline'")[0]
    flights.client.log_metric(run.info.run_id, "zz_later", 0.5)
    expect(panel).to_contain_text("zz_later", timeout=60_000)  # nobody pressed anything
    expect(version).to_be_focused()
    put = panel.get_by_role("button", name="Insert the next command")
    put.focus()
    flights.client.set_registered_model_alias("flights", "champion", "1")
    expect(panel.locator(".mlp-next")).to_contain_text("%mlops_deploy", timeout=60_000)
    expect(put).to_be_focused()


def test_the_panel_takes_no_focus_from_the_notebook(page: Page, lab: Jupyter, flights: Store) -> None:
    assert flights
    panel = opened(page, lab, "flights", "1")
    rows = panel.get_by_role("listbox", name="Runs").get_by_role("option")
    expect(rows.first).to_be_visible(timeout=40_000)
    let_go = held_back(page, RUN)
    rows.first.press("Enter")
    expect(panel.get_by_role("button", name="Back to the runs")).to_be_focused()
    page.locator(".jp-Notebook .cm-content").first.click()
    assert let_go()
    expect(panel.get_by_role("button", name="Copy id")).to_be_visible(timeout=30_000)
    assert page.evaluate("document.activeElement.closest('.jp-Notebook') !== null")


def drawn(page: Page, panel: Locator, width: int) -> None:
    """Draw the edge of the side bar until the panel has a width."""
    box = panel.bounding_box()
    assert box is not None
    edge, middle = box["x"] + box["width"], box["y"] + box["height"] / 2
    page.mouse.move(edge + 1, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + width + 1, middle, steps=5)
    page.mouse.up()
    now = panel.bounding_box()
    assert now is not None
    assert abs(now["width"] - width) < 40, now


def parts(panel: Locator) -> list[tuple[str, Callable[[], None]]]:
    """List each part of the panel, and what leads there."""

    def tab(name: str) -> Callable[[], None]:
        return lambda: panel.get_by_role("tab", name=name).click()

    def run() -> None:
        tab("Runs")()
        panel.get_by_role("listbox", name="Runs").get_by_role("option").nth(2).click()
        expect(panel.get_by_role("heading", name="Back")).to_have_count(0)
        expect(panel.get_by_role("button", name="Copy id")).to_be_visible(timeout=30_000)

    def model() -> None:
        tab("Models")()
        panel.get_by_role("option", name="flights").click()
        expect(panel.get_by_role("group", name="Promotion")).to_be_visible(timeout=40_000)

    return [
        ("runs", tab("Runs")),
        ("run", run),
        ("models", tab("Models")),
        ("model", model),
        ("endpoints", tab("Endpoints")),
        ("alerts", tab("Alerts")),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("colours", ["Light", "Dark"])
def test_each_part_is_clean_in_light_and_dark_wide_and_narrow(
    page: Page, lab: Jupyter, flights: Store, violations: Scan, colours: str
) -> None:
    flights.client.set_registered_model_alias(
        "flights", "champion", "1"
    )  # an alert: it went around the gates
    panel = opened(page, lab, "flights", "1")
    theme(page, colours)
    try:
        for width in (360, 250):  # JupyterLab lets no side bar be narrower
            drawn(page, panel, width)
            for name, lead in parts(panel):
                lead()
                page.wait_for_timeout(600)  # what is read meanwhile
                shot(page, f"reach-{name}-{colours.lower()}-{width}")
                assert violations(page) == [], (name, width)
                assert panel.evaluate(OUTSIDE) == [], (name, width)
    finally:
        theme(page, "Light")  # the server keeps it


def test_the_empty_states_are_clean(page: Page, lab: Jupyter, violations: Scan) -> None:
    shutil.rmtree(lab.folder / "bare", ignore_errors=True)
    panel = opened(page, lab, "bare", "1")
    expect(panel).to_contain_text("No runs yet.", timeout=30_000)
    command(page, "mlops:show-endpoints")
    expect(panel).to_contain_text("%mlops_deploy MODEL@champion")
    assert violations(page) == []
