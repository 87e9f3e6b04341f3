"""MLflow's own pages in a tab of a real JupyterLab: a click, and they show and do what MLflow's do."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from mlops_magics.tracking.store import Store

from .jupyter import Jupyter, shot
from .panels import opened

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_mlflow_opens_in_a_tab_and_reads_the_store_of_the_notebook(
    page: Page, lab: Jupyter, flights: Store
) -> None:
    refused: list[str] = []
    page.on("response", lambda found: found.status in {401, 403} and refused.append(found.url))
    panel = opened(page, lab, "flights", "1")
    panel.get_by_role("button", name="Open MLflow's own pages in a tab").click()
    frame = page.frame_locator("iframe[title=MLflow]")
    # It reads by POST: without Jupyter's token it would show nothing.
    experiments = frame.get_by_role("link", name="Experiments").first
    expect(experiments).to_be_visible(timeout=120_000)
    experiments.click()
    expect(frame.get_by_role("link", name="e", exact=True).first).to_be_visible(timeout=60_000)
    shot(page, "mlflow")
    assert refused == []
    tabs = page.locator(".lm-DockPanel-tabBar").get_by_role("tab", name=re.compile("^MLflow"))
    expect(tabs).to_have_count(1)
    panel.get_by_role("button", name="Open MLflow's own pages in a tab").click()
    expect(tabs).to_have_count(1)
    assert flights.client.get_experiment_by_name("e") is not None


def test_where_no_store_is_it_says_how_to_make_one(page: Page, lab: Jupyter) -> None:
    panel = opened(page, lab, "storeless", "1")
    panel.get_by_role("button", name="Open MLflow's own pages in a tab").click()
    status = panel.locator(":scope > .mlp-status")
    expect(status).to_contain_text("There is no store here yet.", timeout=30_000)
    expect(status).to_contain_text("%mlops_track NAME")
