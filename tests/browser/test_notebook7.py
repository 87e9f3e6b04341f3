"""The promotion card in a real Notebook 7, on a real store: what is confirmed there stands in the store."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, expect

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.register import register
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

from .jupyter import Jupyter, run_all, shot

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_version_is_promoted_in_notebook_7(browser: Browser, notebook7: Jupyter, prepared: Any) -> None:
    names: dict[str, Any] = {}
    prepared.copy_into(notebook7.folder, names)
    environ = {"MLOPS_STATE": str(notebook7.folder.parent / "state")}
    settings = Settings.discover(notebook7.folder, environ)
    register(names["run"], "flights", settings=settings)
    store = open_store(settings)
    assert registry.aliases_of(store, "flights") == {"candidate": "2"}

    page = browser.new_page(viewport={"width": 1100, "height": 1000})
    try:
        page.goto(notebook7.notebook("promote.ipynb", "%load_ext mlops_magics", "%mlops_promote flights"))
        run_all(page)
        card = page.locator(".jp-OutputArea .mlp")
        expect(card.get_by_role("status")).to_be_attached(timeout=40_000)  # MLflow is imported meanwhile
        card.get_by_role("listbox", name="Versions").get_by_role("option", name="v1").click()
        expect(card.get_by_role("button", name="Promote v1 to champion")).to_be_disabled()
        card.get_by_label("Reason").fill("Better on the test set")
        card.get_by_role("button", name="Promote v1 to champion").click()
        expect(card.get_by_role("status")).to_contain_text(
            "flights@champion is version 1 now.", timeout=20_000
        )
    finally:
        shot(page, "notebook7")
        page.context.close()

    assert registry.aliases_of(store, "flights") == {"candidate": "2", "champion": "1"}
    last = registry.moves_of(store, "flights")[-1]
    assert (last.kind, last.alias, last.old, last.new) == ("promotion", "champion", None, "1")
    assert last.reason == "Better on the test set"
