"""The panel in another language, by JupyterLab's own translator and a catalogue like a language pack's."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, Route, expect

from mlops_magics.tracking.store import Store

from .jupyter import Jupyter, shot
from .panels import opened, tab

pytestmark = pytest.mark.browser

_WIDGETS = Path(__file__).resolve().parents[2] / "widgets"
_LOCALE = "de_DE"
_MARK = re.compile("«.*»", re.DOTALL)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A catalogue in which each sentence stands in marks, so that what is not translated is seen."""
    monkeypatch.syspath_prepend(str(_WIDGETS))
    from catalogue import messages

    found: dict[str, Any] = {
        "": {
            "domain": "mlops_magics",
            "language": _LOCALE.replace("_", "-"),
            "plural_forms": "nplurals=2; plural=(n != 1);",
        }
    }
    for _, _, text, context in messages():
        if context is None and isinstance(text, str):
            found[text] = [f"«{text}»"]
        elif context is None:
            found[text[0]] = [f"«{one}»" for one in text]
    sys.modules.pop("catalogue", None)
    return found


@pytest.fixture
def german(lab: Jupyter) -> Iterator[None]:
    """Let JupyterLab ask for another language's words, as its settings do."""
    file = lab.folder.parent / "settings" / "@jupyterlab" / "translation-extension"
    file.mkdir(parents=True)
    (file / "plugin.jupyterlab-settings").write_text(json.dumps({"locale": _LOCALE}), "utf-8")
    yield
    shutil.rmtree(file)


@pytest.mark.slow
@pytest.mark.usefixtures("german")
def test_a_language_pack_translates_the_panel(
    page: Page, lab: Jupyter, flights: Store, marked: dict[str, Any]
) -> None:
    assert flights

    def answered(route: Route) -> None:
        body = {"data": {"mlops_magics": marked}, "message": ""}
        route.fulfill(body=json.dumps(body), content_type="application/json")

    page.route("**/lab/api/translations/**", answered)
    panel = opened(page, lab, "flights", "1")
    for name in ("Runs", "Models", "Endpoints", "Alerts"):
        tab(panel, f"«{name}»")
        expect(panel.get_by_role("searchbox", name=_MARK)).to_be_visible()
    expect(panel).to_contain_text("«Nothing asks for your attention.»", timeout=40_000)
    tab(panel, "«Runs»")
    runs = panel.get_by_role("listbox", name="«Runs»")
    expect(runs.get_by_role("option").first).to_be_visible(timeout=40_000)
    search = panel.get_by_role("searchbox")
    search.fill("baseline")
    expect(panel.locator(".mlp-count:visible")).to_have_text("«1 of 1,001 runs»")
    runs.get_by_role("option").first.click()
    expect(panel.get_by_role("button", name="«Copy id»")).to_be_visible(timeout=30_000)
    buttons = panel.get_by_role("button").all_text_contents()
    translated = [text for text in buttons if _MARK.search(text)]
    left = set(buttons) - set(translated) - {"MLflow", "↻", "←", "flights/1"}
    shot(page, "panel-translated")
    assert {text for text in left if not text.startswith("flights/")} == set()
    tab(panel, "«Models»")
    panel.get_by_role("option", name="flights").click()
    desk = panel.get_by_role("group", name="«Promotion»")
    expect(desk.get_by_role("button", name="«Roll back…»")).to_have_count(0)  # nothing to go back to
    expect(desk.get_by_role("textbox", name="«Reason»")).to_be_visible(timeout=40_000)
    expect(desk.get_by_role("heading", name="«Gates»")).to_be_visible()
    desk.get_by_role("option", name="v1").click()
    desk.get_by_role("textbox", name="«Reason»").fill("because")
    desk.get_by_role("button", name=re.compile("«Promote v1 to champion»")).click()
    told = desk.get_by_role("status")
    expect(told).to_contain_text("«flights@champion is version 1 now.»", timeout=40_000)
    expect(told).to_contain_text("«It is the first one. %mlops_deploy flights@champion makes it live.»")
    shot(page, "desk-translated")
    # What stands in MLflow's place while it is not there is no page of JupyterLab's, and speaks as it does.
    page.evaluate(
        """() => {
            const frame = document.createElement("iframe");
            const base = jupyterapp.serviceManager.serverSettings.baseUrl;
            frame.src = `${base}mlops-magics/mlflow/${"0".repeat(16)}/`;
            frame.title = "closed";
            document.body.append(frame);
        }"""
    )
    closed = page.frame_locator("iframe[title=closed]")
    expect(closed.get_by_role("heading")).to_have_text("«These pages are closed.»", timeout=20_000)
    expect(closed.locator("p")).to_have_text("«Open them again from the MLOps panel.»")
