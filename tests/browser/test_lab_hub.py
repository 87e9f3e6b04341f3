"""Behind JupyterHub a server answers below a path of its user: panel, badge and card work there as well."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

from .jupyter import Jupyter, run_all, shot
from .panels import FIT, QUIET, opened, settings_in, tab

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_panel_badge_and_card_work_below_a_users_path(page: Page, hub: Jupyter, prepared_twice: Any) -> None:
    elsewhere: list[str] = []
    page.on("request", lambda asked: "/user/ada/" in asked.url or elsewhere.append(asked.url))
    folder = hub.folder / "hubbed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    prepared_twice.copy_into(folder, {})
    cells = (
        f"%load_ext mlops_magics\n{QUIET}\n%mlops_track e",
        f"%%mlops_track --name hubbed\n{FIT}",
        "%mlops_promote flights",
    )
    panel = opened(page, hub, "hubbed", *cells)
    assert "/user/ada/lab" in page.url
    run_all(page)
    badge = page.locator(".mlp-badge")
    expect(badge).to_contain_text("hubbed", timeout=90_000)
    card = page.locator(".jp-OutputArea .mlp")
    card.get_by_role("listbox", name="Versions").get_by_role("option", name="v1").click(timeout=60_000)
    card.get_by_label("Reason").fill("It is the first")
    card.get_by_role("button", name="Promote v1 to champion").click()
    expect(card.get_by_role("status")).to_contain_text("flights@champion is version 1 now.", timeout=40_000)
    badge.click()
    expect(panel.get_by_role("heading", name="hubbed")).to_be_visible(timeout=30_000)
    tab(panel, "Models")
    panel.get_by_role("option", name="flights").click()
    desk = panel.get_by_role("group", name="Promotion")
    desk.get_by_role("listbox", name="Versions").get_by_role("option", name="v2").click(timeout=40_000)
    desk.get_by_label("Reason").fill("Better on the test set")  # an act: it takes the token below that path
    desk.get_by_role("button", name="Promote v2 to champion").click()
    expect(desk.get_by_role("status")).to_contain_text("flights@champion is version 2 now.", timeout=40_000)
    shot(page, "hub")
    assert registry.aliases_of(open_store(settings_in(hub, folder)), "flights")["champion"] == "2"
    assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []
