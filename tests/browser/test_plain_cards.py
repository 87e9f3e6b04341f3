"""The cards where nothing of ours is in the application: a front end that shows widgets is enough."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect
from prepared import TABLE

from mlops_magics.steps.deploy import deploy
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

from .jupyter import Jupyter, run_all, shot
from .panels import QUIET, settings_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 90_000  # milliseconds, for all cells on a busy machine
CELLS = (
    f"%load_ext mlops_magics\n{QUIET}\n%mlops_track e --off\n{TABLE}",
    "%mlops_profile train --target late",
    "%mlops_track",
    "%mlops_promote flights",
    "%mlops_deploy flights/1",
    "%mlops_predict flights test;\nimport time\ntime.sleep(2)\n%mlops_monitor flights",
)
SCROLL = "at => jupyterapp.shell.currentWidget.content.scrollToItem(at, 'start')"


def below(page: Page, at: int) -> Locator:
    """Find the card below a cell; cells that are far away are not drawn."""
    page.evaluate(SCROLL, at)
    card = page.locator(f".jp-Cell[data-windowed-list-index='{at}'] .mlp").first
    expect(card).to_be_visible(timeout=PATIENCE)
    return card


def test_the_cards_need_no_extension_of_the_application(
    page: Page, plain: Jupyter, prepared_twice: Any
) -> None:
    prepared_twice.copy_into(plain.folder, {})
    settings = settings_in(plain, plain.folder)
    page.goto(plain.notebook("plain.ipynb", *CELLS))
    run_all(page)
    try:
        profile = below(page, 1)
        profile.get_by_role("button", name="age", exact=True).click()
        expect(profile.get_by_role("group", name="Column in detail").get_by_role("heading")).to_have_text(
            "age"
        )
        runs = below(page, 2)
        runs.get_by_label("Filter runs").fill("accuracy>0.5")
        runs.get_by_label("Filter runs").press("Enter")
        expect(runs.get_by_role("row", name=re.compile("baseline"))).to_be_visible()
        promotion = below(page, 3)
        promotion.get_by_role("listbox", name="Versions").get_by_role("option", name="v1").click()
        promotion.get_by_label("Reason").fill("The first one")
        promotion.get_by_role("button", name="Promote v1 to champion").click()
        told = promotion.get_by_role("status")
        expect(told).to_contain_text("flights@champion is version 1 now.", timeout=PATIENCE)
        assert registry.aliases_of(open_store(settings), "flights")["champion"] == "1"
        endpoint = below(page, 4)
        endpoint.get_by_label(re.compile("^age")).fill("80")
        endpoint.get_by_role("button", name="Ask").click()
        expect(endpoint.locator(".mlp-answer")).to_contain_text("version 1", timeout=PATIENCE)
        monitor = below(page, 5)
        expect(monitor).to_contain_text("200 rows in 1 window")
        monitor.get_by_role("button", name="size").click()
        expect(monitor.get_by_role("heading", name="size")).to_be_visible()
        shot(page, "plain-monitor")
        commands = "jupyterapp.commands.listCommands().filter(name => name.startsWith('mlops:'))"
        assert page.evaluate(commands) == []
        expect(page.locator(".mlp-badge-row")).to_have_count(0)
    finally:
        for item in deploy(settings=settings).endpoints:
            deploy(item.name, remove=True, settings=settings)
